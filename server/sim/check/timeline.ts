/**
 * The committed history of each partition as a line of states: which tuples were ready between
 * which two events, and between which times each event must have taken effect. It rests on what an
 * observer was notified of, and on revisions in answers; the checkers then ask whether each answer
 * fits into it.
 */
import {
  type Committed,
  type History,
  type Operation,
  receivedBy,
  type Violation,
} from './history.ts';
import { type TupleJson, uniqueOf } from './values.ts';

/** A tuple in one form that stood ready, or handed over, between two events of its partition. */
export interface Interval {
  readonly state: 'ready' | 'handed';
  readonly id: number;
  readonly tupleRevision: number;
  readonly deliveries: number;
  readonly space: string;
  readonly tuple: TupleJson;
  readonly leaseEndMs: number | null;
  /** Its lease was changed while it stood, and no event says to what. */
  readonly renewed: boolean;
  /** The event that began it. */
  readonly from: number;
  /** The event that ended it; Infinity: none. */
  to: number;
  /** From after this event on it may be hidden because its lease may be over; Infinity: never. */
  hiddenFrom: number;
}

/** One partition's line. */
export interface Line {
  readonly partition: number;
  readonly events: readonly Committed[];
  readonly intervals: readonly Interval[];
  /** Event number → not before this time, and not after that one. Rising. */
  readonly lowest: Float64Array;
  readonly highest: Float64Array;
}

/** All partitions. */
export interface Timeline {
  readonly lines: ReadonlyMap<number, Line>;
  readonly violations: readonly Violation[];
}

const timelines = new WeakMap<History, Timeline>();
const nobody: ReadonlyMap<number, readonly Committed[]> = new Map();

/** The timeline of a history that was observed; made once. */
export function timelineOf(history: History): Timeline {
  const known = timelines.get(history);
  if (known !== undefined) return known;
  const violations: Violation[] = [];
  const lines = new Map<number, Line>();
  const renewals = renewalsOf(history.operations);
  for (const [partition, events] of history.committed ?? nobody) {
    const intervals = intervalsOf(events, renewals, violations);
    const lowest = new Float64Array(events.length).fill(Number.NEGATIVE_INFINITY);
    const highest = new Float64Array(events.length).fill(Number.POSITIVE_INFINITY);
    for (const { time, at } of events) highest[at] = time;
    lines.set(partition, { partition, events, intervals, lowest, highest });
  }
  const timeline = { lines, violations };
  new Bounds(history, timeline, violations).apply();
  timelines.set(history, timeline);
  return timeline;
}

/** By tuple: the ends of lease that renewals gave it; undefined end: one of unknown outcome. */
function renewalsOf(operations: readonly Operation[]): ReadonlyMap<number, number> {
  const earliest = new Map<number, number>();
  for (const { operation, outcome, arguments: asked, result } of operations) {
    if (operation !== 'renew' || asked.tupleId === undefined || outcome === 'failed') continue;
    const end = outcome === 'ok' ? (result.leaseEndMs ?? Number.POSITIVE_INFINITY) : 0;
    earliest.set(asked.tupleId, Math.min(end, earliest.get(asked.tupleId) ?? end));
  }
  return earliest;
}

const expectedState: Readonly<Record<string, 'ready' | 'handed' | 'none' | 'any'>> = {
  WRITTEN: 'none',
  TAKEN: 'ready',
  RETURNED: 'handed',
  REPLACED: 'ready',
  EXPIRED: 'any',
  CANCELLED: 'ready',
};

function intervalsOf(
  events: readonly Committed[],
  renewals: ReadonlyMap<number, number>,
  violations: Violation[],
): Interval[] {
  const intervals: Interval[] = [];
  const open = new Map<number, Interval>();
  const gone = new Set<number>();
  for (const { event, at } of events) {
    const say = (message: string): void => {
      const where = `partition ${event.partition} revision ${event.revision}.${event.position}`;
      violations.push({ checker: 'committed', message: `${where}: ${message}`, operations: [] });
    };
    const before = open.get(event.id);
    const state = before?.state ?? 'none';
    const expected = expectedState[event.kind];
    if (
      gone.has(event.id) ||
      (expected !== 'any' && state !== expected) ||
      state + expected === 'noneany'
    ) {
      say(`${event.kind} of tuple ${event.id}, which is ${gone.has(event.id) ? 'gone' : state}`);
      if (state === 'none' && event.kind !== 'WRITTEN') continue;
    }
    if (before !== undefined) before.to = at;
    const over = event.leaseEndMs !== null && event.atMs >= event.leaseEndMs;
    if (
      over &&
      (event.kind === 'TAKEN' || event.kind === 'RETURNED' || event.kind === 'CANCELLED')
    ) {
      say(
        `${event.kind} of tuple ${event.id} at ${event.atMs}, after its lease: ${event.leaseEndMs}`,
      );
    }
    if (event.kind === 'RETURNED' && before?.deliveries !== event.deliveries - 1) {
      say(`given back with ${event.deliveries} deliveries after ${before?.deliveries}`);
    }
    if (event.kind === 'EXPIRED' || event.kind === 'CANCELLED') {
      open.delete(event.id);
      gone.add(event.id);
      continue;
    }
    const interval: Interval = {
      state: event.kind === 'TAKEN' ? 'handed' : 'ready',
      id: event.id,
      tupleRevision: event.tupleRevision,
      deliveries: event.deliveries,
      space: event.space,
      tuple: event.tuple,
      leaseEndMs: event.leaseEndMs,
      renewed: renewals.has(event.id),
      from: at,
      to: Number.POSITIVE_INFINITY,
      hiddenFrom: Number.POSITIVE_INFINITY,
    };
    intervals.push(interval);
    open.set(event.id, interval);
  }
  hideByLease(events, intervals, renewals);
  return intervals;
}

/** Past the last event whose stamp lies before the end of its lease, a tuple may be hidden. */
function hideByLease(
  events: readonly Committed[],
  intervals: readonly Interval[],
  renewals: ReadonlyMap<number, number>,
): void {
  for (const interval of intervals) {
    const renewedEnd = renewals.get(interval.id) ?? Number.POSITIVE_INFINITY;
    const end = Math.min(interval.leaseEndMs ?? Number.POSITIVE_INFINITY, renewedEnd);
    if (end === Number.POSITIVE_INFINITY) continue;
    let at = interval.from;
    while (at + 1 < events.length && (events[at + 1]?.event.atMs ?? end) < end) at++;
    interval.hiddenFrom = at;
  }
}

/** Narrows the times of events by what was answered, and complains where nothing is left. */
class Bounds {
  readonly #history: History;
  readonly #timeline: Timeline;
  readonly #violations: Violation[];
  /** What an event did: `written u`, `taken id/deliveries`, … */
  readonly #byDeed = new Map<string, { readonly line: Line; readonly at: number }>();

  constructor(history: History, timeline: Timeline, violations: Violation[]) {
    this.#history = history;
    this.#timeline = timeline;
    this.#violations = violations;
  }

  apply(): void {
    for (const line of this.#timeline.lines.values()) {
      for (const { event, at } of line.events) this.#index(line, event, at);
    }
    for (const operation of this.#history.operations) this.#mutation(operation);
    for (const operation of this.#history.operations) this.#reading(operation);
    for (const line of this.#timeline.lines.values()) this.#narrow(line);
  }

  #index(line: Line, event: Committed['event'], at: number): void {
    const unique = uniqueOf(event.tuple) ?? '';
    const deeds: string[] = [];
    if (event.kind === 'WRITTEN') deeds.push(`written ${unique}`);
    if (event.kind === 'TAKEN') deeds.push(`taken ${event.id}/${event.deliveries}`);
    if (event.kind === 'CANCELLED') deeds.push(`cancelled ${event.id}`);
    if (event.kind === 'REPLACED') {
      deeds.push(`formed ${event.id}@${event.tupleRevision}`);
      if (event.old === null || uniqueOf(event.old) !== unique) deeds.push(`replaced ${unique}`);
    }
    for (const deed of deeds) {
      if (this.#byDeed.has(deed)) this.#say(`${deed} twice in the committed history`, []);
      else this.#byDeed.set(deed, { line, at });
    }
  }

  /** An operation that changed something: its event lies between its call and its answer. */
  #mutation(operation: Operation): void {
    const { operation: name, arguments: asked, result, outcome } = operation;
    const sure = outcome === 'ok';
    if (name === 'write' || name === 'write-if-absent') {
      this.#deed(operation, `written ${uniqueOf(asked.tuple ?? []) ?? ''}`, sure, result.written);
    } else if (name === 'write-many') {
      for (const [at, tuple] of (asked.tuples ?? []).entries()) {
        const written = result.outcomes?.[at]?.written;
        this.#deed(operation, `written ${uniqueOf(tuple) ?? ''}`, written !== undefined, written);
      }
    } else if (name === 'replace') {
      this.#deed(operation, `replaced ${uniqueOf(asked.tuple ?? []) ?? ''}`, sure, result.written);
    } else if (name === 'increment' && sure) {
      const found = result.found?.[0];
      this.#deed(operation, `formed ${found?.id}@${found?.revision}`, true, found);
    } else if (name === 'cancel' && sure && result.cancelled === true) {
      this.#deed(operation, `cancelled ${asked.tupleId}`, true, undefined);
    }
    for (const found of receivedBy(operation)) {
      this.#deed(operation, `taken ${found.id}/${found.deliveries}`, true, undefined);
    }
  }

  #deed(
    operation: Operation,
    deed: string,
    sure: boolean,
    written: { readonly id: number; readonly revision: number } | undefined,
  ): void {
    const place = this.#byDeed.get(deed);
    if (place === undefined) {
      if (sure)
        this.#say(`${deed}: acknowledged, and not in the committed history`, [operation.id]);
      return;
    }
    const { line, at } = place;
    const event = line.events[at]?.event;
    if (
      written !== undefined &&
      (event?.id !== written.id || event.tupleRevision !== written.revision)
    ) {
      this.#say(`${deed}: answered with another id or revision than it has`, [operation.id]);
    }
    if (operation.outcome === 'failed' || (operation.outcome === 'nothing' && !sure)) {
      this.#say(`${deed}: it happened, though it was answered that it did not`, [operation.id]);
    }
    line.lowest[at] = Math.max(line.lowest[at] ?? 0, operation.invoked);
    if (sure) line.highest[at] = Math.min(line.highest[at] ?? 0, operation.completed);
  }

  /** What was found must have stood ready at an instant of the call; many at one and the same. */
  #reading(operation: Operation): void {
    if (operation.operation !== 'read' && operation.operation !== 'read-many') return;
    const spans = new Map<number, { from: number; to: number }>();
    for (const found of operation.result.found ?? []) {
      const line = this.#timeline.lines.get(found.partition);
      const interval = line?.intervals.find(
        (each) =>
          each.id === found.id &&
          each.tupleRevision === found.revision &&
          each.deliveries === found.deliveries &&
          each.state === found.state,
      );
      if (line === undefined || interval === undefined) {
        this.#say(`tuple ${found.id} was read in a state it never had`, [operation.id]);
        continue;
      }
      if (JSON.stringify(interval.tuple) !== JSON.stringify(found.tuple)) {
        this.#say(`tuple ${found.id} was read with fields it never had`, [operation.id]);
      }
      const span = spans.get(found.partition) ?? { from: -1, to: Number.POSITIVE_INFINITY };
      span.from = Math.max(span.from, interval.from);
      span.to = Math.min(span.to, visibleUntil(line, interval));
      spans.set(found.partition, span);
    }
    for (const [partition, span] of spans) {
      const line = this.#timeline.lines.get(partition);
      if (span.from >= span.to) {
        this.#say(`what was read in partition ${partition} was never there together`, [
          operation.id,
        ]);
      } else if (line !== undefined) {
        line.highest[span.from] = Math.min(line.highest[span.from] ?? 0, operation.completed);
        if (span.to < line.events.length) {
          line.lowest[span.to] = Math.max(line.lowest[span.to] ?? 0, operation.invoked);
        }
      }
    }
  }

  #narrow(line: Line): void {
    const { lowest, highest, events } = line;
    for (let at = 1; at < events.length; at++) {
      lowest[at] = Math.max(lowest[at] ?? 0, lowest[at - 1] ?? 0);
    }
    for (let at = events.length - 2; at >= 0; at--) {
      highest[at] = Math.min(highest[at] ?? 0, highest[at + 1] ?? 0);
    }
    for (const { event, at } of events) {
      if ((lowest[at] ?? 0) <= (highest[at] ?? 0)) continue;
      const where = `partition ${line.partition} revision ${event.revision}.${event.position}`;
      this.#say(
        `${where}: ${event.kind} of tuple ${event.id} cannot have happened between call and answer`,
        [],
      );
      return;
    }
  }

  #say(message: string, operations: readonly number[]): void {
    this.#violations.push({ checker: 'linearizable', message, operations });
  }
}

/** The event from which on nobody may see the tuple: its end, or a stamp at or past its lease's. */
function visibleUntil(line: Line, interval: Interval): number {
  if (interval.leaseEndMs === null || interval.renewed) return interval.to;
  const end = interval.leaseEndMs;
  let at = interval.from + 1;
  while (
    at < Math.min(interval.to, line.events.length) &&
    (line.events[at]?.event.atMs ?? 0) < end
  ) {
    at++;
  }
  return Math.min(interval.to, at >= line.events.length ? Number.POSITIVE_INFINITY : at);
}

/** Between which events (after `first`, up to after `last`) a call may have taken effect. -1: before all. */
export function instantsOf(
  line: Line,
  operation: Operation,
): { readonly first: number; readonly last: number } {
  let first = -1;
  while (first + 1 < line.events.length && (line.highest[first + 1] ?? 0) < operation.invoked)
    first++;
  let last = line.events.length - 1;
  while (last >= 0 && (line.lowest[last] ?? 0) > operation.completed) last--;
  return { first, last: Math.max(first, last) };
}
