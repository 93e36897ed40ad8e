import { type Client, connect, t as formal } from '@tuplet/client';
import test from 'ava';
import { ServerCluster } from './server-cluster.ts';

const count = 1_000;

test.serial(
  'a thousand takers of anything and a thousand writers, while nodes die: each tuple to exactly one',
  async (t) => {
    const cluster = await ServerCluster.start(3);
    const clients: Client[] = [];
    try {
      for (let each = 0; each < 4; each += 1) clients.push(await connect(cluster.urlFrom(each)));
      const spaces = clients.map((client) => client.space('default'));
      const taken: number[] = [];
      // Unpinned: each waits in all partitions, on whatever node they are led.
      const takes = Array.from({ length: count }, async (_, each) => {
        const found = await spaces[each % 4]?.take([formal.string, formal.int]);
        taken.push(Number(found?.[1]));
      });
      const writes = Array.from({ length: count }, async (_, each) => {
        // Over some seconds, so that nodes die in the middle of it.
        await new Promise((resolve) => setTimeout(resolve, 5 * each));
        await spaces[(each + 1) % 4]?.write([`tag-${each % 40}`, each]);
      });
      for (const node of cluster.nodes.slice(0, 2)) {
        await new Promise((resolve) => setTimeout(resolve, 800));
        await node.kill();
        await node.restart();
      }
      await Promise.all(writes);
      await Promise.all(takes);
      taken.sort((one, other) => one - other);
      t.deepEqual(
        taken,
        Array.from({ length: count }, (_, each) => each),
      );
      t.is(await spaces[0]?.count([formal.string, formal.int]), 0);
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await cluster.dispose();
    }
  },
);
