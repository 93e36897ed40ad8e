import type { Cancel } from '../base/doors.ts';
import type { NodeId, PartitionId, Term } from '../base/ids.ts';

/** A node that clients can reach. */
export interface ReachableNode {
  readonly id: NodeId;
  /** `host:port`. */
  readonly clientAddress: string;
}

/** Who leads a partition. */
export interface PartitionLeader {
  readonly node: NodeId;
  readonly epoch: Term;
}

/** What clients are told of the cluster, as far as this node has heard. Wherever it comes from. */
export interface ClusterView {
  readonly clusterId: string;
  readonly self: NodeId;
  /** How many partitions there are. */
  readonly partitions: number;
  /** In order of id. */
  nodes(): readonly ReachableNode[];
  /** Undefined: not known here. */
  leaderOf(partition: PartitionId): PartitionLeader | undefined;
  /** Calls `run` after changes of nodes and leaders. */
  onChange(run: () => void): Cancel;
}
