import { type Client, connect, t as formal, type Space, type TupleEvent } from '@tuplet/client';
import test from 'ava';
import { present } from '../../src/base/assert.ts';
import { ServerCluster } from './server-cluster.ts';

/** Follows what is written, until so many events have come; the numbers in the tuples, by tag. */
async function follow(
  events: AsyncIterable<TupleEvent<unknown>>,
  count: number,
): Promise<Map<string, number[]>> {
  const seen = new Map<string, number[]>();
  let left = count;
  for await (const { tuple } of events) {
    const [tag, number] = tuple as [string, number];
    seen.set(tag, [...(seen.get(tag) ?? []), Number(number)]);
    left -= 1;
    if (left === 0) break;
  }
  return seen;
}

async function write(space: Space, from: number, to: number): Promise<void> {
  for (let each = from; each < to; each += 1) await space.write([`tag-${each % 20}`, each]);
}

test.serial(
  'each node tells what happens in all partitions, in order and once, while replicas move',
  async (t) => {
    const cluster = await ServerCluster.start(3, { foundingArguments: ['--replicas', '1'] });
    const clients: Client[] = [];
    try {
      clients.push(
        ...(await Promise.all(cluster.nodes.map((node) => connect(cluster.url([node]))))),
      );
      for (const { admin } of clients) {
        const { partitions } = await admin.describeNode();
        t.true(partitions.length < 16, 'each node lacks some');
      }
      const streams = clients.map((client) =>
        client.space('default').notify([formal.string, formal.int], { kinds: ['written'] }),
      );
      await Promise.all(streams.map(({ ready }) => ready));
      const following = streams.map((stream) => follow(stream, 400));
      const space = present(clients[0], 'there are three').space('default');
      await write(space, 0, 200);
      const fourth = await cluster.join();
      const client = await connect(cluster.url([fourth]));
      clients.push(client);
      // A replica that is alone moves with all that it has.
      while ((await client.admin.describeNode()).partitions.length < 4)
        await new Promise((resolve) => setTimeout(resolve, 100));
      await write(client.space('default'), 200, 400);
      for (const seen of await Promise.all(following)) {
        t.is(seen.size, 20);
        for (const [tag, numbers] of seen) {
          const first = Number(tag.slice(4));
          const wanted = Array.from({ length: 20 }, (_, at) => first + 20 * at);
          t.deepEqual(numbers, wanted, tag);
        }
      }
    } finally {
      await Promise.all(clients.map((each) => each.close()));
      await cluster.dispose();
    }
  },
);
