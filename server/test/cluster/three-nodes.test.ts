import { type Client, connect, t as formal } from '@tuplet/client';
import test from 'ava';
import { present } from '../../src/base/assert.ts';
import { ServerProcess } from '../process/server-process.ts';
import { freePorts } from './free-ports.ts';
import { ServerCluster } from './server-cluster.ts';
import { Progress, Writer } from './writing.ts';

/** Runs with three nodes and a client of each. */
async function withThree(
  run: (cluster: ServerCluster, clients: readonly Client[]) => Promise<void>,
): Promise<void> {
  const cluster = await ServerCluster.start(3);
  const clients: Client[] = [];
  try {
    for (const node of cluster.nodes) clients.push(await connect(cluster.url([node])));
    await run(cluster, clients);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await cluster.dispose();
  }
}

test.serial(
  'any node answers for all partitions, and a take wakes wherever its tuple is written',
  async (t) => {
    await withThree(async (_cluster, clients) => {
      const [one, two, three] = clients.map((client) => client.space('default'));
      if (one === undefined || two === undefined || three === undefined) return t.fail();
      // Many first fields, so that all partitions and their leaders are met.
      for (let each = 0; each < 40; each += 1) await one.write([`tag-${each}`, each]);
      t.is(await two.count([formal.string, formal.int]), 40);
      for (let each = 0; each < 40; each += 1) {
        t.deepEqual(await three.take([`tag-${each}`, formal.int]), [`tag-${each}`, each]);
      }
      t.is(await two.count([formal.string, formal.int]), 0);
      // Unpinned: it may be written to any partition.
      const waiting = two.take([formal.string, 7], { timeoutMs: 20_000 });
      await one.write(['any', 7]);
      t.deepEqual(await waiting, ['any', 7]);
    });
  },
);

test.serial(
  'any node creates and drops spaces, and knows at once the ones that it created',
  async (t) => {
    await withThree(async (_cluster, clients) => {
      for (const [at, client] of clients.entries()) {
        const name = `made-at-${at}`;
        await client.admin.createSpace(name, { rules: [{ tag: 'big', spread: 8, fields: [1] }] });
        const own = client.space(name);
        for (let each = 0; each < 20; each += 1) await own.write([`tag-${each}`, each]);
        const { id } = await client.admin.describeSpace(name);
        for (const other of clients) {
          // It may not have heard of the space yet, and then looks at the cluster's map.
          t.is((await other.admin.describeSpace(name)).id, id);
          const space = other.space(name);
          for (let each = 0; each < 6; each += 1) await space.take([formal.string, formal.int]);
        }
        t.is(await own.count([formal.string, formal.int]), 2);
        await t.throwsAsync(client.admin.createSpace(name), { message: /there is a space/ });
      }
      for (const at of clients.keys()) {
        const name = `made-at-${at}`;
        const other = present(clients[(at + 1) % 3], 'there are three');
        await other.admin.dropSpace(name);
        await t.throwsAsync(other.admin.describeSpace(name), { message: /no space/ });
        for (const each of clients) await isGone(each, name);
      }
      for (const { admin } of clients) {
        t.deepEqual(
          (await admin.listSpaces()).map(({ name }) => name),
          ['default'],
        );
      }
    });
  },
);

async function isGone({ admin }: Client, name: string): Promise<void> {
  while ((await admin.listSpaces()).some((space) => space.name === name)) {
    // Each question is a way to the node and back.
  }
}

test.serial('a client passes over a server that is not there', async (t) => {
  const server = await ServerProcess.start();
  const [nobody] = await freePorts(1);
  try {
    const client = await connect(`tuplet://127.0.0.1:${nobody},${server.address}`);
    await client.space('default').write(['here', 1]);
    t.is(await client.space('default').count(['here', formal.int]), 1);
    await client.close();
    await t.throwsAsync(
      connect(`tuplet://127.0.0.1:${nobody},localhost:${nobody}`, { connectTimeoutMs: 1_500 }),
      { message: /no connection within 1500 ms/ },
    );
  } finally {
    await server.dispose();
  }
});

test.serial('nodes die and come back: nothing acknowledged is lost or there twice', async (t) => {
  const cluster = await ServerCluster.start(3);
  const client = await connect(cluster.url());
  try {
    const space = client.space('default');
    let isOver = false;
    const written = new Progress();
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let each = 0; !isOver; each += 1) {
        await space.write([`tag-${each % 20}`, lane, each]);
        written.add();
      }
    });
    for (const node of cluster.nodes) {
      await node.kill();
      await written.more(200);
      await node.restart();
    }
    isOver = true;
    await Promise.all(lanes);
    t.true(written.count > 600);
    for (const node of cluster.nodes) {
      const one = await connect(cluster.url([node]));
      t.is(
        await one.space('default').count([formal.string, formal.int, formal.int]),
        written.count,
      );
      await one.close();
    }
  } finally {
    await client.close();
    await cluster.dispose();
  }
});

test.serial(
  'a node that is stopped hands its leaderships over first: calls hardly notice',
  async (t) => {
    await withThree(async (cluster, clients) => {
      const [first] = clients.map((client) => client.space('default'));
      if (first === undefined) return t.fail();
      for (let each = 0; each < 40; each += 1) await first.write([`tag-${each}`, each]);
      const [, second, third] = cluster.nodes;
      const slowest: number[] = [];
      for (const node of [second, third, second]) {
        const writer = new Writer(first);
        t.is(await node?.stop(), 0);
        // Each tag once more: all partitions are met.
        await writer.written.more(41);
        slowest.push(await writer.end());
        await node?.restart();
      }
      t.log(`slowest writes ${slowest.join(', ')} ms`);
      // An election alone begins after a second of silence; a busy machine may lose one hand-over to it.
      t.true(slowest.filter((ms) => ms < 900).length >= 2, slowest.join());
    });
  },
);

test.serial(
  'the node that a client talks to stops: it goes on with another one at once',
  async (t) => {
    const cluster = await ServerCluster.start(3);
    try {
      const slowest: number[] = [];
      for (const [at, node] of cluster.nodes.entries()) {
        const client = await connect(cluster.urlFrom(at));
        const writer = new Writer(client.space('default'));
        await writer.written.more(41);
        writer.slowestMs = 0;
        t.is(await node.stop(), 0);
        await writer.written.more(41);
        slowest.push(await writer.end());
        await client.close();
        await node.restart();
      }
      t.log(`slowest writes ${slowest.join(', ')} ms`);
      // A stream that is cut only when the node gives its calls up costs two seconds.
      t.true(slowest.filter((ms) => ms < 900).length >= 2, slowest.join());
    } finally {
      await cluster.dispose();
    }
  },
);

test.serial(
  'data of another node, of other founders, or of a cluster where none is named is refused',
  async (t) => {
    const cluster = await ServerCluster.start(3);
    try {
      const [first] = cluster.nodes;
      const folder = present(first, 'there are three').folder;
      await first?.stop();
      const start = (args: readonly string[]): Promise<ServerProcess> =>
        ServerProcess.start({ folder, arguments: args, startMs: 20_000 });
      const own = present(cluster.arguments[0], 'there are three');
      const founders = present(own[3], 'they are named');
      const other = ['--node', '2', '--founders', founders, '--insecure'];
      await t.throwsAsync(start(other), { message: /data is that of node 1.*--node/s });
      const two = founders.split(',').slice(0, 2).join(',');
      await t.throwsAsync(start(['--node', '1', '--founders', two, '--insecure']), {
        message: /cluster of the nodes 1, 2, 3.*--founders/s,
      });
      await t.throwsAsync(start([]), { message: /cluster of the nodes 1, 2, 3.*--founders/s });
      await t.throwsAsync(start(['--node', '1']), { message: /--node and --founders go together/ });
      await t.throwsAsync(start(own.slice(0, 4)), { message: /--insecure/ });
      // Its disk is lost.
      await t.throwsAsync(ServerProcess.start({ arguments: own, startMs: 20_000 }), {
        message: /no data of a cluster.*--found/s,
      });
    } finally {
      await cluster.dispose();
    }
  },
);
