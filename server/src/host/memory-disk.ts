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

/** Bytes of a chunk of a file. */
const chunkBytes = 65_536;
const zeros = Buffer.alloc(chunkBytes);

/** A file in chunks; those that hold zeros alone, as prepared segments do, take no memory. */
class MemoryFile implements DiskFile {
  readonly #chunks: Map<number, Uint8Array> = new Map();
  #size = 0;

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const within = at % chunkBytes;
      const part = bytes.subarray(done, done + chunkBytes - within);
      this.#writeChunk((at - within) / chunkBytes, within, part);
      done += part.length;
    }
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  async read(offset: number, size: number, scratch?: Uint8Array): Promise<Uint8Array> {
    const end = Math.max(offset, Math.min(this.#size, offset + size));
    const fits = scratch !== undefined && scratch.length >= end - offset;
    const bytes = fits ? scratch.subarray(0, end - offset).fill(0) : new Uint8Array(end - offset);
    for (let at = offset; at < end; ) {
      const within = at % chunkBytes;
      const length = Math.min(end - at, chunkBytes - within);
      const chunk = this.#chunks.get((at - within) / chunkBytes);
      if (chunk !== undefined) bytes.set(chunk.subarray(within, within + length), at - offset);
      at += length;
    }
    return bytes;
  }

  async sync(): Promise<void> {
    // As durable as it gets.
  }

  async size(): Promise<number> {
    return this.#size;
  }

  async truncate(size: number): Promise<void> {
    // What lies beyond reads as zeros if the file grows again.
    for (const [index, chunk] of this.#chunks) {
      if (index * chunkBytes >= size) this.#chunks.delete(index);
      else if ((index + 1) * chunkBytes > size) chunk.fill(0, size - index * chunkBytes);
    }
    this.#size = size;
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  #writeChunk(index: number, within: number, bytes: Uint8Array): void {
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      if (zeros.compare(bytes, 0, bytes.length, 0, bytes.length) === 0) return;
      chunk = new Uint8Array(chunkBytes);
      this.#chunks.set(index, chunk);
    }
    chunk.set(bytes, within);
  }
}
