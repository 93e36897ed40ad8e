import { NumberMap } from '@tuplet/proto';
import { clientLimits } from './limits.ts';
import type { Operation } from './operation.ts';
import { Receipts } from './receipts.ts';

/** What the server granted. */
export interface SessionGrant {
  readonly id: number;
  readonly leaseMs: number;
  /** When the request was sent that granted it: the lease runs from then (S4). */
  readonly sentAtMs: number;
}

/**
 * One session of this client: its lease as the client may count on it, its sequences and its floor.
 * Invariant: every sequence below the floor is closed; the one at the floor is open or not yet given.
 */
export class Session {
  readonly id: number;
  /** Operations by sequence, closed ones left out. */
  readonly open: NumberMap<Operation> = new NumberMap();
  /** Receipts not yet confirmed. */
  readonly receipts: Receipts = new Receipts();
  /** When it was asked for. */
  readonly openedAtMs: number;
  leaseMs: number;
  /** From this instant on nothing of it is handed out (S4). */
  expiresAtMs: number;
  /** When the next keep-alive is due. */
  keepDueMs: number;
  /** When the newest keep-alive without an answer was sent; undefined if all are answered. */
  keepSentAtMs: number | undefined;
  /** Whether new operations go to another session, and this one is closed when it is empty. */
  retiring = false;
  /** Whether CloseSession is on its way. */
  closing = false;
  #next = 1;
  #floor = 1;

  constructor(grant: SessionGrant, keepsPerLease: number) {
    this.id = grant.id;
    this.openedAtMs = grant.sentAtMs;
    this.leaseMs = grant.leaseMs;
    this.expiresAtMs = grant.sentAtMs + grant.leaseMs;
    this.keepDueMs = grant.sentAtMs + grant.leaseMs / keepsPerLease;
  }

  /** The lowest sequence still open; the next one if none is. */
  get floor(): number {
    return this.#floor;
  }

  /**
   * Whether its sequences are used up while an old operation, a take that waits, holds the floor:
   * partitions refuse more above it, also where those between are answered.
   */
  get isSpent(): boolean {
    return this.#next - this.#floor >= clientLimits.openPerLaneMax;
  }

  /** Gives the operation its sequence. */
  enter(operation: Operation): void {
    operation.session = this;
    operation.sequence = this.#next;
    this.open.set(this.#next, operation);
    this.#next += 1;
  }

  /** Closes a sequence; the floor passes it when all below are closed. */
  leave(sequence: number): void {
    this.open.delete(sequence);
    while (this.#floor < this.#next && !this.open.has(this.#floor)) this.#floor += 1;
  }

  /** Takes a keep-alive's answer: the lease runs anew from its sending. */
  kept(sentAtMs: number, leaseMs: number): void {
    if (this.keepSentAtMs !== undefined && sentAtMs >= this.keepSentAtMs) {
      this.keepSentAtMs = undefined;
    }
    this.leaseMs = leaseMs;
    this.expiresAtMs = Math.max(this.expiresAtMs, sentAtMs + leaseMs);
  }

  /** Whether its time is over. */
  isOver(nowMs: number): boolean {
    return nowMs >= this.expiresAtMs;
  }
}
