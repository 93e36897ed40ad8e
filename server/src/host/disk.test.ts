import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { testDisk } from '../../sim/disk-suite.ts';
import { entryOf, isDiskError } from '../../sim/disk-world.ts';
import { type OpenedStorage, Storage } from '../storage/storage.ts';
import { hostChecksum } from './checksum.ts';
import { hostClock } from './clock.ts';
import { HostDisk } from './disk.ts';
import { hostRandom } from './random.ts';

function folder(t: ExecutionContext): string {
  const root = fs.mkdtempSync(join(tmpdir(), 'tuplet-disk-'));
  t.teardown(() => fs.rmSync(root, { recursive: true, force: true }));
  return root;
}

const made: string[] = [];
test.after.always(() => {
  for (const root of made) fs.rmSync(root, { recursive: true, force: true });
});

testDisk(test, async () => {
  const root = fs.mkdtempSync(join(tmpdir(), 'tuplet-disk-'));
  made.push(root);
  return { disk: await HostDisk.open(join(root, 'data')), until: (promise) => promise };
});

async function openStorage(root: string, onFatal: (error: Error) => void): Promise<OpenedStorage> {
  return await Storage.open(await HostDisk.open(root), hostClock, {
    checksum: hostChecksum,
    random: hostRandom,
    segmentBytes: 1024 * 1024,
    reserveBytesMin: 64 * 1024,
    onFatal,
  });
}

function append(storage: Storage, index: number, bytes = 100): Promise<void> {
  const entries = [entryOf(1, index, 1, new Uint8Array(bytes).fill(index))];
  return new Promise((resolve) => storage.log.append({ entries }, resolve));
}

test('the data folder and its files are their owner’s alone', async (t) => {
  const root = join(folder(t), 'deep', 'data');
  const disk = await HostDisk.open(root);
  await (await disk.create('a')).close();
  await disk.makeFolder('log');
  t.is(fs.statSync(root).mode & 0o777, 0o700);
  t.is(fs.statSync(join(root, 'log')).mode & 0o777, 0o700);
  t.is(fs.statSync(join(root, 'a')).mode & 0o777, 0o600);
});

test('an error of the file system keeps its cause', async (t) => {
  const disk = await HostDisk.open(folder(t));
  const error = await t.throwsAsync(disk.open('nothing'));
  t.true(isDiskError(error, 'missing'));
  t.like(error?.cause, { code: 'ENOENT' });
});

test('two processes do not share a folder, and a killed one leaves it free', async (t) => {
  const root = folder(t);
  const module = new URL('./disk.js', import.meta.url).href;
  const script = `const { HostDisk } = await import(${JSON.stringify(module)});
    await (await HostDisk.open(${JSON.stringify(root)})).lock();
    console.log('locked');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  t.teardown(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const disk = await HostDisk.open(root);
  const error = await t.throwsAsync(disk.lock());
  t.true(isDiskError(error, 'denied'));
  t.regex(error?.message ?? '', new RegExp(`pid ${child.pid}`));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  (await disk.lock())();
});

test('log and snapshots come back from a real folder', async (t) => {
  const root = folder(t);
  const onFatal = (error: Error): void => t.fail(error.message);
  let index = 0;
  for (let start = 0; start < 3; start++) {
    const { storage, recovered, warnings } = await openStorage(root, onFatal);
    t.deepEqual(warnings, []);
    t.is(recovered[0]?.lastIndex ?? 0, index);
    const all: Promise<void>[] = [];
    for (let count = 0; count < 300; count++) all.push(append(storage, ++index, 9000));
    await Promise.all(all);
    const mark = { group: entryOf(1, 1).group, index: entryOf(1, index).index, term: 1 } as const;
    const writer = await storage.snapshots.begin({ ...mark, term: entryOf(1, 1).term });
    await writer.add(new Uint8Array(100_000).fill(start));
    await storage.complete(writer, BigInt(start));
    await storage.close();
  }
  const { storage, recovered } = await openStorage(root, onFatal);
  const chunks: number[] = [];
  await storage.snapshots.load(entryOf(1, 1).group, (chunk) => chunks.push(chunk[0] ?? -1));
  t.deepEqual(chunks, [2]);
  t.is(recovered[0]?.lastIndex, entryOf(1, 900).index);
  t.true(storage.log.segmentCount() < 6, 'segments below the older snapshot are gone');
  await storage.close();
});

test.serial(
  'a full file system behaves as the simulated one (serial: it mounts one)',
  async (t) => {
    const root = folder(t);
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tuplet-test', root]);
    if (mount.status !== 0) {
      t.log('skipped: no right to mount a file system here');
      t.pass();
      return;
    }
    try {
      const fatal: Error[] = [];
      const { storage } = await openStorage(root, (error) => fatal.push(error));
      const pause = (ms: number): Promise<void> => new Promise((end) => setTimeout(end, ms));
      await append(storage, 1);
      await pause(100);
      t.is(storage.reserveState(), 'ok');
      // Somebody else fills the disk.
      const filler = join(root, 'filler');
      const descriptor = fs.openSync(filler, 'w');
      const block = new Uint8Array(64 * 1024);
      t.throws(
        () => {
          for (;;) fs.writeSync(descriptor, block);
        },
        { code: 'ENOSPC' },
      );
      fs.closeSync(descriptor);
      let index = 1;
      while (storage.reserveState() === 'ok' && index < 400) await append(storage, ++index, 4000);
      t.is(storage.reserveState(), 'reserve');
      for (let count = 0; count < 100; count++) await append(storage, ++index, 4000);
      fs.rmSync(filler);
      for (let wait = 0; wait < 50 && storage.reserveState() === 'reserve'; wait++)
        await pause(100);
      t.is(storage.reserveState(), 'ok');
      await storage.close();
      const again = await openStorage(root, (error) => fatal.push(error));
      t.is(again.recovered[0]?.entries.length, index);
      t.deepEqual(fatal, []);
      await again.storage.close();
    } finally {
      spawnSync('umount', [root]);
    }
  },
);
