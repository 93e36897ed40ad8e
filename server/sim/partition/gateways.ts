/** The gateways of a simulated cluster, one a node. */

import { present } from '../../src/base/assert.ts';
import type { NodeId, Term } from '../../src/base/ids.ts';
import type { ClusterView } from '../../src/cluster/cluster-view.ts';
import { ownHistories } from '../../src/mesh/own-histories.ts';
import { SimGateway } from '../gateway.ts';
import type { SimNetwork } from '../network.ts';
import type { RunRecord } from '../run-record.ts';
import { type Scheduler, SimProcess } from '../scheduler.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';

/** Milliseconds between two looks at who leads. */
const lateMs = 500;

/** See the top of the file. */
export class Gateways {
  readonly #scheduler: Scheduler;
  readonly #network: SimNetwork;
  readonly #record: RunRecord;
  readonly #cluster: Cluster;
  readonly #open = new Map<ClusterNode, SimGateway>();
  #routers = 0;

  constructor(place: {
    scheduler: Scheduler;
    network: SimNetwork;
    record: RunRecord;
    cluster: Cluster;
  }) {
    this.#scheduler = place.scheduler;
    this.#network = place.network;
    this.#record = place.record;
    this.#cluster = place.cluster;
  }

  /** Clients are served where the node's own map has their spaces. */
  open(node: ClusterNode): void {
    const { host } = node;
    if (host === undefined || this.#open.has(node)) return;
    if (!node.knowsSpaces) {
      this.#scheduler.after(100_000, () => this.open(node));
      return;
    }
    const { address } = node;
    const id = ++this.#routers;
    const process = new SimProcess(this.#scheduler, `${address}/${id}`, node.skew);
    const partitions = this.#cluster.partitionsFor(node);
    const gateway = new SimGateway({
      address,
      id,
      process,
      network: this.#network,
      partitions,
      view: this.#cluster.viewOf(node) ?? this.#viewOf(node, process),
      histories:
        this.#cluster.historiesOf(node) ??
        ownHistories(host, host.map.cluster.clusterId, process.clock),
      isApart: () => this.#cluster.isApart(node),
      onBug: (error) => this.#record.bug(error),
    });
    this.#open.set(node, gateway);
  }

  /** What clients hear: who leads in truth, up to half a second late. */
  #viewOf(node: ClusterNode, process: SimProcess): ClusterView {
    const cluster = this.#cluster;
    const { clusterId, partitions } = present(node.host, 'the node serves').map.cluster;
    return {
      clusterId,
      self: node.id as number as NodeId,
      partitions,
      nodes: () =>
        cluster.nodes.map(({ id, address }) => ({
          id: id as number as NodeId,
          clientAddress: address,
        })),
      leaderOf: (partition) => {
        const leader = cluster.leaderOf(partition);
        const epoch = cluster.epochs.get(partition);
        if (leader === undefined || epoch === undefined) return undefined;
        return { node: leader.id as number as NodeId, epoch: epoch as Term };
      },
      onChange: (run) => {
        const again = (): void => {
          run();
          process.clock.after(lateMs, again);
        };
        return process.clock.after(lateMs, again);
      },
    };
  }

  /** It ends, with everything its router knew; false: there is none. */
  close(node: ClusterNode): boolean {
    const gateway = this.#open.get(node);
    if (gateway === undefined) return false;
    this.#open.delete(node);
    gateway.kill();
    return true;
  }

  /** It ends when its calls have, or their time is over. */
  async drain(node: ClusterNode): Promise<void> {
    await this.#open.get(node)?.drain();
  }

  pause(node: ClusterNode, forMs: number): void {
    this.#open.get(node)?.pause(forMs);
  }
}
