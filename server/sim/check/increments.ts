/** Increments happen exactly once. Rests on answers alone. */
import type { Checker, FoundJson, History, Operation, Violation } from './history.ts';
import { matches, uniqueOf } from './values.ts';

interface Step {
  readonly operation: Operation;
  readonly found: FoundJson;
  readonly value: number;
}

function valueAt(found: FoundJson, field: number): number {
  const value = found.tuple[field];
  return typeof value === 'number' ? value : Number.NaN;
}

/** The increments that may have met this tuple and whose outcome nobody knows. */
function unknownSum(history: History, example: Operation, found: FoundJson): number {
  let sum = 0;
  for (const operation of history.operations) {
    if (operation.operation !== 'increment' || operation.outcome !== 'unknown') continue;
    if (operation.arguments.space !== example.arguments.space) continue;
    if (matches(operation.arguments.template ?? null, found.tuple)) {
      sum += Number(operation.arguments.delta ?? 0);
    }
  }
  return sum;
}

function checkCounter(history: History, steps: Step[], final: FoundJson | undefined): Violation[] {
  const violations: Violation[] = [];
  steps.sort((left, right) => left.found.revision - right.found.revision);
  const first = steps[0];
  if (first === undefined) return violations;
  const field = first.operation.arguments.field ?? 0;
  const slack = unknownSum(history, first.operation, first.found);
  const say = (message: string, ...operations: Operation[]): void => {
    const what = `${uniqueOf(first.found.tuple)}: ${message}`;
    violations.push({
      checker: 'increments',
      message: what,
      operations: operations.map((each) => each.id),
    });
  };
  let unexplained = 0;
  for (const [at, step] of steps.entries()) {
    const before = steps[at - 1];
    if (before === undefined) continue;
    if (before.found.revision === step.found.revision) {
      say('two increments of one revision', before.operation, step.operation);
    }
    const extra = step.value - before.value - Number(step.operation.arguments.delta ?? 0);
    if (extra < 0) say(`${before.value} became ${step.value}: one was lost`, step.operation);
    unexplained += Math.max(0, extra);
  }
  const last = steps.at(-1) ?? first;
  if (final !== undefined) {
    const value = valueAt(final, field);
    if (value < last.value) say(`ends at ${value} after ${last.value}`, last.operation);
    unexplained += Math.max(0, value - last.value);
  }
  if (unexplained > slack) {
    say(
      `grew by ${unexplained} more than asked for; ${slack} is of unknown outcome`,
      last.operation,
    );
  }
  return violations;
}

/** Every acknowledged increment is in the sum once, and no other but those of unknown outcome. */
export const increments: Checker = {
  name: 'increments',
  check(history) {
    const counters = new Map<string, Step[]>();
    const finals = new Map<string, FoundJson>();
    for (const operation of history.operations) {
      if (operation.operation === 'survey') {
        for (const found of operation.result.found ?? []) {
          finals.set(uniqueOf(found.tuple) ?? '', found);
        }
      }
      const found = operation.result.found?.[0];
      if (operation.operation !== 'increment' || found === undefined) continue;
      const value = valueAt(found, operation.arguments.field ?? 0);
      const unique = uniqueOf(found.tuple) ?? '';
      const step = { operation, found, value };
      const steps = counters.get(unique);
      if (steps === undefined) counters.set(unique, [step]);
      else steps.push(step);
    }
    const violations: Violation[] = [];
    for (const [unique, steps] of counters) {
      violations.push(...checkCounter(history, steps, finals.get(unique)));
    }
    return violations;
  },
};
