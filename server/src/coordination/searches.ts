import { searchesAtOnceMax } from '../base/limits.ts';
import type { CoordinatorId } from './messages.ts';
import type { Search } from './search.ts';

interface Going {
  readonly coordinator: CoordinatorId;
  readonly search: Search;
  /** Called in the turn in which the search is done. */
  readonly done: () => void;
}

/**
 * The searches of a partition that did not end in the turn in which they began. A few go on in turn,
 * a slice each; the others stand behind them, and begin anew, since each that rests costs something
 * at every transition.
 */
export class Searches {
  // Invariant: the first `searchesAtOnceMax` rest at the matcher or are about to begin.
  readonly #going: Going[] = [];

  get count(): number {
    return this.#going.length;
  }

  /** A search that has not ended in this turn. */
  add(coordinator: CoordinatorId, search: Search, done: () => void): void {
    if (this.#going.length < searchesAtOnceMax) search.rest();
    this.#going.push({ coordinator, search, done });
  }

  drop(search: Search): void {
    this.#dropWhere((going) => going.search === search);
  }

  /** Nobody hears the answers any more. */
  dropCoordinator(coordinator: CoordinatorId): void {
    this.#dropWhere((going) => going.coordinator === coordinator);
  }

  /** Looks at up to so many rows altogether. */
  goOn(rowsMax: number): void {
    for (let left = rowsMax; left > 0; ) {
      const [first] = this.#going;
      if (first === undefined) return;
      left -= first.search.goOn(left);
      this.#going.shift();
      if (first.search.isDone) first.done();
      else this.#going.splice(searchesAtOnceMax - 1, 0, first);
    }
  }

  #dropWhere(isMeant: (going: Going) => boolean): void {
    let kept = 0;
    for (const going of this.#going) {
      if (isMeant(going)) going.search.drop();
      else {
        this.#going[kept] = going;
        kept += 1;
      }
    }
    this.#going.length = kept;
  }
}
