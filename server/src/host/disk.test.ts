import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { testDisk } from '../../sim/disk-suite.ts';
import { entryOf, isDiskError } from '../../sim/disk-world.ts';
import type { Clock, Disk, DiskFile } from '../base/doors.ts';
import { diskFullRetryMs } from '../base/limits.ts';
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

async function openStorage(
  root: string,
  onFatal: (error: Error) => void,
  watch?: Watch,
): Promise<OpenedStorage> {
  const disk = await HostDisk.open(root);
  return await Storage.open(watch?.disk(disk) ?? disk, watch?.clock ?? hostClock, {
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

/**
 * The real doors, watched: `quiet` tells when the disk has nothing more to do, and timers of a second
 * or more, which try again what the disk refused, run when the test says so.
 */
class Watch {
  #underWay = 0;
  #waiting: (() => void)[] = [];
  readonly #retries = new Set<() => void>();

  readonly clock: Clock = {
    ...hostClock,
    after: (delayMs, run) => {
      if (delayMs < diskFullRetryMs) return hostClock.after(delayMs, run);
      const retry = (): void => run();
      this.#retries.add(retry);
      return () => this.#retries.delete(retry);
    },
  };

  disk(disk: Disk): Disk {
    return {
      open: async (name) => this.#file(await this.#watch(disk.open(name))),
      create: async (name) => this.#file(await this.#watch(disk.create(name))),
      rename: (from, to) => this.#watch(disk.rename(from, to)),
      remove: (name) => this.#watch(disk.remove(name)),
      list: (folder) => this.#watch(disk.list(folder)),
      makeFolder: (folder) => this.#watch(disk.makeFolder(folder)),
      syncFolder: (folder) => this.#watch(disk.syncFolder(folder)),
      lock: () => this.#watch(disk.lock()),
    };
  }

  /** Resolves when nothing is under way at the disk, and nothing followed what ended last. */
  quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#look();
    });
  }

  /** Tries again what waits for it; returns how many did. */
  tryAgain(): number {
    const retries = [...this.#retries];
    this.#retries.clear();
    for (const retry of retries) retry();
    return retries.length;
  }

  #file(file: DiskFile): DiskFile {
    return {
      write: (offset, bytes) => this.#watch(file.write(offset, bytes)),
      read: (offset, size, scratch) => this.#watch(file.read(offset, size, scratch)),
      sync: () => this.#watch(file.sync()),
      size: () => this.#watch(file.size()),
      truncate: (size) => this.#watch(file.truncate(size)),
      close: () => this.#watch(file.close()),
    };
  }

  async #watch<T>(call: Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await call;
    } finally {
      this.#underWay -= 1;
      this.#look();
    }
  }

  /** A turn later: who was answered makes its next call in a microtask. */
  #look(): void {
    hostClock.soon(() => {
      if (this.#underWay > 0) return;
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }
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
      const watch = new Watch();
      const { storage } = await openStorage(root, (error) => fatal.push(error), watch);
      await append(storage, 1);
      await watch.quiet();
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
      // A segment and a bit: then the next spare finds no room.
      while (index < 300) await append(storage, ++index, 4000);
      await watch.quiet();
      t.is(storage.reserveState(), 'reserve');
      for (let count = 0; count < 100; count++) await append(storage, ++index, 4000);
      t.is(watch.tryAgain(), 1);
      await watch.quiet();
      t.is(storage.reserveState(), 'reserve', 'there is no room yet');
      fs.rmSync(filler);
      t.is(watch.tryAgain(), 1);
      await watch.quiet();
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
