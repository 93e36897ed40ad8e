/**
 * Why a call failed, as its caller will see it. The reasons are rows of `proto/errors.json`, which
 * gives each its gRPC code and says whether the call surely did not happen.
 */
import type { ErrorReason } from '@tuplet/proto';
import type { PartitionId } from '../base/ids.ts';
import type { SendingRefused } from '../coordination/take-answer.ts';
import type { Refusal } from '../space/outcome.ts';

/** One failure. */
export interface Failure {
  readonly reason: ErrorReason;
  /** A sentence for people, lower-case, without another caller's data (SPEC §10). */
  readonly message: string;
  /** The path of the argument that was refused, in the contract's words. */
  readonly field?: string;
  /** The limit that was broken. */
  readonly limit?: number;
  /** After how long another try is sensible, where time helps. */
  readonly retryMs?: number;
  /** The partition that the failure is about. */
  readonly partition?: PartitionId;
  /** The only sending was refused: if it happened at all, then by a copy that the network made. */
  readonly onlyByCopy?: boolean;
}

/** Whether an outcome of one tuple is a failure. */
export function isFailure(outcome: object): outcome is Failure {
  return 'reason' in outcome;
}

/** The argument at `field` is refused. */
export function invalid(
  reason: ErrorReason,
  field: string,
  message: string,
  limit?: number,
): Failure {
  return limit === undefined ? { reason, field, message } : { reason, field, message, limit };
}

/** The partition has no leader that this node knows of; nothing was done. */
export function noLeader(partition: PartitionId): Failure {
  return {
    reason: 'NO_LEADER',
    message: `partition ${partition} has no leader now`,
    retryMs: 100,
    partition,
  };
}

/** Whether there is such a space cannot be told: the cluster's own map could not be looked at in time. */
export const noMapLeader: Failure = {
  reason: 'NO_LEADER',
  message: 'group 0, the cluster map, has no leader now that can be asked for the space',
  retryMs: 100,
  partition: 0 as PartitionId,
};

/** Whether it happened is not known yet; the same request fetches the outcome later. */
export function outcomeUnknown(partition: PartitionId): Failure {
  return {
    reason: 'OUTCOME_UNKNOWN',
    message: `partition ${partition} has not said yet how the operation ended`,
    retryMs: 100,
    partition,
  };
}

/**
 * A leader refused a sending, and an earlier one, or a copy, may have been carried out, or yet be: the
 * reason and the limit are told all the same.
 */
export function inDoubt(refusal: SendingRefused, onlyByCopy = false): Failure {
  const { partition, reason, message } = refusal;
  const unknown = outcomeUnknown(partition);
  const why = `partition ${partition} refused it (${reason}: ${message})`;
  const told = `${why}; another sending of it may have been carried out`;
  return { ...unknown, message: told, onlyByCopy };
}

/** A leader refused it; definitely not done. */
export function refusedBy(partition: PartitionId, reason: ErrorReason, message: string): Failure {
  return { reason, message, partition };
}

/** The operation is refused by its session (PROTOCOL §2). */
export function stopped(why: Refusal): Failure {
  switch (why) {
    case 'closed':
      return {
        reason: 'CLOSED_OPERATION',
        message: 'the sequence lies below the lowest one that its session has open',
      };
    case 'fenced':
      return {
        reason: 'FENCED',
        message: 'a newer attempt of the same operation has taken its place',
      };
    case 'ended':
    case 'unknown-session':
      return { reason: 'SESSION_EXPIRED', message: 'the session has ended or never was' };
  }
}

/** The remembered outcome belongs to another operation: its identity was used twice. */
export const identityReused: Failure = {
  reason: 'OPERATION_MISMATCH',
  message: 'the identity was used for another operation before',
};
