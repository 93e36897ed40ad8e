/**
 * What a run reached: operations, faults, and rare paths by name, each with the least that a number
 * of seeds must reach. A checker that sees nothing because nothing happened proves nothing.
 */

/** Counts by name. */
export type Counts = Map<string, number>;

/** The names that must be reached at least 100 times in 3,000 seeds (and in proportion from 300 on). */
export const faultNames = [
  'crash',
  'crash with torn writes',
  'crash before a sync',
  'client killed',
  'client paused',
  'client paused beyond its lease',
  'connection broken',
  'connection stalled',
  'gateway killed',
  'slow sync',
  'disk full',
  'disk freed',
  'disk error',
  'node paused',
  'wall clock jumped',
  'message repeated',
  'message delayed',
] as const;

/** Rare paths, by the schedule alone. */
export const pathNames = [
  'a fence met an acceptance',
  'a late attempt after the end of its session',
  'a receipt was lost',
  'an offer lapsed',
  'an offer was declined',
  'a miss after another offer was declined',
  'a hand-over to a session that had ended',
  'a stamp across a restart',
  'a torn tail was trimmed',
  'a take while the disk was full',
  'a session ended and gave back',
  'a retry found its result',
  'a retry was fenced anew',
  'a blocked take was cancelled',
  'a cancelled take had its tuple',
  'two coordinators raced for one tuple',
  'a write with a hand-over',
  'a waiter waited across a restart',
  'a notify resumed',
  'a cursor had been compacted',
  'a message was heard in two turns',
  'a snapshot was cut',
  'a start from a snapshot',
  'a snapshot during a write',
  'a snapshot during a hand-over',
  'a snapshot during a receipt',
  'a snapshot during a fence',
  'a snapshot during an expiry',
  'a snapshot during a replace',
  'a snapshot during the end of a session',
] as const;

/** What the runs of a world must reach. */
export interface Coverage {
  readonly faults: readonly string[];
  readonly paths: readonly string[];
  /** The least count of each in this many seeds; 0 where too few were run for a floor. */
  readonly floorFor: (seeds: number) => number;
  /** Operations a seed, on average, where there is a floor. */
  readonly operationsLeast: number;
}

/** The least count in this many seeds; 0 where too few were run for a floor. */
export function floorFor(seeds: number): number {
  return seeds < 300 ? 0 : Math.floor((100 * seeds) / 3000);
}

/** What the world of one node must reach. */
export const nodeCoverage: Coverage = {
  faults: faultNames,
  paths: pathNames,
  floorFor,
  operationsLeast: 500,
};

/** Adds to a count. */
export function bump(counts: Counts, name: string, by = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}

/** Adds all of one to another. */
export function addCounts(to: Counts, from: ReadonlyMap<string, number>): void {
  for (const [name, count] of from) bump(to, name, count);
}
