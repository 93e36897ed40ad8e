/** `tuplet repair` on the data folder of a real server. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { runCommand } from './command.ts';
import { ServerProcess } from './server-process.ts';

const tuples = 40;
const segment = 'log/000000000001';

async function count(server: ServerProcess): Promise<number> {
  await using client = await connect(`tuplet://${server.address}`);
  return await client.space('default').count();
}

/** A server that was stopped after some writes, each in a frame of its own. */
async function stopped(t: ExecutionContext): Promise<ServerProcess> {
  const server = await ServerProcess.start({ arguments: ['--partitions', '1'] });
  t.teardown(() => server.dispose());
  await using client = await connect(`tuplet://${server.address}`);
  for (let each = 0; each < tuples; each += 1) {
    await client.space('default').write(['job', `number ${each}`]);
  }
  await client.close();
  return server;
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  await file.close();
}

test('of a damaged log the part before the damage is served after a loss was accepted', async (t) => {
  const server = await stopped(t);
  const { folder } = server;
  const data = ['--data', folder];
  const used = await runCommand(['repair', ...data]);
  t.is(used.code, 4);
  t.regex(
    used.said[0] ?? '',
    /^tuplet: cannot repair: another process \(pid \d+\) uses .*; stop it first$/,
  );
  await server.stop();
  const whole = await runCommand(['repair', ...data]);
  t.is(whole.code, 0, whole.said.join('\n'));
  t.regex(whole.out, /^log {10}whole$/m);
  t.regex(whole.out, /nothing is lost: a server can start/);

  const path = join(folder, segment);
  const before = readFileSync(path);
  await flip(path, before.indexOf('number 25'));
  const damaged = await runCommand(['repair', ...data]);
  t.is(damaged.code, 1);
  t.regex(damaged.out, /^log {10}damaged: .* \(log\/000000000001, offset \d+, frame \d+\)$/m);
  t.regex(damaged.out, /^GROUP +LAST +TERM +COMMIT +SNAPSHOT +LOST$/m);
  t.regex(damaged.out, /^1 +\d+ .* \d+ to \d+, if not more$/m);
  t.regex(damaged.out, /--accept-loss/);
  t.false(existsSync(join(folder, 'repair-1')));
  const refused = await runCommand(['serve', ...data, '--listen', '127.0.0.1:0']);
  t.is(refused.code, 1);
  t.regex(refused.said.join('\n'), /see with `tuplet repair` what is left/);

  const spoilt = readFileSync(path);
  const repaired = await runCommand(['repair', ...data, '--accept-loss', '-o', 'json']);
  t.is(repaired.code, 0, repaired.said.join('\n'));
  const said = JSON.parse(repaired.out);
  t.like(said, { verdict: 'loss', log: { state: 'damaged', place: { file: segment } } });
  t.like(said.repaired, { folder: 'repair-1', copies: ['repair-1/log-000000000001'] });
  t.true(readFileSync(join(folder, 'repair-1/log-000000000001')).equals(spoilt));
  const [, partition] = said.groups;
  t.like(partition, { group: 1, hopeless: null, snapshot: 0 });
  t.is(partition.lost.from, partition.lastIndex + 1);
  t.true(partition.lost.to >= partition.lost.from);

  await server.restart();
  t.is(await count(server), 25);
  await server.stop();
  t.is((await runCommand(['repair', ...data])).code, 0);
});

test('a folder without data is no data folder', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tuplet-repair-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const data of [folder, join(folder, 'none')]) {
    const { code, out, said } = await runCommand(['repair', '--data', data]);
    t.is(code, 1);
    t.is(out, '');
    t.regex(said[0] ?? '', /^tuplet: cannot repair: data folder .*: (it holds|there is) no /);
  }
  t.false(existsSync(join(folder, 'none')));
  t.is((await runCommand(['repair', '--output', 'yaml'])).code, 2);
});
