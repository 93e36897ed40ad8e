/** What runs of bare Raft groups must reach, and how often. */
import type { Coverage } from '../coverage.ts';

/** What befalls a group. */
const faultNames = [
  'crash',
  'crash while leading',
  'crash during a write',
  'crash with a torn write',
  'a write survived unconfirmed',
  'replica paused',
  'replica paused beyond an election timeout',
  'replica paused for five election timeouts',
  'clocks that drift',
  'slow sync',
  'group split',
  'one-way split',
  'one link cut',
  'leader cut off',
  'an election nobody waited for',
  'a voter restarted under a candidate',
  'a leader that crashed was lost',
  'a leader that lives was called lost',
  'a leader crashed as another heard that it had left',
  'message lost',
  'message repeated',
  'message overtaken',
  'message of an earlier life',
] as const;

/** Rare paths, by the schedule alone. */
const pathNames = [
  'two leaders at once',
  'a leader stepped down in its term',
  'an entry of a prior term was committed',
  'a log was cut back',
  'a void mark of an earlier term',
  'a vote refused for a shorter log',
  'a vote refused by a promise',
  'a pre-vote refused',
  'a read passed on',
  'a read without a round by a lease',
  'a read while the group was split',
  'a proposal refused for the uncommitted log',
  'a transfer that succeeded',
  'a transfer under a split',
  'a proposal refused during a transfer',
  'a simple change',
  'a joint change',
  'a joint change left by itself',
  'a joint change left when asked',
  'an election during a joint change',
  'a crash during a joint change',
  'a change refused',
  'a learner became a voter',
  'a voter became a learner',
  'a leader removed',
  'a leader removed while partitioned',
  'a removed replica was destroyed',
  'an answer of somebody unknown',
  'a log was compacted',
  'a snapshot installed',
  'a snapshot installed during a joint change',
  'a snapshot lost on its way',
  'a start from a snapshot',
  'a steady leader that a follower called lost',
  'a steady leader with a slow disk',
  'a steady leader whose follower stood still',
] as const;
export type RaftPath = (typeof faultNames)[number] | (typeof pathNames)[number];

/** Seeds below which no floor is enforced, and the floor in as many as are meant to be run. */
const fewSeeds = 300;
const manySeeds = 10_000;
const manyTimes = 100;

export const raftCoverage: Coverage = {
  faults: faultNames,
  paths: pathNames,
  floorFor: (seeds) => (seeds < fewSeeds ? 0 : Math.floor((manyTimes * seeds) / manySeeds)),
  operationsLeast: 100,
};
