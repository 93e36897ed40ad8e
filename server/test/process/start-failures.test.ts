/** Servers that cannot start, as an operator sees them: one line that says what, where and what to do. */
import type { SpawnOptions } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { type Ended, runCommand } from './command.ts';
import { ServerProcess } from './server-process.ts';

/** Runs `tuplet serve` until it ends by itself. */
function serve(args: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
  return runCommand(['serve', ...args], options);
}

function temporary(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tuplet-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function server(t: ExecutionContext, args: readonly string[] = []): Promise<ServerProcess> {
  const started = await ServerProcess.start({ folder: temporary(t), arguments: args });
  t.teardown(() => started.dispose());
  return started;
}

/** One line, as expected, on the error output alone, and exit code 1. */
function refused(t: ExecutionContext, ended: Ended, line: RegExp): void {
  t.is(ended.code, 1);
  t.is(ended.out, '');
  t.is(ended.said.length, 1, ended.said.join('\n'));
  t.regex(ended.said[0] ?? '', line);
}

const free = ['--listen', '127.0.0.1:0'];

/** Turns one byte of a file over. */
async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
  buffer[0] = (buffer[0] ?? 0) ^ 0xff;
  await file.write(buffer, 0, 1, offset);
  await file.close();
}

test('a folder or a port that another server has', async (t) => {
  const running = await server(t, ['--partitions', '4']);
  const { folder, address, pid } = running;
  refused(
    t,
    await serve(['--data', folder, ...free]),
    new RegExp(
      `^tuplet: cannot serve: another process \\(pid ${pid}\\) uses the data folder ${folder}; stop it, or choose another folder with --data$`,
    ),
  );
  refused(
    t,
    await serve(['--data', temporary(t), '--listen', address, '--log-level', 'silent']),
    new RegExp(
      `^tuplet: cannot serve: ${address} is in use by another process; stop that one, or choose another with --listen$`,
    ),
  );
  await running.stop();
  refused(
    t,
    await serve(['--data', folder, ...free, '--partitions', '5']),
    new RegExp(
      `^tuplet: cannot serve: data folder ${folder}: the cluster was founded with 4 partitions, .*; leave --partitions out, or choose another folder with --data$`,
    ),
  );
  await running.restart();
  t.pass('none of them has done harm');
});

test('an address that is none of this machine', async (t) => {
  refused(
    t,
    await serve(['--data', temporary(t), '--listen', '192.0.2.1:7447', '--log-level', 'silent']),
    /^tuplet: cannot serve: 192\.0\.2\.1:7447 is no address of this machine; choose another with --listen$/,
  );
});

test('a data folder that cannot be one, or that belongs to somebody else', async (t) => {
  const folder = temporary(t);
  writeFileSync(join(folder, 'file'), '');
  for (const data of [join(folder, 'file'), join(folder, 'file', 'below')]) {
    refused(
      t,
      await serve(['--data', data, ...free]),
      new RegExp(
        `^tuplet: cannot serve: data folder ${data}: .*; a file stands in its place, choose another with --data$`,
      ),
    );
  }
  const closed = join(folder, 'closed');
  mkdirSync(closed);
  chmodSync(closed, 0);
  chmodSync(folder, 0o755);
  // Root may read everything: it serves as nobody.
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  refused(
    t,
    await serve(['--data', closed, ...free], nobody),
    new RegExp(
      `^tuplet: cannot serve: data folder ${closed}: EACCES.*; give it to the user that serves, or choose another with --data$`,
    ),
  );
});

test('a log with a byte turned over is named with its place, left as it is, and refused again', async (t) => {
  const running = await server(t, ['--partitions', '1']);
  const client = await connect(`tuplet://${running.address}`);
  for (let each = 0; each < 20; each += 1) await client.space('default').write(['job', each]);
  await client.close();
  await running.stop();
  const { folder } = running;
  await flip(join(folder, 'log/000000000001'), 300);
  const line = new RegExp(
    `^tuplet: cannot serve: data folder ${folder}: the log is damaged: .* \\(log/000000000001, offset \\d+.*\\); it was left as it is; restore the data folder from a backup, or see with \`tuplet repair\` what is left$`,
  );
  refused(t, await serve(['--data', folder, ...free]), line);
  refused(t, await serve(['--data', folder, ...free]), line);
  await flip(join(folder, 'log/000000000001'), 300);
  await running.restart();
});

test('a damaged snapshot is told of and done without where the log suffices, else it is named', async (t) => {
  let log = '';
  const folder = temporary(t);
  const started = await ServerProcess.start({
    folder,
    arguments: ['--partitions', '1'],
    log: (text) => {
      log += text;
    },
  });
  t.teardown(() => started.dispose());
  const snapshots = join(folder, 'snapshots');
  const client = await connect(`tuplet://${started.address}`);
  const space = client.space('default');
  const large = new Uint8Array(1_000_000);
  let written = 0;
  const found = (): readonly string[] =>
    readdirSync(snapshots).filter((name) => /^001-[\d-]+$/.test(name));
  for (; found().length === 0 && written < 60; written += 1)
    await space.write(['job', written, large]);
  await client.close();
  await started.stop();
  const [name = ''] = found();
  await flip(join(snapshots, name), 500_000);
  await started.restart();
  t.true(log.includes(`snapshots/${name}`), log);
  const again = await connect(`tuplet://${started.address}`);
  t.is(await again.space('default').count(), written);
  await again.close();
  await started.stop();
  // Without the log that would make up for it nothing is served.
  rmSync(join(folder, 'log'), { recursive: true });
  refused(
    t,
    await serve(['--data', folder, ...free]),
    new RegExp(
      `^tuplet: cannot serve: data folder ${folder}: the log is damaged: snapshots are there, it is not .*; restore the data folder from a backup, or see with \`tuplet repair\` what is left$`,
    ),
  );
});
