import { NumberMap } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type { LogIndex, TupleId } from '../base/ids.ts';
import type { Waiter } from './waiter.ts';

/** The newest form of a tuple in the entries in flight. */
export interface Form {
  readonly bytes: Uint8Array;
  /** Index of the entry that makes it: the revision that a next decision rests on. */
  readonly index: LogIndex;
  /** An earlier link of its chain was void, so it will be: nobody builds on it. */
  isDoomed: boolean;
}

/** Who decides again when a lock is gone: a waiting take, or a mutation. */
export interface Blocked {
  /** What it holds meanwhile. */
  readonly bytes: number;
  /** Called once, from `flush`; the reason may be gone or not. */
  reconsider(): void;
}

/**
 * What hides tuples from decisions: offers that have not lapsed, and entries in flight. A tuple may
 * be named by several entries (a chain of replaces, a cancel after an offer).
 */
export class Locks {
  readonly #offers = new NumberMap<Waiter>();
  readonly #entries = new NumberMap<number>();
  readonly #forms = new NumberMap<Form>();
  readonly #blocked = new NumberMap<Blocked[]>();
  #blockedCount = 0;
  #blockedBytes = 0;
  /** Tuples that were unlocked, for those who wait; taken by `flush`. */
  #freed: TupleId[] = [];
  #awake: Blocked[] = [];

  /** Offers that hold a tuple, each counted once a tuple. */
  get offerCount(): number {
    return this.#offers.size;
  }

  get blockedCount(): number {
    return this.#blockedCount;
  }

  get blockedBytes(): number {
    return this.#blockedBytes;
  }

  isLocked(tuple: TupleId): boolean {
    return this.#offers.has(tuple) || this.#entries.has(tuple);
  }

  /** W5: whether somebody else than this waiter holds the tuple. */
  isLockedByOther(tuple: TupleId, waiter: Waiter): boolean {
    const holder = this.#offers.get(tuple);
    return this.#entries.has(tuple) || (holder !== undefined && holder !== waiter);
  }

  /** The form that the entries in flight give a tuple; undefined: none changes it. */
  form(tuple: TupleId): Form | undefined {
    return this.#forms.get(tuple);
  }

  /** W2: an offer takes the tuples. */
  offer(waiter: Waiter, tuples: readonly TupleId[]): void {
    for (const tuple of tuples) {
      assert(!this.isLocked(tuple), 'a tuple is offered once');
      this.#offers.set(tuple, waiter);
    }
  }

  /** The offer is gone: declined, lapsed, withdrawn or logged. */
  endOffer(waiter: Waiter, tuples: readonly TupleId[]): void {
    for (const tuple of tuples) {
      if (this.#offers.get(tuple) !== waiter) continue;
      this.#offers.delete(tuple);
      if (!this.#entries.has(tuple)) this.#free(tuple);
    }
  }

  /** An entry that names the tuple was proposed. */
  enter(tuple: TupleId): void {
    this.#entries.set(tuple, (this.#entries.get(tuple) ?? 0) + 1);
  }

  /** An entry that removes the tuple was proposed: no form in flight outlives it. */
  enterEnd(tuple: TupleId): void {
    const form = this.#forms.get(tuple);
    if (form !== undefined) form.isDoomed = true;
    this.enter(tuple);
  }

  /** That entry was applied. */
  leave(tuple: TupleId): void {
    const left = (this.#entries.get(tuple) ?? 1) - 1;
    if (left > 0) {
      this.#entries.set(tuple, left);
      return;
    }
    this.#entries.delete(tuple);
    if (!this.#offers.has(tuple)) this.#free(tuple);
  }

  /** A replace was proposed: it is what the next decision about the tuple sees. */
  enterForm(tuple: TupleId, form: Form): void {
    this.enter(tuple);
    this.#forms.set(tuple, form);
  }

  /** That replace was applied; `isVoid`: nothing of the chain behind it will hold. */
  leaveForm(tuple: TupleId, index: LogIndex, isVoid: boolean): void {
    const newest = this.#forms.get(tuple);
    if (newest?.index === index) this.#forms.delete(tuple);
    else if (newest !== undefined && isVoid) newest.isDoomed = true;
    this.leave(tuple);
  }

  /** Wakes `blocked` when the tuple is unlocked or no longer ready. */
  block(tuple: TupleId, blocked: Blocked): void {
    const list = this.#blocked.get(tuple);
    if (list === undefined) this.#blocked.set(tuple, [blocked]);
    else list.push(blocked);
    this.#blockedCount += 1;
    this.#blockedBytes += blocked.bytes;
  }

  /** The tuple is no longer ready, or has a new form. */
  changed(tuple: TupleId): void {
    if (this.#blocked.size > 0) this.#wake(tuple);
  }

  /** Tuples freed since the last call, each possibly more than once, and those to be woken. */
  takeFreed(): { readonly freed: readonly TupleId[]; readonly awake: readonly Blocked[] } {
    const freed = this.#freed;
    const awake = this.#awake;
    if (freed.length > 0) this.#freed = [];
    if (awake.length > 0) this.#awake = [];
    return { freed, awake };
  }

  get hasFreed(): boolean {
    return this.#freed.length > 0 || this.#awake.length > 0;
  }

  #free(tuple: TupleId): void {
    this.#freed.push(tuple);
    if (this.#blocked.size > 0) this.#wake(tuple);
  }

  #wake(tuple: TupleId): void {
    const list = this.#blocked.get(tuple);
    if (list === undefined) return;
    this.#blocked.delete(tuple);
    this.#blockedCount -= list.length;
    for (const { bytes } of list) this.#blockedBytes -= bytes;
    this.#awake.push(...list);
  }
}
