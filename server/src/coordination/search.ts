import type { Template } from '@tuplet/proto';
import type { SpaceId, TupleId } from '../base/ids.ts';
import type { RowNumber, SpaceView } from './ports.ts';
import type { TupleMatcher } from './tuple-matcher.ts';
import type { PassedRows, Walk } from './walk.ts';

/** Beginnings after which a search no longer trusts indexes, of which more are wanted than there may be. */
const beginsMax = 3;

/** What a search holds of the rows that it has passed; exact whenever a slice of it begins. */
export interface Matches extends PassedRows {
  /** A slice begins: what time alone has changed since the last one is put right. */
  refresh(): void;
  /** Whether no further row is wanted. */
  readonly isFull: boolean;
  /** The search begins anew. */
  clear(): void;
}

/**
 * A search for all matches of a template, or the oldest, which may go on from turn to turn. Between
 * its slices the space changes; when it is done, its matches are those of that very moment.
 */
export class Search {
  readonly #matcher: TupleMatcher;
  readonly #space: SpaceId;
  readonly #template: Template | undefined;
  readonly #matches: Matches;
  #walk: Walk;
  #begins = 1;
  /** True in the answer's turn only: whoever asked looks at the matches at once. */
  isDone = false;

  constructor(options: {
    readonly matcher: TupleMatcher;
    readonly space: SpaceId;
    readonly template: Template | undefined;
    readonly matches: Matches;
    /** Rows that it looks at now. */
    readonly rowsMax: number;
  }) {
    this.#matcher = options.matcher;
    this.#space = options.space;
    this.#template = options.template;
    this.#matches = options.matches;
    this.#walk = this.#matcher.walk(this.#space, this.#template);
    this.#look(options.rowsMax);
  }

  /** To be called in the turn in which a slice ended: it will go on from there, else begin anew. */
  rest(): void {
    this.#matcher.rest(this.#walk, this.#matches);
  }

  /** Looks at up to so many further rows; returns at how many. */
  goOn(rowsMax: number): number {
    if (this.#matcher.mayGoOn(this.#walk)) {
      this.#matches.refresh();
    } else {
      this.#begins += 1;
      this.#matches.clear();
      const byAge = this.#begins > beginsMax;
      this.#walk = this.#matcher.walk(this.#space, this.#template, byAge);
    }
    const looked = this.#look(rowsMax);
    if (this.isDone) this.drop();
    else this.rest();
    return looked;
  }

  /** It is done, or nobody asks any more. */
  drop(): void {
    this.#matcher.forget(this.#walk);
  }

  #look(rowsMax: number): number {
    const walk = this.#walk;
    const before = walk.looked;
    while (!this.#matches.isFull) {
      const row = walk.next(undefined, before + rowsMax);
      if (row < 0) break;
      this.#matches.joined(row);
    }
    this.isDone = walk.isOver || this.#matches.isFull;
    return walk.looked - before;
  }
}

/** The oldest matches in sight, up to `max`: what a read finds among the ready. */
export class OldestMatches implements Matches {
  readonly #view: SpaceView;
  readonly #max: number;
  // Invariant: ascending; all that the walk has passed, so more than `max` where some came back.
  #ids: TupleId[] = [];

  constructor(view: SpaceView, max: number) {
    this.#view = view;
    this.#max = max;
  }

  get isFull(): boolean {
    return this.#ids.length >= this.#max;
  }

  /** Right in the turn in which the search is done. */
  rows(): RowNumber[] {
    return this.#ids.slice(0, this.#max).map((id) => this.#view.rowOf(id));
  }

  joined(row: RowNumber): void {
    if (!this.#view.rows.visible(row, this.#view.stampMs)) return;
    const id = this.#view.idOf(row);
    const ids = this.#ids;
    let at = ids.length;
    while (at > 0 && (ids[at - 1] as TupleId) > id) at -= 1;
    if (at === ids.length) ids.push(id);
    else ids.splice(at, 0, id);
  }

  left(row: RowNumber): void {
    const at = this.#ids.indexOf(this.#view.idOf(row));
    if (at >= 0) this.#ids.splice(at, 1);
  }

  /** A lease that is over stays so. */
  refresh(): void {
    const { rows, stampMs } = this.#view;
    this.#ids = this.#ids.filter((id) => rows.visible(this.#view.rowOf(id), stampMs));
  }

  clear(): void {
    this.#ids = [];
  }
}

/** How many match. */
export class MatchCount implements Matches {
  readonly #view: SpaceView;
  /** Those are counted whose lease goes beyond this stamp, until the end, when it is another. */
  readonly #stampMs: number;
  #count = 0;

  constructor(view: SpaceView) {
    this.#view = view;
    this.#stampMs = view.stampMs;
  }

  get isFull(): boolean {
    return false;
  }

  /** Right in the turn in which the search is done; `matches` tells of any ready row of the partition. */
  count(matches: (row: RowNumber) => boolean): number {
    const view = this.#view;
    if (view.stampMs === this.#stampMs || view.nextDeadlineMs() > view.stampMs) return this.#count;
    let over = 0;
    for (const id of view.allExpired(view.stampMs)) {
      const row = view.rowOf(id);
      if (this.#isCounted(row) && matches(row)) over += 1;
    }
    return this.#count - over;
  }

  joined(row: RowNumber): void {
    if (this.#isCounted(row)) this.#count += 1;
  }

  left(row: RowNumber): void {
    if (this.#isCounted(row)) this.#count -= 1;
  }

  refresh(): void {
    // What has expired since is taken off once, at the end.
  }

  clear(): void {
    this.#count = 0;
  }

  #isCounted(row: RowNumber): boolean {
    return this.#view.rows.leaseEndMs(row) > this.#stampMs;
  }
}
