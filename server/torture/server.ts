/**
 * `tuplet serve` with doors that the round can break: a disk that is slow or full, a wall clock that jumps.
 * The process is the product's in all else. What is to be broken comes as messages from the round.
 */
import { Command } from 'commander';
import type { Clock, Disk, DiskFile } from '../src/base/doors.ts';
import { DiskError } from '../src/base/doors.ts';
import { addServe } from '../src/cli/serve.ts';
import { hostClock } from '../src/host/clock.ts';
import { HostDisk } from '../src/host/disk.ts';

/** What is broken, and how. */
export interface Breakage {
  /** Milliseconds that each sync takes longer. */
  readonly slowSyncMs?: number;
  /** Whether nothing new finds room. */
  readonly isFull?: boolean;
  /** Milliseconds by which the wall clock is off. */
  readonly wallOffMs?: number;
}

let broken: Required<Breakage> = { slowSyncMs: 0, isFull: false, wallOffMs: 0 };
process.on('message', (breakage: Breakage) => {
  broken = { ...broken, ...breakage };
});
// Without its round it has nothing to do.
process.on('disconnect', () => process.exit(2));

/** Bytes beyond its end that a file may not get while the disk is full. */
class BreakableFile implements DiskFile {
  readonly #file: DiskFile;
  #size: number;

  constructor(file: DiskFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (broken.isFull && offset + bytes.length > this.#size) throw full();
    this.#size = Math.max(this.#size, offset + bytes.length);
    await this.#file.write(offset, bytes);
  }
  read(offset: number, size: number, scratch?: Uint8Array): Promise<Uint8Array> {
    return this.#file.read(offset, size, scratch);
  }
  async sync(): Promise<void> {
    const { slowSyncMs } = broken;
    if (slowSyncMs > 0) await new Promise((resolve) => setTimeout(resolve, slowSyncMs));
    await this.#file.sync();
  }
  size(): Promise<number> {
    return this.#file.size();
  }
  async truncate(size: number): Promise<void> {
    this.#size = size;
    await this.#file.truncate(size);
  }
  close(): Promise<void> {
    return this.#file.close();
  }
}

function full(): DiskError {
  return new DiskError('full', 'no space is left: the round has taken it away');
}

function breakable(disk: Disk): Disk {
  return {
    open: async (name) => {
      const file = await disk.open(name);
      return new BreakableFile(file, await file.size());
    },
    create: async (name) => {
      if (broken.isFull) throw full();
      return new BreakableFile(await disk.create(name), 0);
    },
    rename: (from, to) => disk.rename(from, to),
    remove: (name) => disk.remove(name),
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    syncFolder: (folder) => disk.syncFolder(folder),
    lock: () => disk.lock(),
  };
}

const clock: Clock = { ...hostClock, wallMs: () => hostClock.wallMs() + broken.wallOffMs };
const program = new Command('torture-server');
addServe(program, async (dataDir) => ({ disk: breakable(await HostDisk.open(dataDir)), clock }));
await program.parseAsync();
