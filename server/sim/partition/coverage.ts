/** What the runs of clusters must reach. */
import type { Coverage } from '../coverage.ts';

const faults = [
  'node crashed',
  'crash before a sync',
  'crash with torn writes',
  'node paused',
  'node paused beyond an election timeout',
  'network split',
  'link cut one way',
  'leader isolated',
  'leader isolated with its clients',
  'raft message lost',
  'raft message repeated',
  'raft message of an earlier life',
  'slow sync',
  'disk full',
  'disk error',
  'wall clock jumped',
  'client killed',
  'client paused',
  'client paused beyond its lease',
  'connection broken',
  'connection stalled',
  'gateway killed',
] as const;

const paths = [
  'a leadership began',
  'a leadership ended without a crash',
  'a deposed leader was asked',
  'a leadership was handed over',
  'a transfer under a split',
  'a snapshot was installed',
  'a snapshot was installed during a joint change',
  'a learner was added',
  'a voter was added',
  'a voter was replaced in one joint change',
  'a voter was removed',
  'a leader was removed',
  'a replica was removed while it was cut off',
  'a replica was buried',
  'a partition came back to a node that had buried one',
  'an acceptance of an old epoch',
  'an acceptance came again in a later epoch',
  'an offer was declined',
  'an offer lapsed',
  'a fence met an acceptance',
  'a session ended and gave back',
  'a retry found its result',
  'a waiter waited across a restart',
  'a blocked take was cancelled',
  'a notify resumed',
] as const;

/** Each at least 100 times in 2,000 seeds, and in proportion from 200 on. */
export const clusterCoverage: Coverage = {
  faults,
  paths,
  floorFor: (seeds) => (seeds < 200 ? 0 : Math.floor((100 * seeds) / 2_000)),
  operationsLeast: 500,
};
