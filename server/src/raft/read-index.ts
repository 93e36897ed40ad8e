/**
 * Reads that are linearizable without a log entry (Ongaro 2014 §6.4). A leader notes its commit index,
 * sends a round of heartbeats, and once a majority has answered that round or a later one of the same
 * term, knows that it still led when it noted the index. Rounds are numbered by the leader, so no caller
 * can make two reads look alike; reads that come between two Readys share a round.
 */
import { assert } from '../base/assert.ts';
import { readRoundsMax } from '../base/limits.ts';

/** A read that may be served once the state machine has applied `index`. */
export interface ReadState {
  readonly index: number;
  /** What the caller gave to `readIndex`. */
  readonly token: number;
}

/** A read as a leader holds it. */
export interface PendingRead {
  /** Who asked: this replica, or a follower. */
  readonly from: number;
  /** The caller's token, or the follower's own number. */
  readonly token: number;
}

/** Reads that a round answers. */
export interface ReadBatch {
  readonly round: number;
  /** The commit index when the round was begun. */
  readonly index: number;
  readonly reads: readonly PendingRead[];
}

/**
 * A leader's reads of one term.
 *
 * Invariant: rounds ascend in `#batches` and in `#rounds`; none is above `#round`.
 */
export class ReadQueue {
  /** The last round that was sent in this term. */
  #round = 0;
  /** Rounds that no majority has answered, and when each was sent. */
  #rounds: number[] = [];
  #sentMs: number[] = [];
  #batches: ReadBatch[] = [];
  /** Reads that no round answers yet. */
  #waiting: PendingRead[] = [];
  #count = 0;

  get round(): number {
    return this.#round;
  }

  /** Reads that are not answered. */
  get count(): number {
    return this.#count;
  }

  /** A read that waits for a round. */
  add(read: PendingRead): void {
    this.#waiting.push(read);
    this.#count += 1;
  }

  /** Whether reads wait and may begin a round. */
  wantsRound(): boolean {
    return this.#waiting.length > 0 && this.#rounds.length < readRoundsMax;
  }

  /**
   * A round is sent: its number. `readable`: the leader has committed in its term, so that reads may
   * rest on `index`, its commit index. An unanswered round is given up for this one where too many are
   * under way: who answers this one answers those before it as well.
   */
  begin(index: number, readable: boolean, nowMs: number): number {
    this.#round += 1;
    assert(Number.isSafeInteger(this.#round), 'rounds are safe integers');
    if (this.#rounds.length === readRoundsMax) {
      this.#rounds.shift();
      this.#sentMs.shift();
    }
    this.#rounds.push(this.#round);
    this.#sentMs.push(nowMs);
    if (readable && this.#waiting.length > 0) {
      this.#batches.push({ round: this.#round, index, reads: this.#waiting });
      this.#waiting = [];
    }
    return this.#round;
  }

  /** A majority has answered `round`: when the last such round was sent; -1 where none is new. */
  confirm(round: number): number {
    let sentMs = -1;
    while (this.#rounds.length > 0 && (this.#rounds[0] as number) <= round) {
      this.#rounds.shift();
      sentMs = this.#sentMs.shift() as number;
    }
    return sentMs;
  }

  /** The next reads that this round answers; undefined where there are none. */
  take(round: number): ReadBatch | undefined {
    const batch = this.#batches[0];
    if (batch === undefined || batch.round > round) return undefined;
    this.#batches.shift();
    this.#count -= batch.reads.length;
    return batch;
  }

  /** Reads that no round was sent for; they are answered some other way. */
  takeWaiting(): readonly PendingRead[] {
    const reads = this.#waiting;
    this.#waiting = [];
    this.#count -= reads.length;
    return reads;
  }

  /** The term is over; nobody answers these reads. */
  clear(): void {
    this.#round = 0;
    this.#rounds = [];
    this.#sentMs = [];
    this.#batches = [];
    this.#waiting = [];
    this.#count = 0;
  }
}
