import { type FieldOffsets, hashOfTuple } from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import type { RowNumber, SpaceView } from './ports.ts';

const none = -1;
/** In `#previous`: the row is not in the index. */
const absent = -2;
/** Rows for one head when an index is built. */
const rowsPerHead = 2;
/** Rows for one head beyond which an index is built again, larger. */
const rowsPerHeadMax = 8;
const headsMin = 64;
/** Places kept of late insertions into the middle of chains; a power of two. */
const nearPlaces = 64;

/**
 * The ready rows of a space by the hash of some fields, in chains by age. 12 bytes a row of the
 * partition and 4 a head.
 */
export class TupleIndex {
  readonly space: SpaceId;
  readonly fields: readonly number[];
  readonly #view: SpaceView;
  readonly #arityMin: number;
  readonly #heads: Int32Array;
  readonly #mask: number;
  #next: Int32Array;
  // Invariant: the head's previous is the tail of its chain; `absent` where the row is not here.
  #previous: Int32Array;
  #hash: Int32Array;
  #count = 0;
  /** The row that was put into the middle of a chain last, by the chain's cell: where the next may go. */
  readonly #near = new Int32Array(nearPlaces).fill(none);
  /** When it was used last, in uses of all indexes. */
  lastUse = 0;

  constructor(view: SpaceView, space: SpaceId, fields: readonly number[], rowsExpected: number) {
    this.#view = view;
    this.space = space;
    this.fields = fields;
    this.#arityMin = (fields[fields.length - 1] ?? -1) + 1;
    let heads = headsMin;
    while (heads * rowsPerHead < rowsExpected) heads *= 2;
    this.#heads = new Int32Array(heads).fill(none);
    this.#mask = heads - 1;
    const rows = view.rows.rowCount;
    this.#next = new Int32Array(rows);
    this.#previous = new Int32Array(rows).fill(absent);
    this.#hash = new Int32Array(rows);
  }

  /** Rows in it. */
  get count(): number {
    return this.#count;
  }

  /** Whether its chains are so long that it should be built again. */
  get isCrowded(): boolean {
    return this.#count > this.#heads.length * rowsPerHeadMax;
  }

  /** Bytes of its arrays. */
  get bytes(): number {
    return (this.#next.length * 3 + this.#heads.length) * 4;
  }

  /** Puts a row at its place by age; `offsets` has scanned its bytes. */
  insert(row: RowNumber, bytes: Uint8Array, offsets: FieldOffsets): void {
    if (offsets.arity < this.#arityMin) return;
    if (row >= this.#next.length) this.#grow();
    const hash = hashOfTuple(bytes, offsets, this.fields) | 0;
    this.#hash[row] = hash;
    const cell = hash & this.#mask;
    this.#count += 1;
    const head = this.#heads[cell] as number;
    if (head === none) {
      this.#heads[cell] = row;
      this.#next[row] = none;
      this.#previous[row] = row;
      return;
    }
    this.#insertByAge(row, cell, head);
  }

  /** Takes a row out, if it is here. */
  remove(row: RowNumber): void {
    if (row >= this.#previous.length) return;
    const previous = this.#previous[row] as number;
    if (previous === absent) return;
    const next = this.#next[row] as number;
    const cell = (this.#hash[row] as number) & this.#mask;
    const head = this.#heads[cell] as number;
    if (row === head) this.#heads[cell] = next;
    else this.#next[previous] = next;
    if (next !== none) this.#previous[next] = previous;
    else if (row !== head) this.#previous[head] = previous;
    this.#previous[row] = absent;
    this.#count -= 1;
  }

  /** The oldest row with this hash; -1: none. */
  first(hash: number): RowNumber {
    return this.#seek(this.#heads[hash & this.#mask] as number, hash | 0);
  }

  /** The next younger row with the same hash; -1: none. */
  after(row: RowNumber): RowNumber {
    return this.#seek(this.#next[row] as number, this.#hash[row] as number);
  }

  /** Whether a row stands here under this hash. */
  has(row: RowNumber, hash: number): boolean {
    if (row >= this.#previous.length || this.#previous[row] === absent) return false;
    return this.#hash[row] === (hash | 0);
  }

  #seek(from: number, hash: number): RowNumber {
    let row = from;
    while (row !== none && this.#hash[row] !== hash) row = this.#next[row] as number;
    return row as RowNumber;
  }

  /**
   * New rows stand last, returned ones mostly early, and those of one session behind each other: the
   * chain is walked from both ends and from the row returned last, all at once.
   */
  #insertByAge(row: RowNumber, cell: number, head: number): void {
    const view = this.#view;
    const id = view.idOf(row);
    let before = this.#previous[head] as number;
    let after = head;
    let near = this.#nearBefore(id, cell);
    for (;;) {
      if (view.idOf(before as RowNumber) < id) {
        this.#linkAfter(before, row, head);
        return;
      }
      if (view.idOf(after as RowNumber) > id) {
        this.#linkBefore(after, row, cell, head);
        break;
      }
      if (near !== none) {
        const next = this.#next[near] as number;
        if (next !== none && view.idOf(next as RowNumber) > id) {
          this.#linkAfter(near, row, head);
          break;
        }
        near = next;
      }
      before = this.#previous[before] as number;
      after = this.#next[after] as number;
    }
    this.#near[cell & (nearPlaces - 1)] = row;
  }

  /** The row that was put into the middle of this chain last, if it is there and older; else `none`. */
  #nearBefore(id: number, cell: number): number {
    const near = this.#near[cell & (nearPlaces - 1)] as number;
    if (near === none || (this.#previous[near] as number) === absent) return none;
    if (((this.#hash[near] as number) & this.#mask) !== cell) return none;
    return this.#view.idOf(near as RowNumber) < id ? near : none;
  }

  #linkAfter(before: number, row: RowNumber, head: number): void {
    const next = this.#next[before] as number;
    this.#next[before] = row;
    this.#previous[row] = before;
    this.#next[row] = next;
    this.#previous[next === none ? head : next] = row;
  }

  #linkBefore(after: number, row: RowNumber, cell: number, head: number): void {
    const previous = this.#previous[after] as number;
    this.#previous[row] = previous;
    this.#next[row] = after;
    this.#previous[after] = row;
    if (after === head) this.#heads[cell] = row;
    else this.#next[previous] = row;
  }

  #grow(): void {
    const rows = this.#view.rows.rowCount;
    const from = this.#next.length;
    const size = Math.max(rows, from + (from >> 1));
    this.#next = larger(this.#next, size);
    this.#previous = larger(this.#previous, size).fill(absent, from);
    this.#hash = larger(this.#hash, size);
  }
}

function larger(array: Int32Array, size: number): Int32Array {
  const copy = new Int32Array(size);
  copy.set(array);
  return copy;
}
