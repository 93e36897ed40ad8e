import { FieldOffsets, matchTuple, type Template } from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import { noRow, type RowNumber, type SpaceView } from './ports.ts';
import type { TupleIndex } from './tuple-index.ts';

/** One chain of an index, at the row that comes next; -1: at its end. */
export interface Chain {
  readonly index: TupleIndex;
  row: RowNumber;
}

/** What a walk leaves out before it compares: cheaper to ask than whether a row matches. */
export interface RowFilter {
  passes(row: RowNumber): boolean;
}

/** All walks share it: a walk scans and matches in one step. */
const offsets = new FieldOffsets();

/** Ready rows that match a template, oldest first. Valid until the next `apply`. */
export class Walk {
  readonly #view: SpaceView;
  readonly #template: Template | undefined;
  /** Undefined: the age list is walked. */
  readonly #chains: Chain[] | undefined;
  #next: RowNumber;
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
    this.#view = options.view;
    this.#template = options.template;
    this.#chains = options.chains;
    this.#next = options.chains === undefined ? options.view.oldestReady(options.space) : noRow;
  }

  /** The next row, of those that pass; -1: no more. */
  next(filter?: RowFilter): RowNumber {
    for (;;) {
      const row = this.#chains === undefined ? this.#fromList() : this.#fromChains(this.#chains);
      if (row < 0) return noRow;
      this.looked += 1;
      if (filter?.passes(row) === false) this.leftOut += 1;
      else if (this.#matches(row)) return row;
    }
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
