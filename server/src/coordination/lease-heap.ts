import { present } from '../base/assert.ts';
import type { SessionId } from '../base/ids.ts';

interface Lease {
  readonly session: SessionId;
  /** Where it lies in the heap: at most `endMs`. */
  dueMs: number;
}

/** Elements of the heap below which nothing is worth a sweep. */
const elementsMin = 64;

/**
 * When the leases of sessions end. Keeping a session alive only notes its new end; the heap catches
 * up when the old one is due.
 */
export class LeaseHeap {
  readonly #ends = new Map<SessionId, number>();
  // Invariant: a heap by dueMs; one element for each session in #ends, and for fewer that are gone.
  #heap: Lease[] = [];

  get count(): number {
    return this.#ends.size;
  }

  /** Begins or prolongs a lease. */
  set(session: SessionId, endMs: number): void {
    const known = this.#ends.has(session);
    this.#ends.set(session, endMs);
    if (!known) this.#push({ session, dueMs: endMs });
  }

  /** Elements held, of sessions that are gone too. */
  get size(): number {
    return this.#heap.length;
  }

  has(session: SessionId): boolean {
    return this.#ends.has(session);
  }

  delete(session: SessionId): void {
    if (!this.#ends.delete(session)) return;
    // Sessions closed long before their lease's end would pile up: an hour of them may be many.
    if (this.#heap.length > 2 * this.#ends.size + elementsMin) this.#sweep();
  }

  /** Takes out the sessions whose lease ended at or before `nowMs`. */
  takeDue(nowMs: number): SessionId[] {
    const due: SessionId[] = [];
    for (let top = this.#heap[0]; top !== undefined && top.dueMs <= nowMs; top = this.#heap[0]) {
      const endMs = this.#ends.get(top.session);
      if (endMs !== undefined && endMs > nowMs) {
        top.dueMs = endMs;
        this.#sink(0);
        continue;
      }
      this.#pop();
      if (endMs === undefined) continue;
      this.#ends.delete(top.session);
      due.push(top.session);
    }
    return due;
  }

  /** Makes the heap anew of the sessions that there are. */
  #sweep(): void {
    this.#heap = [...this.#ends].map(([session, dueMs]) => ({ session, dueMs }));
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at -= 1) this.#sink(at);
  }

  #push(lease: Lease): void {
    this.#heap.push(lease);
    let at = this.#heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#at(parent).dueMs <= lease.dueMs) break;
      this.#heap[at] = this.#at(parent);
      at = parent;
    }
    this.#heap[at] = lease;
  }

  #pop(): void {
    const last = present(this.#heap.pop(), 'a lease is due');
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    const lease = this.#at(from);
    let at = from;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && this.#at(child + 1).dueMs < this.#at(child).dueMs)
        child += 1;
      if (this.#at(child).dueMs >= lease.dueMs) break;
      this.#heap[at] = this.#at(child);
      at = child;
    }
    this.#heap[at] = lease;
  }

  #at(index: number): Lease {
    return this.#heap[index] as Lease;
  }
}
