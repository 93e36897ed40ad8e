import { connect, t as formal } from '@tuplet/client';
import test from 'ava';
import { ServerCluster } from './server-cluster.ts';

test.serial('five nodes found a cluster, and each answers for all of it', async (t) => {
  const cluster = await ServerCluster.start(5);
  try {
    const clients = await Promise.all(cluster.nodes.map((_, at) => connect(cluster.urlFrom(at))));
    const spaces = clients.map((client) => client.space('default'));
    for (let each = 0; each < 40; each += 1) await spaces[each % 5]?.write([`tag-${each}`, each]);
    for (const space of spaces) t.is(await space.count([formal.string, formal.int]), 40);
    let replicas = 0;
    for (const client of clients) {
      const { length } = (await client.admin.describeNode()).partitions;
      t.true(length === 9 || length === 10, `${length}`);
      replicas += length;
      await client.close();
    }
    // Three of each partition, and every node has its share.
    t.is(replicas, 48);
  } finally {
    await cluster.dispose();
  }
});
