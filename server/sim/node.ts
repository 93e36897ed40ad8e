/**
 * One node: its real storage, partitions, routers and Exchange handlers over simulated doors, life
 * after life. Two gateways, each with a router of its own, stand before one host of partitions, so that
 * coordinators die while their clients live.
 */
import { assert, present } from '../src/base/assert.ts';
import type { PartitionId } from '../src/base/ids.ts';
import type { Prng } from '../src/base/prng.ts';
import { hostChecksum } from '../src/host/checksum.ts';
import { ownHistories } from '../src/mesh/own-histories.ts';
import { PartitionHost } from '../src/partition/partition-host.ts';
import type { Space } from '../src/space/space.ts';
import { type BusOptions, type BusWatch, busFor } from './bus.ts';
import type { SimDisk } from './disk.ts';
import { SimGateway } from './gateway.ts';
import type { SimNetwork } from './network.ts';
import type { Seen } from './run-record.ts';
import { type ClockSkew, type Scheduler, SimProcess } from './scheduler.ts';
import type { Tap } from './tap.ts';
import { InventedLeaders } from './topology.ts';
import { simSpaces } from './workload.ts';

/** What a node is made of. */
export interface NodeOptions {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly disk: SimDisk;
  readonly random: Prng;
  readonly skew: ClockSkew;
  readonly tap: Tap;
  readonly bus: BusOptions;
  readonly watch: BusWatch;
  readonly partitions: number;
  readonly snapshotTailBytes: number;
  readonly segmentBytes: number;
  /** Bytes of events that a partition keeps. */
  readonly historyBytesMax: number;
  readonly batchTuplesMax: number;
  /** A promise of the code was broken. */
  readonly onBug: (error: unknown) => void;
  /** The process ended by itself: the disk failed. */
  readonly onFatal: (error: Error) => void;
  readonly onWarning: (message: string) => void;
}

/** The gateways of a node, by address. */
export const gatewayAddresses = ['gateway-1', 'gateway-2'] as const;

/** See the top of the file. */
export class SimNode {
  readonly #options: NodeOptions;
  readonly #gateways = new Map<string, SimGateway>();
  readonly #leaders: InventedLeaders;
  #process: SimProcess;
  #host: PartitionHost | undefined;
  #lives = 0;
  #routers = 0;

  constructor(options: NodeOptions) {
    this.#options = options;
    const { random, partitions } = options;
    this.#leaders = new InventedLeaders(random.fork('leaders'), gatewayAddresses, partitions);
    this.#process = this.#newProcess('node');
    this.#process.kill();
  }

  /** The host, while it serves. */
  get host(): PartitionHost | undefined {
    return this.#host;
  }

  get process(): SimProcess {
    return this.#process;
  }

  /** Whether a life has begun and not ended. */
  get running(): boolean {
    return this.#process.alive;
  }

  /** Begins a life; it serves when the promise resolves to true, false where the life ended before. */
  async boot(): Promise<boolean> {
    assert(!this.#process.alive, 'one life at a time');
    const life = ++this.#lives;
    const process = this.#newProcess(`node/${life}`);
    this.#process = process;
    const { disk, random, tap, snapshotTailBytes, segmentBytes, onFatal } = this.#options;
    const { historyBytesMax, batchTuplesMax } = this.#options;
    const host = await PartitionHost.open({
      disk,
      clock: process.clock,
      random: random.fork(`node/${life}`),
      checksum: hostChecksum,
      partitions: this.#options.partitions,
      segmentBytes,
      reserveBytesMin: 65_536,
      snapshotTailBytes,
      spaceLimits: { historyBytesMax, batchTuplesMax },
      onFatal: (error) => {
        if (process.alive) onFatal(error);
      },
      onWarning: this.#options.onWarning,
    });
    if (!process.alive) return false;
    await this.#makeSpaces(host);
    if (!process.alive) return false;
    this.#host = host;
    tap.attach(host, present(this.seen(), 'it serves'));
    for (const address of gatewayAddresses) this.openGateway(address);
    return true;
  }

  /** What it serves; undefined while it does not. */
  seen(): Seen | undefined {
    const host = this.#host;
    if (host === undefined) return undefined;
    const spaceOf = (partition: PartitionId): Space => host.spaceOf(partition);
    return { map: host.map.cluster, partitions: this.partitionIds(), spaceOf };
  }

  partitionIds(): PartitionId[] {
    return Array.from({ length: this.#options.partitions }, (_, at) => (at + 1) as PartitionId);
  }

  /** Ends the life: the process alone (`machine` false), or the machine with it. */
  crash(machine: boolean): void {
    if (!this.#process.alive) return;
    for (const address of gatewayAddresses) this.killGateway(address);
    this.#process.kill();
    this.#options.network.processGone(this.#process);
    this.#host = undefined;
    if (machine) this.#options.disk.crash();
    else this.#options.disk.kill();
  }

  /** One gateway of the node ends, with everything its router knew. */
  killGateway(address: string): boolean {
    const gateway = this.#gateways.get(address);
    if (gateway === undefined) return false;
    this.#gateways.delete(address);
    gateway.kill();
    return true;
  }

  /** It comes back, as a coordinator that nobody has heard of. */
  openGateway(address: string): void {
    const host = this.#host;
    if (host === undefined || this.#gateways.has(address)) return;
    const { network, random, bus, watch, onBug } = this.#options;
    const id = ++this.#routers;
    const process = this.#newProcess(`${address}/${id}`);
    const partitions = busFor(process, host, random.fork(`bus/${id}`), bus, watch);
    const view = this.#leaders.viewOf(host.map.cluster.clusterId, address, process);
    const histories = ownHistories(host, host.map.cluster.clusterId, process.clock);
    const options = { address, id, process, network, partitions, view, histories, onBug };
    this.#gateways.set(address, new SimGateway(options));
  }

  /** The whole node stands still. */
  pause(forMs: number): void {
    this.#process.pause(forMs);
    for (const gateway of this.#gateways.values()) gateway.pause(forMs);
  }

  async #makeSpaces(host: PartitionHost): Promise<void> {
    for (const { name, rule, like } of simSpaces) {
      if (host.map.cluster.space(name) !== undefined) continue;
      const rules =
        rule === undefined || like !== undefined
          ? []
          : [{ tag: rule.tag, spread: rule.spread, fields: rule.fields }];
      await new Promise<void>((resolve) => {
        host.map.createSpace(name, { rules, like, tupleBytesMax: 65_536 } as never, () =>
          resolve(),
        );
      });
    }
  }

  #newProcess(name: string): SimProcess {
    return new SimProcess(this.#options.scheduler, name, this.#options.skew);
  }
}
