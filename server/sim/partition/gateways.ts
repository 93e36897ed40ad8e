/** The gateways of a simulated cluster, one a node. */

import { SimGateway } from '../gateway.ts';
import type { SimNetwork } from '../network.ts';
import type { RunRecord } from '../run-record.ts';
import { type Scheduler, SimProcess } from '../scheduler.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';

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
      host,
      onBug: (error) => this.#record.bug(error),
    });
    this.#open.set(node, gateway);
  }

  /** It ends, with everything its router knew; false: there is none. */
  close(node: ClusterNode): boolean {
    const gateway = this.#open.get(node);
    if (gateway === undefined) return false;
    this.#open.delete(node);
    gateway.kill();
    return true;
  }

  pause(node: ClusterNode, forMs: number): void {
    this.#open.get(node)?.pause(forMs);
  }
}
