import { type Client, connect, t as formal } from '@tuplet/client';
import test from 'ava';
import { present } from '../../src/base/assert.ts';
import { ServerCluster } from './server-cluster.ts';

/** What the nodes' gateways have sent to leaders on themselves, and on others. */
async function sentBy(observers: readonly Client[]): Promise<{ here: number; elsewhere: number }> {
  const nodes = await Promise.all(observers.map(({ admin }) => admin.describeNode()));
  return nodes.reduce(
    ({ here, elsewhere }, { sentHere, sentElsewhere }) => ({
      here: here + sentHere,
      elsewhere: elsewhere + sentElsewhere,
    }),
    { here: 0, elsewhere: 0 },
  );
}

/** Writes and takes a tuple of each of so many tags, several at once. */
async function work(client: Client, tags: number): Promise<void> {
  const space = client.space('default');
  const each = async (tag: number): Promise<void> => {
    await space.write([`tag-${tag}`, tag]);
    await space.take([`tag-${tag}`, formal.int]);
  };
  await Promise.all(Array.from({ length: tags }, (_, tag) => each(tag)));
}

/** The share of what went to other nodes while the client worked. */
async function shareElsewhere(client: Client, observers: readonly Client[]): Promise<number> {
  const before = await sentBy(observers);
  for (let round = 0; round < 5; round += 1) await work(client, 64);
  const after = await sentBy(observers);
  const here = after.here - before.here;
  const elsewhere = after.elsewhere - before.elsewhere;
  return elsewhere / (here + elsewhere);
}

test.serial('a client that knows one node sends to the leaders, and follows them', async (t) => {
  const cluster = await ServerCluster.start(3);
  const observers = await Promise.all(cluster.nodes.map((node) => connect(cluster.url([node]))));
  const client = await connect(cluster.url([present(cluster.nodes[0], 'there are three')]));
  try {
    await work(client, 64);
    const share = await shareElsewhere(client, observers);
    t.log(`${(100 * share).toFixed(1)}% went to another node`);
    t.true(share <= 0.1);
    // Its leaderships go to the others, and its address is the only one that was given.
    const [first, ...others] = cluster.nodes;
    t.is(await first?.stop(), 0);
    await work(client, 64);
    const left = observers.slice(1);
    const shareOfTwo = await shareElsewhere(client, left);
    t.log(`${(100 * shareOfTwo).toFixed(1)}% of two`);
    t.true(shareOfTwo <= 0.1);
    t.is(others.length, 2);
  } finally {
    await Promise.all([client, ...observers].map((each) => each.close()));
    await cluster.dispose();
  }
});

test.serial('a node whose advertised address leads nowhere is served by the others', async (t) => {
  const cluster = await ServerCluster.start(3, { arguments: ['--advertise', '127.0.0.1:9'] });
  const client = await connect(cluster.url());
  try {
    await work(client, 64);
    await work(client, 64);
    t.is(await client.space('default').count([formal.string, formal.int]), 0);
  } finally {
    await client.close();
    await cluster.dispose();
  }
});
