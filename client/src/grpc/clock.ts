import type { EngineClock } from '../engine/doors.ts';

/** Beyond this many milliseconds a difference between the clocks is a jump, not noise. */
const jumpMs = 1_000;

/**
 * What the present event sends is written to the socket with it. At the end of the turn it would be
 * written in the next one: two more waits for events, which is most of what a lone call costs.
 */
function endTurn(run: () => void, isUrgent: () => boolean): void {
  if (isUrgent()) run();
  else setImmediate(run);
}

/**
 * The engine's clock in Node. Monotonic time stands still while a machine sleeps, and a lease does
 * not: where the wall clock has jumped ahead of it, the jump is counted as time that passed. A wall
 * clock that is set forward thus costs a session, never a tuple; one set back changes nothing.
 */
export function nodeClock(
  monotonicMs: () => number = () => performance.now(),
  wallMs: () => number = () => Date.now(),
): EngineClock {
  let sleptMs = 0;
  let offsetMs = wallMs() - monotonicMs();
  return {
    nowMs: () => {
      const nowMs = monotonicMs();
      const driftMs = wallMs() - nowMs - offsetMs;
      if (driftMs > jumpMs) sleptMs += driftMs;
      if (Math.abs(driftMs) > jumpMs) offsetMs += driftMs;
      return nowMs + sleptMs;
    },
    after: (delayMs, run) => {
      // Beyond its 32 bits setTimeout would ring at once; a ring too early asks again.
      const timer = setTimeout(run, Math.min(Math.ceil(delayMs), 2_147_483_647));
      return () => clearTimeout(timer);
    },
    soon: (run, isUrgent) => {
      // Answers come in a promise of grpc-js, and a tick asked for there comes after all promises.
      if (isUrgent === undefined) setImmediate(run);
      else process.nextTick(endTurn, run, isUrgent);
    },
  };
}

/**
 * The same clock, to which nothing is urgent. For connections that are used in turn: what follows from
 * an answer on one goes to all the others, and each would make a batch of its own of it.
 */
export function patientClock(clock: EngineClock): EngineClock {
  return { ...clock, soon: (run) => clock.soon(run) };
}
