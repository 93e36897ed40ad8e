/** `tuplet cluster up | status | add | drain | undrain | replace | remove | transfer`. */
import type { Client, ClusterDescription, ClusterNode, NodeState } from '@tuplet/client';
import { type Command, InvalidArgumentError } from 'commander';
import { isMoving, placedOn, showCluster, summaryOf } from './cluster-status.ts';
import { addUp } from './cluster-up.ts';
import { parseCount } from './duration.ts';
import { exitCodes } from './exit.ts';
import { type ClientOptions, clientOptions, run, type Session } from './session.ts';

interface StatusOptions extends ClientOptions {
  readonly watch: boolean;
  readonly groups: boolean;
}

interface WaitOptions extends ClientOptions {
  /** `--no-wait` makes it false. */
  readonly wait: boolean;
}

/** Milliseconds between two looks of a command that waits. */
const lookMs = 500;

/** Adds the commands. */
export function addClusterCommands(program: Command): void {
  const cluster = program
    .command('cluster')
    .description('see a cluster, and change which nodes it has');
  addUp(cluster);
  addStatus(cluster);
  addAdd(cluster);
  addDrain(cluster);
  addChange(cluster, 'undrain', 'member', {
    description: 'take back a drain: the node gets replicas again',
    done: 'is a member again',
  });
  addReplace(cluster);
  addChange(cluster, 'remove', 'removed', {
    description: 'end a node that has no replicas any more, for ever',
    done: 'is removed, for ever: its process ends',
  });
  addTransfer(cluster);
}

function addStatus(cluster: Command): void {
  clientOptions(cluster.command('status'), { withSpace: false })
    .description('show nodes, leaders, replicas that lag and moves under way')
    .option('-w, --watch', 'again every half second, until interrupted', false)
    .option(
      '-g, --groups',
      'every partition, and not only those where something is to be seen',
      false,
    )
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet cluster status
  $ tuplet cluster status --watch
  $ tuplet cluster status --groups -s tuplet://a:7447,b:7447
  $ tuplet cluster status -o json`,
    )
    .action((options: StatusOptions) =>
      run(options, async (session) => {
        for (;;) {
          const described = await session.client.admin.describeCluster();
          if (session.format === 'json') session.print(JSON.stringify(described));
          else session.print(showCluster(described, { all: options.groups }));
          if (!options.watch || session.signal.aborted) return exitCodes.ok;
          if (!(await pause(session.signal))) return exitCodes.ok;
          if (session.format === 'table') session.print('');
        }
      }),
    );
}

function addAdd(cluster: Command): void {
  clientOptions(cluster.command('add'), { withSpace: false })
    .description('say how one more node is started, which joins')
    .addHelpText('after', '\nExamples:\n  $ tuplet cluster add -s tuplet://a:7447')
    .action((options: ClientOptions) =>
      run(options, async ({ client, format, print }) => {
        const { nodes } = await client.admin.describeCluster();
        const seeds = nodes
          .filter(({ state, reachable }) => state !== 'removed' && reachable)
          .map(({ peerAddress }) => peerAddress);
        const command = `tuplet serve --join ${seeds.join(',')} --listen-peer HOST:7448 --insecure --data FOLDER`;
        if (format === 'json') print(JSON.stringify({ seeds, command }));
        else {
          print(
            `on the machine of the new node, with an empty folder and its own HOST:\n  ${command}`,
          );
          print(
            'more words: --name, --zone, --listen and --advertise for clients (`tuplet serve --help`)',
          );
        }
        return exitCodes.ok;
      }),
    );
}

function addDrain(cluster: Command): void {
  clientOptions(cluster.command('drain <node>'), { withSpace: false })
    .description(
      'move all replicas away from a node, by its name or number; it stays until removed',
    )
    .option('--no-wait', 'come back at once, and not when the node is empty')
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet cluster drain node-2
  $ tuplet cluster drain 2 --no-wait`,
    )
    .action((text: string, options: WaitOptions) =>
      run(options, async (session) => {
        const node = await nodeCalled(session.client, text);
        await session.client.admin.setNodeState(node.node, 'draining');
        if (!options.wait) return told(session, node, 'is draining');
        return await emptied(session, node);
      }),
    );
}

function addReplace(cluster: Command): void {
  clientOptions(cluster.command('replace <node>'), { withSpace: false })
    .description(
      'say that a node is lost, with its disk perhaps: others get its replicas now, not after --replace-after',
    )
    .option('--no-wait', 'come back at once, and not when others have its replicas')
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet cluster replace node-2        # it does not run; a node with room takes its place
  $ tuplet cluster remove node-2         # when it has no replicas any more`,
    )
    .action((text: string, options: WaitOptions) =>
      run(options, async (session) => {
        const node = await nodeCalled(session.client, text);
        await session.client.admin.setNodeState(node.node, 'gone');
        if (!options.wait) return told(session, node, 'is being replaced');
        return await emptied(session, node);
      }),
    );
}

function addChange(
  cluster: Command,
  name: string,
  state: NodeState,
  words: { readonly description: string; readonly done: string },
): void {
  clientOptions(cluster.command(`${name} <node>`), { withSpace: false })
    .description(words.description)
    .addHelpText('after', `\nExamples:\n  $ tuplet cluster ${name} node-2`)
    .action((text: string, options: ClientOptions) =>
      run(options, async (session) => {
        const node = await nodeCalled(session.client, text);
        return told(session, await session.client.admin.setNodeState(node.node, state), words.done);
      }),
    );
}

function addTransfer(cluster: Command): void {
  clientOptions(cluster.command('transfer <partition> <node>'), { withSpace: false })
    .description('have a node lead a partition; partition 0 is the cluster map')
    .addHelpText('after', '\nExamples:\n  $ tuplet cluster transfer 7 node-3')
    .action((group: string, text: string, options: ClientOptions) =>
      run(options, async ({ client, format, print }) => {
        const partition = parseCount(0)(group);
        if (partition > 256) throw new InvalidArgumentError('There are at most 256 partitions.');
        const { node, name } = await nodeCalled(client, text);
        await client.admin.transferLeadership(partition, node);
        print(
          format === 'json'
            ? JSON.stringify({ partition, leader: node })
            : `${name} leads partition ${partition}`,
        );
        return exitCodes.ok;
      }),
    );
}

/** The node of a name or a number. */
async function nodeCalled({ admin }: Client, text: string): Promise<ClusterNode> {
  const { nodes } = await admin.describeCluster();
  const found = nodes.filter(({ node, name }) => name === text || String(node) === text);
  // A name goes before a number; of a name that was given again, the living node has it.
  const node =
    found.find(({ name, state }) => name === text && state !== 'removed') ??
    found[found.length - 1];
  if (node !== undefined) return node;
  const names = nodes.filter(({ state }) => state !== 'removed').map(({ name }) => name);
  throw new Error(`no node is called ${text}: there are ${names.join(', ')}`);
}

function told({ format, print }: Session, node: ClusterNode, words: string): number {
  print(format === 'json' ? JSON.stringify(node) : `${node.name} (${node.node}) ${words}`);
  return exitCodes.ok;
}

/** Waits until a node has no replicas of partitions and no vote, and says how far that is. */
async function emptied(session: Session, node: ClusterNode): Promise<number> {
  let said = '';
  for (;;) {
    const described = await session.client.admin.describeCluster();
    const left = placedOn(described, node.node);
    if (left === 0) return told(session, node, 'has no replicas any more: it may be removed');
    const now = progressOf(described, node, left);
    if (now !== said && session.format === 'table') session.print(now);
    said = now;
    if (!(await pause(session.signal))) throw new Error(`interrupted: ${now}; that goes on`);
  }
}

function progressOf(described: ClusterDescription, node: ClusterNode, left: number): string {
  const moving = described.groups.filter(isMoving).length;
  const stuck = moving === 0 ? `; ${summaryOf(described)}` : '';
  return `${node.name} has ${left} replicas left, ${moving} moves under way${stuck}`;
}

/** False: it was interrupted meanwhile. */
function pause(signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (isOver: boolean): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(isOver);
    };
    const onAbort = (): void => end(false);
    const timer = setTimeout(() => end(true), lookMs);
    signal.addEventListener('abort', onAbort);
  });
}
