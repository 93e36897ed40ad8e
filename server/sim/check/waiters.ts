/** Waiting calls: served when they can be, in the order in which they came, and answered in time. */
import type { Checker, History, Operation, Violation } from './history.ts';
import { receivedBy } from './history.ts';
import { timelineOf } from './timeline.ts';
import { matches } from './values.ts';

const nsPerMs = 1_000_000;
const waiting = new Set(['read', 'take', 'read-many', 'take-many']);
/** What was written so long before everything was quiet has found its waiters. */
const settleNs = 1_000 * nsPerMs;
/** A wait's end is answered within 50 ms (SPEC §3), and what the way of request and answer takes. */
const endAnsweredMs = 50;
/** Beside the way of a request: what a partition takes to get to know a session. */
const arrivedMs = 500;
/** What a fault held up is through so long after it. */
const afterFaultNs = 1_000 * nsPerMs;

/** I8 and I9: at rest no living client waits while a free match exists, and no ended wait goes unanswered. */
export const waiters: Checker = {
  name: 'waiters',
  check(history) {
    const violations: Violation[] = [];
    const { quietAt } = history;
    if (quietAt === undefined) return violations;
    const say = (message: string, operation: Operation): void => {
      violations.push({ checker: 'waiters', message, operations: [operation.id] });
    };
    const left = history.operations.flatMap((each) =>
      each.operation === 'survey'
        ? (each.result.found ?? []).map((found) => ({ found, space: each.arguments.space }))
        : [],
    );
    for (const operation of history.operations) {
      const { operation: name, invoked, completed, arguments: asked, process } = operation;
      if (name === 'notify' || name === 'survey') continue;
      if (completed <= quietAt || invoked > quietAt - settleNs || history.ends.has(process))
        continue;
      const blocks = waiting.has(name) && (asked.waitMs === null || (asked.waitMs ?? 0) > 0);
      const waitEnd = invoked + (asked.waitMs ?? Number.POSITIVE_INFINITY) * nsPerMs;
      if (!blocks || waitEnd < quietAt - settleNs) {
        say(`${name} of ${process} was never answered`, operation);
        continue;
      }
      const free = left.filter(
        ({ found, space }) =>
          space === asked.space &&
          found.state === 'ready' &&
          found.leaseEndMs === null &&
          matches(asked.template ?? null, found.tuple),
      );
      if (free.length < (asked.min ?? 1)) continue;
      say(`${name} of ${process} waits, and tuple ${free[0]?.found.id} is free`, operation);
    }
    return violations;
  },
};

/** Whether something was done to everybody, or to one of the processes, that may have held them up. */
function disturbed(
  history: History,
  from: number,
  to: number,
  processes: readonly string[],
): boolean {
  return history.faults.some(
    (fault) =>
      fault.time <= to &&
      fault.time + (fault.forMs ?? 0) * nsPerMs >= from - afterFaultNs &&
      (fault.process === undefined || processes.includes(fault.process)),
  );
}

/** The longest that a free tuple and a call that wants it may stand beside each other undisturbed. */
const starvedMs = 1_500;

/** Whether `forNs` without a disturbance lie between these times. */
function hasCalm(
  history: History,
  span: { readonly from: number; readonly to: number; readonly forNs: number },
  process: string,
): boolean {
  let from = span.from;
  for (const fault of history.faults) {
    if (from + span.forNs > span.to) return false;
    if (fault.process !== undefined && fault.process !== process) continue;
    if (fault.time > from + span.forNs) return true;
    from = Math.max(from, fault.time + (fault.forMs ?? 0) * nsPerMs + afterFaultNs);
  }
  return from + span.forNs <= span.to;
}

/** I8 in the middle of a run: nobody waits beside a free tuple that he wants, for long. */
export const starved: Checker = {
  name: 'starved',
  check(history) {
    const violations: Violation[] = [];
    const end = history.quietAt ?? 0;
    const forNs = (starvedMs + history.wayMs) * nsPerMs;
    const waits = history.operations.filter(
      (each) =>
        waiting.has(each.operation) &&
        (each.arguments.min ?? 1) <= 1 &&
        !history.ends.has(each.process) &&
        Math.min(each.completed, end) - each.invoked > forNs,
    );
    if (waits.length === 0) return violations;
    for (const { events, intervals } of timelineOf(history).lines.values()) {
      for (const interval of intervals) {
        if (interval.state !== 'ready' || interval.leaseEndMs !== null || interval.renewed)
          continue;
        const from = events[interval.from]?.time ?? end;
        const to = Math.min(end, events[interval.to]?.time ?? end);
        if (to - from < forNs) continue;
        for (const { id, invoked, completed, operation, process, arguments: asked } of waits) {
          const span = { from: Math.max(from, invoked), to: Math.min(to, completed), forNs };
          if (span.to - span.from < forNs || asked.space !== interval.space) continue;
          if (!matches(asked.template ?? null, interval.tuple)) continue;
          if (!hasCalm(history, span, process)) continue;
          const message = `${operation} of ${process} waited beside tuple ${interval.id} for ${Math.round((span.to - span.from) / nsPerMs)} ms`;
          violations.push({ checker: 'starved', message, operations: [id] });
        }
      }
    }
    return violations;
  },
};

/** SPEC §3: within 50 ms of a wait's end comes an answer. Judged where no fault was near. */
export const waitEnds: Checker = {
  name: 'wait-ends',
  check(history) {
    const violations: Violation[] = [];
    for (const operation of history.operations) {
      const { waitMs } = operation.arguments;
      if (!waiting.has(operation.operation) || waitMs === null || waitMs === undefined) continue;
      if (history.ends.has(operation.process)) continue;
      const due = operation.invoked + (waitMs + endAnsweredMs + history.wayMs) * nsPerMs;
      if (
        operation.completed <= due ||
        disturbed(history, operation.invoked, due, [operation.process])
      )
        continue;
      if (history.quietAt === undefined || due > history.quietAt) continue;
      const message = `${operation.operation} waited ${waitMs} ms and was answered ${Math.round((operation.completed - due) / nsPerMs)} ms too late`;
      violations.push({ checker: 'wait-ends', message, operations: [operation.id] });
    }
    return violations;
  },
};

/** Pinned single takes that were served, with the place of their hand-over. */
function servedTakes(history: History): { operation: Operation; partition: number; at: number }[] {
  const places = new Map<string, { partition: number; at: number }>();
  for (const [partition, events] of history.committed ?? []) {
    for (const { event, at } of events) {
      if (event.kind === 'TAKEN') places.set(`${event.id}/${event.deliveries}`, { partition, at });
    }
  }
  const served: { operation: Operation; partition: number; at: number }[] = [];
  for (const operation of history.operations) {
    if (operation.operation !== 'take' || operation.arguments.pinned !== true) continue;
    const found = receivedBy(operation)[0];
    const place = found && places.get(`${found.id}/${found.deliveries}`);
    if (place !== undefined) served.push({ operation, ...place });
  }
  return served.sort((left, right) => left.at - right.at);
}

/** SPEC §3, W2: of the waiters whose template matches, the one that came first. Judged without faults. */
export const firstCome: Checker = {
  name: 'first-come',
  check(history) {
    const violations: Violation[] = [];
    const byPartition = new Map<number, ReturnType<typeof servedTakes>>();
    for (const take of servedTakes(history)) {
      const list = byPartition.get(take.partition);
      if (list === undefined) byPartition.set(take.partition, [take]);
      else list.push(take);
    }
    for (const list of byPartition.values()) {
      for (const [at, later] of list.entries()) {
        for (const earlier of list.slice(0, at)) {
          // `earlier` was served first; `later` must not have been waiting for the same tuple before it came.
          const { operation: early } = earlier;
          const { operation: late } = later;
          if (late.invoked + (arrivedMs + history.wayMs) * nsPerMs > early.invoked) continue;
          const tuple = early.result.found?.[0]?.tuple ?? [];
          const meant = late.arguments.space === early.arguments.space;
          if (!meant || !matches(late.arguments.template ?? null, tuple)) continue;
          if (disturbed(history, late.invoked, late.completed, [late.process, early.process])) {
            continue;
          }
          const message = `take of ${early.process} was served before an earlier one of ${late.process}`;
          violations.push({ checker: 'first-come', message, operations: [early.id, late.id] });
        }
      }
    }
    return violations;
  },
};
