import type { NodeId, PartitionId, Term } from '../base/ids.ts';

/** Who leads a partition, as far as this node has heard. */
export interface KnownLeader {
  readonly node: NodeId;
  readonly epoch: Term;
}

/** The newest leadership of each partition that this node has heard of, and can reach. */
export class Leaders {
  readonly #leaders = new Map<PartitionId, KnownLeader>();

  of(partition: PartitionId): KnownLeader | undefined {
    return this.#leaders.get(partition);
  }

  /** By partition, the node. */
  nodes(): ReadonlyMap<PartitionId, NodeId> {
    return new Map([...this.#leaders].map(([partition, { node }]) => [partition, node]));
  }

  /** A node says that it leads. Whether that was news: notices may overtake each other, epochs do not. */
  heard(partition: PartitionId, leader: KnownLeader): boolean {
    if ((this.#leaders.get(partition)?.epoch ?? 0) >= leader.epoch) return false;
    this.#leaders.set(partition, leader);
    return true;
  }

  /** A node can be reached no more: the partitions that it led. */
  lost(node: NodeId): PartitionId[] {
    const partitions: PartitionId[] = [];
    for (const [partition, leader] of this.#leaders) {
      if (leader.node !== node) continue;
      this.#leaders.delete(partition);
      partitions.push(partition);
    }
    return partitions;
  }
}
