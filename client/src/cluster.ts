/** The cluster as its nodes describe it. */
import { malformed } from '@tuplet/proto';
import {
  DescribeClusterResponse,
  type ClusterGroup as GroupMessage,
  type ClusterNode as NodeMessage,
  SetNodeStateResponse,
  ReplicaRole as WireRole,
  NodeState as WireState,
} from '@tuplet/proto/contract';

/** What a node is to its cluster. */
export type NodeState = 'member' | 'draining' | 'gone' | 'removed';

/** What a replica shall be. */
export type ReplicaRole = 'learner' | 'joining' | 'voter' | 'leaving';

const states: Readonly<Record<NodeState, WireState>> = {
  member: WireState.MEMBER,
  draining: WireState.DRAINING,
  gone: WireState.GONE,
  removed: WireState.REMOVED,
};

const roles: Readonly<Record<ReplicaRole, WireRole>> = {
  learner: WireRole.LEARNER,
  joining: WireRole.JOINING,
  voter: WireRole.VOTER,
  leaving: WireRole.LEAVING,
};

/** A node of the cluster. */
export interface ClusterNode {
  /** From 1; never given again. */
  readonly node: number;
  /** Unique among the nodes. */
  readonly name: string;
  /** Empty: not said. */
  readonly zone: string;
  readonly state: NodeState;
  /** `host:port` at which other nodes dial it. */
  readonly peerAddress: string;
  /** `host:port` at which clients dial it; empty: not known to the node that answers. */
  readonly clientAddress: string;
  /** Whether the node that answers has a link to it, or is it. */
  readonly reachable: boolean;
}

/** A replica of a group. */
export interface ClusterReplica {
  /** Its number in the group. */
  readonly replica: number;
  /** The node where it lives. */
  readonly node: number;
  /** Undefined: it is no longer listed. */
  readonly role: ReplicaRole | undefined;
  /** Its log agrees with the leader's up to here; 0: not known. */
  readonly match: number;
  /** Whether the leader has heard of it lately. */
  readonly active: boolean;
}

/** A group of replicas. */
export interface ClusterGroup {
  /** 0: the cluster map; else the partition. */
  readonly group: number;
  /** The node that leads it; undefined: none that could be asked. */
  readonly leader: number | undefined;
  /** The term in which it leads. */
  readonly term: number;
  /** Up to where the group's log is committed. */
  readonly committed: number;
  readonly replicas: readonly ClusterReplica[];
}

/** The cluster, as far as the node that answers can reach it. */
export interface ClusterDescription {
  readonly clusterId: string;
  /** How many replicas each partition shall have. */
  readonly replicaCount: number;
  readonly answeringNode: number;
  /** In order of number; those removed too. */
  readonly nodes: readonly ClusterNode[];
  /** The cluster map and all partitions, in order. */
  readonly groups: readonly ClusterGroup[];
}

/** The number of a state in the contract. */
export function wireStateOf(state: NodeState): WireState {
  return states[state];
}

/** What a server answers to DescribeCluster. */
export function clusterOf(answer: Uint8Array): ClusterDescription {
  const { nodes, groups, ...cluster } = DescribeClusterResponse.decode(answer);
  return { ...cluster, nodes: nodes.map(nodeOf), groups: groups.map(groupOf) };
}

/** What a server answers to SetNodeState. */
export function changedNodeOf(answer: Uint8Array): ClusterNode {
  const { node } = SetNodeStateResponse.decode(answer);
  if (node === null) throw malformed('an answer without the node');
  return nodeOf(node);
}

function nodeOf(message: NodeMessage): ClusterNode {
  const state = keyOf(states, message.state);
  if (state === undefined) throw malformed('a node has a state that this version does not know');
  return { ...message, state };
}

function groupOf(message: GroupMessage): ClusterGroup {
  const replicas = message.replicas.map((each) => ({ ...each, role: keyOf(roles, each.role) }));
  return { ...message, leader: message.leader === 0 ? undefined : message.leader, replicas };
}

function keyOf<K extends string, V>(numbers: Readonly<Record<K, V>>, number: V): K | undefined {
  return (Object.keys(numbers) as K[]).find((key) => numbers[key] === number);
}
