import { assert } from '../base/assert.ts';

/** Leader leases (Ongaro 2014 §6.4.1). All replicas of a group have the same. */
export interface LeaseOptions {
  /** Milliseconds for which a voter that heard of its leader helps nobody else to be elected. */
  readonly electionMs: number;
  /** By what share of it two clocks may differ over that time; a leader counts on so much less. */
  readonly marginShare: number;
  /** The clock at the start, monotonic milliseconds. */
  readonly nowMs: number;
}

const never = Number.NEGATIVE_INFINITY;

/**
 * The two sides of leader leases. As a voter, a replica that answers its leader promises to vote for
 * nobody for `electionMs`, in whatever term; a restart does not know what was promised before, and
 * promises anew. As a leader, once a majority has answered a round, nobody can have been elected until
 * `electionMs` after the round was *sent*, less the margin.
 *
 * Only `TimeoutNow` breaks promises (its vote is forced), so a leader that sends one has no lease for
 * the rest of its term: the message may arrive at any time later.
 */
export class LeaderLease {
  readonly #electionMs: number;
  readonly #leaseMs: number;
  readonly #stallMs: number;
  #nowMs: number;
  #promisedUntilMs: number;
  #untilMs = never;
  /** Rounds sent before this moment give no lease. */
  #sinceMs: number;
  #voided = false;

  constructor({ electionMs, marginShare, nowMs }: LeaseOptions) {
    this.#electionMs = electionMs;
    this.#leaseMs = electionMs * (1 - marginShare);
    this.#stallMs = electionMs * marginShare;
    this.#nowMs = nowMs;
    this.#sinceMs = nowMs;
    this.#promisedUntilMs = nowMs + electionMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Time has passed. After a stall only rounds that are sent from now on count. */
  setClock(nowMs: number): void {
    assert(nowMs >= this.#nowMs, 'a monotonic clock does not go back');
    const stalled = nowMs - this.#nowMs > this.#stallMs;
    this.#nowMs = nowMs;
    if (stalled) this.drop();
  }

  /** Voter: the leader was heard, and is answered. */
  promise(): void {
    this.#promisedUntilMs = this.#nowMs + this.#electionMs;
  }

  /** Voter: whether a promise forbids to vote, for oneself too. */
  isPromised(): boolean {
    return this.#nowMs < this.#promisedUntilMs;
  }

  /** A term or a role has begun: what was granted in another one is over. */
  reset(): void {
    this.#untilMs = never;
    this.#voided = false;
  }

  /** Leader: other voters decide from now on; only rounds that are sent from now on count. */
  drop(): void {
    this.#untilMs = never;
    this.#sinceMs = this.#nowMs;
  }

  /** Leader: promises may be broken from now on. */
  void(): void {
    this.#voided = true;
  }

  /** Leader: a majority has answered a round that was sent at this moment. */
  extend(sentMs: number): void {
    if (sentMs < this.#sinceMs) return;
    this.#untilMs = Math.max(this.#untilMs, sentMs + this.#leaseMs);
  }

  /** Leader: whether nobody else can lead. */
  isValid(): boolean {
    return !this.#voided && this.#nowMs < this.#untilMs;
  }
}
