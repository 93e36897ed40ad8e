/**
 * What the gateways of one node tell clients of a cluster that is not there: each gateway is a node of it,
 * and partitions are led now by one and now by the other. So clients have a stream to each, and believe
 * what is old by the time that they use it.
 */
import type { Cancel } from '../src/base/doors.ts';
import type { NodeId, PartitionId, Term } from '../src/base/ids.ts';
import type { Prng } from '../src/base/prng.ts';
import type { ClusterView, PartitionLeader, ReachableNode } from '../src/cluster/cluster-view.ts';
import type { SimProcess } from './scheduler.ts';

/** Milliseconds until something moves: drawn from so many to ten times as many. */
const moveMsMin = 200;

/** Who leads what; one for all gateways of a run. */
export class InventedLeaders {
  readonly #random: Prng;
  readonly #nodes: readonly ReachableNode[];
  readonly #partitions: number;
  readonly #leaders = new Map<PartitionId, PartitionLeader>();

  constructor(random: Prng, addresses: readonly string[], partitions: number) {
    this.#random = random;
    this.#nodes = addresses.map((clientAddress, at) => ({ id: (at + 1) as NodeId, clientAddress }));
    this.#partitions = partitions;
  }

  /** As the gateway at an address tells it; a gateway alone hears at once of what it has moved itself. */
  viewOf(clusterId: string, address: string, process: SimProcess): ClusterView {
    const observers = new Set<() => void>();
    const move = (): void => {
      this.#move();
      for (const run of observers) run();
      process.clock.after(moveMsMin * (1 + this.#random.below(10)), move);
    };
    process.clock.after(moveMsMin, move);
    return {
      clusterId,
      self: (this.#nodes.find((each) => each.clientAddress === address)?.id ?? 0) as NodeId,
      partitions: this.#partitions,
      nodes: () => this.#nodes,
      leaderOf: (partition) => this.#leaders.get(partition),
      onChange: (run): Cancel => {
        observers.add(run);
        return () => void observers.delete(run);
      },
    };
  }

  #move(): void {
    const partition = (1 + this.#random.below(this.#partitions)) as PartitionId;
    const epoch = ((this.#leaders.get(partition)?.epoch ?? 0) + 1) as Term;
    this.#leaders.set(partition, { node: this.#random.pick(this.#nodes).id, epoch });
  }
}
