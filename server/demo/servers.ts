/** Who serves the demo, and what happens to them on the way. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, type ClusterDescription, connect } from '@tuplet/client';
import { ServerCluster } from '../test/cluster/server-cluster.ts';
import { ServerProcess } from '../test/process/server-process.ts';

type Say = (line: string) => void;

/** The servers of a demo. */
export interface Servers {
  /** Where clients go. */
  readonly url: string;
  /** What befalls them at a third of the work, and at two thirds. */
  readonly misfortunes: readonly ((client: Client, say: Say) => Promise<void>)[];
  /** Calls that wait at their leaders. */
  waiters(): Promise<number>;
  dispose(): Promise<void>;
}

/** One server, which is killed twice. */
export async function oneServer(): Promise<Servers> {
  const server = await ServerProcess.start();
  const kill = async (_client: Client, say: Say): Promise<void> => {
    await server.kill();
    say('the server was killed with SIGKILL');
    await server.restart();
    say('the server serves again');
  };
  return {
    url: `tuplet://${server.address}`,
    misfortunes: [kill, kill],
    waiters: () => waitersAt(server),
    dispose: () => server.dispose(),
  };
}

/** Several nodes: one that leads is killed and comes back; another is lost with its disk and replaced. */
export async function severalNodes(count: number): Promise<Servers> {
  const cluster = await ServerCluster.start(count, { arguments: ['--replace-after', '1s'] });
  const url = cluster.url();
  const killLeader = async (client: Client, say: Say): Promise<void> => {
    const { nodes, groups } = await client.admin.describeCluster();
    const led = (node: number): number => groups.filter(({ leader }) => leader === node).length;
    const leads = nodes.reduce((one, other) => (led(other.node) > led(one.node) ? other : one));
    const server = cluster.nodes[leads.node - 1];
    await server?.kill();
    say(`${leads.name}, which led ${led(leads.node)} groups, was killed with SIGKILL`);
    await server?.restart();
    say(`${leads.name} serves again`);
  };
  const loseNode = async (client: Client, say: Say): Promise<void> => {
    const [lost] = cluster.nodes.splice(1, 1);
    await lost?.dispose();
    say('node-2 was killed, and its disk is gone');
    await cluster.join(['--name', 'replacement']);
    say('another node joins in its place, with an empty disk');
    await settled(client, say);
  };
  return {
    url,
    misfortunes: [killLeader, loseNode],
    waiters: async () => {
      const each = await Promise.all(cluster.nodes.map(waitersAt));
      return each.reduce((sum, waiters) => sum + waiters, 0);
    },
    dispose: () => cluster.dispose(),
  };
}

/** Says how far the replacement is, until every partition has all its replicas again. */
async function settled({ admin }: Client, say: Say): Promise<void> {
  let said = '';
  for (;;) {
    const described = await admin.describeCluster();
    const left = missing(described);
    if (left === 0) break;
    const now = `${left} partitions have a replica left to replace`;
    if (now !== said) say(now);
    said = now;
    await pause(500);
  }
  say('every partition has three replicas again');
}

/** Partitions with a replica on a node that cannot be reached, or with one that does not vote yet. */
function missing({ nodes, groups }: ClusterDescription): number {
  const away = new Set(nodes.filter(({ reachable }) => !reachable).map(({ node }) => node));
  return groups.filter(
    ({ group, replicas }) =>
      group > 0 && replicas.some(({ node, role }) => away.has(node) || role !== 'voter'),
  ).length;
}

async function waitersAt({ address }: ServerProcess): Promise<number> {
  await using client = await connect(`tuplet://${address}`);
  const { partitions } = await client.admin.describeNode();
  return partitions.reduce((sum, partition) => sum + partition.waiters, 0);
}
