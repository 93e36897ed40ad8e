/** Judges a round with the checkers of the simulator. */
import { checkers } from '../sim/check/check.ts';
import type { History, Violation } from '../sim/check/history.ts';

/**
 * What holds only where time is virtual: that a wait's end is answered within 50 ms, that the earlier of
 * two calls comes first to its leader, that nobody stands beside a free tuple for 1.5 s. Twenty processes
 * on two cores promise none of it, and the observer that dates the events is one of them. That nobody
 * waits beside a free tuple at rest is judged here too (`waiters`).
 */
export const needsVirtualTime: ReadonlySet<string> = new Set([
  'wait-ends',
  'first-come',
  'starved',
]);

/** Everything in the history that must not be. */
export function judge(history: History): readonly Violation[] {
  const violations = checkers
    .filter((checker) => !needsVirtualTime.has(checker.name))
    .flatMap((checker) => checker.check(history));
  if (history.committed === undefined) violations.push(complaint('nobody observed'));
  if (history.quietAt === undefined) violations.push(complaint('it never became quiet'));
  return violations;
}

/** A violation that no operation shows. */
export function complaint(message: string): Violation {
  return { checker: 'torture', message, operations: [] };
}
