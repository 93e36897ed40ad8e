/** What the simulated disk remembers: for each file and folder what is synced, and what is not yet. */
/** Bytes that reach the platter together or not at all. */
export const sectorBytes = 512;

interface PendingWrite {
  readonly offset: number;
  /** Undefined: a truncation to `offset`. */
  readonly bytes: Uint8Array | undefined;
}

/** Bytes that grow. */
class Store {
  #memory = new Uint8Array(0);
  size = 0;

  bytes(): Uint8Array {
    return this.#memory.subarray(0, this.size);
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.#memory.length) {
      const grown = new Uint8Array(Math.max(end, this.#memory.length * 2, 4096));
      grown.set(this.bytes());
      this.#memory = grown;
    }
    this.#memory.set(bytes, offset);
    this.size = Math.max(this.size, end);
  }

  truncate(size: number): void {
    if (size < this.size) this.#memory.fill(0, size, this.size);
    else if (size > this.size) this.write(size - 1, new Uint8Array(1));
    this.size = size;
  }
}

/** A file without its name. */
export class Inode {
  readonly #seen = new Store();
  #synced = new Store();
  /** Writes that no sync has covered yet, oldest first. */
  readonly pending: PendingWrite[] = [];
  /** How many pending writes syncs have taken so far; tells overlapping syncs apart. */
  generation = 0;

  get size(): number {
    return this.#seen.size;
  }

  /** Bytes of writes that no sync has covered. */
  unsyncedBytes(): number {
    return this.pending.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);
  }

  /** What a process sees. */
  bytes(): Uint8Array {
    return this.#seen.bytes();
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#seen.write(offset, bytes);
    this.pending.push({ offset, bytes });
  }

  truncate(size: number): void {
    this.#seen.truncate(size);
    this.pending.push({ offset: size, bytes: undefined });
  }

  /** Makes the first `writes` pending ones durable, as counted at `generation`; or forgets them. */
  sync(writes: number, generation: number, works: boolean): void {
    const left = Math.max(0, writes - (this.generation - generation));
    for (const write of this.pending.splice(0, left)) if (works) this.#harden(write);
    this.generation += left;
  }

  /** Keeps what is synced, and of the rest each sector by chance. */
  crash(keep: () => boolean): { torn: number; lost: number } {
    let torn = 0;
    let lost = 0;
    for (const { offset, bytes } of this.pending.splice(0)) {
      if (bytes === undefined) {
        if (keep()) this.#harden({ offset, bytes });
        continue;
      }
      let kept = 0;
      let sectors = 0;
      const end = offset + bytes.length;
      for (let at = offset; at < end; ) {
        const next = Math.min(end, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
        sectors++;
        if (keep()) {
          kept++;
          this.#synced.write(at, bytes.subarray(at - offset, next - offset));
        }
        at = next;
      }
      if (kept === 0) lost++;
      else if (kept < sectors) torn++;
    }
    this.#seen.truncate(0);
    this.#seen.write(0, this.#synced.bytes());
    return { torn, lost };
  }

  flip(offset: number, bit: number): void {
    for (const store of [this.#seen, this.#synced]) {
      const bytes = store.bytes();
      const before = bytes[offset];
      if (before !== undefined) bytes[offset] = before ^ (1 << bit);
    }
  }

  /** The same contents, synced. */
  copy(): Inode {
    const other = new Inode();
    other.#seen.write(0, this.bytes());
    other.#synced.write(0, this.bytes());
    return other;
  }

  #harden({ offset, bytes }: PendingWrite): void {
    if (bytes === undefined) this.#synced.truncate(offset);
    else this.#synced.write(offset, bytes);
  }
}

/** A change of a folder's names. */
export type FolderChange =
  | { readonly kind: 'set'; readonly name: string; readonly inode: Inode }
  | { readonly kind: 'rename'; readonly from: string; readonly name: string; readonly inode: Inode }
  | { readonly kind: 'remove'; readonly name: string };

/** A folder: names as a process sees them, and as they are on disk. */
export class Folder {
  readonly names: Map<string, Inode> = new Map();
  readonly #synced = new Map<string, Inode>();
  readonly pending: FolderChange[] = [];
  /** Whether the folder's own name is on disk. */
  durable: boolean;
  /** How many pending changes syncs have taken so far; tells overlapping syncs apart. */
  generation = 0;

  constructor(durable: boolean) {
    this.durable = durable;
  }

  apply(change: FolderChange): void {
    applyTo(this.names, change);
  }

  /** Makes the first `changes` pending ones durable, as counted at `generation`. */
  sync(changes: number, generation: number): void {
    const left = Math.max(0, changes - (this.generation - generation));
    for (const change of this.pending.splice(0, left)) applyTo(this.#synced, change);
    this.generation += left;
  }

  /** Keeps each pending change by chance; returns how many were undone. */
  crash(keep: () => boolean): number {
    let lost = 0;
    for (const change of this.pending.splice(0)) {
      if (keep()) applyTo(this.#synced, change);
      else lost++;
    }
    this.names.clear();
    for (const [name, inode] of this.#synced) this.names.set(name, inode);
    return lost;
  }

  copy(): Folder {
    const other = new Folder(true);
    for (const [name, inode] of this.names) {
      const copy = inode.copy();
      other.names.set(name, copy);
      other.#synced.set(name, copy);
    }
    return other;
  }
}

function applyTo(names: Map<string, Inode>, change: FolderChange): void {
  if (change.kind === 'rename') names.delete(change.from);
  if (change.kind === 'remove') names.delete(change.name);
  else names.set(change.name, change.inode);
}
