import { limits } from '../base/limits.ts';
import type { LeaderContext } from './leader-context.ts';
import type { Locks } from './locks.ts';

/** E9: removes tuples whose lease is over, soon after (SPEC §4, Time). One entry in flight at most. */
export class Expiry {
  readonly #context: LeaderContext;
  readonly #locks: Locks;
  #isInFlight = false;

  constructor(context: LeaderContext, locks: Locks) {
    this.#context = context;
    this.#locks = locks;
  }

  /** Proposes an EXPIRE when the clock of the entries has passed the next deadline. */
  tick(): void {
    if (this.#isInFlight) return;
    const stampMs = this.#context.ports.stampMs();
    const { space } = this.#context;
    if (space.nextDeadlineMs() > stampMs) return;
    const tuples = space.expiredRows(stampMs, limits.batchTuplesMax);
    if (tuples.length === 0) return;
    this.#isInFlight = true;
    for (const tuple of tuples) this.#locks.enterEnd(tuple);
    this.#context.propose({ kind: 'expire', tuples }, () => {
      this.#isInFlight = false;
      for (const tuple of tuples) this.#locks.leave(tuple);
      this.tick();
    });
  }
}
