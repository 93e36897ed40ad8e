import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { Logger } from 'pino';
import type { NodeId } from '../base/ids.ts';
import { nodesMax } from '../base/limits.ts';
import type { FoundersOptions } from '../founders.ts';
import { addressOf, defaultListen } from '../gateway/address.ts';
import type { RunningNode } from '../node.ts';
import { parseDuration } from './duration.ts';
import { explainStart } from './start-failure.ts';

interface ServeOptions {
  readonly data: string;
  readonly listen: string;
  readonly advertise?: string;
  readonly partitions?: number;
  readonly historyBytes?: number;
  readonly historyAge?: number;
  readonly node?: NodeId;
  readonly founders?: ReadonlyMap<NodeId, string>;
  readonly found: boolean;
  readonly insecure: boolean;
  readonly logLevel: string;
}

const examples = `
Examples:
  $ tuplet serve
  $ tuplet serve --data /var/lib/tuplet --listen 0.0.0.0:7447
  $ tuplet serve --listen 127.0.0.1:0     # a free port; it is printed
  $ tuplet serve --history-bytes 0        # no events are kept: less memory, no notify
  $ tuplet serve --node 1 --founders 1=a:7448,2=b:7448,3=c:7448 --insecure --found
                                          # on a, the first time; so on b and c`;

/** Adds `tuplet serve`. */
export function addServe(program: Command): void {
  program
    .command('serve')
    .description('serve a tuple space from a data folder')
    .option('-d, --data <folder>', 'where the data lies; made where there is none', './tuplet-data')
    .option('-l, --listen <host:port>', 'address to listen at', listenArgument, defaultListen)
    .option(
      '--advertise <host:port>',
      'where clients reach this node, if not at --listen: other nodes tell them',
      listenArgument,
    )
    .option('--partitions <count>', 'partitions of a new cluster, 1 to 256', countArgument)
    .option(
      '--history-bytes <count>',
      'of events kept for notify in each partition; 0: none (default: 8 MiB)',
      bytesArgument,
    )
    .option(
      '--history-age <duration>',
      'how long they are kept, such as 30s or 2h; 0: not at all (default: 10m)',
      parseDuration,
    )
    .option('--node <number>', 'which of the founders this is', nodeArgument)
    .option(
      '--founders <list>',
      'the nodes that found a cluster together, and where they hear each other: 1=host:port,2=host:port,...',
      foundersArgument,
    )
    .option('--found', 'an empty data folder founds the cluster: the first time alone', false)
    .option('--insecure', 'founders speak to each other without TLS', false)
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent', 'info')
    .addHelpText('after', examples)
    .action(async (options: ServeOptions) => serve(options));
}

async function serve(options: ServeOptions): Promise<void> {
  // Only here, so that the other commands do not load a server.
  const [{ startNode }, { destination, pino }] = await Promise.all([
    import('../node.ts'),
    import('pino'),
  ]);
  const dataDir = resolve(options.data);
  // Logs go to the error output: the other one says where the node serves, and nothing else.
  const logger = pino({ level: options.logLevel, base: null }, destination({ fd: 2, sync: true }));
  const { listen, advertise, partitions, historyBytes, historyAge } = options;
  const founders = foundersOf(options);
  if (typeof founders === 'string') {
    process.stderr.write(`tuplet: cannot serve: ${founders}\n`);
    process.exitCode = 2;
    return;
  }
  let node: RunningNode;
  try {
    node = await startNode({
      dataDir,
      listen,
      logger,
      ...(advertise === undefined ? {} : { advertise }),
      ...(partitions === undefined ? {} : { partitions }),
      ...(historyBytes === undefined ? {} : { historyBytesMax: historyBytes }),
      ...(historyAge === undefined ? {} : { historyMs: historyAge }),
      ...(founders === undefined ? {} : { founders }),
    });
  } catch (error) {
    process.stderr.write(`tuplet: cannot serve: ${explainStart(error, { dataDir, listen })}\n`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(`serving at ${node.address}, data in ${dataDir}\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void stop(node, logger, signal));
}

/** What --node, --founders and --insecure say together; undefined: the node is alone. A text: what is wrong. */
function foundersOf({
  node,
  founders,
  found,
  insecure,
}: ServeOptions): FoundersOptions | string | undefined {
  if (node === undefined && founders === undefined) {
    if (found) return '--found is about --founders, which is not there';
    return insecure ? '--insecure is about --founders, which is not there' : undefined;
  }
  if (node === undefined || founders === undefined) return '--node and --founders go together';
  if (!founders.has(node)) return `--node ${node} is none of the founders`;
  if (!insecure)
    return 'founders speak to each other without TLS so far: say --insecure if that may be';
  return {
    node,
    founders,
    credentials: { kind: 'insecure' },
    mayFound: found,
    // A node answers for a partition's history from its own replica alone: so far each has all of them.
    replicaCount: founders.size,
  };
}

async function stop(node: RunningNode, logger: Logger, signal: string): Promise<void> {
  logger.info({ signal }, 'stopping');
  try {
    await node.close();
    process.exit(0);
  } catch (error) {
    logger.fatal({ error: messageOf(error) }, 'the node did not stop as it should');
    process.exit(1);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function listenArgument(text: string): string {
  try {
    addressOf(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}

function countArgument(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 256)
    throw new InvalidArgumentError('a cluster has 1 to 256 partitions');
  return count;
}

function nodeArgument(text: string): NodeId {
  const node = Number(text);
  if (!Number.isInteger(node) || node < 1 || node > nodesMax)
    throw new InvalidArgumentError(`nodes have numbers from 1 to ${nodesMax}`);
  return node as NodeId;
}

function foundersArgument(text: string): ReadonlyMap<NodeId, string> {
  const founders = new Map<NodeId, string>();
  for (const part of text.split(',')) {
    const [, number, address] = /^(\d+)=(.+)$/.exec(part) ?? [];
    if (number === undefined || address === undefined)
      throw new InvalidArgumentError(`"${part}" is not NUMBER=HOST:PORT`);
    const node = nodeArgument(number);
    if (founders.has(node)) throw new InvalidArgumentError(`node ${node} is there twice`);
    founders.set(node, listenArgument(address));
  }
  return founders;
}

function bytesArgument(text: string): number {
  const bytes = Number(text);
  if (text === '' || !Number.isSafeInteger(bytes) || bytes < 0)
    throw new InvalidArgumentError('a number of bytes, or 0 for none');
  return bytes;
}
