/**
 * The real Disk: a folder of the file system. Callback functions of `node:fs`, because they cost less
 * than its promises on the path of every frame.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import {
  type Cancel,
  type Disk,
  DiskError,
  type DiskErrorKind,
  type DiskFile,
} from '../base/doors.ts';
import { lockFolder } from './lock.ts';

const kinds: Readonly<Record<string, DiskErrorKind>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  ENOENT: 'missing',
  EACCES: 'denied',
  EPERM: 'denied',
  EEXIST: 'denied',
  EROFS: 'denied',
};

/** What the Disk door says of an error of `node:fs`; what has no kind of its own is `io`. */
export function diskErrorOf(error: NodeJS.ErrnoException): DiskError {
  return new DiskError(kinds[error.code ?? ''] ?? 'io', error.message, { cause: error });
}

type Done = (error: NodeJS.ErrnoException | null) => void;

/** One call of `node:fs` as a promise. */
function call(run: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error === null ? resolve() : reject(diskErrorOf(error))));
  });
}

function callFor<T>(
  run: (done: (error: NodeJS.ErrnoException | null, value: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, value) => (error === null ? resolve(value) : reject(diskErrorOf(error))));
  });
}

/**
 * Writes up to this size are made on the spot: they only copy into the page cache, some 10 µs, and
 * a thread of the pool costs several times that to wake and to hear from. Only `sync` waits for the
 * device.
 */
const promptWriteBytesMax = 64 * 1024;

class HostFile implements DiskFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (bytes.length <= promptWriteBytesMax) {
      this.#writeNow(offset, bytes);
      return;
    }
    for (let done = 0; done < bytes.length; ) {
      const from = done;
      // A write may stop early, before a disk that is full for one.
      done += await callFor<number>((end) =>
        fs.write(this.#descriptor, bytes, from, bytes.length - from, offset + from, end),
      );
    }
  }

  #writeNow(offset: number, bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += fs.writeSync(this.#descriptor, bytes, done, bytes.length - done, offset + done);
      }
    } catch (error) {
      throw diskErrorOf(error as NodeJS.ErrnoException);
    }
  }

  async read(offset: number, size: number, scratch?: Uint8Array): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(size, (await this.size()) - offset));
    const fits = scratch !== undefined && scratch.length >= wanted;
    const bytes = fits ? scratch.subarray(0, wanted) : new Uint8Array(wanted);
    let done = 0;
    while (done < bytes.length) {
      const from = done;
      const count = await callFor<number>((end) =>
        fs.read(this.#descriptor, bytes, from, bytes.length - from, offset + from, end),
      );
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }

  sync(): Promise<void> {
    return call((done) => fs.fdatasync(this.#descriptor, done));
  }

  async size(): Promise<number> {
    return (await callFor<fs.Stats>((done) => fs.fstat(this.#descriptor, done))).size;
  }

  truncate(size: number): Promise<void> {
    return call((done) => fs.ftruncate(this.#descriptor, size, done));
  }

  close(): Promise<void> {
    return call((done) => fs.close(this.#descriptor, done));
  }
}

/** A folder that only its owner may enter; its files, too, are the owner's alone. */
export class HostDisk implements Disk {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  /** Makes the folder where there is none (mode 0700), durably. Rejects with DiskError. */
  static async open(root: string): Promise<HostDisk> {
    const first = await callFor<string | undefined>((done) =>
      fs.mkdir(root, { recursive: true, mode: 0o700 }, done),
    );
    if (first !== undefined) await syncPath(join(first, '..'));
    return new HostDisk(root);
  }

  open(name: string): Promise<DiskFile> {
    return this.#descriptor(name, fs.constants.O_RDWR);
  }

  create(name: string): Promise<DiskFile> {
    return this.#descriptor(name, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL);
  }

  rename(from: string, to: string): Promise<void> {
    return call((done) => fs.rename(this.#path(from), this.#path(to), done));
  }

  remove(name: string): Promise<void> {
    return call((done) => fs.unlink(this.#path(name), done));
  }

  async list(folder: string): Promise<readonly string[]> {
    try {
      const found = await callFor<fs.Dirent[]>((done) =>
        fs.readdir(this.#path(folder), { withFileTypes: true }, done),
      );
      return found
        .filter((each) => each.isFile())
        .map((each) => each.name)
        .sort();
    } catch (error) {
      if (error instanceof DiskError && error.kind === 'missing') return [];
      throw error;
    }
  }

  async makeFolder(folder: string): Promise<void> {
    await callFor<string | undefined>((done) =>
      fs.mkdir(this.#path(folder), { recursive: true, mode: 0o700 }, done),
    );
  }

  syncFolder(folder: string): Promise<void> {
    return syncPath(this.#path(folder));
  }

  async lock(): Promise<Cancel> {
    try {
      return await lockFolder(this.#root);
    } catch (error) {
      throw error instanceof DiskError ? error : diskErrorOf(error as NodeJS.ErrnoException);
    }
  }

  #path(name: string): string {
    return join(this.#root, name);
  }

  async #descriptor(name: string, flags: number): Promise<DiskFile> {
    const path = this.#path(name);
    return new HostFile(await callFor<number>((done) => fs.open(path, flags, 0o600, done)));
  }
}

async function syncPath(path: string): Promise<void> {
  const descriptor = await callFor<number>((done) => fs.open(path, fs.constants.O_RDONLY, done));
  try {
    await call((done) => fs.fsync(descriptor, done));
  } finally {
    await call((done) => fs.close(descriptor, done));
  }
}
