import { NumberMap } from '@tuplet/proto';
import { assert, present } from './assert.ts';

/**
 * What is due when, for many keys and one timer: a binary heap over numbers, each key with at most
 * one deadline. Setting, moving and removing cost O(log n); equal deadlines come out in the order
 * of their keys, so that a run can be repeated.
 */
export class DeadlineHeap {
  // Invariant: #keys[i] and #dueMs[i] are one entry, no entry is less than its parent, and
  // #positions holds the i of each key.
  readonly #keys: number[] = [];
  readonly #dueMs: number[] = [];
  readonly #positions: NumberMap<number> = new NumberMap();

  /** How many keys have a deadline. */
  get size(): number {
    return this.#keys.length;
  }

  /** Whether a key has a deadline. */
  has(key: number): boolean {
    return this.#positions.has(key);
  }

  /** The earliest deadline; Infinity where there is none. */
  get nextMs(): number {
    return this.#dueMs[0] ?? Number.POSITIVE_INFINITY;
  }

  /** Gives a key this deadline, in place of the one it had. */
  set(key: number, dueMs: number): void {
    assert(!Number.isNaN(dueMs), 'a deadline is a time');
    const at = this.#positions.get(key);
    if (at === undefined) {
      this.#keys.push(key);
      this.#dueMs.push(dueMs);
      this.#positions.set(key, this.#keys.length - 1);
      this.#up(this.#keys.length - 1);
      return;
    }
    this.#dueMs[at] = dueMs;
    this.#up(at);
    this.#down(present(this.#positions.get(key), 'a moved key keeps its place in the map'));
  }

  /** Forgets a key's deadline; a key without one is no mistake. */
  delete(key: number): void {
    const at = this.#positions.get(key);
    if (at === undefined) return;
    this.#removeAt(at);
  }

  /** Removes and returns the earliest key whose deadline is at or before `nowMs`. */
  takeDue(nowMs: number): number | undefined {
    if (this.nextMs > nowMs) return undefined;
    const key = this.#keys[0];
    if (key !== undefined) this.#removeAt(0);
    return key;
  }

  #removeAt(at: number): void {
    const key = this.#key(at);
    const last = this.#keys.length - 1;
    if (at !== last) this.#swap(at, last);
    this.#keys.pop();
    this.#dueMs.pop();
    this.#positions.delete(key);
    if (at === last) return;
    const moved = this.#key(at);
    this.#up(at);
    this.#down(present(this.#positions.get(moved), 'a moved key keeps its place in the map'));
  }

  #up(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(from: number): void {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (left < this.#keys.length && this.#before(left, least)) least = left;
      if (right < this.#keys.length && this.#before(right, least)) least = right;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #before(a: number, b: number): boolean {
    const dueA = this.#due(a);
    const dueB = this.#due(b);
    return dueA < dueB || (dueA === dueB && this.#key(a) < this.#key(b));
  }

  #swap(a: number, b: number): void {
    const keyA = this.#key(a);
    const keyB = this.#key(b);
    const dueA = this.#due(a);
    this.#keys[a] = keyB;
    this.#dueMs[a] = this.#due(b);
    this.#keys[b] = keyA;
    this.#dueMs[b] = dueA;
    this.#positions.set(keyA, b);
    this.#positions.set(keyB, a);
  }

  #key(at: number): number {
    return present(this.#keys[at], 'a position lies inside the heap');
  }

  #due(at: number): number {
    return present(this.#dueMs[at], 'a position lies inside the heap');
  }
}
