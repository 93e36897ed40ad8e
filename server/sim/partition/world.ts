/** One run of a cluster: its nodes and their clients, and what happens to them. DESIGN.md says what is in it. */

import type { GroupId, PartitionId } from '../../src/base/ids.ts';
import { closeMsMax } from '../../src/base/limits.ts';
import { Prng } from '../../src/base/prng.ts';
import { type Founding, foundingAll } from '../../src/partition/founding.ts';
import { isJoint } from '../../src/raft/configuration.ts';
import type { Space } from '../../src/space/space.ts';
import { judgePlacement } from '../cluster/judge-placement.ts';
import { MeshCluster } from '../cluster/mesh-cluster.ts';
import { Operators } from '../cluster/operators.ts';
import { SideSpaces } from '../cluster/side-spaces.ts';
import { Crowd } from '../crowd.ts';
import { SimDisk } from '../disk.ts';
import { sectorBytes } from '../disk-image.ts';
import { SimNetwork } from '../network.ts';
import { type RunListeners, RunRecord, type RunReport, type Seen } from '../run-record.ts';
import { Scheduler } from '../scheduler.ts';
import { Tap } from '../tap.ts';
import { PathWatch } from '../watch.ts';
import { simSpaces } from '../workload.ts';
import type { Changes } from './changes.ts';
import { Cluster } from './cluster.ts';
import { ClusterNode } from './cluster-node.ts';
import { inflict } from './faults.ts';
import { Gateways } from './gateways.ts';
import { judgeAtRest } from './judge.ts';
import { Membership } from './membership.ts';
import { Onlookers } from './onlookers.ts';
import { type ClusterSettings, clusterSettingsOf, meshSettingsOf, skewMsMax } from './settings.ts';
import { Wires } from './wires.ts';

const segmentBytes = 65_536;
/** Virtual time within which a new cluster must serve. */
const foundingMs = 30_000;
/** Faults have stopped for so long when everything is looked at: longer than any lease and back-off. */
const settleMs = 20_000;
/** Events between two looks at the invariants of all replicas. */
const verifyEvery = 50;
const wallOriginMs = 1_700_000_000_000;
/** A leadership that changed disturbs whoever waits for so long. */
const electionDisturbsMs = 6_000;

/** A cluster with meshes and placement, and who works with it besides clients. */
interface Meshed {
  readonly cluster: MeshCluster;
  readonly operators: Operators;
  readonly spaces: SideSpaces;
}

/** See the top of the file. */
export class ClusterWorld {
  readonly settings: ClusterSettings;
  readonly cluster: Cluster;
  readonly wires: Wires;
  readonly membership: Changes;
  /** With meshes and placement between the nodes; undefined: over wires. */
  readonly #meshed: Meshed | undefined;
  readonly record: RunRecord;
  readonly crowd: Crowd;
  readonly #onlookers: Onlookers;
  readonly network: SimNetwork;
  readonly random: Prng;
  readonly #scheduler: Scheduler;
  readonly #tap: Tap;
  readonly #watch: PathWatch;
  readonly #partitions: readonly PartitionId[];
  readonly #gateways: Gateways;
  /** Replicas that the tap reads: node, life, partition, replica. */
  readonly #tapped = new Set<string>();
  readonly #installed = new Map<string, number>();
  /** Nodes whose wall clock has jumped. */
  readonly #jumped = new Set<ClusterNode>();
  /** Nodes that crash at a sync to come. */
  readonly #armed = new Map<ClusterNode, { readonly downMs: number; readonly above: number }>();
  readonly #servers = new Map<PartitionId, { readonly node: ClusterNode; readonly life: number }>();
  /** Nodes that were told to stop, and in which life. */
  readonly #stopping = new Map<ClusterNode, number>();
  #restarts = 0;
  #working = true;

  constructor(seed: number, fabric: Fabric, listeners: RunListeners = {}) {
    const settings = fabric === 'mesh' ? meshSettingsOf(seed) : clusterSettingsOf(seed);
    this.settings = settings;
    this.#scheduler = new Scheduler(seed);
    this.random = new Prng(seed, 'cluster-world');
    this.record = new RunRecord(listeners, () => this.#scheduler.nowUs * 1000);
    this.#partitions = Array.from(
      { length: settings.partitions },
      (_, at) => (at + 1) as PartitionId,
    );
    this.network = new SimNetwork(
      this.#scheduler,
      new Prng(seed, 'network'),
      settings.base.network,
      this.record.trace,
    );
    this.wires = new Wires({
      scheduler: this.#scheduler,
      random: new Prng(seed, 'wires'),
      wires: settings.wires,
      fault: (name) => this.record.count(name),
    });
    this.#watch = new PathWatch(
      this.record.counts,
      () => this.#scheduler.nowMs,
      (partition) => this.cluster.epochs.get(partition),
    );
    this.#tap = new Tap(this.record.recorder, this.#watch, settings.base.historyBytesMax);
    const { record, wires } = this;
    const watch = this.#watch;
    const parts = {
      scheduler: this.#scheduler,
      wires,
      record,
      watch,
      random: new Prng(seed, 'picks'),
    };
    const meshes = fabric === 'mesh' ? new MeshCluster({ ...settings, ...parts }) : undefined;
    this.cluster = meshes ?? new Cluster(parts);
    this.cluster.onEpoch = (partition, epoch) => {
      if (this.#servesStill(partition)) record.count('a leadership ended without a crash');
      record.note(`epoch ${partition} ${epoch}`);
      record.count('a leadership began');
      record.recorder.fault('leader changed', { forMs: electionDisturbsMs });
    };
    const { cluster, network } = this;
    this.#gateways = new Gateways({ scheduler: this.#scheduler, network, record, cluster });
    for (let id = 1; id <= settings.nodes; id += 1) this.#addNode(seed, id);
    if (meshes !== undefined) this.#meshed = this.#operated(meshes, seed);
    const random = new Prng(seed, 'membership');
    this.membership = this.#meshed?.operators ?? this.#changed(random);
    const place = {
      settings: settings.base,
      scheduler: this.#scheduler,
      network,
      record,
      closed: (session: number, sequence: number) => watch.closed(session, sequence),
    };
    this.crowd = new Crowd({
      ...place,
      partitions: settings.partitions,
      addresses: () => this.#addresses(),
      restarts: () => this.#restarts,
    });
    this.#onlookers = new Onlookers(place);
  }

  /** Runs it all. */
  async run(): Promise<RunReport> {
    const rejected = (error: unknown): void => this.record.bug(error);
    process.on('unhandledRejection', rejected);
    try {
      await this.#course();
    } catch (error) {
      this.record.bug(error);
    } finally {
      process.off('unhandledRejection', rejected);
    }
    return this.record.report({
      seed: this.settings.base.seed,
      events: this.#scheduler.eventsRun,
      virtualMs: this.#scheduler.nowMs,
    });
  }

  /** Nodes with meshes, and their operators. */
  #operated(cluster: MeshCluster, seed: number): Meshed {
    const { founders, replicaCount } = this.settings;
    const { record } = this;
    for (const node of this.#founders) {
      cluster.tell(
        node,
        this.#founders.map(({ id }) => id),
      );
    }
    const random = new Prng(seed, 'membership');
    const boot = (node: ClusterNode): void => this.#boot(node);
    return {
      cluster,
      operators: new Operators({ cluster, record, random, founders, replicaCount, boot }),
      spaces: new SideSpaces(cluster, record, new Prng(seed, 'side-spaces')),
    };
  }

  #changed(random: Prng): Changes {
    return new Membership({
      cluster: this.cluster,
      record: this.record,
      scheduler: this.#scheduler,
      random,
      founders: this.settings.founders,
      partitions: this.#partitions,
    });
  }

  /** Nodes that are there from the start: of wires all, of meshes those who found the cluster. */
  get #founders(): readonly ClusterNode[] {
    const { nodes } = this.cluster;
    return this.#isMeshed ? nodes.slice(0, this.settings.founders) : nodes;
  }

  /** Where clients are told to go: the nodes that there are. */
  #addresses(): readonly string[] {
    const operators = this.#meshed?.operators;
    return this.cluster.nodes
      .filter((node) => operators?.isOver(node) !== true)
      .map(({ address }) => address);
  }

  get #isMeshed(): boolean {
    return this.cluster instanceof MeshCluster;
  }

  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  after(delayMs: number, run: () => void): void {
    this.#scheduler.after(delayMs * 1000, run);
  }

  /** A node ends now and begins again after `downMs`. */
  crash(node: ClusterNode, how: 'power' | 'process', downMs: number): void {
    if (!node.alive) return;
    this.#armed.delete(node);
    const torn = node.disk.counts.tornWrites;
    this.record.fault('node crashed', downMs + electionDisturbsMs);
    node.crash(how === 'power');
    this.#restarts += 1;
    if (node.disk.counts.tornWrites > torn) this.record.count('crash with torn writes');
    if (this.settings.base.wallJumps && this.random.chance(1, 4)) this.#jumpWall(node);
    this.after(downMs, () => this.#boot(node));
  }

  /**
   * A machine fails while its next sync is on its way. Most frames are empty and small; now and then it waits for
   * one that can be torn.
   */
  crashBeforeSync(node: ClusterNode, downMs: number): void {
    this.#armed.set(node, { downMs, above: this.random.chance(3, 4) ? sectorBytes : 0 });
  }

  /** An operator ends a node's process in good order; it begins again after `downMs`. */
  stop(node: ClusterNode, downMs: number): void {
    const { host, lives } = node;
    const meshes = this.#meshed?.cluster;
    if (meshes === undefined || host === undefined || this.#stopping.get(node) === lives) return;
    this.#stopping.set(node, lives);
    this.record.fault('node stopped', closeMsMax + downMs + electionDisturbsMs);
    const course = async (): Promise<void> => {
      await meshes.leave(node);
      if (!meshes.leaderOfAny(node)) this.record.count('a node left and led nothing');
      await this.#gateways.drain(node);
      await host.close();
      if (node.lives !== lives || !node.alive) return;
      this.record.count('a node stopped in good order');
      node.crash(false);
      this.#restarts += 1;
      this.after(downMs, () => this.#boot(node));
    };
    course().catch((error: unknown) => {
      // Its disk failed while it ended.
      if (node.lives === lives && node.alive) this.record.bug(error);
    });
    // What takes too long is ended.
    this.after(closeMsMax, () => {
      if (node.lives === lives) this.crash(node, 'process', downMs);
    });
  }

  /** Somebody looks at a gateway for a while; who leads the partition elsewhere meanwhile is counted. */
  onlook(node: ClusterNode, partition: PartitionId, forMs: number): void {
    let isDeposed = false;
    this.#onlookers.add(node.address, forMs, () => {
      if (isDeposed || node.host?.epochOf(partition) === undefined) return;
      isDeposed = this.cluster.leaderOf(partition) !== node;
      if (isDeposed) this.record.count('a deposed leader was asked');
    });
  }

  /** Operators make, look for or drop a space, where that can be done anywhere. */
  changeSpaces(): void {
    this.#meshed?.spaces.change();
  }

  /** The gateway of a node ends, with everything its router knew. */
  killGateway(node: ClusterNode, downMs: number): void {
    if (!this.#gateways.close(node)) return;
    this.record.fault('gateway killed', downMs + 2_000);
    this.after(downMs, () => this.#gateways.open(node));
  }

  async #course(): Promise<void> {
    const { base } = this.settings;
    const { seed } = base;
    this.record.recorder.start({
      seed,
      partitions: this.settings.partitions,
      wayMs: this.#wayMs(),
    });
    for (const { name } of simSpaces) this.#tap.observe(name);
    for (const node of this.#founders) this.#boot(node);
    this.#scheduler.afterEvent = () => this.#afterEvent();
    if (!(await this.#found())) {
      this.record.say('liveness', `no cluster is there after ${foundingMs} ms`);
      return;
    }
    for (let each = 0; each < base.clients; each++) this.crowd.addClient();
    const isStill =
      this.#isMeshed ||
      (this.settings.nodes === this.settings.founders && this.settings.faults.change === 0);
    if (isStill) for (let each = 0; each < 2; each++) this.crowd.addFollower();
    this.#scheduleFault();
    this.#buryNowAndThen();
    const untilUs = this.#scheduler.nowUs + base.workMs * 1000;
    const enough = (): boolean =>
      this.record.recorder.operations - this.#onlookers.operations >= base.operations ||
      this.record.hasFailed;
    await this.#scheduler.run(untilUs, enough);
    await this.#settle();
    this.record.judge({ seen: this.#seen(), tap: this.#tap, watch: this.#watch });
  }

  /** The cluster founds itself; its spaces are made, and known to all. */
  async #found(): Promise<boolean> {
    const endUs = this.#scheduler.nowUs + foundingMs * 1000;
    this.#makeSpaces();
    const ready = (): boolean =>
      this.#founders.every((node) => node.knowsSpaces) &&
      this.#partitions.every((partition) => this.cluster.epochs.has(partition));
    const outcome = await this.#scheduler.run(endUs, () => ready() || this.record.hasFailed);
    const map = this.cluster.nodes[0]?.host?.map.cluster;
    if (outcome !== 'done' || map === undefined || this.record.hasFailed) return false;
    this.#tap.learn(map);
    for (const node of this.#founders) this.#gateways.open(node);
    return true;
  }

  /** Asks whoever leads group 0, until every space is there. */
  #makeSpaces(): void {
    const host = this.cluster.leaderOf(0 as GroupId)?.host;
    for (const { name, rule, like } of simSpaces) {
      if (host === undefined || !host.map.cluster.founded) break;
      if (host.map.cluster.space(name) !== undefined) continue;
      const rules =
        rule === undefined || like !== undefined
          ? []
          : [{ tag: rule.tag, spread: rule.spread, fields: rule.fields }];
      const settings = { rules, like, tupleBytesMax: 65_536 } as never;
      host.map.createSpace(name, settings, () => undefined);
      break;
    }
    if (this.#founders.every((node) => node.knowsSpaces)) return;
    this.after(50, () => this.#makeSpaces());
  }

  #addNode(seed: number, id: number): void {
    const { base, partitions, raft } = this.settings;
    const random = new Prng(seed, `node/${id}`);
    const node: ClusterNode = new ClusterNode({
      id,
      scheduler: this.#scheduler,
      disk: this.#makeDisk(random),
      random,
      skew: {
        driftPpm: random.between(0, 400) - 200,
        wallOriginMs: wallOriginMs + random.below(skewMsMax),
      },
      founding: this.#foundingOf(id),
      ifEmpty: this.#isMeshed && id > this.settings.founders ? 'join' : 'found',
      partitions,
      raft,
      snapshotTailBytes: base.snapshotTailBytes,
      segmentBytes,
      historyBytesMax: base.historyBytesMax,
      batchTuplesMax: base.batchTuplesMax,
      peers: this.cluster.peersOf(() => node),
      onFatal: (failed, error) => {
        this.record.note(`fatal ${failed.id} ${error.message}`);
        this.crash(failed, 'process', this.random.between(5, 500));
      },
      onRunning: () => this.#running(node),
      onEnded: (_, isMachine) => {
        this.#gateways.close(node);
        this.network.processGone(node.process);
        this.cluster.ended(node, isMachine);
      },
      onWarning: (message) => this.record.note(`warning ${id} ${message}`),
    });
    node.disk.onCall = (call, name) => {
      if (call === 'sync') this.#syncs(node, name);
    };
    this.cluster.nodes.push(node);
    for (const group of [0, ...this.#partitions]) this.cluster.place(group as GroupId, id, node);
  }

  /** Who founds the groups, and where the partitions' first replicas are. */
  #foundingOf(id: number): Founding {
    const { founders, nodes, replicaCount } = this.settings;
    const all = Array.from({ length: nodes }, (_, at) => at + 1);
    if (this.#isMeshed) {
      if (id > founders) return { replica: id, founders: [], replicaCount };
      return { ...foundingAll(id, all.slice(0, founders)), replicaCount };
    }
    return {
      ...foundingAll(id, all),
      // Everybody has the map; the partitions begin on some.
      replicasOf: (group) => (group === 0 ? all : all.slice(0, founders)),
    };
  }

  #syncs(node: ClusterNode, name: string): void {
    const armed = this.#armed.get(node);
    if (armed === undefined || !node.alive) return;
    const bytes = node.disk.unsyncedBytes(name);
    // Of a new segment's zeros nothing can be lost.
    if (bytes <= armed.above || bytes >= segmentBytes) return;
    this.#armed.delete(node);
    this.record.count('crash before a sync');
    this.after(0, () => this.crash(node, 'power', armed.downMs));
  }

  #makeDisk(random: Prng): SimDisk {
    return new SimDisk({
      schedule: (delayMs, run) => void this.#scheduler.after(delayMs * 1000, run),
      random: random.fork('disk'),
      delays: { writeMs: [0.01, 0.1], syncMs: [0.05, this.settings.base.syncMsMax] },
    });
  }

  #running(node: ClusterNode): void {
    this.record.note(`running ${node.id}`);
    this.cluster.running(node);
    this.#tapReplicas(node);
    this.#gateways.open(node);
  }

  #boot(node: ClusterNode): void {
    if (node.alive || this.#meshed?.operators.isOver(node) === true) return;
    this.record.note(`boot ${node.id}`);
    node.boot().catch((error: unknown) => {
      const name = error instanceof Error ? error.name : '';
      if (name !== 'DiskError') {
        this.record.bug(error);
        return;
      }
      this.record.note(`boot failed ${node.id} ${String(error)}`);
      node.crash(false);
      this.after(300, () => this.#boot(node));
    });
  }

  pauseNode(node: ClusterNode, forMs: number): void {
    node.pause(forMs);
    this.#gateways.pause(node, forMs);
  }

  #jumpWall(node: ClusterNode): void {
    const byMs = this.random.between(1, this.random.pick([2_000, 3_600_000]));
    node.skew.wallOriginMs += this.random.chance(1, 2) ? -byMs : byMs;
    this.#jumped.add(node);
    this.record.fault('wall clock jumped');
  }

  #afterEvent(): void {
    if (this.#scheduler.eventsRun % verifyEvery !== 0) return;
    for (const node of this.cluster.nodes) this.#tapReplicas(node);
    this.cluster.verify();
  }

  /** Notes who serves a partition; whether the one before it lives on in the same life. */
  #servesStill(partition: PartitionId): boolean {
    const before = this.#servers.get(partition);
    const node = this.cluster.leaderOf(partition);
    if (node !== undefined) this.#servers.set(partition, { node, life: node.lives });
    return before?.node.alive === true && before.node.lives === before.life;
  }

  /** Replicas come with the founding, with changes, and with each life. */
  #tapReplicas(node: ClusterNode): void {
    const { host } = node;
    if (host === undefined) return;
    for (const partition of node.partitionsHere()) {
      const replica = host.replicaOf(partition);
      const key = `${node.id}/${node.lives}/${partition}/${replica?.id}`;
      this.#countInstalled(key, partition, host.installedCount(partition));
      if (this.#tapped.has(key)) continue;
      this.#tapped.add(key);
      this.#tap.attachReplica(host, partition);
    }
  }

  #countInstalled(key: string, partition: PartitionId, count: number): void {
    if (count === (this.#installed.get(key) ?? 0)) return;
    this.#installed.set(key, count);
    this.record.count('a snapshot was installed');
    const leader = this.cluster.leaderOf(partition)?.host?.replicaOf(partition);
    if (leader !== undefined && isJoint(leader.configuration)) {
      this.record.count('a snapshot was installed during a joint change');
    }
  }

  #scheduleFault(): void {
    const { faultEveryMs } = this.settings;
    this.after(this.random.between(1, 2 * faultEveryMs), () => {
      if (!this.#working) return;
      inflict(this);
      this.#scheduleFault();
    });
  }

  #buryNowAndThen(): void {
    this.after(500, () => {
      this.membership.bury();
      if (!this.#working) this.membership.leaveAll();
      this.#buryNowAndThen();
    });
  }

  /** Nothing new is asked and nothing breaks; what can end, ends, and all replicas come to agree. */
  async #settle(): Promise<void> {
    this.#working = false;
    this.crowd.stop();
    this.#onlookers.stop();
    this.#armed.clear();
    this.wires.calm();
    this.record.note('settle');
    for (const node of this.cluster.nodes) {
      node.disk.capacityBytes = Number.POSITIVE_INFINITY;
      node.disk.faults.slowSync = 0;
      node.disk.answer();
    }
    this.record.recorder.fault('settling', { forMs: electionDisturbsMs });
    const end = this.#scheduler.nowUs + settleMs * 1000;
    await this.#scheduler.run(end, () => this.record.hasFailed);
    this.record.recorder.quiet();
    await this.#scheduler.run(end + 1000);
    if (this.record.hasFailed) return;
    const { cluster, record } = this;
    // SPEC §4: no single clock can jump a partition's; where there were always two voters or more.
    const isBound =
      this.#jumped.size <= 1 && this.settings.founders >= 2 && !this.membership.hasShrunk;
    const driftMs = skewMsMax + this.#scheduler.nowMs * 0.001;
    const latestMs = isBound ? wallOriginMs + this.#scheduler.nowMs + driftMs : undefined;
    judgeAtRest({ cluster, record, partitions: this.#partitions, latestMs });
    if (this.#meshed === undefined) return;
    judgePlacement(this.#meshed.cluster, record);
    this.#meshed.spaces.judge();
  }

  #seen(): Seen | undefined {
    const map = this.cluster.leaderOf(0 as GroupId)?.host?.map.cluster;
    const spaces = new Map<PartitionId, Space>();
    for (const partition of this.#partitions) {
      const host = this.cluster.leaderOf(partition)?.host;
      if (host?.epochOf(partition) === undefined) return undefined;
      spaces.set(partition, host.spaceOf(partition));
    }
    if (map === undefined) return undefined;
    const spaceOf = (partition: PartitionId): Space => spaces.get(partition) as Space;
    return { map, partitions: this.#partitions, spaceOf };
  }

  /** How long a call may take that nothing disturbs: some late messages, some syncs, on three nodes. */
  #wayMs(): number {
    const { base, wires } = this.settings;
    const lateMs = wires.lateOneIn === 0 ? 0 : wires.lateUsMax / 1000;
    const roundMs = (4 * wires.delayUsMax) / 1000;
    return 400 + 6 * (lateMs + roundMs) + 20 * base.syncMsMax + (2 * base.network.lateUsMax) / 1000;
  }
}

/** What is between the nodes: Raft's messages and links of their own, or the product's mesh and placement. */
export type Fabric = 'wires' | 'mesh';

/** Runs one seed. */
export function runClusterSeed(
  seed: number,
  fabric: Fabric,
  listeners: RunListeners = {},
): Promise<RunReport> {
  return new ClusterWorld(seed, fabric, listeners).run();
}
