import type { Clock } from '../base/doors.ts';
import type { GroupId, LogIndex, NodeId, Term } from '../base/ids.ts';
import { statusWaitMs, transferLookMs, transferMsMax } from '../base/limits.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import type { MapOutcome, MapProblem } from '../cluster/map-command.ts';
import type {
  NodeRecord,
  NodeState,
  PlacementCommand,
  ReplicaPlace,
  ReplicaRole,
} from '../cluster/placement-types.ts';
import type { LeaderMove } from '../cluster/plan-leaders.ts';
import type { GroupStatus } from '../transport/placement-codec.ts';

/** A node, as an operator sees it. */
export interface NodeView extends NodeRecord {
  /** Whether the node that answers has a link to it, or is it. */
  readonly isReachable: boolean;
}

/** A replica, as an operator sees it. */
export interface ReplicaView {
  readonly replica: number;
  readonly node: NodeId;
  /** Undefined: the map does not list it any more. */
  readonly role: ReplicaRole | undefined;
  /** Its log agrees with the leader's up to here; 0: not known. */
  readonly match: LogIndex | 0;
  /** Whether the leader has heard of it lately. */
  readonly isActive: boolean;
}

/** A group, as an operator sees it. */
export interface GroupView {
  readonly group: GroupId;
  /** Undefined: nobody who could be asked leads it. */
  readonly leader: NodeId | undefined;
  readonly term: Term | 0;
  readonly committed: LogIndex | 0;
  readonly replicas: readonly ReplicaView[];
}

/** The cluster, as an operator sees it from one node. */
export interface ClusterStatus {
  readonly clusterId: string;
  readonly replicaCount: number;
  readonly self: NodeId;
  readonly nodes: readonly NodeView[];
  readonly groups: readonly GroupView[];
}

/** What administration of the cluster needs of the node. */
export interface ClusterAdminPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly cluster: ClusterMap;
  readonly linked: () => ReadonlySet<NodeId>;
  /** Where clients reach a node; empty: not known. */
  readonly clientAddressOf: (node: NodeId) => string;
  readonly nodeOf: (group: GroupId, replica: number) => NodeId | undefined;
  readonly statusOf: (
    node: NodeId,
    answer: (groups: readonly GroupStatus[] | undefined) => void,
  ) => void;
  readonly place: (command: PlacementCommand, answer: (outcome: MapOutcome) => void) => void;
  readonly handOver: (move: LeaderMove) => void;
}

/** What a leader says of a group, and where it is. */
type LedGroupStatus = GroupStatus & { readonly node: NodeId };

/** What operators ask of a cluster, at any of its nodes. */
export class ClusterAdmin {
  readonly #ports: ClusterAdminPorts;

  constructor(ports: ClusterAdminPorts) {
    this.#ports = ports;
  }

  /** Asks all nodes that can be reached; whoever does not answer in a second is left out. */
  describe(answer: (status: ClusterStatus) => void): void {
    this.#ask((led) => answer(this.#statusOf(led)));
  }

  /** Makes a node something else; its replicas follow in time. */
  setNode(node: NodeId, state: NodeState, answer: (outcome: MapOutcome) => void): void {
    const { place } = this.#ports;
    if (state === 'gone' && this.#reachable().has(node)) {
      const message = `node ${node} can be reached: drain it instead, or stop it first`;
      const problem: MapProblem = { reason: 'NODE_REACHABLE', field: 'node', message };
      answer({ kind: 'refused', problem });
    } else place({ kind: 'set-node', node, state }, answer);
  }

  /** Has another node lead a group; answers when it does, or why not. */
  transfer(group: GroupId, node: NodeId, answer: (problem?: MapProblem) => void): void {
    const { cluster, clock, handOver } = this.#ports;
    const place = cluster.placement(group)?.replicas.find((each) => each.node === node);
    if (place?.role !== 'voter') {
      const message = `node ${node} has no replica of group ${group} that votes`;
      answer({ reason: 'NODE_NOT_FOUND', field: 'node', message });
      return;
    }
    const untilMs = clock.monotonicMs() + transferMsMax;
    const look = (isFirst: boolean): void =>
      this.#ask((led) => {
        const from = led.get(group)?.node;
        if (from === node) answer();
        else if (clock.monotonicMs() >= untilMs) answer(notTaken(group, node));
        else {
          if (isFirst && from !== undefined) handOver({ group, from, to: place.replica });
          clock.after(transferLookMs, () => look(isFirst && from === undefined));
        }
      });
    look(true);
  }

  #reachable(): Set<NodeId> {
    return new Set([...this.#ports.linked(), this.#ports.self]);
  }

  /** Who leads what, by group: the newest term counts. */
  #ask(answer: (led: ReadonlyMap<GroupId, LedGroupStatus>) => void): void {
    const { statusOf, clock } = this.#ports;
    const led = new Map<GroupId, LedGroupStatus>();
    const waiting = this.#reachable();
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      cancelLate();
      answer(led);
    };
    const cancelLate = clock.after(statusWaitMs, end);
    for (const node of [...waiting]) {
      statusOf(node, (groups = []) => {
        for (const status of groups) {
          if ((led.get(status.group)?.term ?? 0) < status.term)
            led.set(status.group, { ...status, node });
        }
        waiting.delete(node);
        if (waiting.size === 0) end();
      });
    }
  }

  #statusOf(led: ReadonlyMap<GroupId, LedGroupStatus>): ClusterStatus {
    const { cluster, self, clientAddressOf } = this.#ports;
    const reachable = this.#reachable();
    return {
      clusterId: cluster.clusterId,
      replicaCount: cluster.replicaCount,
      self,
      nodes: cluster.nodes().map((node) => ({
        ...node,
        clientAddress: clientAddressOf(node.id) || node.clientAddress,
        isReachable: reachable.has(node.id),
      })),
      groups: cluster
        .placements()
        .map(({ group, replicas }) => this.#groupOf(group, replicas, led.get(group))),
    };
  }

  #groupOf(
    group: GroupId,
    replicas: readonly ReplicaPlace[],
    status: LedGroupStatus | undefined,
  ): GroupView {
    const listed = replicas.map(({ replica, node, role }): ReplicaView => {
      const its = status?.replicas.find((each) => each.replica === replica);
      return { replica, node, role, match: its?.match ?? 0, isActive: its?.isActive ?? false };
    });
    return {
      group,
      leader: status?.node,
      term: status?.term ?? 0,
      committed: status?.committed ?? 0,
      replicas: [...listed, ...this.#unlisted(group, status, listed)],
    };
  }

  /** Replicas that the leader still counts, and the map does not. */
  #unlisted(
    group: GroupId,
    status: GroupStatus | undefined,
    listed: readonly ReplicaView[],
  ): readonly ReplicaView[] {
    return (status?.replicas ?? []).flatMap(({ replica, match, isActive }) => {
      const node = this.#ports.nodeOf(group, replica);
      if (node === undefined || listed.some((each) => each.replica === replica)) return [];
      return [{ replica, node, role: undefined, match, isActive }];
    });
  }
}

function notTaken(group: GroupId, node: NodeId): MapProblem {
  const message = `node ${node} has not taken the leadership of group ${group} within ${transferMsMax} ms`;
  return { reason: 'NO_LEADER', field: '', message };
}
