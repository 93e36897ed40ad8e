/**
 * The simulated disk: a folder in memory that forgets at a power cut what was not synced, in ways that
 * real disks do, and fails on request. Deterministic: all chance comes from the Random given, all time
 * passes in the scheduler given.
 */
import { assert, present } from '../src/base/assert.ts';
import {
  type Cancel,
  type Disk,
  DiskError,
  type DiskFile,
  type Random,
} from '../src/base/doors.ts';
import { Folder, type FolderChange, Inode } from './disk-image.ts';

/** What can go wrong, as chances of 0 to 1 a call. May be changed while the disk is used. */
export interface DiskFaults {
  readError: number;
  writeError: number;
  syncError: number;
  slowSync: number;
}

/** How often each fault was met. */
export interface DiskCounts {
  powerCuts: number;
  processCrashes: number;
  /** Writes of which a power cut kept some sectors and lost others. */
  tornWrites: number;
  /** Writes of which a power cut kept nothing. */
  lostWrites: number;
  /** Creations, renames and removals that a power cut undid. */
  lostNames: number;
  ioErrors: number;
  fullErrors: number;
  slowSyncs: number;
  bitFlips: number;
  syncs: number;
  writes: number;
}

/** What a SimDisk is made of. */
export interface SimDiskOptions {
  /** Calls `run` after so many virtual milliseconds. */
  readonly schedule: (delayMs: number, run: () => void) => void;
  readonly random: Random;
  /** Bytes that all files together may have; absent: no end. */
  readonly capacityBytes?: number;
  /** Milliseconds that calls take, from..to; absent: all are done at once, in the order of the calls. */
  readonly delays?: {
    readonly writeMs: readonly [number, number];
    readonly syncMs: readonly [number, number];
  };
}

/** A call that changes something; `name`: a file gets it. */
export type DiskCall = 'write' | 'sync' | 'name' | 'remove' | 'sync-folder';

const slowSyncMs = [50, 2000] as const;

/** See the top of the file. One at a time uses it: after `crash` or `kill`, the next process. */
export class SimDisk implements Disk {
  readonly faults: DiskFaults = { readError: 0, writeError: 0, syncError: 0, slowSync: 0 };
  readonly counts: DiskCounts = {
    powerCuts: 0,
    processCrashes: 0,
    tornWrites: 0,
    lostWrites: 0,
    lostNames: 0,
    ioErrors: 0,
    fullErrors: 0,
    slowSyncs: 0,
    bitFlips: 0,
    syncs: 0,
    writes: 0,
  };
  capacityBytes: number;
  /** Told of each call that changes something, before it does: where tests cut the power. */
  onCall: ((call: DiskCall, name: string) => void) | undefined;
  readonly #options: SimDiskOptions;
  readonly #folders = new Map<string, Folder>();
  /** Calls of an earlier process never answer. */
  #life = 0;
  #locked = false;
  /** Errors that the next calls of a kind meet, in order. */
  /** What a disk that hangs has been asked, and would have done by now. */
  #hung: (() => void)[] | undefined;
  readonly #planned: { call: 'read' | 'write' | 'sync'; kind: 'io' | 'full' }[] = [];

  constructor(options: SimDiskOptions) {
    this.#options = options;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.#folders.set('', new Folder(true));
  }

  /** The next call of this kind fails so, in this life of the process. */
  failNext(call: 'read' | 'write' | 'sync', kind: 'io' | 'full'): void {
    this.#planned.push({ call, kind });
  }

  /** Calls do not end any more, until `answer`. */
  hang(): void {
    this.#hung ??= [];
  }

  /** It does not hang any more: what was called meanwhile ends now, in order. */
  answer(): void {
    const ends = this.#hung ?? [];
    this.#hung = undefined;
    for (const end of ends) end();
  }

  /** The process dies, the machine lives: what was written stays, synced or not. */
  kill(): void {
    this.counts.processCrashes++;
    this.#endLife();
  }

  /**
   * The power fails: of what was not synced, each sector of each write and each change of a folder
   * stays or goes by chance. One crash in four keeps all of it or none of it.
   */
  crash(): void {
    this.counts.powerCuts++;
    this.#endLife();
    const mode = this.#below(8);
    const keep = (): boolean => (mode === 0 ? true : mode === 1 ? false : this.#below(2) === 0);
    for (const [name, folder] of this.#folders) {
      this.counts.lostNames += folder.crash(keep);
      if (name !== '' && !folder.durable && !keep()) this.#folders.delete(name);
      else folder.durable = true;
    }
    const seen = new Set<Inode>();
    for (const folder of this.#folders.values()) {
      for (const inode of folder.names.values()) {
        if (seen.has(inode)) continue;
        seen.add(inode);
        const { torn, lost } = inode.crash(keep);
        this.counts.tornWrites += torn;
        this.counts.lostWrites += lost;
      }
    }
  }

  /** Flips one bit of a file, on disk and in memory. */
  flipBit(name: string, offset: number, bit: number): void {
    const inode = present(this.#find(name), 'the file to damage exists');
    inode.flip(offset, bit);
    this.counts.bitFlips++;
  }

  /** Bytes of a file as a process sees them, a copy; undefined where there is none. */
  contents(name: string): Uint8Array | undefined {
    return this.#find(name)?.bytes().slice();
  }

  /** Bytes written to a file that no sync has covered. */
  unsyncedBytes(name: string): number {
    return this.#find(name)?.unsyncedBytes() ?? 0;
  }

  /** All files, `folder/name`, sorted. */
  files(): readonly string[] {
    const files: string[] = [];
    for (const [folder, { names }] of this.#folders) {
      for (const name of names.keys()) files.push(folder === '' ? name : `${folder}/${name}`);
    }
    return files.sort();
  }

  /** Bytes in all files. */
  usedBytes(): number {
    let bytes = 0;
    for (const { names } of this.#folders.values()) {
      for (const inode of names.values()) bytes += inode.size;
    }
    return bytes;
  }

  /** A disk with the same contents, all of it synced, for trying several futures. */
  copy(options: SimDiskOptions): SimDisk {
    const other = new SimDisk(options);
    for (const [name, folder] of this.#folders) other.#folders.set(name, folder.copy());
    return other;
  }

  open(name: string): Promise<DiskFile> {
    return this.#call(0, () => {
      const inode = this.#find(name);
      if (inode === undefined) throw new DiskError('missing', `no such file: ${name}`);
      return this.#file(name, inode);
    });
  }

  create(name: string): Promise<DiskFile> {
    this.onCall?.('name', name);
    return this.#call(0, () => {
      const [folder, leaf] = this.#place(name);
      if (folder.names.has(leaf)) throw new DiskError('denied', `the file exists: ${name}`);
      const inode = new Inode();
      this.#change(folder, { kind: 'set', name: leaf, inode });
      return this.#file(name, inode);
    });
  }

  rename(from: string, to: string): Promise<void> {
    this.onCall?.('name', to);
    return this.#call(0, () => {
      const [folder, leaf] = this.#place(from);
      const [target, targetLeaf] = this.#place(to);
      assert(folder === target, 'a file is renamed within its folder');
      const inode = folder.names.get(leaf);
      if (inode === undefined) throw new DiskError('missing', `no such file: ${from}`);
      this.#change(folder, { kind: 'rename', from: leaf, name: targetLeaf, inode });
    });
  }

  remove(name: string): Promise<void> {
    this.onCall?.('remove', name);
    return this.#call(0, () => {
      if (this.#find(name) === undefined) throw new DiskError('missing', `no such file: ${name}`);
      const [folder, leaf] = this.#place(name);
      this.#change(folder, { kind: 'remove', name: leaf });
    });
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#call(0, () => [...(this.#folders.get(folder)?.names.keys() ?? [])].sort());
  }

  makeFolder(folder: string): Promise<void> {
    return this.#call(0, () => {
      if (!this.#folders.has(folder)) this.#folders.set(folder, new Folder(false));
    });
  }

  syncFolder(folder: string): Promise<void> {
    this.onCall?.('sync-folder', folder);
    const found = this.#folders.get(folder);
    const changes = found?.pending.length ?? 0;
    const generation = found?.generation ?? 0;
    return this.#call(this.#syncDelay(), () => {
      if (found === undefined) throw new DiskError('missing', `no such folder: ${folder}`);
      this.#meet('sync');
      found.sync(changes, generation);
      if (folder === '') for (const each of this.#folders.values()) each.durable = true;
    });
  }

  lock(): Promise<Cancel> {
    return this.#call(0, () => {
      if (this.#locked) throw new DiskError('denied', 'another process uses the data folder');
      this.#locked = true;
      const life = this.#life;
      return () => {
        if (life === this.#life) this.#locked = false;
      };
    });
  }

  #endLife(): void {
    this.#life++;
    this.#locked = false;
    this.#planned.length = 0;
  }

  #file(name: string, inode: Inode): DiskFile {
    const life = this.#life;
    let closed = false;
    const usable = (): void => {
      assert(!closed, 'an open file is used');
      assert(life === this.#life, 'a file belongs to the life that opened it');
    };
    return {
      write: (offset, bytes) => {
        usable();
        this.onCall?.('write', name);
        this.counts.writes++;
        const copy = bytes.slice();
        // In the cache at once: a power cut while the call is on its way may keep any part of it.
        const error = this.#attempt(() => this.#write(name, inode, offset, copy));
        return this.#call(this.#delay(this.#options.delays?.writeMs), () => {
          if (error !== undefined) throw error;
        });
      },
      read: (offset, size, scratch) => {
        usable();
        return this.#call(0, () => {
          this.#meet('read');
          const found = inode.bytes().subarray(offset, offset + size);
          if (scratch === undefined || scratch.length < found.length) return found.slice();
          // Over what was read before: whoever kept a view of that sees it change.
          scratch.set(found);
          return scratch.subarray(0, found.length);
        });
      },
      sync: () => {
        usable();
        this.onCall?.('sync', name);
        const writes = inode.pending.length;
        const generation = inode.generation;
        return this.#call(this.#syncDelay(), () => {
          const error = this.#attempt(() => this.#meet('sync'));
          // As on Linux: after a failed sync the pages count as clean, and no later sync writes them.
          inode.sync(writes, generation, error === undefined);
          if (error !== undefined) throw error;
          this.counts.syncs++;
        });
      },
      size: () => this.#call(0, () => inode.size),
      truncate: (size) => {
        usable();
        return this.#call(0, () => inode.truncate(size));
      },
      close: () => {
        closed = true;
        return this.#call(0, () => undefined);
      },
    };
  }

  #write(name: string, inode: Inode, offset: number, bytes: Uint8Array): void {
    this.#meet('write');
    const growth = Math.max(0, offset + bytes.length - inode.size);
    if (growth > 0 && this.usedBytes() + growth > this.capacityBytes) {
      this.counts.fullErrors++;
      throw new DiskError('full', `no space left on the disk: ${name}`);
    }
    inode.write(offset, bytes);
  }

  #change(folder: Folder, change: FolderChange): void {
    folder.apply(change);
    folder.pending.push(change);
  }

  #find(name: string): Inode | undefined {
    const slash = name.indexOf('/');
    return this.#folders.get(name.slice(0, Math.max(0, slash)))?.names.get(name.slice(slash + 1));
  }

  #place(name: string): [Folder, string] {
    const slash = name.indexOf('/');
    const folder = this.#folders.get(name.slice(0, Math.max(0, slash)));
    if (folder === undefined) throw new DiskError('missing', `no folder for ${name}`);
    return [folder, name.slice(slash + 1)];
  }

  /** Errors by plan or by chance. */
  #meet(call: 'read' | 'write' | 'sync'): void {
    const planned = this.#planned.findIndex((each) => each.call === call);
    const [plan] = planned < 0 ? [] : this.#planned.splice(planned, 1);
    const rate = this.faults[`${call}Error`];
    if (plan === undefined && (rate === 0 || this.#below(1_000_000) >= rate * 1_000_000)) return;
    const kind = plan?.kind ?? 'io';
    if (kind === 'io') this.counts.ioErrors++;
    else this.counts.fullErrors++;
    throw new DiskError(kind, `simulated failure of ${call}`);
  }

  #attempt(run: () => void): DiskError | undefined {
    try {
      run();
      return undefined;
    } catch (error) {
      if (error instanceof DiskError) return error;
      throw error;
    }
  }

  /** Answers after a delay, unless the process that asked has died meanwhile. */
  #call<T>(delayMs: number, run: () => T): Promise<T> {
    const life = this.#life;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        if (life !== this.#life) return;
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      };
      this.#options.schedule(delayMs, () => {
        if (this.#hung === undefined) end();
        else this.#hung.push(end);
      });
    });
  }

  #syncDelay(): number {
    const { slowSync } = this.faults;
    if (slowSync > 0 && this.#below(1_000_000) < slowSync * 1_000_000) {
      this.counts.slowSyncs++;
      return this.#delay(slowSyncMs);
    }
    return this.#delay(this.#options.delays?.syncMs);
  }

  #delay(range: readonly [number, number] | undefined): number {
    if (range === undefined) return 0;
    return range[0] + (range[1] - range[0]) * (this.#options.random.uint32() / 2 ** 32);
  }

  #below(count: number): number {
    return this.#options.random.uint32() % count;
  }
}
