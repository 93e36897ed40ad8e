import { limits as shared } from '@tuplet/proto';
import type { TupleId } from '../base/ids.ts';
import type { LeaderContext } from './leader-context.ts';
import type { Locks } from './locks.ts';
import type { Query } from './messages.ts';
import type { RowNumber } from './ports.ts';
import type { TupleMatcher } from './tuple-matcher.ts';
import type { RowFilter } from './walk.ts';

/** Bytes that a tuple may cost in an answer besides its fields. */
const envelopeBytes = 96;

/** What a take finds. */
export interface Found {
  /** Free matches, oldest first: at most `max`, and what fits one answer. */
  readonly tuples: readonly TupleId[];
  /** Whether they are enough for `min`. */
  readonly isEnough: boolean;
  /** Where they are not: the first match that a lock, or the end of its lease, hides; 0: none. */
  readonly hidden: TupleId | 0;
  /** Whether with the hidden ones there were enough: then it is not known to be empty (W3, T5). */
  readonly mayBeEnough: boolean;
}

/** Looks for tuples in the applied state minus what is locked. */
export class Finder implements RowFilter {
  readonly #context: LeaderContext;
  readonly #matcher: TupleMatcher;
  readonly #locks: Locks;
  /** What an entry made by the present search would be stamped with. */
  #stampMs = 0;

  constructor(context: LeaderContext, matcher: TupleMatcher, locks: Locks) {
    this.#context = context;
    this.#matcher = matcher;
    this.#locks = locks;
  }

  /**
   * Whether a ready row can be decided about. One whose lease ends before an entry made now would be
   * applied cannot: it is as good as locked until it is removed.
   */
  isFree(row: RowNumber): boolean {
    this.#stampMs = this.#context.ports.stampMs();
    return this.passes(row);
  }

  /** The oldest free matches. */
  free(query: Query): Found {
    const { space, template, max, min } = query;
    const view = this.#context.space;
    this.#stampMs = this.#context.ports.stampMs();
    const walk = this.#matcher.walk(space, template);
    const tuples: TupleId[] = [];
    let bytes = 0;
    // Takes in flight lock the oldest, which all others would compare again and again.
    for (let row = walk.next(this); row >= 0; row = walk.next(this)) {
      bytes += view.rows.size(row) + envelopeBytes;
      if (bytes > shared.messageBytesMax && tuples.length > 0) return enough(tuples);
      tuples.push(view.idOf(row));
      if (tuples.length === max) break;
    }
    if (tuples.length >= min) return enough(tuples);
    const { hidden, count } = walk.leftOut > 0 ? this.#hidden(query) : nothingHidden;
    return { tuples, isEnough: false, hidden, mayBeEnough: tuples.length + count >= min };
  }

  /** What `free` leaves out. */
  passes(row: RowNumber): boolean {
    const view = this.#context.space;
    if (view.rows.leaseEndMs(row) <= this.#stampMs) return false;
    return !this.#locks.isLocked(view.idOf(row));
  }

  /** The matches in sight that `free` has left out: the first, and how many. */
  #hidden({ space, template }: Query): { readonly hidden: TupleId | 0; readonly count: number } {
    const view = this.#context.space;
    const walk = this.#matcher.walk(space, template);
    let hidden: TupleId | 0 = 0;
    let count = 0;
    for (let row = walk.next(); row >= 0; row = walk.next()) {
      if (!view.rows.visible(row, view.stampMs) || this.passes(row)) continue;
      if (count === 0) hidden = view.idOf(row);
      count += 1;
    }
    return { hidden, count };
  }
}

const nothingHidden = { hidden: 0, count: 0 } as const;

function enough(tuples: readonly TupleId[]): Found {
  return { tuples, isEnough: true, hidden: 0, mayBeEnough: true };
}
