/** What must hold of all replicas after the quiet phase. */
import type { PartitionId } from '../../src/base/ids.ts';
import { isJoint, membersOf } from '../../src/raft/configuration.ts';
import type { RunRecord } from '../run-record.ts';
import type { Cluster } from './cluster.ts';

/** What is judged. */
export interface AtRest {
  readonly cluster: Cluster;
  readonly record: RunRecord;
  readonly partitions: readonly PartitionId[];
  /** The latest stamp that an honest clock gives; undefined: no majority of clocks was honest. */
  readonly latestMs: number | undefined;
}

/** Every member has applied the same, and stands in the same state. */
export function judgeAtRest(rest: AtRest): void {
  for (const partition of rest.partitions) judgePartition(rest, partition);
}

function judgePartition({ cluster, record, latestMs }: AtRest, partition: PartitionId): void {
  const leader = cluster.leaderOf(partition);
  const own = leader?.host?.replicaOf(partition);
  if (leader?.host === undefined || own === undefined) return;
  const space = leader.host.spaceOf(partition);
  if (latestMs !== undefined && space.stampMs > latestMs) {
    const message = `partition ${partition} is at ${space.stampMs}, and one clock jumped; it is ${latestMs} at most`;
    record.say('one clock', message);
  }
  if (isJoint(own.configuration)) {
    record.say('liveness', `partition ${partition} is joint after the quiet phase`);
  }
  for (const member of membersOf(own.configuration)) {
    const other = cluster.nodeOf(partition, member)?.host;
    if (other?.replicaOf(partition)?.id !== member) {
      record.say('liveness', `partition ${partition}: member ${member} is not there`);
      continue;
    }
    const state = other.spaceOf(partition);
    if (state.appliedIndex !== space.appliedIndex) {
      const message = `partition ${partition}: replica ${member} has applied ${state.appliedIndex} of ${space.appliedIndex}`;
      record.say('liveness', message);
    } else if (state.stateHash() !== space.stateHash()) {
      const message = `partition ${partition}: replicas ${own.id} and ${member} differ at ${state.appliedIndex}`;
      record.say('replicas equal', message);
    }
  }
}
