import { assert } from '../base/assert.ts';

const ringMin = 16;

/**
 * The appends on their way to one follower: the last index and the bytes of each, oldest first, in a
 * ring that grows up to `countMax`.
 *
 * Invariant: indexes ascend; `#count` ≤ `countMax`. Bytes may pass `bytesMax` by the one message that
 * reached it, else a message larger than the bound could never be sent.
 */
export class Inflights {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #indexes: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether nothing more may be sent until an answer comes. */
  full(): boolean {
    return this.#count === this.#countMax || (this.#count > 0 && this.#bytes >= this.#bytesMax);
  }

  /** An append was sent that ends at `index`. */
  add(index: number, bytes: number): void {
    assert(!this.full(), 'an append is sent only where one more may be');
    if (this.#count === this.#indexes.length) this.#grow();
    const at = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[at] = index;
    this.#sizes[at] = bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** Everything up to `index` has arrived. */
  freeTo(index: number): void {
    const room = this.#indexes.length;
    while (this.#count > 0 && (this.#indexes[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#start = (this.#start + 1) % room;
      this.#count -= 1;
    }
  }

  /** Forgets what is on its way. */
  clear(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const room = this.#indexes.length;
    const next = Math.min(Math.max(room * 2, ringMin), this.#countMax);
    const indexes = new Array<number>(next).fill(0);
    const sizes = new Array<number>(next).fill(0);
    for (let at = 0; at < this.#count; at += 1) {
      indexes[at] = this.#indexes[(this.#start + at) % room] as number;
      sizes[at] = this.#sizes[(this.#start + at) % room] as number;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
