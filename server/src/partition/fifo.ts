/** A queue on one array: `shift` of an array costs its length, a head that moves does not. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  // Invariant: everything below #head is undefined; #head is 0 when the queue is empty.
  #head = 0;

  /** How many wait. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The one that has waited longest, which stays. */
  first(): T | undefined {
    return this.#items[this.#head];
  }

  /** Drops all that wait. */
  clear(): void {
    this.#items.length = 0;
    this.#head = 0;
  }

  /** Takes the one that has waited longest. */
  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1_024 && this.#head * 2 >= this.#items.length) {
      // Halves the array at most once for as many shifts as it moves.
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
