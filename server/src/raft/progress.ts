import { assert } from '../base/assert.ts';
import type { Inflights } from './inflights.ts';

/**
 * How a leader treats a follower. `probe`: where its log ends is not known, so one append at a time.
 * `replicate`: appends follow each other without waiting. `snapshot`: it needs entries that are no
 * longer in the log, and gets nothing until the snapshot has arrived.
 */
export const ProgressState = { probe: 0, replicate: 1, snapshot: 2 } as const;
export type ProgressState = (typeof ProgressState)[keyof typeof ProgressState];

/** What was heard of a replica in the election under way. */
export const Ballot = { none: 0, granted: 1, refused: 2 } as const;
export type Ballot = (typeof Ballot)[keyof typeof Ballot];

/**
 * A leader's view of one replica, itself included; on other roles only `ballot` has a meaning.
 *
 * Invariant: match < next.
 */
export class Progress {
  readonly id: number;
  /** The log agrees with the leader's up to here, durably. */
  match = 0;
  /** The next entry to send. */
  next: number;
  state: ProgressState = ProgressState.probe;
  /** The index of the snapshot under way; 0 outside that state. */
  pendingSnapshot = 0;
  /** Heard from since the last check of the quorum. */
  active = false;
  /** No append is sent before the next sign of life. */
  paused = false;
  learner = false;
  /** The highest heartbeat round that this replica has answered (see read-index.ts). */
  round = 0;
  ballot: Ballot = Ballot.none;
  readonly inflights: Inflights;
  /** The highest commit index sent. Invariant while probing and replicating: it does not lead past what was sent. */
  #sentCommit = 0;

  constructor(id: number, next: number, inflights: Inflights) {
    this.id = id;
    this.next = next;
    this.inflights = inflights;
  }

  /** A new term has begun: nothing is known. `match` is 0, or for oneself the end of the log. */
  reset(next: number, match: number): void {
    assert(match < next, 'what is next comes after what matches');
    this.match = match;
    this.next = next;
    this.state = ProgressState.probe;
    this.pendingSnapshot = 0;
    this.active = false;
    this.paused = false;
    this.round = 0;
    this.inflights.clear();
    this.#sentCommit = 0;
  }

  becomeProbe(): void {
    // After a snapshot that arrived, what follows it is next.
    const next = Math.max(this.match, this.pendingSnapshot) + 1;
    this.#enter(ProgressState.probe);
    this.next = next;
    this.#sentCommit = Math.min(this.#sentCommit, next - 1);
  }

  becomeReplicate(): void {
    this.#enter(ProgressState.replicate);
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter(ProgressState.snapshot);
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#sentCommit = index;
  }

  /** Whether appends wait for a sign of life of this follower. */
  isPaused(): boolean {
    return this.state === ProgressState.snapshot || this.paused;
  }

  /** An append with so many entries (0 or more) went out. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === ProgressState.replicate) {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      // Full: the next one is sent when an answer has made room, or a heartbeat shows a way.
      this.paused = this.inflights.full();
    } else if (count > 0) {
      this.paused = true;
    }
  }

  /** A commit index went out with an append or a heartbeat. */
  sentCommit(commit: number): void {
    this.#sentCommit = commit;
  }

  /** Whether telling the commit index may move the follower's: what was sent is not yet all told. */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  /** The follower has everything up to `index`; false where that is no news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.paused = false;
    return true;
  }

  /**
   * The follower refused the append after `refused`, and believes the logs may agree up to `hint`.
   * False where the refusal is of an older append than the one that is waited for.
   */
  maybeDecrease(refused: number, hint: number): boolean {
    if (this.state === ProgressState.replicate) {
      if (refused <= this.match) return false;
      this.next = this.match + 1;
    } else {
      if (this.next - 1 !== refused) return false;
      // Never below what is known to match: entries there are durable on the follower.
      this.next = Math.max(Math.min(refused, hint + 1), this.match + 1);
      this.paused = false;
    }
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1);
    return true;
  }

  #enter(state: ProgressState): void {
    this.paused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.clear();
  }
}
