/**
 * The ready tuples that have a lease, in a binary heap by its end. Rows know their position, so a
 * tuple that is taken leaves at once, and the heap is never larger than the tuples it serves.
 */
import { assert } from '../base/assert.ts';
import { noRow, type Row, type TupleRows } from './rows.ts';

const pageShift = 12;
const pageCells = 1 << pageShift;
const pageMask = pageCells - 1;

/** A heap of rows. Its cells are paged: growing copies nothing. */
export class Deadlines {
  readonly #rows: TupleRows;
  readonly #pages: Uint32Array[] = [];
  #count = 0;

  constructor(rows: TupleRows) {
    this.#rows = rows;
  }

  get count(): number {
    return this.#count;
  }

  /** The earliest end, or Infinity. */
  get nextMs(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#rows.leaseEndMs(this.#get(0));
  }

  /** Adds a row whose lease ends some day. */
  add(row: Row): void {
    assert(this.#rows.heapPosition(row) < 0, 'a row is in the heap once');
    const position = this.#count;
    if (position >> pageShift === this.#pages.length) this.#pages.push(new Uint32Array(pageCells));
    this.#count += 1;
    this.#up(row, position);
  }

  /** Takes a row out; nothing where it is not there. */
  remove(row: Row): void {
    const position = this.#rows.heapPosition(row);
    if (position < 0) return;
    this.#rows.setHeapPosition(row, -1);
    this.#count -= 1;
    const last = this.#get(this.#count);
    if (last === row) return;
    this.#up(last, position);
    this.#down(last, this.#rows.heapPosition(last));
  }

  /** Calls `visit` for rows whose lease ends at or before `stampMs`, until it returns false. */
  visit(stampMs: number, visit: (row: Row) => boolean): void {
    const open = [0];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at >= this.#count) continue;
      const row = this.#get(at);
      if (this.#rows.leaseEndMs(row) > stampMs) continue;
      if (!visit(row)) return;
      open.push(2 * at + 2, 2 * at + 1);
    }
  }

  /** Costly check: heap order and positions. */
  verify(): void {
    for (let at = 0; at < this.#count; at += 1) {
      const row = this.#get(at);
      assert(this.#rows.heapPosition(row) === at, 'a row knows its position in the heap');
      const parent = this.#rows.leaseEndMs(this.#get(Math.max(0, (at - 1) >> 1)));
      assert(parent <= this.#rows.leaseEndMs(row), 'a parent ends no later than its children');
    }
  }

  #up(row: Row, from: number): void {
    const end = this.#rows.leaseEndMs(row);
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#get(above);
      if (this.#rows.leaseEndMs(parent) <= end) break;
      this.#set(at, parent);
      at = above;
    }
    this.#set(at, row);
  }

  #down(row: Row, from: number): void {
    const end = this.#rows.leaseEndMs(row);
    let at = from;
    for (;;) {
      const child = this.#lesserChild(at);
      if (child < 0) break;
      const below = this.#get(child);
      if (this.#rows.leaseEndMs(below) >= end) break;
      this.#set(at, below);
      at = child;
    }
    this.#set(at, row);
  }

  #lesserChild(at: number): number {
    const left = 2 * at + 1;
    if (left >= this.#count) return noRow;
    const right = left + 1;
    if (right >= this.#count) return left;
    const rows = this.#rows;
    return rows.leaseEndMs(this.#get(right)) < rows.leaseEndMs(this.#get(left)) ? right : left;
  }

  #get(at: number): Row {
    return (this.#pages[at >> pageShift] as Uint32Array)[at & pageMask] as Row;
  }

  #set(at: number, row: Row): void {
    (this.#pages[at >> pageShift] as Uint32Array)[at & pageMask] = row;
    this.#rows.setHeapPosition(row, at);
  }
}
