/** What tests of replicated hosts share: a few nodes with their disks, wires that can be cut, routers. */

import { assert, present } from '../src/base/assert.ts';
import type { GroupId, PartitionId } from '../src/base/ids.ts';
import { Prng } from '../src/base/prng.ts';
import type { CallId, CoordinatorId, FromLeader } from '../src/coordination/messages.ts';
import { foundingAll } from '../src/partition/founding.ts';
import type { PartitionHost, Peers } from '../src/partition/partition-host.ts';
import type { Restore } from '../src/partition/restoring.ts';
import type { ChangeStep } from '../src/raft/change.ts';
import { Transition } from '../src/raft/change.ts';
import { noBytes } from '../src/raft/message.ts';
import { SimDisk } from './disk.ts';
import { TestRouter } from './host-world.ts';
import { ClusterNode } from './partition/cluster-node.ts';
import { Wires } from './partition/wires.ts';
import { Scheduler } from './scheduler.ts';

/** How a test's cluster differs from the usual one. */
export interface HostClusterOptions {
  readonly seed?: number;
  readonly nodes?: number;
  /** Nodes 1 to so many found the partitions, all of them if not said; all have the map. */
  readonly founders?: number;
  readonly partitions?: number;
  /** The backup that a node is given. */
  readonly restoreOf?: (node: number) => Restore | undefined;
  readonly snapshotTailBytes?: number;
  /** By node: what its wall clock shows when the run begins. */
  readonly wallMs?: readonly number[];
}

const waitMsMax = 60_000;
const wallOriginMs = 1_700_000_000_000;

/** See the top of the file. Replicas are numbered as their nodes are, unless a test makes more. */
export class HostCluster {
  readonly scheduler: Scheduler;
  readonly nodes: ClusterNode[] = [];
  readonly wires: Wires;
  /** Errors that ended a node. */
  readonly fatal: string[] = [];
  readonly #places = new Map<string, ClusterNode>();
  #routers = 0;

  constructor(options: HostClusterOptions = {}) {
    const { seed = 1, nodes = 3, founders = nodes, partitions = 2 } = options;
    this.scheduler = new Scheduler(seed);
    const never = { lateOneIn: 0, lateUsMax: 1, lostOneIn: 0, twiceOneIn: 0, ghostOneIn: 0 };
    this.wires = new Wires({
      scheduler: this.scheduler,
      random: new Prng(seed, 'wires'),
      wires: { delayUsMin: 100, delayUsMax: 500, ...never },
      fault: () => undefined,
    });
    const ids = Array.from({ length: nodes }, (_, at) => at + 1);
    for (let id = 1; id <= nodes; id += 1) {
      const skew = { driftPpm: 0, wallOriginMs: options.wallMs?.[id - 1] ?? wallOriginMs };
      const replicasOf = (group: GroupId): readonly number[] =>
        group === 0 ? ids : ids.slice(0, founders);
      const restore = options.restoreOf?.(id);
      const node: ClusterNode = new ClusterNode({
        id,
        scheduler: this.scheduler,
        disk: this.#newDisk(seed, id),
        random: new Prng(seed, `node ${id}`),
        skew,
        ifEmpty: 'found',
        founding: { ...foundingAll(id, ids), replicasOf },
        partitions,
        ...(restore === undefined ? {} : { restore }),
        raft: {},
        snapshotTailBytes: options.snapshotTailBytes ?? 1_000_000,
        segmentBytes: 65_536,
        historyBytesMax: 100_000,
        batchTuplesMax: 100,
        peers: this.#peersOf(() => node),
        onFatal: (failed, error) => this.fatal.push(`node ${failed.id}: ${error.message}`),
        onRunning: () => undefined,
        onEnded: () => undefined,
        // Torn tails, mostly: a power cut may leave one.
        onWarning: () => undefined,
      });
      this.nodes.push(node);
      for (let group = 0; group <= partitions; group += 1) this.place(group, id, node);
    }
  }

  /** Boots the founders, and runs until every partition is served. */
  static async start(options: HostClusterOptions = {}): Promise<HostCluster> {
    const cluster = new HostCluster(options);
    const founders = cluster.nodes.slice(0, options.founders ?? cluster.nodes.length);
    await cluster.boot(...founders);
    const { partitions = 2 } = options;
    for (let id = 1; id <= partitions; id += 1) await cluster.leaderOf(id as PartitionId);
    return cluster;
  }

  node(id: number): ClusterNode {
    return present(this.nodes[id - 1], 'the node exists');
  }

  host(node: ClusterNode): PartitionHost {
    return present(node.host, 'the node runs');
  }

  /** A replica lives there from now on. */
  place(group: number, replica: number, node: ClusterNode): void {
    this.#places.set(`${group}/${replica}`, node);
  }

  /** Lives begin; runs until they can be spoken to. */
  async boot(...nodes: readonly ClusterNode[]): Promise<void> {
    const booting = nodes.map((node) => {
      assert(!node.alive, 'one life at a time');
      return node.boot();
    });
    await this.until(() => nodes.every(({ host }) => host !== undefined), 'nodes run');
    await Promise.all(booting);
  }

  /** Runs until something holds; fails when it does not within a minute of virtual time. */
  async until(holds: () => boolean, what: string): Promise<void> {
    const endUs = this.scheduler.nowUs + waitMsMax * 1000;
    if ((await this.scheduler.run(endUs, holds)) === 'done') return;
    throw new Error(`not within ${waitMsMax} ms: ${what}`);
  }

  /** Time passes. */
  async run(forMs: number): Promise<void> {
    await this.scheduler.run(this.scheduler.nowUs + forMs * 1000);
  }

  /** Runs until a partition is served by a node that others follow, which is its leader. */
  async leaderOf(
    partition: PartitionId,
    among: readonly ClusterNode[] = this.nodes,
  ): Promise<ClusterNode> {
    let found: ClusterNode | undefined;
    await this.until(() => {
      found = among.find((node) => this.#serves(node, partition));
      return found !== undefined;
    }, `partition ${partition} is served`);
    return present(found, 'it was found');
  }

  /** All but one node. */
  others(node: ClusterNode): ClusterNode[] {
    return this.nodes.filter((each) => each !== node);
  }

  /** Nothing passes between a node and the others, for long. */
  isolate(node: ClusterNode): void {
    for (const other of this.others(node)) {
      this.wires.cut(node.id, other.id, 1_000_000);
      this.wires.cut(other.id, node.id, 1_000_000);
    }
  }

  /** The links from some nodes to another one break, as these notice. */
  lose(lost: ClusterNode, among: readonly ClusterNode[]): void {
    for (const node of among) {
      this.host(node).nodeLost(
        (group, replica) => this.#places.get(`${group}/${replica}`) === lost,
      );
    }
  }

  /** All cuts are healed. */
  heal(): void {
    this.wires.calm();
  }

  /** A router on a node that speaks to that node alone. */
  router(node: ClusterNode): TestRouter {
    this.#routers += 1;
    const host = this.host(node);
    const router = new TestRouter(host, (node.id * 1_000 + this.#routers) as CoordinatorId);
    router.detach = host.attach(router);
    return router;
  }

  /** Runs until a call has an answer, which is its last so far. */
  async answer(router: TestRouter, call: CallId): Promise<FromLeader> {
    await this.until(() => router.last(call) !== undefined, `call ${call} is answered`);
    return present(router.last(call), 'it was answered');
  }

  /** Proposes a change of a partition's configuration, and runs until its leader has it applied. */
  async change(partition: PartitionId, ...steps: readonly ChangeStep[]): Promise<void> {
    const leader = this.host(await this.leaderOf(partition));
    const before = leader.replicaOf(partition)?.configuration;
    const change = { transition: Transition.auto, steps, context: noBytes };
    const outcome = leader.proposeChange(partition, change);
    assert(outcome?.kind === 'appended', 'a change is logged');
    await this.until(() => {
      const configuration = leader.replicaOf(partition)?.configuration;
      return configuration !== before && configuration?.outgoing.length === 0;
    }, 'the change is applied');
  }

  /** Runs until all replicas of a partition have applied the same, and says the hashes of their states. */
  async agree(
    partition: PartitionId,
    nodes: readonly ClusterNode[] = this.nodes,
  ): Promise<bigint[]> {
    const hosts = nodes.map((node) => this.host(node));
    await this.until(() => {
      const applied = hosts.map((host) => host.spaceOf(partition).appliedIndex);
      const last = hosts.map((host) => host.replicaOf(partition)?.lastIndex);
      return new Set([...applied, ...last]).size === 1;
    }, 'replicas have applied the same');
    return hosts.map((host) => host.spaceOf(partition).stateHash());
  }

  #serves({ host }: ClusterNode, partition: PartitionId): boolean {
    const epoch = host?.epochOf(partition);
    if (epoch === undefined) return false;
    return this.nodes.every((node) => (node.host?.replicaOf(partition)?.term ?? 0) <= epoch);
  }

  #newDisk(seed: number, id: number): SimDisk {
    return new SimDisk({
      schedule: (delayMs, run) => void this.scheduler.after(delayMs * 1000, run),
      random: new Prng(seed, `disk ${id}`),
      delays: { writeMs: [0.05, 0.1], syncMs: [0.5, 1] },
    });
  }

  #peersOf(from: () => ClusterNode): Peers {
    const nodeOf = (group: GroupId, replica: number): ClusterNode | undefined =>
      this.#places.get(`${group}/${replica}`);
    return {
      send: (group, message) => {
        const to = nodeOf(group, message.to);
        if (to === undefined) return;
        this.wires.raft({ from: from(), to, group }, message, (copy) =>
          to.host?.receiveRaft(group, copy),
        );
      },
      sendSnapshot: async (group, message, chunks) => {
        const to = nodeOf(group, message.to);
        if (to === undefined) return;
        this.wires.raft({ from: from(), to, group }, message, (copy) =>
          to.host?.receiveSnapshot(group, copy, chunks),
        );
        return undefined;
      },
      sendLeader: (to, message) => {
        const leader = this.nodes.find((node) => this.#serves(node, to));
        if (leader === undefined) return;
        this.wires.link(from(), leader, () => leader.host?.receiveLeader(to, message));
      },
    };
  }
}
