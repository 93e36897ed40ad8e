import type { Clock } from '../base/doors.ts';
import { compactMs, compactPieceRows, compactRows } from '../base/limits.ts';
import { Slice } from './slice.ts';

/** What is kept compact: a partition with its space. */
export interface Compactable {
  readonly space: {
    /** Looks at up to `budgetRows` rows; whether there is more to do. False while a snapshot is cut. */
    compactSlice(budgetRows: number): boolean;
  };
}

/**
 * Gives back the memory of tuples that have gone, a little at each tick, one partition after the
 * other. Where there is nothing to gain a tick costs a look at one partition's accounts.
 */
export class Compactor {
  readonly #slice: Slice;
  readonly #groups: readonly Compactable[];
  /** Whose turn it is. */
  #at = 0;

  /** The groups come and go. */
  constructor(clock: Clock, groups: readonly Compactable[]) {
    this.#slice = new Slice(clock);
    this.#groups = groups;
  }

  /** Works for at most `compactMs` and `compactRows`, for the partition whose turn it is. */
  tick(): void {
    if (this.#at >= this.#groups.length) this.#at = 0;
    const space = this.#groups[this.#at]?.space;
    if (space === undefined) return;
    this.#slice.begin(compactMs);
    for (let rows = 0; rows < compactRows; rows += compactPieceRows) {
      if (!space.compactSlice(compactPieceRows)) {
        this.#at = (this.#at + 1) % this.#groups.length;
        return;
      }
      if (this.#slice.over()) return;
    }
  }
}
