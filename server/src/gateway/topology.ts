import type * as contract from '@tuplet/proto/contract';
import type { Cancel, Clock } from '../base/doors.ts';
import { topologyMs } from '../base/limits.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import { partitionIds } from '../cluster/slots.ts';

/** The cluster as clients are told of it. One for all streams of a gateway. */
export class TopologyFeed {
  readonly #view: ClusterView;
  readonly #clock: Pick<Clock, 'after' | 'monotonicMs'>;
  readonly #followers = new Set<() => void>();
  /** What `message` gave; undefined where that has changed. */
  #message: contract.TopologyInit | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;
  #isDue = false;

  constructor(view: ClusterView, clock: Pick<Clock, 'after' | 'monotonicMs'>) {
    this.#view = view;
    this.#clock = clock;
    view.onChange(() => this.#changed());
  }

  /** How it is now. */
  message(): contract.TopologyInit {
    this.#message ??= messageOf(this.#view);
    return this.#message;
  }

  /** Calls `run` after changes, at most every 100 ms. */
  follow(run: () => void): Cancel {
    this.#followers.add(run);
    return () => void this.#followers.delete(run);
  }

  #changed(): void {
    this.#message = undefined;
    if (this.#isDue || this.#followers.size === 0) return;
    this.#isDue = true;
    const waitMs = this.#toldMs + topologyMs - this.#clock.monotonicMs();
    this.#clock.after(Math.max(0, waitMs), () => {
      this.#isDue = false;
      this.#toldMs = this.#clock.monotonicMs();
      for (const run of [...this.#followers]) run();
    });
  }
}

function messageOf(view: ClusterView): contract.TopologyInit {
  const leaders: contract.PartitionLeaderInit[] = [];
  for (const partition of partitionIds(view.partitions)) {
    const leader = view.leaderOf(partition);
    if (leader !== undefined) leaders.push({ partition, ...leader });
  }
  const nodes = view.nodes().map(({ id, clientAddress }) => ({ node: id, address: clientAddress }));
  return { clusterId: view.clusterId, node: view.self, nodes, leaders };
}
