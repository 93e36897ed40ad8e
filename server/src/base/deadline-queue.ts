/**
 * Deadlines that all come equally long after their keys: they are in order of arrival, so that a
 * queue does what `DeadlineHeap` does at the cost of an append. Keys that are done with are left out
 * as they come to its head.
 */
export class DeadlineQueue {
  // Invariant: #dueMs ascends; what lies before #head is over.
  #keys: number[] = [];
  #dueMs: number[] = [];
  #head = 0;

  /** The earliest deadline; Infinity where there is none. */
  get nextMs(): number {
    return this.#dueMs[this.#head] ?? Number.POSITIVE_INFINITY;
  }

  /** Adds a key whose deadline is not before those of the others. */
  push(key: number, dueMs: number): void {
    this.#keys.push(key);
    this.#dueMs.push(dueMs);
  }

  /** Drops keys from the head as long as they are done with. */
  trim(isOpen: (key: number) => boolean): void {
    let head = this.#head;
    for (let key = this.#keys[head]; key !== undefined && !isOpen(key); ) {
      head += 1;
      key = this.#keys[head];
    }
    this.#moveTo(head);
  }

  /** Removes and returns the first key if its deadline is at or before `nowMs`. */
  takeDue(nowMs: number): number | undefined {
    if (this.nextMs > nowMs) return undefined;
    const key = this.#keys[this.#head];
    this.#moveTo(this.#head + 1);
    return key;
  }

  #moveTo(head: number): void {
    this.#head = head;
    if (head === this.#keys.length) {
      this.#keys.length = 0;
      this.#dueMs.length = 0;
      this.#head = 0;
    } else if (head >= 1_024 && head * 2 > this.#keys.length) {
      this.#keys = this.#keys.slice(head);
      this.#dueMs = this.#dueMs.slice(head);
      this.#head = 0;
    }
  }
}
