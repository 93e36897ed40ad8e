/** What the runs of the cluster world must reach. */
import type { Coverage } from '../coverage.ts';
import { clusterCoverage } from '../partition/coverage.ts';

/** A connection repeats nothing, and what is late on it was sent in this life of both ends. */
const notOverLinks: readonly string[] = [
  'raft message repeated',
  'raft message of an earlier life',
  'an acceptance came again in a later epoch',
];

/** Changes of the partition world's own; a reconciler leaves no joint change open for long. */
const notByOperators: readonly string[] = [
  'a snapshot was installed during a joint change',
  'a learner was added',
  'a voter was added',
  'a voter was replaced in one joint change',
  'a voter was removed',
  'a leader was removed',
  'a replica was removed while it was cut off',
  'a partition came back to a node that had buried one',
];

const byOperators: readonly string[] = [
  'a node joined',
  'a node was drained',
  'a node was given up',
  'a node was removed',
  'a node was heard of before the map had it',
  'the number of replicas changed',
  'a move began',
  'a move was reported',
  'a replica came',
  'a leadership was balanced',
];

const faults: readonly string[] = [
  'a link fell silent',
  'a lane was full',
  'node stopped',
  'disk hung',
];

const paths: readonly string[] = [
  'a node left and led nothing',
  'a node stopped in good order',
  'a space was created',
  'a space was dropped',
  'a map was looked at',
  'what became of a space was not known',
];

/** Each at least 100 times in 2,000 seeds, and in proportion from 200 on. */
export const meshCoverage: Coverage = {
  ...clusterCoverage,
  faults: [...clusterCoverage.faults, ...faults].filter((name) => !notOverLinks.includes(name)),
  paths: [...clusterCoverage.paths, ...byOperators, ...paths].filter(
    (name) => !notOverLinks.includes(name) && !notByOperators.includes(name),
  ),
};
