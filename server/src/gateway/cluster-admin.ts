/** AdminService's calls about the cluster: bytes in, bytes out. */
import * as contract from '@tuplet/proto/contract';
import { ReplicaRole as WireRole, NodeState as WireState } from '@tuplet/proto/contract';
import type { GroupId, NodeId } from '../base/ids.ts';
import type { MapOutcome } from '../cluster/map-command.ts';
import type { NodeRecord, NodeState, ReplicaRole } from '../cluster/placement-types.ts';
import type {
  ClusterAdmin,
  ClusterStatus,
  GroupView,
  NodeView,
} from '../placement/cluster-admin.ts';
import { type Failure, invalid } from '../router/failure.ts';
import { RefusedError } from './decode.ts';
import { problemFailure, refusalOf } from './map-failure.ts';

/** Answers a call once. */
type Respond = (outcome: Uint8Array | Failure) => void;

/** The calls, by the names of the contract's methods. */
export const clusterCalls: Readonly<
  Record<string, (cluster: ClusterAdmin, bytes: Uint8Array, respond: Respond) => void>
> = {
  describeCluster: (cluster, bytes, respond) => {
    contract.DescribeClusterRequest.decode(bytes, 'refuse');
    cluster.describe((status) =>
      respond(contract.DescribeClusterResponse.encode(describedOf(status))),
    );
  },
  setNodeState: (cluster, bytes, respond) => {
    const { node, state } = contract.SetNodeStateRequest.decode(bytes, 'refuse');
    cluster.setNode(node as NodeId, stateOf(state), (outcome: MapOutcome) => {
      if (outcome.kind !== 'node') respond(refusalOf(outcome));
      else respond(contract.SetNodeStateResponse.encode({ node: nodeOf(outcome.node) }));
    });
  },
  transferLeadership: (cluster, bytes, respond) => {
    const { group, node } = contract.TransferLeadershipRequest.decode(bytes, 'refuse');
    cluster.transfer(group as GroupId, node as NodeId, (problem) => {
      if (problem !== undefined) respond(problemFailure(problem));
      else respond(contract.TransferLeadershipResponse.encode({ leader: node }));
    });
  },
};

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

function stateOf(wire: WireState): NodeState {
  const state = (Object.keys(states) as NodeState[]).find((each) => states[each] === wire);
  if (state !== undefined) return state;
  const message = 'a node becomes a member, draining, gone or removed';
  throw new RefusedError(invalid('REQUEST_INVALID', 'state', message));
}

function describedOf(status: ClusterStatus): contract.DescribeClusterResponseInit {
  const { clusterId, replicaCount, self, nodes, groups } = status;
  return {
    clusterId,
    replicaCount,
    answeringNode: self,
    nodes: nodes.map(nodeOf),
    groups: groups.map(groupOf),
  };
}

function nodeOf(node: NodeRecord | NodeView): contract.ClusterNodeInit {
  const { id, name, zone, state, peerAddress, clientAddress } = node;
  const reachable = 'isReachable' in node && node.isReachable;
  return { node: id, name, zone, state: states[state], peerAddress, clientAddress, reachable };
}

function groupOf({
  group,
  leader,
  term,
  committed,
  replicas,
}: GroupView): contract.ClusterGroupInit {
  return {
    group,
    leader: leader ?? 0,
    term,
    committed,
    replicas: replicas.map(({ replica, node, role, match, isActive }) => ({
      replica,
      node,
      role: role === undefined ? WireRole.UNSPECIFIED : roles[role],
      match,
      active: isActive,
    })),
  };
}
