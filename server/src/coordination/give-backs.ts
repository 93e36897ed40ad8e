import type { LeaderContext } from './leader-context.ts';

/**
 * Gives back, an entry after the other, what sessions that are over held and what floors have passed:
 * the entry that let it go had no room for it. It is replicated state, so a new leader goes on where
 * the last one ended. One entry in flight at most.
 */
export class GiveBacks {
  readonly #context: LeaderContext;
  #isInFlight = false;

  constructor(context: LeaderContext) {
    this.#context = context;
  }

  /** Proposes the next GIVE-BACK, if something waits and none is on its way. */
  propose(): void {
    if (this.#isInFlight || this.#context.space.returning === 0) return;
    this.#isInFlight = true;
    this.#context.propose({ kind: 'give-back' }, () => {
      this.#isInFlight = false;
    });
  }
}
