/** Marks a cell without an entry; keys are 0 or more. */
const NO_KEY = -1;
const cellsMin = 16;
/** A table of up to so many cells is kept when it empties: what comes in batches fills it again. */
const cellsKept = 256;

/**
 * A map from safe integers of 0 or more, for tables whose entries come and go all the time. It does
 * what Map does, but in place: V8's Map makes a new table after so many deletions, and the old one
 * refers to the new one. Once one of these tables has become old, each following one is kept alive by
 * the one before, with all that was ever in it, until the next full collection.
 *
 * Open addressing with linear probing, at most half full while it is small and five eighths when it
 * is large, where cells are what costs (at three quarters, who looks in vain pays twice). Deletion
 * moves entries back (Knuth 6.4, algorithm R). Entries have no order of their own: what is listed comes
 * in ascending order of keys.
 */
export class NumberMap<Value> {
  // Invariant: cell i holds a key exactly where #keys[i] is not NO_KEY, and its value in #values[i].
  #keys: Float64Array = emptyKeys(cellsMin);
  #values: (Value | undefined)[] = new Array(cellsMin).fill(undefined);
  #size = 0;

  /** How many entries there are. */
  get size(): number {
    return this.#size;
  }

  has(key: number): boolean {
    return this.#keys[this.#cellOf(key)] === key;
  }

  /** The value of a key; undefined where there is none. */
  get(key: number): Value | undefined {
    // A cell without a key has no value.
    return this.#values[this.#cellOf(key)];
  }

  /** Gives a key this value, in place of the one it had. */
  set(key: number, value: Value): void {
    let cell = this.#cellOf(key);
    if (this.#keys[cell] !== key) {
      if (this.#size >= roomOf(this.#keys.length)) {
        this.#resize(this.#keys.length * 2);
        cell = this.#cellOf(key);
      }
      this.#keys[cell] = key;
      this.#size += 1;
    }
    this.#values[cell] = value;
  }

  /** Whether the key was there. */
  delete(key: number): boolean {
    const cell = this.#cellOf(key);
    if (this.#keys[cell] !== key) return false;
    this.#close(cell);
    this.#size -= 1;
    const cells = this.#keys.length;
    if (cells > cellsKept && this.#size * 8 < cells) this.#resize(cells / 2);
    return true;
  }

  clear(): void {
    this.#keys = emptyKeys(cellsMin);
    this.#values = new Array(cellsMin).fill(undefined);
    this.#size = 0;
  }

  /** The keys of this moment, ascending. */
  keys(): number[] {
    const keys: number[] = [];
    for (const key of this.#keys) if (key !== NO_KEY) keys.push(key);
    return keys.sort((a, b) => a - b);
  }

  /** The values of this moment, in the order of their keys. */
  values(): Value[] {
    return this.keys().map((key) => this.get(key) as Value);
  }

  /** The cell of a key, or the empty one where it belongs. */
  #cellOf(key: number): number {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let cell = hashOf(key) & mask;
    for (let found = keys[cell]; found !== key && found !== NO_KEY; found = keys[cell])
      cell = (cell + 1) & mask;
    return cell;
  }

  /** Empties a cell; no entry hides behind it afterwards. */
  #close(from: number): void {
    const keys = this.#keys;
    const values = this.#values;
    const mask = keys.length - 1;
    let hole = from;
    for (let cell = (hole + 1) & mask; keys[cell] !== NO_KEY; cell = (cell + 1) & mask) {
      const home = hashOf(keys[cell] as number) & mask;
      if (((cell - home) & mask) < ((cell - hole) & mask)) continue;
      keys[hole] = keys[cell] as number;
      values[hole] = values[cell];
      hole = cell;
    }
    keys[hole] = NO_KEY;
    values[hole] = undefined;
  }

  #resize(cells: number): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = emptyKeys(cells);
    this.#values = new Array(cells).fill(undefined);
    for (let cell = 0; cell < keys.length; cell += 1) {
      const key = keys[cell] as number;
      if (key === NO_KEY) continue;
      const to = this.#cellOf(key);
      this.#keys[to] = key;
      this.#values[to] = values[cell];
    }
  }
}

/** Entries that so many cells may hold. */
function roomOf(cells: number): number {
  return cells > cellsKept ? (cells >> 3) * 5 : cells >> 1;
}

function emptyKeys(cells: number): Float64Array {
  return new Float64Array(cells).fill(NO_KEY);
}

/** Both halves of the key, mixed by murmur3's finalizer: keys may be steps of any power of two. */
function hashOf(key: number): number {
  let hash = (key >>> 0) ^ Math.imul((key / 4_294_967_296) >>> 0, 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
