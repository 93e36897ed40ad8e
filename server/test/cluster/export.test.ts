/** Tuples as lines of JSON, out of one cluster and into another. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, t as field, float, metaOf, Timestamp } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { runCommand } from '../process/command.ts';
import { ServerProcess } from '../process/server-process.ts';

function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tuplet-export-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function startServer(t: ExecutionContext, ...more: string[]): Promise<string> {
  const server = await ServerProcess.start({ arguments: more });
  t.teardown(() => server.dispose());
  return `tuplet://${server.address}`;
}

async function succeeds(t: ExecutionContext, ...args: string[]): Promise<string> {
  const { code, out, said } = await runCommand(args);
  t.is(code, 0, said.join('\n'));
  return out;
}

/** The contents of a cluster, without the ids of its spaces. */
async function contentsOf(t: ExecutionContext, url: string): Promise<{ readonly tuples: number }> {
  const out = await succeeds(t, 'checksum', '-s', url, '-o', 'json');
  return JSON.parse(out, (key, value: unknown) => (key === 'id' ? undefined : value));
}

test('what is exported and imported has the same checksum, whatever the partitions', async (t) => {
  const [from, to] = await Promise.all([startServer(t), startServer(t, '--partitions', '3')]);
  await using client = await connect(from);
  const rule = { tag: 'job', spread: 16, fields: [1] };
  await client.admin.createSpace('jobs', { rules: [rule] });
  await client.admin.createSpace('more', { like: 'jobs' });
  for (let each = 0; each < 700; each += 1)
    await client.space(each % 2 === 0 ? 'jobs' : 'more').write(['job', each, 'x'.repeat(each)]);
  const kinds = [null, true, 1, float(1), float(-0), 0.1, 2n ** 62n, new Uint8Array([1, 2])];
  const nested = [Timestamp.fromNanoseconds(7n), [1, [float(2)]], { a: { b: 1 }, $int: 'x' }];
  await client.space('default').write(['kinds', ...kinds, ...nested]);
  const file = join(temporaryFolder(t), 'all.ndjson');
  await succeeds(t, 'export', file, '-s', from);
  t.is(readFileSync(file, 'utf8').split('\n').length, 3 + 701 + 1);
  await succeeds(t, 'import', file, '-s', to);
  const contents = await contentsOf(t, from);
  t.is(contents.tuples, 701);
  t.deepEqual(await contentsOf(t, to), contents);
  await using other = await connect(to);
  t.deepEqual((await other.admin.describeSpace('more')).rules, [rule]);
  // A file that is there is not replaced.
  t.is((await runCommand(['export', file, '-s', from])).code, 1);
});

test('leases go on, and end on the way', async (t) => {
  const url = await startServer(t);
  const file = join(temporaryFolder(t), 'leases.ndjson');
  await using client = await connect(url);
  const space = client.space('default');
  await space.write(['a'], { leaseMs: 3_600_000 });
  await succeeds(t, 'export', file, '-s', url, '--only', 'default');
  const past = { space: 'default', tuple: ['b'], leaseEnd: new Date(1e12).toISOString() };
  writeFileSync(file, `${readFileSync(file, 'utf8')}${JSON.stringify(past)}\n`);
  await client.admin.createSpace('copy');
  const out = await succeeds(t, 'import', file, '-s', url, '--into', 'copy');
  t.regex(out, /1 tuples imported, and 1 whose lease is over passed over/);
  const original = await space.take([field.string]);
  const copied = await client.space('copy').take([field.string]);
  const end = (tuple: readonly unknown[]): number => metaOf(tuple)?.leaseEnd?.toMilliseconds() ?? 0;
  t.true(end(original) > Date.now());
  t.true(Math.abs(end(copied) - end(original)) < 10_000);
});

test('lines that fail are told, kept, and imported when the reason is gone', async (t) => {
  const url = await startServer(t);
  const file = join(temporaryFolder(t), 'some.ndjson');
  const line = (space: string, n: number): string => JSON.stringify({ space, tuple: ['n', n] });
  const lines = [line('default', 1), line('absent', 2), line('default', 3), '{'];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const stopped = await runCommand(['import', file, '-s', url]);
  t.is(stopped.code, 1);
  t.regex(stopped.out, /2 tuples imported, up to line 4; 2 lines failed, the first is line 2/);
  t.regex(stopped.out, /--after 4/);
  t.is(readFileSync(`${file}.failed`, 'utf8'), `${lines[1]}\n{\n`);
  await using client = await connect(url);
  await client.admin.createSpace('absent');
  writeFileSync(`${file}.failed`, `${lines[1]}\n`);
  await succeeds(t, 'import', `${file}.failed`, '-s', url);
  await succeeds(t, 'import', file, '-s', url, '--after', '4');
  t.is(await client.space('default').count(), 2);
  t.is(await client.space('absent').count(), 1);
  t.false(existsSync(`${file}.failed.failed`));
  t.is((await runCommand(['import', file, '-s', url, '--after', '5'])).code, 1);
});

test('a space that is not there is not exported', async (t) => {
  const url = await startServer(t);
  const file = join(temporaryFolder(t), 'none.ndjson');
  const { code, said } = await runCommand(['export', file, '-s', url, '--only', 'absent']);
  t.is(code, 1);
  t.regex(said.join('\n'), /there is no space absent/);
  t.false(existsSync(file));
});
