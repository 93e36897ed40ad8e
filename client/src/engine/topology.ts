import type { Topology as Message } from '@tuplet/proto/contract';

/** Who leads a partition, as far as this client has heard. */
interface Leader {
  readonly node: number;
  readonly epoch: number;
}

/** The cluster as its nodes have told of it. It may be old: what follows it is never more than a guess. */
export class Topology {
  readonly #leaders = new Map<number, Leader>();
  /** By the node that told: the nodes that it knows. A node that has just come knows few of the others. */
  readonly #told = new Map<number, Message['nodes']>();
  #addresses: ReadonlyMap<number, string> = new Map();
  #clusterId = '';

  /** Empty before anybody has told. */
  get clusterId(): string {
    return this.#clusterId;
  }

  /** Whether there is more than one node that leads something. */
  get isSpread(): boolean {
    return this.#addresses.size > 1;
  }

  /** Where clients reach the nodes. */
  get addresses(): ReadonlyMap<number, string> {
    return this.#addresses;
  }

  /** The node that leads a partition; 0: not known. */
  leaderOf(partition: number): number {
    return this.#leaders.get(partition)?.node ?? 0;
  }

  /** A node tells. Returns the nodes from which a leadership has gone to another: they may be dead. */
  heard(message: Message): ReadonlySet<number> {
    this.#clusterId = message.clusterId;
    this.#told.set(message.node, message.nodes);
    this.#gather();
    const losers = new Set<number>();
    for (const { partition, node, epoch } of message.leaders) {
      const known = this.#leaders.get(partition);
      // The newest leadership counts, whoever tells of it: notices may overtake each other.
      if (known !== undefined && known.epoch >= epoch) continue;
      this.#leaders.set(partition, { node, epoch });
      if (known !== undefined && known.node !== node) losers.add(known.node);
    }
    return losers;
  }

  /** A node tells no more. With the last one all is forgotten: the next may be of another cluster. */
  left(node: number): void {
    this.#told.delete(node);
    this.#gather();
    if (this.#told.size > 0) return;
    this.#leaders.clear();
    this.#clusterId = '';
  }

  #gather(): void {
    const addresses = new Map<number, string>();
    for (const nodes of this.#told.values()) {
      for (const { node, address } of nodes) addresses.set(node, address);
    }
    this.#addresses = addresses;
  }
}
