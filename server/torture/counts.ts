/** What a round did, counted from its history; and what it must have done at least. */
import { type History, type Operation, receivedBy } from '../sim/check/history.ts';

/** The floors of a round (issue: a round below them has shown nothing). */
export const floors = { operations: 2_000, seconds: 10, blockingShare: 0.2, unpinnedShare: 0.2 };

/** Numbers of one round, or of all. */
export interface Counts {
  /** Operations that were called. */
  invoked: number;
  /** Of these: answered with what was asked for. */
  ok: number;
  /** Of the successful ones: those that were asked to wait, and those that address many partitions. */
  blocking: number;
  unpinned: number;
  /** Tuples handed over to applications. */
  received: number;
  /** Of these: tuples that had been handed to somebody before. */
  redelivered: number;
  /** Events that notifications gave. */
  events: number;
  /** By `operation outcome`. */
  readonly byKind: Map<string, number>;
}

/** Nothing yet. */
export function noCounts(): Counts {
  return {
    invoked: 0,
    ok: 0,
    blocking: 0,
    unpinned: 0,
    received: 0,
    redelivered: 0,
    events: 0,
    byKind: new Map(),
  };
}

function isByClient({ operation }: Operation): boolean {
  return operation !== 'notify' && operation !== 'survey';
}

/** Counts a round. */
export function countsOf(history: History): Counts {
  const counts = noCounts();
  for (const operation of history.operations) {
    if (!isByClient(operation)) continue;
    const { outcome, arguments: asked } = operation;
    counts.invoked += 1;
    bump(counts.byKind, `${operation.operation} ${outcome}`, 1);
    const received = receivedBy(operation);
    counts.received += received.length;
    counts.redelivered += received.filter(({ deliveries }) => deliveries > 0).length;
    if (outcome !== 'ok') continue;
    counts.ok += 1;
    if (asked.waitMs === null || (asked.waitMs ?? 0) > 0) counts.blocking += 1;
    if (asked.pinned === false) counts.unpinned += 1;
  }
  counts.events = history.streams.reduce((sum, stream) => sum + stream.events.length, 0);
  return counts;
}

function bump(counts: Map<string, number>, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}

/** Adds a round to a sum. */
export function addCounts(sum: Counts, more: Counts): void {
  sum.invoked += more.invoked;
  sum.ok += more.ok;
  sum.blocking += more.blocking;
  sum.unpinned += more.unpinned;
  sum.received += more.received;
  sum.redelivered += more.redelivered;
  sum.events += more.events;
  for (const [name, count] of more.byKind) bump(sum.byKind, name, count);
}

/** What a round of `seconds` had too little of; empty: it counts. */
export function belowFloors(counts: Counts, seconds: number): readonly string[] {
  const low: string[] = [];
  const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;
  const blocking = counts.blocking / Math.max(1, counts.ok);
  const unpinned = counts.unpinned / Math.max(1, counts.ok);
  if (seconds < floors.seconds) low.push(`${seconds.toFixed(1)} s of ${floors.seconds}`);
  if (counts.ok < floors.operations) {
    low.push(`${counts.ok} successful operations of ${floors.operations}`);
  }
  if (blocking < floors.blockingShare) low.push(`only ${percent(blocking)} blocking`);
  if (unpinned < floors.unpinnedShare) low.push(`only ${percent(unpinned)} unpinned`);
  return low;
}
