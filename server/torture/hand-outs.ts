/**
 * What one client was handed, and what of it may come back. In the history each take has a session of
 * its own, named by its operation, which ends where the SDK says that a receipt of it was not confirmed
 * before the real session ended. So the checkers excuse a second hand-over of those tuples alone: one
 * whose receipt was confirmed must never come back, whatever became of the session.
 */
export class HandOuts {
  readonly #ended: (operation: number) => void;
  /** By tuple: the take that got it last. */
  readonly #takes = new Map<number, number>();
  /** Tuples said to be unconfirmed in the turn that handed them out. */
  readonly #early = new Set<number>();

  /** `ended` hears of each operation whose session is over. */
  constructor(ended: (operation: number) => void) {
    this.#ended = ended;
  }

  /** A take got the tuples, and that stands in the history. */
  handed(operation: number, tupleIds: readonly number[]): void {
    for (const tupleId of tupleIds) this.#takes.set(tupleId, operation);
    const early = tupleIds.filter((tupleId) => this.#early.delete(tupleId));
    if (early.length > 0) this.#ended(operation);
  }

  /** The SDK says that these may come back. */
  unconfirmed(tupleIds: readonly number[]): void {
    const operations = new Set<number>();
    for (const tupleId of tupleIds) {
      const operation = this.#takes.get(tupleId);
      if (operation === undefined) this.#early.add(tupleId);
      else operations.add(operation);
      this.#takes.delete(tupleId);
    }
    for (const operation of operations) this.#ended(operation);
  }
}
