import { FieldOffsets, matchTuple, type Template } from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import { noRow, type RowNumber, type SpaceView } from './ports.ts';
import type { TupleIndex } from './tuple-index.ts';

/** One chain of an index, at the row that comes next; -1: at its end. */
export interface Chain {
  readonly index: TupleIndex;
  readonly hash: number;
  row: RowNumber;
}

/** Hears of rows that a walk has passed and that change while it rests. */
export interface PassedRows {
  /** Such a row became ready, and matches. */
  joined(row: RowNumber): void;
  /** Such a row, which matches, is ready no more; its columns and bytes are still the old ones. */
  left(row: RowNumber): void;
}

/** What a walk leaves out before it compares: cheaper to ask than whether a row matches. */
export interface RowFilter {
  passes(row: RowNumber): boolean;
}

/** All walks share it: a walk scans and matches in one step. */
const offsets = new FieldOffsets();

/**
 * Ready rows that match a template, oldest first. Valid until the next `apply`, unless it rests at the
 * matcher: then it is told of every transition, and goes on from where it stood.
 */
export class Walk {
  readonly space: SpaceId;
  readonly #view: SpaceView;
  readonly #template: Template | undefined;
  /** Undefined: the age list is walked. */
  readonly #chains: Chain[] | undefined;
  #next: RowNumber;
  /** The row looked at last; gone, it may be, while the walk rests. */
  #last: RowNumber = noRow;
  // Invariant of a walk that rests, which is not over: a row is passed if its id is not above this one.
  #passedId = 0;
  /** Whether it came to its end. */
  isOver = false;
  /** Rows looked at so far. */
  looked = 0;
  /** Rows that a filter left out; whether they match is not known. */
  leftOut = 0;

  constructor(options: {
    readonly view: SpaceView;
    readonly space: SpaceId;
    readonly template: Template | undefined;
    readonly chains: Chain[] | undefined;
  }) {
    this.space = options.space;
    this.#view = options.view;
    this.#template = options.template;
    this.#chains = options.chains;
    this.#next = options.chains === undefined ? options.view.oldestReady(options.space) : noRow;
  }

  /** The next row, of those that pass; -1: no more, or so many rows were looked at altogether. */
  next(filter?: RowFilter, lookedMax: number = Number.POSITIVE_INFINITY): RowNumber {
    while (this.looked < lookedMax) {
      const row = this.#chains === undefined ? this.#fromList() : this.#fromChains(this.#chains);
      if (row < 0) {
        this.isOver = true;
        return noRow;
      }
      this.looked += 1;
      this.#last = row;
      if (filter?.passes(row) === false) this.leftOut += 1;
      else if (this.#matches(row)) return row;
    }
    return noRow;
  }

  /** The indexes that it walks through; none where it walks the age list. */
  indexes(): readonly TupleIndex[] {
    return this.#chains?.map(({ index }) => index) ?? [];
  }

  /** The turn ends before the walk does: `apply` may come, and is told by `ready` and `unready`. */
  rest(): void {
    if (this.#last >= 0) this.#passedId = this.#view.idOf(this.#last);
  }

  /** A row of the space became ready, and stands in the indexes. */
  ready(row: RowNumber, passed: PassedRows): void {
    if (this.#isPassed(row)) {
      if (this.#matches(row)) passed.joined(row);
    } else if (this.#chains === undefined) {
      if (this.#isBefore(row, this.#next)) this.#next = row;
    } else {
      for (const chain of this.#chains) {
        if (chain.index.has(row, chain.hash) && this.#isBefore(row, chain.row)) chain.row = row;
      }
    }
  }

  /** A row of the space is no longer ready; it still stands in the age list and the indexes. */
  unready(row: RowNumber, passed: PassedRows): void {
    if (this.#isPassed(row)) {
      if (this.#matches(row)) passed.left(row);
    } else if (this.#chains === undefined) {
      if (this.#next === row) this.#next = this.#view.nextReady(row);
    } else {
      for (const chain of this.#chains) if (chain.row === row) chain.row = chain.index.after(row);
    }
  }

  #isPassed(row: RowNumber): boolean {
    return this.#view.idOf(row) <= this.#passedId;
  }

  #isBefore(row: RowNumber, next: RowNumber): boolean {
    return next < 0 || this.#view.idOf(row) < this.#view.idOf(next);
  }

  #matches(row: RowNumber): boolean {
    if (this.#template === undefined) return true;
    const chunk = this.#view.chunkOf(row);
    const start = this.#view.startOf(row);
    const end = start + this.#view.rows.size(row);
    return matchTuple(this.#template, chunk, offsets.scan(chunk, start, end));
  }

  #fromList(): RowNumber {
    const row = this.#next;
    if (row >= 0) this.#next = this.#view.nextReady(row);
    return row;
  }

  /** The oldest of the chains' rows; a row that stands in several is passed in all of them. */
  #fromChains(chains: Chain[]): RowNumber {
    if (chains.length === 1) {
      const chain = chains[0] as Chain;
      const row = chain.row;
      if (row >= 0) chain.row = chain.index.after(row);
      return row;
    }
    let oldest = noRow;
    let oldestId = Number.POSITIVE_INFINITY;
    for (const { row } of chains) {
      if (row < 0) continue;
      const id = this.#view.idOf(row);
      if (id < oldestId) {
        oldest = row;
        oldestId = id;
      }
    }
    if (oldest < 0) return noRow;
    for (const chain of chains) {
      if (chain.row === oldest) chain.row = chain.index.after(oldest);
    }
    return oldest;
  }
}
