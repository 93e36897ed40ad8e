import { type Client, connect, t as formal } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { present } from '../../src/base/assert.ts';
import type { ServerProcess } from '../process/server-process.ts';
import { ServerCluster } from './server-cluster.ts';
import { Writer } from './writing.ts';

/** How many partitions have a replica on each node. */
async function loads(clients: readonly Client[]): Promise<number[]> {
  const nodes = await Promise.all(clients.map(({ admin }) => admin.describeNode()));
  return nodes.map(({ partitions }) => partitions.length);
}

/** Resolves when the nodes have so many replicas, each of them; whatever else they are asked meanwhile. */
async function spread(
  t: ExecutionContext,
  clients: readonly Client[],
  wanted: readonly number[],
): Promise<void> {
  const untilMs = performance.now() + 60_000;
  let found: number[] = [];
  while (performance.now() < untilMs) {
    found = await loads(clients);
    if (found.every((count, at) => count === wanted[at])) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.deepEqual(found, wanted);
}

function clientsOf(nodes: readonly ServerProcess[]): Promise<Client[]> {
  return Promise.all(nodes.map(({ address }) => connect(`tuplet://${address}`)));
}

const some = [formal.string, formal.int] as const;

test.serial('a node joins while tuples are written, and gets its share of them', async (t) => {
  const cluster = await ServerCluster.start(3);
  const clients: Client[] = [];
  try {
    const client = await connect(cluster.url());
    clients.push(client);
    const writer = new Writer(client.space('default'));
    await writer.written.more(200);
    await cluster.join();
    const each = await clientsOf(cluster.nodes);
    clients.push(...each);
    await spread(t, each, [12, 12, 12, 12]);
    await writer.written.more(200);
    t.log(`slowest write ${await writer.end()} ms`);
    for (const one of each) t.is(await one.space('default').count(some), writer.written.count);
    // What it has is its own by its log: it comes back by itself.
    const fourth = present(cluster.nodes[3], 'it has joined');
    await fourth.kill();
    await fourth.restart();
    const [again] = await clientsOf([fourth]);
    if (again === undefined) return t.fail();
    clients.push(again);
    t.is(await again.space('default').count(some), writer.written.count);
    t.is((await loads([again]))[0], 12);
  } finally {
    await Promise.all(clients.map((one) => one.close()));
    await cluster.dispose();
  }
});

test.serial('a node that is lost with its disk is replaced by one that joins', async (t) => {
  const cluster = await ServerCluster.start(3, { arguments: ['--replace-after', '1s'] });
  const clients: Client[] = [];
  try {
    const client = await connect(cluster.url());
    clients.push(client);
    const writer = new Writer(client.space('default'));
    await writer.written.more(200);
    const [first, second, third] = cluster.nodes;
    if (first === undefined || second === undefined || third === undefined) return t.fail();
    await second.dispose();
    const fourth = await cluster.join();
    const left = await clientsOf([first, third, fourth]);
    clients.push(...left);
    await spread(t, left, [16, 16, 16]);
    await writer.written.more(100);
    // Two of three are enough again: the new one is as good as the one that was lost.
    await first.kill();
    await writer.written.more(100);
    await writer.end();
    const [, , fresh] = left;
    t.is(await fresh?.space('default').count(some), writer.written.count);
  } finally {
    await Promise.all(clients.map((one) => one.close()));
    cluster.nodes.splice(1, 1);
    await cluster.dispose();
  }
});
