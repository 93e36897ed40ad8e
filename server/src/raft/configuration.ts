import { assert } from '../base/assert.ts';

/**
 * Who takes part in a group. While `outgoing` has members the configuration is joint, and every
 * decision needs a majority of both halves (Ongaro 2014 §4.3). Ids are in ascending order.
 *
 * Invariant: learners are in neither half; whoever is in `learnersNext` is in `outgoing`, and becomes
 * a learner when the joint configuration is left.
 */
export interface Configuration {
  /** The voters; while joint, those of the configuration that is coming. */
  readonly voters: readonly number[];
  /** The voters of the configuration that is going; empty when not joint. */
  readonly outgoing: readonly number[];
  /** Those who get the log without a vote. */
  readonly learners: readonly number[];
  readonly learnersNext: readonly number[];
  /** The leader leaves this joint configuration by itself, as soon as it is applied. */
  readonly autoLeave: boolean;
}

/** Nobody: what a replica has that waits for its first snapshot. */
export const emptyConfiguration: Configuration = {
  voters: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** A configuration that is not joint. Ids in any order. */
export function configurationOf(
  voters: readonly number[],
  learners: readonly number[] = [],
): Configuration {
  return { ...emptyConfiguration, voters: ascending(voters), learners: ascending(learners) };
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

/** Whether a replica votes, in either half. */
export function isVoter(configuration: Configuration, id: number): boolean {
  return configuration.voters.includes(id) || configuration.outgoing.includes(id);
}

/** Voters of both halves, once each, ascending. */
export function votersOf({ voters, outgoing }: Configuration): number[] {
  return ascending([...new Set([...voters, ...outgoing])]);
}

/** Everybody who gets the log, once each, ascending. */
export function membersOf(configuration: Configuration): number[] {
  return ascending([...new Set([...votersOf(configuration), ...configuration.learners])]);
}

/** Whether a replica is one of the configuration. */
export function isMember(configuration: Configuration, id: number): boolean {
  return isVoter(configuration, id) || configuration.learners.includes(id);
}

/** Asserts the invariant above. */
export function assertConfiguration(configuration: Configuration): void {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  for (const ids of [voters, outgoing, learners, learnersNext]) assertAscending(ids);
  for (const id of learners) assert(!isVoter(configuration, id), 'a learner has no vote');
  for (const id of learnersNext) {
    assert(outgoing.includes(id), 'who is to become a learner votes in the outgoing half');
    assert(!voters.includes(id), 'who is to become a learner does not vote in the incoming half');
  }
  if (outgoing.length > 0) return;
  assert(learnersNext.length === 0, 'only a joint configuration has learners to come');
  assert(!autoLeave, 'only a joint configuration is left');
}

/** The ids in ascending order, as a new array. */
export function ascending(ids: readonly number[]): number[] {
  return [...ids].sort((a, b) => a - b);
}

function assertAscending(ids: readonly number[]): void {
  let before = 0;
  for (const id of ids) {
    assert(Number.isSafeInteger(id), 'an id is a safe integer');
    assert(id > before, 'ids ascend from 1');
    before = id;
  }
}
