/** One node of a simulated cluster, life after life: its disk, its host of replicas, and one gateway. */
import { assert } from '../../src/base/assert.ts';
import type { PartitionId } from '../../src/base/ids.ts';
import type { Prng } from '../../src/base/prng.ts';
import { hostChecksum } from '../../src/host/checksum.ts';
import type { Founding } from '../../src/partition/founding.ts';
import { PartitionHost, type Peers } from '../../src/partition/partition-host.ts';
import type { Restore } from '../../src/partition/restoring.ts';
import type { RaftOptions } from '../../src/raft/options.ts';
import type { SimDisk } from '../disk.ts';
import { type ClockSkew, type Scheduler, SimProcess } from '../scheduler.ts';
import { simSpaces } from '../workload.ts';

/** What a node is made of. */
export interface ClusterNodeOptions {
  /** From 1; its first replica of each group has the same number. */
  readonly id: number;
  readonly scheduler: Scheduler;
  readonly disk: SimDisk;
  readonly random: Prng;
  readonly skew: ClockSkew;
  readonly founding: Founding;
  /** What an empty disk does. */
  readonly ifEmpty: 'found' | 'join';
  readonly partitions: number;
  /** The backup that it is given. */
  readonly restore?: Restore;
  readonly raft: Partial<RaftOptions>;
  readonly snapshotTailBytes: number;
  readonly segmentBytes: number;
  readonly historyBytesMax: number;
  readonly batchTuplesMax: number;
  readonly peers: Peers;
  /** The process ended by itself: the disk failed. */
  readonly onFatal: (node: ClusterNode, error: Error) => void;
  /** A life can be spoken to: it takes messages, whether it leads anything or not. */
  readonly onRunning: (node: ClusterNode) => void;
  /** A life has ended; its process is dead. */
  readonly onEnded: (node: ClusterNode, isMachine: boolean) => void;
  readonly onWarning: (message: string) => void;
}

/** See the top of the file. */
export class ClusterNode {
  readonly id: number;
  readonly disk: SimDisk;
  readonly skew: ClockSkew;
  readonly #options: ClusterNodeOptions;
  #process: SimProcess;
  #host: PartitionHost | undefined;
  lives = 0;

  constructor(options: ClusterNodeOptions) {
    this.id = options.id;
    this.disk = options.disk;
    this.skew = options.skew;
    this.#options = options;
    this.#process = this.#newProcess();
    this.#process.kill();
  }

  get address(): string {
    return `gateway-${this.id}`;
  }

  /** The host, once it can be spoken to. */
  get host(): PartitionHost | undefined {
    return this.#host;
  }

  get process(): SimProcess {
    return this.#process;
  }

  /** Whether a life has begun and not ended. */
  get alive(): boolean {
    return this.#process.alive;
  }

  get isPaused(): boolean {
    return this.#process.pausedUntilUs > this.#options.scheduler.nowUs;
  }

  /** Whether its own copy of the map has all spaces of the run. */
  get knowsSpaces(): boolean {
    const map = this.#host?.map.cluster;
    return map !== undefined && simSpaces.every(({ name }) => map.space(name) !== undefined);
  }

  /** Begins a life; rejects where the disk does not let it. */
  async boot(): Promise<void> {
    assert(!this.#process.alive, 'one life at a time');
    this.lives += 1;
    const process = this.#newProcess();
    this.#process = process;
    const { disk, random, founding, ifEmpty, partitions, peers, raft, onFatal } = this.#options;
    const { snapshotTailBytes, segmentBytes, historyBytesMax, batchTuplesMax } = this.#options;
    const host = await PartitionHost.open({
      disk,
      clock: process.clock,
      random: random.fork(`life/${this.lives}`),
      checksum: hostChecksum,
      partitions,
      peers,
      founding,
      ifEmpty,
      ...(this.#options.restore === undefined ? {} : { restore: this.#options.restore }),
      raft,
      segmentBytes,
      reserveBytesMin: 65_536,
      snapshotTailBytes,
      spaceLimits: { historyBytesMax, batchTuplesMax },
      onFatal: (error) => {
        if (process.alive) onFatal(this, error);
      },
      onWarning: this.#options.onWarning,
    });
    if (!process.alive) return;
    this.#host = host;
    this.#options.onRunning(this);
  }

  /** Ends the life: the process alone (`machine` false), or the machine with it. */
  crash(machine: boolean): void {
    if (!this.#process.alive) return;
    this.#process.kill();
    this.#host = undefined;
    this.#options.onEnded(this, machine);
    if (machine) this.disk.crash();
    else this.disk.kill();
  }

  pause(forMs: number): void {
    this.#process.pause(forMs);
  }

  /** The partitions of which it has a replica. */
  partitionsHere(): PartitionId[] {
    const host = this.#host;
    const ids: PartitionId[] = [];
    for (let id = 1; id <= this.#options.partitions; id += 1) {
      if (host?.replicaOf(id as PartitionId) !== undefined) ids.push(id as PartitionId);
    }
    return ids;
  }

  #newProcess(): SimProcess {
    const { scheduler, skew, id } = this.#options;
    return new SimProcess(scheduler, `node-${id}/${this.lives}`, skew);
  }
}
