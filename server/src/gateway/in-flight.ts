import { assert } from '../base/assert.ts';

/** How many calls each connection has in flight, and in all; a connection is its peer's address. */
export class InFlight {
  readonly #perConnectionMax: number;
  readonly #counts: Map<string, number> = new Map();

  constructor(perConnectionMax: number) {
    this.#perConnectionMax = perConnectionMax;
  }

  /** The bound. */
  get perConnectionMax(): number {
    return this.#perConnectionMax;
  }

  /** Connections with calls in flight. */
  get connections(): number {
    return this.#counts.size;
  }

  /** Counts one more call; false where the connection has too many. */
  begin(connection: string): boolean {
    const count = this.#counts.get(connection) ?? 0;
    if (count >= this.#perConnectionMax) return false;
    this.#counts.set(connection, count + 1);
    return true;
  }

  /** Counts one less. */
  end(connection: string): void {
    const count = this.#counts.get(connection) ?? 0;
    assert(count > 0, 'a call ends once');
    if (count === 1) this.#counts.delete(connection);
    else this.#counts.set(connection, count - 1);
  }
}
