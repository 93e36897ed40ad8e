/**
 * Tuples that nobody holds any more and that are still to be given back: their session has ended, or
 * its floor has passed the operation they were handed over to. One entry gives back at most a batch,
 * as one EXPIRE removes at most one: so a session that held much ends at once, and what it held
 * follows, entry by entry, in the order in which it was let go. Until then a tuple is handed over to
 * nobody: no receipt finds it, and nobody can take it.
 */
import { assert } from '../base/assert.ts';
import { noRow, type Row } from './rows.ts';

/** What one entry gives back at most: tuples, and their bytes, but one tuple of any size. */
export interface ReturnLimits {
  readonly batchTuplesMax: number;
  readonly batchBytesMax: number;
}

/** The tuples of one partition that wait to be given back. */
export class Returns {
  readonly #limits: ReturnLimits;
  /** What was let go together, as it was handed over: lists are not copied, and not changed. */
  #lists: (readonly Row[])[] = [];
  // Invariant: the first row that waits is #lists[#list][#at]; where none waits there are no lists.
  #list = 0;
  #at = 0;
  #count = 0;
  /** What the present entry has given back. */
  #tuples = 0;
  #bytes = 0;

  constructor(limits: ReturnLimits) {
    this.#limits = limits;
  }

  /** Tuples that wait. */
  get count(): number {
    return this.#count;
  }

  /** Rows that wait, in the order in which they are given back. */
  *rows(): Generator<Row> {
    for (let list = this.#list; list < this.#lists.length; list += 1) {
      const rows = this.#lists[list] as readonly Row[];
      for (let at = list === this.#list ? this.#at : 0; at < rows.length; at += 1)
        yield rows[at] as Row;
    }
  }

  /** An entry begins: it may give back a batch. */
  beginEntry(): void {
    this.#tuples = 0;
    this.#bytes = 0;
  }

  /** These rows are to be given back, after those that wait. */
  add(rows: readonly Row[]): void {
    if (rows.length === 0) return;
    this.#lists.push(rows);
    this.#count += rows.length;
  }

  /** Takes the next row that the present entry gives back; `noRow`: none waits, or it gave enough. */
  next(sizeOf: (row: Row) => number): Row {
    if (this.#count === 0 || this.#tuples >= this.#limits.batchTuplesMax) return noRow;
    const rows = this.#lists[this.#list] as readonly Row[];
    const row = rows[this.#at] as Row;
    this.#bytes += sizeOf(row);
    if (this.#tuples > 0 && this.#bytes > this.#limits.batchBytesMax) {
      // Nothing smaller overtakes it.
      this.#tuples = this.#limits.batchTuplesMax;
      return noRow;
    }
    this.#tuples += 1;
    this.#step(rows);
    return row;
  }

  /** Costly check: the rows are counted. */
  verify(): void {
    let count = 0;
    for (const _ of this.rows()) count += 1;
    assert(count === this.#count, 'tuples that are to be given back are counted');
  }

  #step(rows: readonly Row[]): void {
    this.#count -= 1;
    this.#at += 1;
    if (this.#at < rows.length) return;
    this.#at = 0;
    this.#list += 1;
    if (this.#count === 0) {
      this.#lists = [];
      this.#list = 0;
    } else if (this.#list >= 1_024 && this.#list * 2 > this.#lists.length) {
      this.#lists = this.#lists.slice(this.#list);
      this.#list = 0;
    }
  }
}
