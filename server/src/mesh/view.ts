import type { Cancel } from '../base/doors.ts';
import type { NodeId, PartitionId } from '../base/ids.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import type { ClusterView, PartitionLeader, ReachableNode } from '../cluster/cluster-view.ts';
import type { Leaders } from './leaders.ts';

/** The part of the map that clients are told of. */
export type ViewMap = Pick<ClusterView, 'clusterId' | 'partitions'> & Pick<ClusterMap, 'node'>;

/** The cluster as clients are told of it: what nodes have said of themselves, and the leaders known. */
export class MeshView implements ClusterView {
  readonly self: NodeId;
  readonly #leaders: Leaders;
  readonly #map: ViewMap;
  // A node that is away for a while keeps its address: it is tried when it leads something again.
  readonly #addresses = new Map<NodeId, string>();
  readonly #observers = new Set<() => void>();

  constructor(self: NodeId, leaders: Leaders, map: ViewMap) {
    this.self = self;
    this.#leaders = leaders;
    this.#map = map;
  }

  get clusterId(): string {
    return this.#map.clusterId;
  }

  get partitions(): number {
    return this.#map.partitions;
  }

  nodes(): readonly ReachableNode[] {
    return [...this.#addresses]
      .filter(([id]) => this.#map.node(id)?.state !== 'removed')
      .map(([id, clientAddress]) => ({ id, clientAddress }))
      .sort((one, other) => one.id - other.id);
  }

  leaderOf(partition: PartitionId): PartitionLeader | undefined {
    return this.#leaders.of(partition);
  }

  /** Where clients reach a node; undefined: not known. */
  addressOf(node: NodeId): string | undefined {
    return this.#addresses.get(node);
  }

  /** A node says where clients reach it. */
  heard(node: NodeId, address: string): void {
    if (this.#addresses.get(node) === address) return;
    this.#addresses.set(node, address);
    this.changed();
  }

  onChange(run: () => void): Cancel {
    // One object for each call, so that one function may be there twice.
    const observer = (): void => run();
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /** Nodes or leaders have changed. */
  changed(): void {
    for (const observer of [...this.#observers]) observer();
  }
}
