/** `tuplet cluster up`: a cluster on this machine, in one command. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type Command, InvalidArgumentError } from 'commander';
import { parseCount } from './duration.ts';
import { exitCodes } from './exit.ts';

interface UpOptions {
  readonly nodes: number;
  readonly data: string;
  readonly port: number;
  readonly partitions?: number;
  readonly replicas?: number;
  readonly logLevel: string;
}

/** Other nodes are heard so far above the ports of clients. */
const peerPortsAbove = 100;

/** Adds the command. */
export function addUp(cluster: Command): void {
  cluster
    .command('up')
    .description('run a cluster on this machine, until interrupted; its data stays')
    .option('-n, --nodes <count>', 'nodes, 1 to 9', nodesOf, 3)
    .option('-d, --data <folder>', 'where each node has a folder', './tuplet-cluster')
    .option(
      '-p, --port <number>',
      `clients reach the first node there, the next ones behind it; nodes hear each other ${peerPortsAbove} above`,
      portOf,
      7447,
    )
    .option('--partitions <count>', 'partitions of a new cluster, 1 to 256', parseCount(1))
    .option('--replicas <count>', 'replicas of each partition of a new cluster', parseCount(1))
    .option('--log-level <level>', 'of what the nodes say on the error output', 'warn')
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet cluster up
  $ tuplet cluster up --nodes 5 --data /tmp/five --port 8447
  $ tuplet cluster up                  # once more: the same cluster, with its data`,
    )
    .action((options: UpOptions) => up(options));
}

async function up(options: UpOptions): Promise<void> {
  const folder = resolve(options.data);
  const isNew = !existsSync(join(folder, 'node-1', 'log'));
  const numbers = Array.from({ length: options.nodes }, (_, at) => at + 1);
  const children = numbers.map((number) => startNode(number, options, { folder, isNew }));
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    process.stderr.write('stopping\n');
    for (const child of children) child.kill('SIGTERM');
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const ended = children.map((child, at) =>
    exited(child).then((code) => {
      if (isStopping) return;
      process.stderr.write(`tuplet: node-${at + 1} ended by itself (${code}); the others go on\n`);
      process.exitCode = exitCodes.failed;
    }),
  );
  const serving = await Promise.all(children.map(serves));
  if (serving.every((served) => served)) {
    const url = numbers.map((number) => `127.0.0.1:${options.port + number - 1}`).join(',');
    process.stdout.write(
      `the cluster serves: tuplet://${url}\n` +
        `  tuplet cluster status -s tuplet://${url}\n` +
        `  kill -9 ${children[0]?.pid}    # node-1: the others go on\n` +
        'Ctrl-C ends it; its data stays\n',
    );
  }
  await Promise.all(ended);
}

function startNode(
  number: number,
  { nodes, port, partitions, replicas, logLevel }: UpOptions,
  { folder, isNew }: { readonly folder: string; readonly isNew: boolean },
): ChildProcess {
  const peer = (each: number): string => `127.0.0.1:${port + peerPortsAbove + each - 1}`;
  const founders = Array.from({ length: nodes }, (_, at) => `${at + 1}=${peer(at + 1)}`);
  const args = ['--data', join(folder, `node-${number}`), '--log-level', logLevel];
  args.push('--listen', `127.0.0.1:${port + number - 1}`);
  args.push('--node', String(number), '--founders', founders.join(','), '--insecure');
  if (isNew) {
    args.push('--found');
    if (partitions !== undefined) args.push('--partitions', String(partitions));
    if (replicas !== undefined) args.push('--replicas', String(replicas));
  }
  const child = spawn(process.execPath, [process.argv[1] ?? '', 'serve', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C is for this process, which tells the nodes.
    detached: true,
  });
  createInterface({ input: child.stderr }).on('line', (line) =>
    process.stderr.write(`node-${number} | ${line}\n`),
  );
  return child;
}

/** Resolves when a node says that it serves, or has ended before. */
function serves(child: ChildProcess, at: number): Promise<boolean> {
  const { stdout } = child;
  if (stdout === null) throw new Error('the output is piped');
  return new Promise((done) => {
    void exited(child).then(() => done(false));
    createInterface({ input: stdout }).on('line', (line) => {
      process.stdout.write(`node-${at + 1} ${line}\n`);
      done(true);
    });
  });
}

function exited(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((done) => child.once('exit', (code) => done(code)));
}

function nodesOf(text: string): number {
  const count = parseCount(1)(text);
  if (count <= 9) return count;
  throw new InvalidArgumentError('1 to 9 nodes: they share this machine.');
}

function portOf(text: string): number {
  const port = parseCount(1)(text);
  if (port + peerPortsAbove + 9 <= 65_535) return port;
  throw new InvalidArgumentError('the ports of nodes end at 65535.');
}
