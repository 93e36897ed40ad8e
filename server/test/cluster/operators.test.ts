/** `tuplet cluster` as an operator meets it: real commands against real nodes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, t as formal } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { present } from '../../src/base/assert.ts';
import { type Ended, runCommand, startCommand } from '../process/command.ts';
import { freePorts } from './free-ports.ts';
import { ServerCluster } from './server-cluster.ts';

/** Runs `tuplet cluster …` against the nodes that are named. */
function cluster(servers: ServerCluster, ...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, TUPLET_SERVER: servers.url() };
  return runCommand(['cluster', ...args], { env });
}

function failed(t: ExecutionContext, ended: Ended, line: RegExp): void {
  t.is(ended.code, 1, ended.out);
  t.regex(ended.said[0] ?? '', line);
}

test.serial('a node is drained, removed and told so; its place is another one', async (t) => {
  const said = new Map<number, string>();
  const servers = await ServerCluster.start(3, {
    log: (node, text) => said.set(node, (said.get(node) ?? '') + text),
  });
  try {
    const client = await connect(servers.url());
    const space = client.space('default');
    for (let each = 0; each < 40; each += 1) await space.write([`tag-${each}`, each]);
    await servers.join(['--name', 'fourth', '--zone', 'b']);
    const status = await cluster(servers, 'status');
    t.is(status.code, 0);
    t.regex(status.out, /cluster [0-9a-f]{32}: 16 partitions, 3 replicas of each/);
    t.regex(status.out, /\n4 +fourth +b +member/);
    failed(t, await cluster(servers, 'remove', 'node-2'), /NODE_NOT_EMPTY.*drain it/);
    failed(t, await cluster(servers, 'replace', 'node-2'), /NODE_REACHABLE.*drain it instead/);
    failed(
      t,
      await cluster(servers, 'drain', 'nobody'),
      /no node is called nobody: there are node-1/,
    );
    const drained = await cluster(servers, 'drain', 'node-2');
    t.is(drained.code, 0, drained.said.join());
    t.regex(drained.out, /node-2 has \d+ replicas left/);
    t.regex(drained.out, /node-2 \(2\) has no replicas any more: it may be removed\n$/);
    t.is((await cluster(servers, 'remove', 'node-2')).code, 0);
    const removed = present(servers.nodes.splice(1, 1)[0], 'there are four');
    t.is(await removed.ended(), 1);
    // Its own map may not say so: then others do.
    await removed.restart();
    t.is(await removed.ended(), 1);
    await removed.dispose();
    t.regex(said.get(2) ?? '', /node 2 was removed from the cluster, for ever/);
    t.is(await space.count([formal.string, formal.int]), 40);
    const json = await cluster(servers, 'status', '-o', 'json');
    const { nodes } = JSON.parse(json.out);
    t.deepEqual(
      nodes.map(({ state }: { state: string }) => state),
      ['member', 'removed', 'member', 'member'],
    );
    const moved = await cluster(servers, 'transfer', '3', 'fourth');
    t.is(moved.out, 'fourth leads partition 3\n', moved.said.join());
    failed(t, await cluster(servers, 'transfer', '3', 'node-2'), /has no replica of group 3/);
    await client.close();
  } finally {
    await servers.dispose();
  }
});

test.serial(
  'a cluster on one machine comes with one command, and again with its data',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tuplet-up-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const [free] = await freePorts(1);
    const port = String(Math.min(free ?? 20_000, 60_000));
    for (const isAgain of [false, true]) {
      const running = startCommand(['cluster', 'up', '--data', folder, '--port', port]);
      const lines = await running.lines(4);
      const url = /tuplet:\/\/\S+/.exec(lines[3] ?? '')?.[0] ?? lines.join();
      t.is(url.split(',').length, 3, url);
      const client = await connect(url);
      if (isAgain) t.is(await client.space('default').count(['kept', formal.int]), 1);
      else await client.space('default').write(['kept', 1]);
      await client.close();
      const add = await runCommand(['cluster', 'add', '-s', url]);
      t.regex(
        add.out,
        /tuplet serve --join 127.0.0.1:\d+,127.0.0.1:\d+,127.0.0.1:\d+ --listen-peer/,
      );
      running.child.kill('SIGINT');
      const { code, said } = await running.ended;
      t.is(code, 0, said.join('\n'));
    }
  },
);

test('what cannot be meant is said before a node starts', async (t) => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--join', 'a:1', '--insecure'], /--join needs --listen-peer/],
    [['--join', 'a:1', '--node', '2', '--insecure'], /--join is for a node that is none/],
    [['--join', 'a:1', '--replicas', '2', '--insecure'], /--replicas is for those who found/],
    [['--join', 'a:1', '--listen-peer', 'b:1'], /without TLS/],
    [['--join', 'a:1', '--listen-peer', '0.0.0.0:1', '--insecure'], /--advertise-peer/],
    [['--join', 'a:1', '--listen-peer', '127.0.0.1:0', '--insecure'], /has no port/],
    [['--join', 'nowhere'], /no address/],
    [['--name', 'one'], /--name is about a cluster/],
    [
      ['--founders', '1=a:1', '--node', '1', '--replicas', '2', '--insecure'],
      /no room for so many/,
    ],
    [['--replicas', '9'], /1 to 7 replicas/],
  ];
  for (const [args, line] of wrong) {
    const ended = await runCommand(['serve', ...args], { env: process.env });
    t.is(ended.code, 2, args.join(' '));
    t.regex(ended.said.join('\n'), line, args.join(' '));
  }
});
