import { NumberMap } from '@tuplet/proto';
import type { TupleId } from '../base/ids.ts';
import type { SessionOperation } from '../space/command.ts';
import type { CallId, CoordinatorId, Query } from './messages.ts';
import type { Waiting } from './waiting.ts';
import type { LinePlace } from './waiting-places.ts';

/**
 * `idle`: stands in line. `paused`: until it registers again. `offered`: an offer holds tuples for
 * it. `logged`: a hand-over to it is in flight. `gone`: no longer a waiter.
 */
export type WaiterState = 'idle' | 'paused' | 'offered' | 'logged' | 'gone';

/** No tuples. */
export const noTuples: readonly TupleId[] = [];

const pinned = 1;
const told = 2;
const waitEnded = 4;
const cancelled = 8;

/**
 * A take that waits at a leader (PROTOCOL §1, soft). One for each operation. What is true or false
 * lies in the bits of one number: a hundred thousand of these are normal.
 */
export class Waiter implements Waiting {
  /** The sending that counts: session, sequence, attempt. */
  operation: SessionOperation;
  readonly coordinator: CoordinatorId;
  readonly call: CallId;
  readonly query: Query;
  readonly arrivalMs: number;
  readonly serial: number;
  state: WaiterState = 'paused';
  #bits: number;
  /** Unpinned: the newest r. Pinned: the newest m. */
  number: number;
  /** The number n of its offer, lapsed or not; 0: none. */
  offer = 0;
  /** The tuples of that offer, or of the entry in flight. */
  tuples: readonly TupleId[] = noTuples;
  /** Fresh matches that it still lacks before looking is worth while; for min above 1. */
  lacking = 0;
  place: LinePlace | undefined = undefined;

  constructor(options: {
    readonly operation: SessionOperation;
    readonly coordinator: CoordinatorId;
    readonly call: CallId;
    readonly query: Query;
    readonly isPinned: boolean;
    readonly arrivalMs: number;
    readonly serial: number;
    readonly number: number;
  }) {
    this.operation = options.operation;
    this.coordinator = options.coordinator;
    this.call = options.call;
    this.query = options.query;
    this.arrivalMs = options.arrivalMs;
    this.serial = options.serial;
    this.number = options.number;
    this.#bits = options.isPinned ? pinned : 0;
  }

  get isPinned(): boolean {
    return (this.#bits & pinned) !== 0;
  }

  /** W3: EMPTY was said since it last registered. */
  get isTold(): boolean {
    return (this.#bits & told) !== 0;
  }

  set isTold(is: boolean) {
    this.#bits = withBit(this.#bits, told, is);
  }

  /** T1. */
  get isWaitEnded(): boolean {
    return (this.#bits & waitEnded) !== 0;
  }

  set isWaitEnded(is: boolean) {
    this.#bits = withBit(this.#bits, waitEnded, is);
  }

  /** T1. */
  get isCancelled(): boolean {
    return (this.#bits & cancelled) !== 0;
  }

  set isCancelled(is: boolean) {
    this.#bits = withBit(this.#bits, cancelled, is);
  }
}

function withBit(bits: number, bit: number, is: boolean): number {
  return is ? bits | bit : bits & ~bit;
}

/** The waiters of a partition by operation, and by session for its end. */
export class Waiters {
  readonly #sessions = new NumberMap<NumberMap<Waiter>>();
  /** An empty one, for the next session: a take that finds a match comes and goes in one turn. */
  #spare: NumberMap<Waiter> | undefined;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get({ session, sequence }: SessionOperation): Waiter | undefined {
    return this.#sessions.get(session)?.get(sequence);
  }

  add(waiter: Waiter): void {
    const { session, sequence } = waiter.operation;
    let ofSession = this.#sessions.get(session);
    if (ofSession === undefined) {
      ofSession = this.#spare ?? new NumberMap();
      this.#spare = undefined;
      this.#sessions.set(session, ofSession);
    }
    if (!ofSession.has(sequence)) this.#count += 1;
    ofSession.set(sequence, waiter);
  }

  /** Removes this very waiter; nothing where another has taken its place. */
  remove(waiter: Waiter): void {
    const { session, sequence } = waiter.operation;
    const ofSession = this.#sessions.get(session);
    if (ofSession?.get(sequence) !== waiter) return;
    ofSession.delete(sequence);
    this.#count -= 1;
    if (ofSession.size > 0) return;
    this.#sessions.delete(session);
    this.#spare = ofSession;
  }

  ofSession(session: number): readonly Waiter[] {
    return this.#sessions.get(session)?.values() ?? [];
  }

  *[Symbol.iterator](): IterableIterator<Waiter> {
    for (const ofSession of this.#sessions.values()) yield* ofSession.values();
  }
}
