/**
 * A disk in memory, for nodes that live within a test (`tuplet/testing`): it keeps what it was given
 * for as long as its object, and never fails. The simulator's disk, which does, lies in `sim/`.
 */
import { type Cancel, type Disk, DiskError, type DiskFile } from '../base/doors.ts';

/** See the top of the file. A node that was closed may be opened again on the same one. */
export class MemoryDisk implements Disk {
  readonly #files: Map<string, MemoryFile> = new Map();
  #locked = false;

  async open(name: string): Promise<DiskFile> {
    return this.#file(name);
  }

  async create(name: string): Promise<DiskFile> {
    if (this.#files.has(name)) throw new DiskError('denied', `the file exists: ${name}`);
    const file = new MemoryFile();
    this.#files.set(name, file);
    return file;
  }

  async rename(from: string, to: string): Promise<void> {
    const file = this.#file(from);
    this.#files.delete(from);
    this.#files.set(to, file);
  }

  async remove(name: string): Promise<void> {
    this.#file(name);
    this.#files.delete(name);
  }

  async list(folder: string): Promise<readonly string[]> {
    const prefix = folder === '' ? '' : `${folder}/`;
    const names = [...this.#files.keys()].filter((name) => name.startsWith(prefix));
    const leaves = names.map((name) => name.slice(prefix.length));
    return leaves.filter((leaf) => !leaf.includes('/')).sort();
  }

  async makeFolder(): Promise<void> {
    // Folders are there when something lies in them.
  }

  async syncFolder(): Promise<void> {
    // Nothing here outlives the process.
  }

  async lock(): Promise<Cancel> {
    if (this.#locked) throw new DiskError('denied', 'another node has this disk');
    this.#locked = true;
    return () => {
      this.#locked = false;
    };
  }

  #file(name: string): MemoryFile {
    const file = this.#files.get(name);
    if (file === undefined) throw new DiskError('missing', `no such file: ${name}`);
    return file;
  }
}

class MemoryFile implements DiskFile {
  #bytes: Uint8Array = new Uint8Array(4_096);
  #size = 0;

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const end = offset + bytes.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, offset);
    this.#size = Math.max(this.#size, end);
  }

  async read(offset: number, size: number): Promise<Uint8Array> {
    return this.#bytes.slice(offset, Math.min(this.#size, offset + size));
  }

  async sync(): Promise<void> {
    // As durable as it gets.
  }

  async size(): Promise<number> {
    return this.#size;
  }

  async truncate(size: number): Promise<void> {
    // What lies beyond reads as zeros if the file grows again.
    this.#bytes.fill(0, Math.min(size, this.#size), this.#size);
    if (size > this.#bytes.length) await this.write(size - 1, new Uint8Array(1));
    this.#size = size;
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}
