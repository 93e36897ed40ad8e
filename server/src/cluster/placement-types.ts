/** What the map says of nodes and of where replicas live. DESIGN.md says how they change. */
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';

/** What a node is to its cluster. */
export type NodeState = 'member' | 'draining' | 'gone' | 'removed';

/** Where a node is, and what it is called. */
export interface NodeDescription {
  /** 1 to 128 characters, unique among nodes that are not removed. */
  readonly name: string;
  /** At most 128 characters; empty: none. Replicas of a group are spread over zones. */
  readonly zone: string;
  /** `host:port` at which other nodes dial it. */
  readonly peerAddress: string;
  /** `host:port` at which clients dial it. Empty: not known yet. */
  readonly clientAddress: string;
}

/** A node of the cluster. */
export interface NodeRecord extends NodeDescription {
  /** From 1; never given again. */
  readonly id: NodeId;
  /** 32 lower-case hex digits, random: the node's own. Empty for a founder. */
  readonly key: string;
  readonly state: NodeState;
}

/** What a replica shall be. Learners are in group 0 alone; elsewhere a role only goes on, so that no number comes back. */
export type ReplicaRole = 'learner' | 'joining' | 'voter' | 'leaving';

/** A replica of a group. */
export interface ReplicaPlace {
  /** Never given again in its group. */
  readonly replica: number;
  readonly node: NodeId;
  readonly role: ReplicaRole;
}

/** Where a group lives. */
export interface GroupPlacement {
  readonly group: GroupId;
  /** In order of replica. */
  readonly replicas: readonly ReplicaPlace[];
  /** The number that the next replica gets; all numbers given are below. */
  readonly nextReplica: number;
  /** Up to where in the group's log the configuration is in force that its leaders have reported last; 0: none yet. */
  readonly placedAt: LogIndex;
}

/** A group's replicas change: planned from a map, and refused where that has changed since. */
export interface BeginMoveCommand {
  readonly kind: 'begin-move';
  readonly group: GroupId;
  /** The node that gets a replica that votes; undefined: none does. */
  readonly add: NodeId | undefined;
  /** The replica that leaves; undefined: none does. */
  readonly remove: number | undefined;
}

/** A group's leader reports its configuration, committed and not joint. */
export interface PlacedCommand {
  readonly kind: 'placed';
  readonly group: GroupId;
  /** Up to where in the group's log it is in force. */
  readonly index: LogIndex;
  readonly voters: readonly number[];
  readonly learners: readonly number[];
}

/** A node joins. With a key that is known it changes nothing, and has the same outcome. */
export interface AddNodeCommand extends NodeDescription {
  readonly kind: 'add-node';
  readonly key: string;
}

/** A node describes itself anew. */
export interface DescribeNodeCommand extends NodeDescription {
  readonly kind: 'describe-node';
  readonly node: NodeId;
}

/** What a node is to the cluster changes, as DESIGN.md says. */
export interface SetNodeCommand {
  readonly kind: 'set-node';
  readonly node: NodeId;
  readonly state: NodeState;
}

/** How many replicas each partition shall have. */
export interface SetReplicasCommand {
  readonly kind: 'set-replicas';
  /** 1 to 7. */
  readonly count: number;
}

export type PlacementCommand =
  | BeginMoveCommand
  | PlacedCommand
  | AddNodeCommand
  | DescribeNodeCommand
  | SetNodeCommand
  | SetReplicasCommand;
