/** The partition's clock, and what rests on it: leases. */
import type { Checker, History, Operation, Violation } from './history.ts';

const nsPerMs = 1_000_000;
/** Expiry is seen within 100 ms (SPEC §4); what comes on top is the way of the request. */
const expirySeenMs = 100;

/** Stamps never fall, across restarts either. */
export const stamps: Checker = {
  name: 'stamps',
  check(history) {
    const violations: Violation[] = [];
    for (const [partition, events] of history.committed ?? []) {
      let last = 0;
      for (const { event } of events) {
        if (event.atMs < last) {
          const message = `partition ${partition} revision ${event.revision}: stamp ${event.atMs} after ${last}`;
          violations.push({ checker: 'stamps', message, operations: [] });
        }
        last = Math.max(last, event.atMs);
      }
    }
    return violations;
  },
};

interface Lease {
  readonly id: number;
  readonly leaseMs: number;
  readonly from: Operation;
}

/** Leases granted, by tuple; a renewed tuple has several. */
function leasesOf(history: History): Map<number, Lease[]> {
  const leases = new Map<number, Lease[]>();
  const grant = (id: number | undefined, leaseMs: number | undefined, from: Operation): void => {
    if (id === undefined) return;
    const list = leases.get(id) ?? [];
    list.push({ id, leaseMs: leaseMs ?? Number.POSITIVE_INFINITY, from });
    leases.set(id, list);
  };
  for (const operation of history.operations) {
    const { result, arguments: asked, outcome, operation: name } = operation;
    if (name === 'renew') {
      // One that may not have happened is as good as an endless lease, and as a short one.
      if (outcome === 'ok' ? result.renewed === true : outcome === 'unknown') {
        grant(asked.tupleId, asked.leaseMs, operation);
        if (outcome === 'unknown') grant(asked.tupleId, 0, operation);
      }
    } else if (outcome === 'ok' && name !== 'replace')
      grant(result.written?.id, asked.leaseMs, operation);
    else if (name === 'replace' && result.written !== undefined) {
      grant(result.written.id, undefined, operation);
    }
    for (const each of result.outcomes ?? []) grant(each.written?.id, asked.leaseMs, operation);
  }
  // Of a write whose answer was lost nobody knows the lease that a renewal may have changed.
  for (const [id, granted] of leases) {
    if (granted.every(({ from }) => from.outcome !== 'ok')) leases.delete(id);
  }
  return leases;
}

/** What may part a partition's clock from everybody's time, or hold up what it says. */
const clockFaults = new Set([
  'crash',
  'leader changed',
  'restart',
  'node paused',
  'wall clock jumped',
  'slow sync',
  'disk full',
  'disk error',
]);

/** Whether the partitions' clocks ran with everybody's time: no restart, no jump, no pause of the node. */
function undisturbed(history: History, from: number, to: number): boolean {
  return !history.faults.some(
    (fault) =>
      clockFaults.has(fault.fault) &&
      fault.time + (fault.forMs ?? 0) * nsPerMs >= from - 2_000 * nsPerMs &&
      fault.time <= to,
  );
}

function seenTooLate(
  history: History,
  leases: ReadonlyMap<number, readonly Lease[]>,
  violations: Violation[],
): void {
  for (const operation of history.operations) {
    const { operation: name, result, invoked, outcome } = operation;
    if (outcome !== 'ok' || !/^(read|take)/.test(name)) continue;
    for (const found of result.found ?? []) {
      const granted = leases.get(found.id) ?? [];
      const ends = granted.map((lease) => lease.from.completed + lease.leaseMs * nsPerMs);
      const end = Math.max(...ends, 0);
      const begun = Math.min(...granted.map((lease) => lease.from.invoked), invoked);
      // The margin holds what a drifting clock adds: a lease of ten minutes, 200 ppm.
      if (end === 0 || invoked <= end + (expirySeenMs + 120) * nsPerMs) continue;
      if (!undisturbed(history, begun, invoked)) continue;
      const message = `${name} gave tuple ${found.id} ${Math.round((invoked - end) / nsPerMs)} ms after its lease`;
      violations.push({ checker: 'leases', message, operations: [operation.id] });
    }
  }
}

function endedTooEarly(
  history: History,
  leases: ReadonlyMap<number, readonly Lease[]>,
  violations: Violation[],
): void {
  for (const events of history.committed?.values() ?? []) {
    for (const { event, time } of events) {
      if (event.kind !== 'EXPIRED') continue;
      const say = (message: string): void => {
        violations.push({ checker: 'leases', message, operations: [] });
      };
      if (event.leaseEndMs === null) say(`tuple ${event.id} expired without a lease`);
      else if (event.atMs < event.leaseEndMs) {
        say(`tuple ${event.id} expired at ${event.atMs}, before ${event.leaseEndMs}`);
      }
      const granted = leases.get(event.id) ?? [];
      const earliest = Math.min(
        ...granted.map((lease) => lease.from.invoked + lease.leaseMs * nsPerMs),
      );
      const begun = Math.min(...granted.map((lease) => lease.from.invoked));
      // 5 ms: rounding to whole milliseconds, and the drift of the node's clock.
      if (time < earliest - 5 * nsPerMs && undisturbed(history, begun, time)) {
        if (Number.isFinite(earliest)) {
          say(
            `tuple ${event.id} expired ${(earliest - time) / nsPerMs} ms before its lease can be over`,
          );
        }
      }
    }
  }
}

/** At rest nothing lies there whose lease was over long ago. */
function neverEnded(
  history: History,
  granted: ReadonlyMap<number, readonly Lease[]>,
  violations: Violation[],
): void {
  const calmSince = history.faults
    .filter((fault) => clockFaults.has(fault.fault))
    .reduce((last, fault) => Math.max(last, fault.time + (fault.forMs ?? 0) * nsPerMs), 0);
  for (const operation of history.operations) {
    if (operation.operation !== 'survey') continue;
    for (const found of operation.result.found ?? []) {
      const ends = (granted.get(found.id) ?? []).map(
        (lease) => Math.max(lease.from.completed, calmSince) + lease.leaseMs * nsPerMs,
      );
      const end = Math.max(...ends, 0);
      if (end === 0 || operation.invoked <= end + 1_000 * nsPerMs) continue;
      const message = `tuple ${found.id} is still there ${Math.round((operation.invoked - end) / nsPerMs)} ms after its lease`;
      violations.push({ checker: 'leases', message, operations: [operation.id] });
    }
  }
}

/** A hidden tuple stays hidden, an expiry is seen in time and never early. */
export const leases: Checker = {
  name: 'leases',
  check(history) {
    const violations: Violation[] = [];
    const granted = leasesOf(history);
    seenTooLate(history, granted, violations);
    endedTooEarly(history, granted, violations);
    neverEnded(history, granted, violations);
    return violations;
  },
};
