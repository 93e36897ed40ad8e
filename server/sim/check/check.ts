/** All checkers of what clients saw. */
import { conservation, handOver } from './conservation.ts';
import { empty, linearizable } from './empty.ts';
import { type Checker, type History, historyOf, type Line, type Violation } from './history.ts';
import { increments } from './increments.ts';
import { notify } from './notify.ts';
import { leases, stamps } from './stamps.ts';
import { firstCome, starved, waitEnds, waiters } from './waiters.ts';

/** In the order in which their complaints are printed: the plainest first. */
export const checkers: readonly Checker[] = [
  conservation,
  handOver,
  increments,
  linearizable,
  empty,
  leases,
  stamps,
  notify,
  waiters,
  starved,
  waitEnds,
  firstCome,
];

/** Judges a history that is put together. */
export function checkHistory(history: History): readonly Violation[] {
  return checkers.flatMap((checker) => checker.check(history));
}

/** Judges the lines of a history. */
export function checkLines(lines: Iterable<Line>): readonly Violation[] {
  return checkHistory(historyOf(lines));
}
