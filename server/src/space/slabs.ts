/**
 * Where the tuples' bytes lie: chunks outside the JavaScript heap, filled from front to back. Bytes
 * never move or change while they are live, except by `move`, which compaction calls.
 */
import { assert, present } from '../base/assert.ts';
import { limits } from '../base/limits.ts';
import { copyBytes, copyWords, loopBytesMax } from './copy-bytes.ts';

/** Where a tuple's bytes begin: chunk × 2^14 + offset in units of four bytes. */
export type Place = number;

const unitBytes = 4;
/** What `copyInto` may write past the bytes it copies. */
export const slackBytes: number = unitBytes - 1;
const offsetBits = 14;
const offsetMask = (1 << offsetBits) - 1;
const chunkBytes = unitBytes << offsetBits;
const chunksMax = 2 ** (32 - offsetBits);
/** Larger tuples get a chunk of their own size: a quarter is the most that a chunk's end wastes. */
const sharedBytesMax = chunkBytes / 4;

/** Chunks of bytes with an account of what is live in each. */
export class Slabs {
  // Invariant: #chunks[i] is undefined exactly where i is in #vacant or retired by a hold.
  readonly #chunks: (Uint8Array | undefined)[] = [];
  /** The same memory; `noView` where a chunk is gone, so that nothing holds it. */
  readonly #views: DataView[] = [];
  /** Live bytes of each chunk, in whole units. */
  readonly #live: number[] = [];
  readonly #vacant: number[] = [];
  readonly #spare: Uint8Array[] = [];
  readonly #retired: number[] = [];
  #holds = 0;
  #current = -1;
  #offset = chunkBytes;
  #liveBytes = 0;
  #heldBytes = 0;

  /** Bytes in live use, rounded up to units of four. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Bytes of all chunks, spare ones not counted. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Copies bytes in, those of `source` from `from` to `to`; returns where they lie. */
  add(source: Uint8Array, from = 0, to: number = source.length): Place {
    const size = roundUp(to - from);
    if (size > sharedBytesMax) return this.#addAlone(source.subarray(from, to), size);
    if (this.#offset + size > chunkBytes) this.#open();
    const chunk = this.#current;
    const offset = this.#offset;
    copyBytes(source, from, to, this.#chunk(chunk), offset);
    this.#offset = offset + size;
    this.#account(chunk, size);
    return ((chunk << offsetBits) | (offset / unitBytes)) >>> 0;
  }

  /** Gives bytes up. A chunk without live bytes is used again, once no snapshot holds it. */
  remove(place: Place, bytes: number): void {
    const chunk = place >>> offsetBits;
    this.#account(chunk, -roundUp(bytes));
    if (this.#live[chunk] === 0 && chunk !== this.#current) this.#retire(chunk);
  }

  /** The chunk that holds a place; with `startOf` it names the bytes without making a view. */
  chunkOf(place: Place): Uint8Array {
    return this.#chunk(place >>> offsetBits);
  }

  /** The offset of a place in its chunk, bytes. */
  startOf(place: Place): number {
    return (place & offsetMask) * unitBytes;
  }

  /** A view of bytes. */
  view(place: Place, size: number): Uint8Array {
    const start = this.startOf(place);
    return this.chunkOf(place).subarray(start, start + size);
  }

  /** A copy of bytes, for who keeps them. */
  copy(place: Place, size: number): Uint8Array {
    const start = this.startOf(place);
    return this.chunkOf(place).slice(start, start + size);
  }

  /**
   * Copies bytes to `at` of `target`, of which `view` is the same memory. Bytes lie in whole units, so
   * that few are copied by words, and up to `slackBytes` after them change.
   */
  copyInto(place: Place, size: number, target: Uint8Array, view: DataView, at: number): void {
    const start = this.startOf(place);
    if (size > loopBytesMax) target.set(this.chunkOf(place).subarray(start, start + size), at);
    else copyWords(this.#views[place >>> offsetBits] as DataView, start, start + size, view, at);
  }

  /** Until `release`, bytes given up stay readable: a snapshot is being cut. */
  hold(): void {
    this.#holds += 1;
  }

  /** Ends one `hold`. */
  release(): void {
    assert(this.#holds > 0, 'slabs are held');
    this.#holds -= 1;
    if (this.#holds > 0) return;
    for (const chunk of this.#retired.splice(0)) this.#vacate(chunk);
  }

  /** Whether a hold keeps given-up bytes: then nothing is compacted. */
  get held(): boolean {
    return this.#holds > 0;
  }

  /**
   * Chunks that are worth emptying, at most half live; none where less than a quarter of what is
   * held is dead, so that compaction costs a bounded share of the work that made the holes.
   */
  victims(): Set<number> {
    const victims = new Set<number>();
    const dead = this.#heldBytes - this.#liveBytes;
    if (dead < limits.slabDeadBytesMin || dead * 4 < this.#heldBytes) return victims;
    for (const [chunk, live] of this.#live.entries()) {
      const bytes = this.#chunks[chunk];
      if (bytes === undefined || bytes.length > chunkBytes || chunk === this.#current) continue;
      if (live > 0 && live * 2 <= chunkBytes) victims.add(chunk);
    }
    return victims;
  }

  /** The chunk number of a place, as in `victims`. */
  chunkNumberOf(place: Place): number {
    return place >>> offsetBits;
  }

  /** Moves live bytes out of a chunk; returns their new place. */
  move(place: Place, size: number): Place {
    const to = this.add(this.view(place, size));
    this.remove(place, size);
    return to;
  }

  /** Costly check: the accounts equal the given sum of live bytes, chunk by chunk. */
  verify(liveOf: ReadonlyMap<number, number>): void {
    let live = 0;
    let held = 0;
    for (const [chunk, bytes] of this.#chunks.entries()) {
      const expected = liveOf.get(chunk) ?? 0;
      assert((this.#live[chunk] ?? 0) === expected, 'a chunk accounts for its live bytes');
      live += expected;
      if (bytes !== undefined) held += bytes.length;
      const viewed = this.#views[chunk]?.byteLength ?? 0;
      assert(viewed === (bytes?.length ?? 0), 'what is given up is not held by a view');
    }
    assert(live === this.#liveBytes, 'slabs account for their live bytes');
    assert(held === this.#heldBytes, 'slabs account for their chunks');
  }

  #chunk(chunk: number): Uint8Array {
    return present(this.#chunks[chunk], 'a place lies in a chunk');
  }

  #account(chunk: number, bytes: number): void {
    const live = (this.#live[chunk] ?? 0) + bytes;
    assert(live >= 0, 'bytes are given up once');
    this.#live[chunk] = live;
    this.#liveBytes += bytes;
  }

  #open(): void {
    const left = this.#current;
    const spare = this.#spare.pop() ?? new Uint8Array(chunkBytes);
    this.#current = this.#place(spare);
    this.#offset = 0;
    if (left >= 0 && this.#live[left] === 0) this.#retire(left);
  }

  #addAlone(bytes: Uint8Array, size: number): Place {
    const own = new Uint8Array(size);
    own.set(bytes);
    const chunk = this.#place(own);
    this.#account(chunk, size);
    return (chunk << offsetBits) >>> 0;
  }

  #place(bytes: Uint8Array): number {
    const chunk = this.#vacant.pop() ?? this.#chunks.length;
    assert(chunk < chunksMax, 'a partition holds fewer bytes than slabs can address');
    this.#chunks[chunk] = bytes;
    this.#views[chunk] = new DataView(bytes.buffer);
    this.#live[chunk] = 0;
    this.#heldBytes += bytes.length;
    return chunk;
  }

  #retire(chunk: number): void {
    if (this.#holds > 0) this.#retired.push(chunk);
    else this.#vacate(chunk);
  }

  #vacate(chunk: number): void {
    const bytes = this.#chunk(chunk);
    this.#chunks[chunk] = undefined;
    this.#views[chunk] = noView;
    this.#heldBytes -= bytes.length;
    this.#vacant.push(chunk);
    const keep = bytes.length === chunkBytes && this.#spare.length < limits.slabSparesMax;
    if (keep) this.#spare.push(bytes);
  }
}

const noView = new DataView(new ArrayBuffer(0));

function roundUp(bytes: number): number {
  return (bytes + unitBytes - 1) & ~(unitBytes - 1);
}
