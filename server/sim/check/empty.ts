/**
 * Answers that speak of absence: "nothing", counts, write-if-absent. Each partition must have had,
 * at an instant of the call, no more and no fewer matches than the answer says (PROTOCOL I5).
 */
import type { Checker, History, Operation, Violation } from './history.ts';
import { receivedBy } from './history.ts';
import { type Interval, instantsOf, type Line, timelineOf } from './timeline.ts';
import { matches, type TemplateJson, uniqueOf } from './values.ts';

interface Span {
  readonly fewest: number;
  readonly most: number;
  /** For each instant: how many surely stood ready, and how many may have. */
  readonly sure: Int32Array;
  readonly maybe: Int32Array;
}

/** How many matches one partition had over the instants of a call. */
function matchesOver(
  line: Line,
  operation: Operation,
  template: TemplateJson | null,
  handedToo: boolean,
): Span {
  const { first, last } = instantsOf(line, operation);
  const count = last - first + 1;
  const sure = new Int32Array(count + 1);
  const maybe = new Int32Array(count + 1);
  for (const interval of line.intervals) {
    if (interval.to <= first || interval.from > last) continue;
    if (interval.state === 'handed' && !handedToo) continue;
    if (interval.space !== operation.arguments.space || !matches(template, interval.tuple))
      continue;
    const from = Math.max(interval.from, first) - first;
    const to = Math.min(interval.to, last + 1) - first;
    add(maybe, from, to);
    // A handed tuple may be gone by its receipt, of which no event tells.
    const sureTo = interval.state === 'handed' ? from : Math.min(to, interval.hiddenFrom - first);
    if (sureTo > from) add(sure, from, sureTo);
  }
  for (let at = 1; at < count; at++) {
    sure[at] = (sure[at] ?? 0) + (sure[at - 1] ?? 0);
    maybe[at] = (maybe[at] ?? 0) + (maybe[at - 1] ?? 0);
  }
  const ofSure = sure.subarray(0, count);
  const ofMaybe = maybe.subarray(0, count);
  return { sure: ofSure, maybe: ofMaybe, fewest: Math.min(...ofSure), most: Math.max(...ofMaybe) };
}

function add(steps: Int32Array, from: number, to: number): void {
  steps[from] = (steps[from] ?? 0) + 1;
  steps[to] = (steps[to] ?? 0) - 1;
}

const waiting = new Set(['read', 'take', 'read-many', 'take-many']);

function nothingFound(history: History, operation: Operation, violations: Violation[]): void {
  const template = operation.arguments.template ?? null;
  const min = operation.arguments.min ?? 1;
  for (const line of timelineOf(history).lines.values()) {
    const span = matchesOver(line, operation, template, false);
    if (span.fewest < min) continue;
    const message = `${operation.operation} found nothing, and partition ${line.partition} always had ${span.fewest} match(es)`;
    violations.push({ checker: 'empty', message, operations: [operation.id] });
  }
}

/** What an answer must have passed over because its lease was over stays out of sight. */
function hiddenFor(line: Line, operation: Operation, hidden: Map<Interval, number>): void {
  const { first, last } = instantsOf(line, operation);
  const template = operation.arguments.template ?? null;
  for (const interval of line.intervals) {
    if (interval.state !== 'ready' || interval.renewed || interval.hiddenFrom > last) continue;
    if (interval.from > first || interval.to <= last) continue;
    if (interval.space !== operation.arguments.space || !matches(template, interval.tuple))
      continue;
    hidden.set(
      interval,
      Math.min(operation.completed, hidden.get(interval) ?? operation.completed),
    );
  }
}

/** Nobody sees a tuple again that somebody did not see because of time (SPEC §4). */
function reappeared(history: History, violations: Violation[]): void {
  for (const line of timelineOf(history).lines.values()) {
    const hidden = new Map<Interval, number>();
    for (const operation of history.operations) {
      const { outcome, arguments: asked } = operation;
      if (outcome === 'nothing' && waiting.has(operation.operation) && (asked.min ?? 1) === 1) {
        hiddenFor(line, operation, hidden);
      }
    }
    if (hidden.size === 0) continue;
    for (const operation of history.operations) {
      if (!waiting.has(operation.operation)) continue;
      for (const found of operation.result.found ?? []) {
        if (found.partition !== line.partition) continue;
        for (const [interval, since] of hidden) {
          if (interval.id !== found.id || interval.tupleRevision !== found.revision) continue;
          if (interval.deliveries !== found.deliveries || operation.invoked <= since) continue;
          const message = `tuple ${found.id} was seen after it had been hidden by its lease`;
          violations.push({ checker: 'leases', message, operations: [operation.id] });
        }
      }
    }
  }
}

function counted(history: History, operation: Operation, violations: Violation[]): void {
  const { template, pinned } = operation.arguments;
  const count = operation.result.count ?? 0;
  let fewest = 0;
  let most = 0;
  const spans: Span[] = [];
  for (const line of timelineOf(history).lines.values()) {
    const span = matchesOver(line, operation, template ?? null, false);
    fewest += span.fewest;
    most += span.most;
    if (span.most > 0) spans.push(span);
  }
  const one = spans[0];
  const exact = pinned === true && spans.length === 1 && one !== undefined;
  const fits = exact
    ? one.sure.some((sure, at) => sure <= count && count <= (one.maybe[at] ?? 0))
    : fewest <= count && count <= most;
  if (fits) return;
  const message = `counted ${count}, and there were ${fewest} to ${most}`;
  violations.push({ checker: 'empty', message, operations: [operation.id] });
}

/** Refused: something matched, in whatever state. */
function metMatch(history: History, operation: Operation, violations: Violation[]): void {
  const template = operation.arguments.absent ?? [];
  for (const line of timelineOf(history).lines.values()) {
    if (matchesOver(line, operation, template, true).most > 0) return;
  }
  const message = 'write-if-absent met a match, and there was none';
  violations.push({ checker: 'empty', message, operations: [operation.id] });
}

/** Written: nothing that matched stood ready, or was surely handed over, when the log came to it. */
function wroteIfAbsent(
  history: History,
  operation: Operation,
  receipts: Receipts,
  violations: Violation[],
): void {
  const { tuple, absent, space } = operation.arguments;
  const { written } = operation.result;
  const line = timelineOf(history).lines.get(written?.partition ?? 0);
  const unique = uniqueOf(tuple ?? []);
  const own = line?.intervals.find((each) => uniqueOf(each.tuple) === unique);
  if (line === undefined || own === undefined || absent === undefined) return;
  const stood = (each: Interval): boolean =>
    each.state === 'ready'
      ? each.hiddenFrom >= own.from
      : // Given back, or expired as it was: until then no receipt had come.
        Number.isFinite(each.to) || (receipts.get(nameOf(each)) ?? 0) > operation.completed;
  const other = line.intervals.find(
    (each) =>
      each.from < own.from &&
      each.to >= own.from &&
      each.space === space &&
      stood(each) &&
      matches(absent, each.tuple),
  );
  if (other === undefined) return;
  const message = `write-if-absent wrote beside tuple ${other.id} (${other.state}), which matches`;
  violations.push({ checker: 'empty', message, operations: [operation.id] });
}

/** By tuple and delivery: when its receiver had it. Before that it stayed handed over. */
type Receipts = ReadonlyMap<string, number>;

function receiptsOf(history: History): Receipts {
  const receipts = new Map<string, number>();
  for (const operation of history.operations) {
    if (operation.arguments.session === false) continue;
    for (const found of receivedBy(operation)) receipts.set(nameOf(found), operation.completed);
  }
  return receipts;
}

function nameOf({ id, deliveries }: { readonly id: number; readonly deliveries: number }): string {
  return `${id}/${deliveries}`;
}

/** No false "nothing", no wrong count, no second write-if-absent. */
export const empty: Checker = {
  name: 'empty',
  check(history) {
    const violations: Violation[] = [];
    if (history.committed === undefined) return violations;
    const receipts = receiptsOf(history);
    for (const operation of history.operations) {
      const { operation: name, outcome } = operation;
      if (waiting.has(name) && outcome === 'nothing') nothingFound(history, operation, violations);
      else if (name === 'count' && outcome === 'ok') counted(history, operation, violations);
      else if (name === 'write-if-absent' && outcome === 'nothing') {
        metMatch(history, operation, violations);
      } else if (name === 'write-if-absent' && outcome === 'ok') {
        wroteIfAbsent(history, operation, receipts, violations);
      } else if (name === 'increment' && outcome === 'nothing') {
        nothingFound(history, operation, violations);
      }
    }
    reappeared(history, violations);
    return violations;
  },
};

/** The committed history is one that the rules allow, and every answer fits into it. */
export const linearizable: Checker = {
  name: 'linearizable',
  check: (history) => (history.committed === undefined ? [] : timelineOf(history).violations),
};
