import { limits as shared } from '@tuplet/proto';
import type { TupleId } from '../base/ids.ts';
import type { LeaderContext } from './leader-context.ts';
import type { Locks } from './locks.ts';
import type { Query } from './messages.ts';
import type { RowNumber } from './ports.ts';
import type { TupleMatcher } from './tuple-matcher.ts';

/** Bytes that a tuple may cost in an answer besides its fields. */
const envelopeBytes = 96;

/** What a take finds. */
export interface Found {
  /** Free matches, oldest first: at most `max`, and what fits one answer. */
  readonly tuples: readonly TupleId[];
  /** Whether they are enough for `min`. */
  readonly isEnough: boolean;
  /** The first match that a lock, or the end of its lease, hides; 0: none. */
  readonly hidden: TupleId | 0;
  /** Whether with the hidden ones there were enough: then it is not known to be empty (W3, T5). */
  readonly mayBeEnough: boolean;
}

/** Looks for tuples in the applied state minus what is locked. */
export class Finder {
  readonly #context: LeaderContext;
  readonly #matcher: TupleMatcher;
  readonly #locks: Locks;

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
    const view = this.#context.space;
    if (view.rows.leaseEndMs(row) <= this.#context.ports.stampMs()) return false;
    return !this.#locks.isLocked(view.idOf(row));
  }

  /** The oldest free matches. */
  free({ space, template, max, min }: Query): Found {
    const view = this.#context.space;
    const { stampMs } = view;
    const walk = this.#matcher.walk(space, template);
    const tuples: TupleId[] = [];
    let hidden: TupleId | 0 = 0;
    let hiddenCount = 0;
    let bytes = 0;
    for (let row = walk.next(); row >= 0; row = walk.next()) {
      if (!view.rows.visible(row, stampMs)) continue;
      if (!this.isFree(row)) {
        if (hiddenCount === 0) hidden = view.idOf(row);
        hiddenCount += 1;
        continue;
      }
      bytes += view.rows.size(row) + envelopeBytes;
      if (bytes > shared.messageBytesMax && tuples.length > 0) {
        return { tuples, isEnough: true, hidden, mayBeEnough: true };
      }
      tuples.push(view.idOf(row));
      if (tuples.length === max) break;
    }
    const isEnough = tuples.length >= min;
    return { tuples, isEnough, hidden, mayBeEnough: tuples.length + hiddenCount >= min };
  }
}
