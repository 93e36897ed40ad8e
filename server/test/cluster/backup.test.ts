/** What a cluster holds, written to a folder while it works, and the clusters that are founded from it. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect, t as field } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { decodeManifest, type Manifest } from '../../src/backup/manifest.ts';
import { runCommand } from '../process/command.ts';
import { ServerProcess } from '../process/server-process.ts';
import { ServerCluster } from './server-cluster.ts';

/** A folder that goes with the test. */
function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tuplet-backup-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function manifestOf(folder: string): Manifest {
  return decodeManifest(readFileSync(join(folder, 'manifest.json')));
}

async function backedUp(t: ExecutionContext, url: string): Promise<string> {
  const folder = join(temporaryFolder(t), 'backup');
  const { code, said } = await runCommand(['backup', folder, '-s', url]);
  t.is(code, 0, said.join('\n'));
  return folder;
}

/** The contents of a cluster as `tuplet checksum` says them. */
async function contentsOf(t: ExecutionContext, url: string): Promise<unknown> {
  const { code, out, said } = await runCommand(['checksum', '-s', url, '-o', 'json']);
  t.is(code, 0, said.join('\n'));
  return JSON.parse(out);
}

function saidBy({ spaces, tuples, checksum }: Manifest): unknown {
  return { spaces, tuples, checksum };
}

/** Writes and takes until it is stopped; resolves with how many of each. */
function working(
  client: Client,
): () => Promise<{ readonly writes: number; readonly takes: number }> {
  let isStopped = false;
  const [jobs, notes] = [client.space('jobs'), client.space('default')];
  const done = async (): Promise<{ writes: number; takes: number }> => {
    let [writes, takes] = [0, 0];
    while (!isStopped) {
      const at = writes;
      await Promise.all(
        Array.from({ length: 8 }, (_, each) => jobs.write(['job', at + each, 'x'.repeat(300)])),
      );
      await notes.write(['note', at], { leaseMs: 3_600_000 });
      writes += 9;
      if ((await jobs.takeIfExists(['job', field.int, field.string])) !== undefined) takes += 1;
    }
    return { writes, takes };
  };
  const running = done();
  return () => {
    isStopped = true;
    return running;
  };
}

test('a backup under load is restored into one node and into five, with equal contents', async (t) => {
  t.timeout(120_000);
  const cluster = await ServerCluster.start(3);
  t.teardown(() => cluster.dispose());
  await using client = await connect(cluster.url());
  const rule = { tag: 'job', spread: 64, fields: [1] };
  await client.admin.createSpace('jobs', { rules: [rule] });
  await client.admin.createSpace('gone');
  await client.admin.dropSpace('gone');
  for (let each = 0; each < 200; each += 1) await client.space('default').write(['before', each]);
  const stopped = working(client);
  const folder = await backedUp(t, cluster.url());
  const { writes, takes } = await stopped();
  t.true(writes > 100 && takes > 10, `${writes} writes, ${takes} takes meanwhile`);
  const manifest = manifestOf(folder);
  t.true(manifest.tuples >= 200);
  t.is(manifest.partitions, 16);
  await cluster.dispose();

  const restore = ['--restore', folder];
  const one = await ServerProcess.start({ firstArguments: restore });
  t.teardown(() => one.dispose());
  const five = await ServerCluster.start(5, { foundingArguments: restore });
  t.teardown(() => five.dispose());
  for (const url of [`tuplet://${one.address}`, five.url()]) {
    t.deepEqual(await contentsOf(t, url), saidBy(manifest));
    await using restored = await connect(url);
    const space = restored.space('default');
    const before = await space.takeMany(['before', field.int], { max: 1_000, waitMs: 0 });
    t.is(before.length, 200);
    t.deepEqual(
      (await restored.admin.listSpaces()).map(({ name }) => name),
      ['default', 'jobs'],
    );
    const { rules } = await restored.admin.describeSpace('jobs');
    t.deepEqual(rules, [rule]);
    await restored.space('jobs').write(['job', -1, '']);
    t.deepEqual(await restored.space('jobs').take(['job', -1, '']), ['job', -1, '']);
    const { clusterId } = await restored.admin.describeNode();
    t.not(clusterId, manifest.clusterId);
  }
  // Started again it has what it had, without the backup.
  await one.stop();
  await one.restart();
  const { tuples } = (await contentsOf(t, `tuplet://${one.address}`)) as Manifest;
  t.is(tuples, manifest.tuples - 200);
});

test('a backup that is damaged, or not whole, is not restored', async (t) => {
  const server = await ServerProcess.start();
  t.teardown(() => server.dispose());
  await using client = await connect(`tuplet://${server.address}`);
  for (let each = 0; each < 20; each += 1) await client.space('default').write(['a', each]);
  const folder = await backedUp(t, `tuplet://${server.address}`);
  const checksum = ['checksum', '--backup', folder];
  t.is((await runCommand(checksum)).code, 0);

  const file = join(folder, 'partition-003.snapshot');
  const whole = readFileSync(file);
  appendFileSync(file, 'x');
  const data = join(temporaryFolder(t), 'data');
  const refused = await runCommand(['serve', '--data', data, '--restore', folder]);
  t.is(refused.code, 1);
  t.regex(
    refused.said.join('\n'),
    /cannot serve: the backup cannot be restored: .*partition-003.snapshot is damaged/,
  );
  t.is((await runCommand(checksum)).code, 1);

  writeFileSync(file, whole);
  const changed = readFileSync(join(folder, 'manifest.json'), 'utf8');
  writeFileSync(join(folder, 'manifest.json'), changed.replace(/"tuples": 20/, '"tuples": 21'));
  const { said } = await runCommand(checksum);
  t.regex(said.join('\n'), /the contents are not those that manifest.json says/);
  const other = changed.replace(/"sha256": "[0-9a-f]{64}"/g, `"sha256": "${'0'.repeat(64)}"`);
  writeFileSync(join(folder, 'manifest.json'), other);
  t.regex((await runCommand(checksum)).said.join('\n'), /map.snapshot is damaged/);
  rmSync(join(folder, 'manifest.json'));
  t.regex((await runCommand(checksum)).said.join('\n'), /manifest.json/);
});

test('a folder that is not empty is left as it is, and who joins restores nothing', async (t) => {
  const server = await ServerProcess.start();
  t.teardown(() => server.dispose());
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'mine'), '');
  const { code, said } = await runCommand(['backup', folder, '-s', `tuplet://${server.address}`]);
  t.is(code, 1);
  t.regex(said.join('\n'), /is not empty/);
  const joins = ['--join', '127.0.0.1:1', '--listen-peer', '127.0.0.1:2', '--insecure'];
  const joining = await runCommand(['serve', ...joins, '--restore', folder]);
  t.is(joining.code, 2);
  t.regex(joining.said.join('\n'), /--restore is for those who found a cluster/);
});
