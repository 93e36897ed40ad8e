import { limits } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { Cancel, Clock, Disk, Random } from '../base/doors.ts';
import type { GroupId, LogIndex, PartitionId, Term } from '../base/ids.ts';
import {
  diskHungMs,
  followerPendingBytesMax,
  inboxBytesMax,
  inboxMessagesMax,
  inboxReadyShare,
  inFlightBytesMax,
  inFlightEntriesMax,
  logSegmentBytes,
  snapshotReserveBytesMin,
} from '../base/limits.ts';
import { partitionIds } from '../cluster/slots.ts';
import type { LeaderStats } from '../coordination/leader.ts';
import type { BetweenLeaders, CoordinatorId, ToLeader } from '../coordination/messages.ts';
import type { Change } from '../raft/change.ts';
import { membersOf } from '../raft/configuration.ts';
import type { ProposeOutcome } from '../raft/membership.ts';
import { type Message, MessageKind } from '../raft/message.ts';
import type { RaftOptions } from '../raft/options.ts';
import type { Space } from '../space/space.ts';
import type { SpaceLimits } from '../space/space-state.ts';
import type { Checksum, LogBatch } from '../storage/entry.ts';
import type { Storage } from '../storage/storage.ts';
import { Compactor } from './compactor.ts';
import {
  type Founding,
  foundingBatch,
  foundingPast,
  foundingStart,
  joiningBatch,
  joiningPast,
  joiningStart,
  lone,
} from './founding.ts';
import type { GroupPast, GroupSurroundings } from './group.ts';
import { beginsWork, type InboxTotal } from './inbox.ts';
import { MapGroup } from './map-group.ts';
import { HostMapPort, type MapPort } from './map-port.ts';
import { PartitionGroup, type PartitionHooks } from './partition-group.ts';
import { Payloads } from './payloads.ts';
import { openData, type RecoveredState } from './recovery.ts';
import { isAlone, Replica, type ReplicaStart } from './replica.ts';
import { isUnrestored, type Restore, restorePartition, restoreProblem } from './restoring.ts';
import { type RouterPort, Routers } from './routers.ts';
import { SnapshotInstaller } from './snapshot-installer.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { Snapshotter } from './snapshotter.ts';
import { StartError } from './start-error.ts';
import { type AnyGroup, TurnLoop, type TurnStats } from './turn-loop.ts';

/** The other nodes, as the host of some groups' replicas reaches them. Everything may get lost. */
export interface Peers {
  /** For the replica `message.to` of the group. */
  send(group: GroupId, message: Message): void;
  /** A message that brings a snapshot, and the snapshot's content. Resolves where it is known to be lost. */
  sendSnapshot(
    group: GroupId,
    message: Message,
    chunks: readonly Uint8Array[],
  ): Promise<'lost' | undefined>;
  /** For the present leader of a partition. */
  sendLeader(to: PartitionId, message: BetweenLeaders): void;
}

/** What a host is made with. */
export interface HostOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly checksum: Checksum;
  /** Partitions of a new cluster; of an existing one, what it must have. Undefined: 16, or what it has. */
  readonly partitions?: number;
  /** The other nodes; undefined: there are none, and every group has one replica. */
  readonly peers?: Peers;
  /** Who founds the cluster: the first replica of each group here, and those of all founders. */
  readonly founding?: Founding;
  /** What an empty data folder does: found the groups, or wait for a cluster that there is. Default: `found`. */
  readonly ifEmpty?: 'found' | 'join' | 'refuse';
  /** The backup that the cluster begins with, where it is founded now. Every founder has the same one. */
  readonly restore?: Restore;
  /** Options of the Raft core that differ from `raftDefaults`. */
  readonly raft?: Partial<RaftOptions>;
  /** Bytes of the log's segments; 64 MiB in earnest. */
  readonly segmentBytes?: number;
  /** Bytes reserved for a snapshot before any is known; 8 MiB in earnest. */
  readonly reserveBytesMin?: number;
  /** Bytes of entries after which a group's snapshot is due; 4 MiB in earnest. */
  readonly snapshotTailBytes?: number;
  /**
   * Whether snapshots carry the hash of the state they were cut from, which the next start compares.
   * A walk over everything at each cut: for tests and the simulator.
   */
  readonly hashesCuts?: boolean;
  /** Bounds of every partition's state that differ from `base/limits.ts`; the same in every life. */
  readonly spaceLimits?: Partial<SpaceLimits>;
  /** Nothing can be made durable any more: the process must end. Called once; no answer follows. */
  readonly onFatal: (error: Error) => void;
  /** Sentences for the operator. */
  readonly onWarning?: (message: string) => void;
}

/** What a host has done and holds; plain numbers for metrics. */
export interface HostStats extends TurnStats {
  readonly snapshots: number;
  /** Milliseconds of the longest slice of a snapshot. */
  readonly longestCutMs: number;
  readonly inboxMessages: number;
  readonly inboxBytes: number;
  readonly inFlightEntries: number;
  readonly inFlightBytes: number;
  readonly refusedMessages: number;
  readonly disk: 'ok' | 'reserve';
}

const mapGroup = 0 as GroupId;
/** Below every leadership's. */
const noEpoch = 0 as Term;

/**
 * All groups of one node behind one log. Routers send messages and get answers in batches; DESIGN.md
 * says how a turn goes. Not to be used before `open` resolves nor after `close`.
 */
export class PartitionHost {
  /** Group 0. */
  readonly map: MapPort;
  readonly #mapPort: HostMapPort;
  readonly #options: HostOptions;
  readonly #unlock: Cancel;
  readonly #storage: Storage;
  readonly #routers = new Routers();
  readonly #loop: TurnLoop;
  readonly #snapshotter: Snapshotter;
  readonly #compactor: Compactor;
  readonly #installer: SnapshotInstaller;
  readonly #around: GroupSurroundings;
  readonly #recovered: RecoveredState;
  readonly #founding: Founding;
  readonly #mapGroup: MapGroup;
  readonly #partitions = new Map<PartitionId, PartitionGroup>();
  /** The same, in the order in which they came. */
  readonly #partitionList: PartitionGroup[] = [];
  readonly #inboxTotal: InboxTotal = { bytes: 0 };
  readonly #snapshotSender: SnapshotSender | undefined;
  /** Replicas whose tombstone is on its way. */
  readonly #burials = new Map<PartitionId, Promise<void>>();
  #state: 'starting' | 'serving' | 'closing' | 'closed' | 'failed' = 'starting';
  #refusedMessages = 0;
  #hasPartitions = false;
  /** Partitions on their way from a backup. */
  #restoring: Promise<void> = Promise.resolve();
  #whenServing: (() => void) | undefined;
  #failStart: ((error: Error) => void) | undefined;
  #failClose: (() => void) | undefined;

  private constructor(
    options: HostOptions,
    parts: { unlock: Cancel; storage: Storage; recovered: RecoveredState },
  ) {
    this.#options = options;
    this.#unlock = parts.unlock;
    this.#storage = parts.storage;
    this.#recovered = parts.recovered;
    this.#founding = options.founding ?? lone;
    const payloads = new Payloads({ isKept: options.peers !== undefined });
    this.#around = { payloads, wallMs: () => options.clock.wallMs() };
    this.#installer = new SnapshotInstaller({
      storage: parts.storage,
      limits: options.spaceLimits ?? {},
      quiet: (group) => this.#snapshotter.idle(group),
      onFatal: (error) => this.#fail(error),
      onWarning: (message) => options.onWarning?.(message),
      onInstalled: () => this.#loop.wake(),
    });
    this.#loop = new TurnLoop({
      clock: options.clock,
      random: options.random,
      log: parts.storage.log,
      payloads,
      routers: this.#routers,
      onTick: () => this.#tick(),
      onDiskHung: (isHung) => {
        const meanwhile = this.#isAlone ? '' : ': other nodes lead meanwhile';
        const since = `the disk has not answered for ${diskHungMs} ms${meanwhile}`;
        options.onWarning?.(isHung ? since : 'the disk answers again');
      },
      onInstallation: (group) => this.#installer.install(group as MapGroup | PartitionGroup),
    });
    this.#mapGroup = this.#makeMapGroup();
    this.#snapshotter = new Snapshotter({
      clock: options.clock,
      storage: parts.storage,
      segmentBytes: options.segmentBytes ?? logSegmentBytes,
      groups: () => [this.#mapGroup, ...this.#partitionList],
      ...(options.snapshotTailBytes === undefined ? {} : { tailBytes: options.snapshotTailBytes }),
      onFatal: (error) => this.#fail(error),
      onWarning: (message) => options.onWarning?.(message),
    });
    this.#compactor = new Compactor(options.clock, this.#partitionList);
    this.#snapshotSender =
      options.peers === undefined
        ? undefined
        : new SnapshotSender({
            clock: options.clock,
            snapshots: parts.storage.snapshots,
            peers: options.peers,
            isServing: () => this.#state === 'serving',
          });
    this.#mapPort = new HostMapPort(this.#mapGroup, {
      isServing: () => this.#state === 'serving',
      nowMs: () => this.#loop.nowMs,
    });
    this.map = this.#mapPort;
  }

  /**
   * Recovers the data folder, founds the cluster where there is none, and begins a new leadership of
   * every group; resolves when all serve. Rejects with StartError, LogDamaged, SnapshotDamaged or
   * DiskError, and then holds nothing.
   */
  static async open(options: HostOptions): Promise<PartitionHost> {
    const wanted = options.partitions;
    if (wanted !== undefined && !isPartitionCount(wanted)) {
      const message = `${wanted} partitions: a cluster has 1 to ${limits.partitionCountMax}`;
      throw new StartError('PARTITIONS_RANGE', message);
    }
    const backed = options.restore?.partitions;
    if (wanted !== undefined && backed !== undefined && wanted !== backed) {
      const message = `the backup has ${backed} partitions, and so has what is restored; it cannot have ${wanted}`;
      throw new StartError('PARTITIONS_FIXED', message);
    }
    const unlock = await options.disk.lock();
    try {
      return await PartitionHost.#openLocked(options, unlock);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  static async #openLocked(options: HostOptions, unlock: Cancel): Promise<PartitionHost> {
    let host: PartitionHost | undefined;
    let early: Error | undefined;
    const { storage, recovered } = await openData(options.disk, options.clock, {
      ...options,
      segmentBytes: options.segmentBytes ?? logSegmentBytes,
      reserveBytesMin: options.reserveBytesMin ?? snapshotReserveBytesMin,
      onFatal: (error) => {
        if (host === undefined) early = error;
        else host.#fail(error);
      },
    });
    try {
      const { map } = recovered;
      const wanted = options.partitions;
      if (map.founded && wanted !== undefined && wanted !== map.partitions) {
        const message =
          `the cluster was founded with ${map.partitions} partitions, which is for ever; ` +
          `it cannot be started with ${wanted}`;
        throw new StartError('PARTITIONS_FIXED', message);
      }
      checkAlone(options, recovered);
      if (options.ifEmpty === 'refuse' && !recovered.replicas.has(mapGroup)) {
        throw new StartError('NOT_FOUNDED', 'there is no data of a cluster');
      }
      host = new PartitionHost(options, { unlock, storage, recovered });
      if (early !== undefined) throw early;
      await host.#start();
      return host;
    } catch (error) {
      if (host !== undefined) host.#stop('failed');
      await storage.close();
      throw error;
    }
  }

  /** Group 0 first, which says what others there are; alone, until all of them serve. */
  async #start(): Promise<void> {
    const { replicas } = this.#recovered;
    const isNew = !replicas.has(mapGroup);
    this.#recovered.forget(mapGroup);
    this.#loop.addMap(this.#mapGroup);
    const { replica } = this.#founding;
    if (isNew && this.#joins) await this.#durable(joiningBatch(mapGroup, replica));
    else if (isNew) {
      await this.#durable(foundingBatch(mapGroup, replica, this.#foundersOf(mapGroup)));
      this.#passFounding(this.#mapGroup);
    }
    if (this.#mapGroup.map.founded) await this.#settled((resolve) => this.#makePartitions(resolve));
    if (this.#isAlone) {
      await this.#settled((resolve) => {
        this.#whenServing = resolve;
        for (const { replica } of [this.#mapGroup, ...this.#partitionList]) replica.campaign();
      });
    }
    this.#state = 'serving';
    this.#loop.startTicks();
  }

  /** Whether an empty folder waits for a cluster that others have founded. */
  get #joins(): boolean {
    return this.#options.ifEmpty === 'join';
  }

  /** Whether every group has its one replica here. */
  get #isAlone(): boolean {
    return this.#options.peers === undefined;
  }

  #durable(batch: LogBatch): Promise<void> {
    return this.#settled((resolve) => this.#storage.log.append(batch, resolve));
  }

  #makeMapGroup(): MapGroup {
    const { map, replicas } = this.#recovered;
    const start = replicas.get(mapGroup);
    const { replica } = this.#founding;
    const fresh = this.#joins
      ? { start: joiningStart(mapGroup, replica), past: joiningPast }
      : {
          start: foundingStart(mapGroup, replica, this.#foundersOf(mapGroup)),
          past: foundingPast,
        };
    const group: MapGroup = new MapGroup(map, {
      replica: this.#makeReplica(start ?? fresh.start, () => group),
      past: start === undefined ? fresh.past : this.#recovered.pastOf(mapGroup),
      around: this.#around,
      hooks: {
        admitsData: () => this.#admitsData(),
        wake: () => this.#loop.wake(),
        serving: () => this.#mapServes(),
        founded: () => this.#makePartitions(() => this.#lookWhetherServing()),
      },
    });
    return group;
  }

  #makeReplica(start: ReplicaStart, group: () => AnyGroup): Replica {
    const { random, raft } = this.#options;
    const ports = {
      send: (message: Message) => this.#sendToPeer(group(), message),
      stirred: () => this.#loop.stir(group()),
    };
    // Nodes wait for the map to say what they did; nobody waits for a follower of a partition.
    const lazyCommits = start.group !== mapGroup;
    return new Replica(start, ports, { lazyCommits, ...raft, random });
  }

  /** A founder's state machines have nothing to do for a group's first entries. */
  #passFounding(group: MapGroup | PartitionGroup): void {
    const state = group instanceof MapGroup ? group.map : group.space;
    for (const at of this.#foundersOf(group.id).keys()) state.pass((at + 1) as LogIndex);
  }

  /** The replicas that this node has of the cluster's partitions: recovered ones, and those it founds. */
  #makePartitions(made: () => void): void {
    const { partitions } = this.#mapGroup.map;
    const { replicas, buried } = this.#recovered;
    const founded: PartitionId[] = [];
    for (const partition of partitionIds(partitions)) {
      const start = replicas.get(partition);
      if (start !== undefined && !this.#isUnrestored(start))
        this.#addPartition(start, this.#recovered.pastOf(partition));
      else if (!buried.has(partition) && this.#founds(partition)) founded.push(partition);
    }
    const { restore } = this.#options;
    const problem = restoreProblem(
      this.#mapGroup.map.backup,
      restore?.map.backup,
      founded.length > 0,
    );
    if (problem !== undefined) this.#fail(problem);
    else if (restore === undefined || founded.length === 0) this.#foundAll(founded, made);
    else {
      this.#restoring = this.#restoreAll(founded, restore).then(
        () => this.#made(made),
        (error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))),
      );
    }
  }

  #made(made: () => void): void {
    if (this.#state !== 'starting' && this.#state !== 'serving') return;
    this.#hasPartitions = true;
    made();
  }

  /** Begins partitions with a backup, one after the other: each is in memory once. */
  async #restoreAll(partitions: readonly PartitionId[], restore: Restore): Promise<void> {
    const { replica } = this.#founding;
    const { clock, spaceLimits = {} } = this.#options;
    const isEnding = (): boolean => this.#state !== 'starting' && this.#state !== 'serving';
    const around = { storage: this.#storage, clock, limits: spaceLimits, restore, isEnding };
    for (const partition of partitions) {
      const founders = this.#foundersOf(partition);
      const restored = await restorePartition({ partition, replica, founders }, around);
      if (restored === undefined || isEnding()) return;
      this.#recovered.spaces.set(partition, restored.space);
      const group = this.#addPartition(restored.start, restored.past);
      if (this.#isAlone) group.replica.campaign();
    }
  }

  /** Begins partitions with nothing. */
  #foundAll(founded: readonly PartitionId[], made: () => void): void {
    const { replica } = this.#founding;
    const batches = founded.map((partition) =>
      foundingBatch(partition, replica, this.#foundersOf(partition)),
    );
    const batch = {
      replicas: batches.flatMap((each) => each.replicas ?? []),
      entries: batches.flatMap((each) => each.entries),
      hardStates: batches.flatMap((each) => each.hardStates ?? []),
    };
    this.#storage.log.append(batch, () => {
      if (this.#state === 'failed' || this.#state === 'closed') return;
      for (const partition of founded) {
        const start = foundingStart(partition, replica, this.#foundersOf(partition));
        const group = this.#addPartition(start, foundingPast);
        this.#passFounding(group);
        if (this.#isAlone) group.replica.campaign();
      }
      this.#made(made);
    });
  }

  /** Whether a crash came between a founder's replica and the state of the backup. */
  #isUnrestored(start: ReplicaStart): boolean {
    const isFirst = start.id === this.#founding.replica && this.#founds(start.group);
    return this.#mapGroup.map.backup !== '' && isFirst && isUnrestored(start);
  }

  #founds(group: GroupId): boolean {
    return this.#foundersOf(group).includes(this.#founding.replica);
  }

  /** The first replicas of a group: for ever the same, so that who founds it late founds the same. */
  #foundersOf(group: GroupId): readonly number[] {
    const { founders, replicasOf } = this.#founding;
    if (group === mapGroup) return founders.map(({ id }) => id);
    return replicasOf?.(group) ?? this.#mapGroup.map.foundersOf(group);
  }

  #addPartition(start: ReplicaStart, past: GroupPast): PartitionGroup {
    const partition = start.group as PartitionId;
    const group: PartitionGroup = new PartitionGroup({
      replica: this.#makeReplica(start, () => group),
      around: this.#around,
      space: this.#recovered.spaceOf(partition),
      past,
      hooks: this.#hooks(),
      pipeline: { entries: inFlightEntriesMax, bytes: inFlightBytesMax },
      inboxTotal: this.#inboxTotal,
      hashesCuts: this.#options.hashesCuts ?? false,
    });
    // Nothing of it is held that a snapshot from a leader replaces.
    this.#recovered.forget(partition);
    this.#partitions.set(partition, group);
    this.#partitionList.push(group);
    this.#loop.addPartition(group);
    return group;
  }

  #mapServes(): void {
    if (this.#mapGroup.map.founded) this.#lookWhetherServing();
    else this.#found();
    this.#mapPort.serves();
  }

  #found(): void {
    const { random, restore } = this.#options;
    const { partitions = restore?.partitions ?? limits.partitionCountDefault } = this.#options;
    let clusterId = '';
    for (let word = 0; word < 4; word += 1) {
      clusterId += random.uint32().toString(16).padStart(8, '0');
    }
    const { founders, replicaCount } = this.#founding;
    const command = {
      ...({ kind: 'found', clusterId, partitions, replicaCount, founders } as const),
      ...(restore === undefined ? {} : { restored: restore.map }),
    };
    this.#mapGroup.call(command, this.#loop.nowMs, () => undefined);
  }

  #lookWhetherServing(): void {
    const { map, epoch } = this.#mapGroup;
    if (this.#whenServing === undefined || epoch === undefined) return;
    if (this.#partitionList.length < map.partitions) return;
    if (this.#partitionList.some((group) => group.epoch === undefined)) return;
    this.#whenServing();
    this.#whenServing = undefined;
  }

  /** One step of the start, which a fatal error of the log ends. */
  async #settled(step: (resolve: () => void) => void): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#failStart = reject;
      step(resolve);
    });
    this.#failStart = undefined;
  }

  /**
   * Queues a message for a partition's leader. It is always answered, if with a refusal, unless its
   * kind has no answer.
   */
  send(to: PartitionId, from: CoordinatorId, message: ToLeader): void {
    const group = this.#partitions.get(to);
    if (group === undefined) this.#sayNotHere(to, from, message);
    else if (this.#state === 'serving' && group.epoch !== undefined) {
      if (!beginsWork(message) || this.#hasRoom(group, 1)) group.inbox.push(from, message);
      else {
        this.#refusedMessages += 1;
        const text = `partition ${to} has more work waiting than it may hold`;
        group.turnAway(from, message, text);
      }
    } else if (this.#state === 'failed' || this.#state === 'closed') return;
    else group.sayNotLeader(from, message);
    this.#loop.wake();
  }

  /** A message of another replica of a group. */
  receiveRaft(group: GroupId, message: Message): void {
    const known = this.#groupOf(group);
    if (known?.replica.id !== message.to || !this.#runs) return;
    if (message.kind === MessageKind.voteAnswer && !message.reject) {
      known.votedFor(message.from, message.term, message.wallMs);
    }
    if (message.entries.length > 0 && this.#isDiskBehind) return;
    known.replica.step(message);
  }

  /** Whether entries from leaders are passed over: they send them again, when this node has written more. */
  get #isDiskBehind(): boolean {
    return this.#storage.log.pendingBytes() >= followerPendingBytesMax;
  }

  /** A node can be reached no more: groups led there look for another leader at once. */
  nodeLost(livesThere: (group: GroupId, replica: number) => boolean): void {
    if (!this.#runs) return;
    for (const group of [this.#mapGroup, ...this.#partitionList]) {
      const { lead } = group.replica;
      if (livesThere(group.id, lead)) this.#loop.leaderLost(group, lead);
    }
  }

  /** A message that brings a snapshot of a group, with its content. */
  receiveSnapshot(group: GroupId, message: Message, chunks: readonly Uint8Array[]): void {
    const known = this.#groupOf(group);
    if (known?.replica.id !== message.to || !this.#runs) return;
    this.#installer.receive(known, message, chunks);
  }

  /** A message of another partition's leader, for the one that is led here; else it is lost. */
  receiveLeader(to: PartitionId, message: BetweenLeaders): void {
    const group = this.#partitions.get(to);
    if (group?.epoch === undefined || this.#state !== 'serving') return;
    group.receiveLeader(message);
    this.#loop.wake();
  }

  /**
   * Answers with an index of a group's log that covers everything answered there before this call, once it
   * is sure that the group is led here; with nothing where it is not. Not after `close`.
   */
  readIndex(group: GroupId, answer: (index: LogIndex | undefined) => void): void {
    const known = this.#state === 'serving' ? this.#groupOf(group) : undefined;
    if (known === undefined) answer(undefined);
    else known.readIndex(answer);
  }

  /**
   * The state of a group that is led here, with all that was answered before this call: the chunks of a snapshot,
   * read no faster than they are asked for, each valid until the next is. `not-led`: it is not, or no more;
   * `no-room`: the disk has none for a snapshot; `ending`: the host ends.
   */
  async stateOf(
    group: GroupId,
  ): Promise<AsyncGenerator<Uint8Array, void, undefined> | 'not-led' | 'no-room' | 'ending'> {
    const index = await new Promise<LogIndex | undefined>((answer) =>
      this.readIndex(group, answer),
    );
    if (index === undefined) return 'not-led';
    const isThere = await this.#snapshotter.reaching(group, index);
    if (isThere) return this.#storage.snapshots.chunksOf(group);
    if (this.#state !== 'serving') return 'ending';
    return this.#groupOf(group) === undefined ? 'not-led' : 'no-room';
  }

  /** Proposes a change of a group's configuration; undefined where the group has no replica here. */
  proposeChange(group: GroupId, change: Change): ProposeOutcome | undefined {
    return this.#groupOf(group)?.replica.proposeChange(change);
  }

  /** Where a group is led here: whether a majority has applied its present configuration, durably. */
  isConfigurationSettled(group: GroupId): boolean {
    const known = this.#state === 'serving' ? this.#groupOf(group) : undefined;
    const isSettled = known?.isConfigurationSettled() ?? false;
    this.#loop.wake();
    return isSettled;
  }

  /** Hands a group's leadership to another replica, where it is here. */
  handOver(group: GroupId, target: number): void {
    this.#groupOf(group)?.handOver(target, this.#loop.nowMs);
    this.#loop.wake();
  }

  /**
   * Makes a replica of a partition that others have founded; it waits for its leader. One at a time of a
   * partition, and each with a higher number than the one before.
   */
  createReplica(partition: PartitionId, replica: number, made: () => void): void {
    assert(!this.#partitions.has(partition), 'a node has one replica of a partition');
    const burial = this.#burials.get(partition);
    if (burial !== undefined) {
      // Its tombstone comes first. Where that fails, whoever asked for it is told.
      const again = (): void => this.createReplica(partition, replica, made);
      burial.then(again, () => undefined);
      return;
    }
    if (!this.#runs) return;
    this.#storage.log.append(joiningBatch(partition, replica), () => {
      if (!this.#runs) return;
      this.#addPartition(joiningStart(partition, replica), joiningPast);
      made();
    });
  }

  /** Buries this node's replica of a partition: nothing of it is left, and its id is never used again. */
  async removeReplica(partition: PartitionId): Promise<void> {
    const group = this.#partition(partition);
    group.retire();
    this.#loop.removePartition(group);
    this.#partitions.delete(partition);
    this.#partitionList.splice(this.#partitionList.indexOf(group), 1);
    // What it has answered is delivered in a turn.
    this.#loop.wake();
    const burial = this.#bury(partition, group.replica.id);
    this.#burials.set(partition, burial);
    try {
      await burial;
    } finally {
      this.#burials.delete(partition);
    }
  }

  async #bury(partition: PartitionId, replica: number): Promise<void> {
    await this.#snapshotter.idle(partition);
    await this.#installer.drop(partition);
    if (!this.#runs) throw new Error(`the host ended before replica ${replica} was buried`);
    await this.#storage.bury(partition, replica);
  }

  /** How often a partition's whole state was replaced by its leader's, in this life of its replica. */
  installedCount(partition: PartitionId): number {
    return this.#partition(partition).installedCount;
  }

  /** Whether the map is here, and the partitions that this node has had, or founds, have their replicas. */
  get hasPartitions(): boolean {
    return this.#hasPartitions;
  }

  /** What can be seen of a group's replica here. */
  replicaOf(group: GroupId): Replica | undefined {
    return this.#groupOf(group)?.replica;
  }

  /** Whether messages may come in: from the start on, until it ends. */
  get #runs(): boolean {
    return this.#state !== 'failed' && this.#state !== 'closed';
  }

  #groupOf(group: GroupId): MapGroup | PartitionGroup | undefined {
    return group === mapGroup ? this.#mapGroup : this.#partitions.get(group as PartitionId);
  }

  /** Whether a partition takes new work gladly; while false, routers should slow their callers. */
  ready(partition: PartitionId): boolean {
    const group = this.#partitions.get(partition);
    return group === undefined || this.#hasRoom(group, inboxReadyShare);
  }

  /** Attaches a router, which hears at once of every leadership here. Cancel detaches it for ever. */
  attach(router: RouterPort): Cancel {
    assert(router.id > 0, 'ids of routers begin at 1');
    this.#routers.add(router);
    for (const { partition, epoch } of this.#partitionList) {
      if (epoch !== undefined) router.leadership(partition, epoch);
    }
    let attached = true;
    return () => {
      if (!attached) return;
      attached = false;
      this.#routers.remove(router.id);
      if (this.#state !== 'serving') return;
      // Behind its messages that still wait, so that none of them is left without an owner.
      for (const { inbox, leader } of this.#partitionList) {
        if (leader !== undefined) inbox.push(router.id, undefined);
      }
      this.#loop.wake();
    };
  }

  /** The epoch in which a partition serves here. */
  epochOf(partition: PartitionId): Term | undefined {
    return this.#partitions.get(partition)?.epoch;
  }

  /** Whether a replica of a partition is here. */
  hasReplica(partition: PartitionId): boolean {
    return this.#partitions.has(partition);
  }

  /** A partition's state, to be read between turns and never changed. */
  spaceOf(partition: PartitionId): Space {
    return this.#partition(partition).space;
  }

  /** Calls `run` after entries of a partition were applied, at most once a turn. */
  onApplied(partition: PartitionId, run: () => void): Cancel {
    const { observers } = this.#partition(partition);
    // One object for each call, so that one function may be there twice.
    const observer = (): void => run();
    observers.add(observer);
    return () => void observers.delete(observer);
  }

  /** A copy of the present numbers. */
  stats(): HostStats {
    let inboxMessages = 0;
    let inFlightEntries = 0;
    let inFlightBytes = 0;
    for (const group of this.#partitionList) {
      inboxMessages += group.waitingCount;
      inFlightEntries += group.inFlightEntries;
      inFlightBytes += group.inFlightBytes;
    }
    return {
      ...this.#loop.stats,
      snapshots: this.#snapshotter.count,
      longestCutMs: this.#snapshotter.longestSliceMs,
      inboxMessages,
      inboxBytes: this.#inboxTotal.bytes,
      inFlightEntries,
      inFlightBytes,
      refusedMessages: this.#refusedMessages,
      disk: this.#storage.reserveState(),
    };
  }

  /** A partition's leader counts: waiters, offers, entries in flight, sessions. Undefined: it is not led here. */
  leaderStats(partition: PartitionId): LeaderStats | undefined {
    return this.#partition(partition).leader?.stats();
  }

  /**
   * Admits nothing new, makes durable and answers what was admitted, and closes the log. Calls that
   * wait (blocking takes) are not ended here: their routers end them before. It takes as long as the
   * disk does; after a fatal error it resolves at once. Once.
   */
  async close(): Promise<void> {
    if (this.#state !== 'serving') return;
    this.#state = 'closing';
    const failed = new Promise<void>((resolve) => {
      this.#failClose = resolve;
    });
    await Promise.race([this.#settleDown(), failed]);
    if (this.#isFailed()) return;
    this.#stop('closed');
    await this.#storage.close();
    this.#unlock();
  }

  /** Ends it where `close` takes too long: nothing follows, and the log stays as it is on disk. */
  abandon(): void {
    if (this.#state === 'closed') return;
    this.#stop('failed');
    this.#failClose?.();
  }

  async #settleDown(): Promise<void> {
    await this.#restoring;
    await this.#loop.drain();
    await this.#snapshotter.stop();
    await this.#installer.stop();
    // Whoever asked for it hears what became of it.
    await Promise.allSettled(this.#burials.values());
    this.#loop.writeCommits();
  }

  #isFailed(): boolean {
    return this.#state === 'failed';
  }

  #stop(state: 'closed' | 'failed'): void {
    this.#state = state;
    this.#loop.stop();
  }

  #fail(error: Error): void {
    if (this.#state === 'failed' || this.#state === 'closed') return;
    this.#stop('failed');
    if (this.#failStart !== undefined) this.#failStart(error);
    else this.#options.onFatal(error);
    this.#failClose?.();
  }

  #partition(partition: PartitionId): PartitionGroup {
    return present(this.#partitions.get(partition), 'the partition exists');
  }

  #hasRoom(group: PartitionGroup, share: number): boolean {
    if (group.inbox.size >= inboxMessagesMax * share) return false;
    return this.#inboxTotal.bytes < inboxBytesMax * share;
  }

  #admitsData(): boolean {
    return this.#storage.reserveState() === 'ok';
  }

  #hooks(): PartitionHooks {
    return {
      send: (to, message) => this.#routers.send(to, message),
      sendLeader: (to, message) => this.#sendLeader(to, message),
      admitsData: () => this.#admitsData(),
      serving: (partition, epoch) => {
        this.#routers.announce(partition, epoch);
        this.#lookWhetherServing();
      },
    };
  }

  /** No replica of that partition is here: whoever asked may ask the next leader. */
  #sayNotHere(partition: PartitionId, to: CoordinatorId, message: ToLeader): void {
    const { call } = message;
    const epoch = 'epoch' in message ? message.epoch : noEpoch;
    this.#routers.send(to, { kind: 'not-leader', definite: true, call, partition, epoch });
  }

  #sendLeader(to: PartitionId, message: BetweenLeaders): void {
    if (this.#partitions.get(to)?.epoch === undefined) this.#options.peers?.sendLeader(to, message);
    else this.receiveLeader(to, message);
  }

  #sendToPeer(group: AnyGroup, message: Message): void {
    const { peers, clock } = this.#options;
    if (message.kind === MessageKind.voteAnswer) message.wallMs = Math.floor(clock.wallMs());
    if (message.snapshot === null) peers?.send(group.id, message);
    else void this.#snapshotSender?.send(group, message);
  }

  #tick(): void {
    this.#snapshotter.poke();
    this.#compactor.tick();
  }
}

/** A node that is alone is its groups' only member: else it would wait for the others for ever. */
function checkAlone({ peers }: HostOptions, { map, replicas }: RecoveredState): void {
  if (peers !== undefined) return;
  for (const start of replicas.values()) {
    const { group, id, configuration } = start;
    if (isAlone(configuration, id)) continue;
    // Its members are those that the restored state will have.
    if (group !== mapGroup && map.backup !== '' && isUnrestored(start)) continue;
    const members = membersOf(configuration).join(', ');
    const message = `the data is of a cluster of the nodes ${members}, and none is named`;
    throw new StartError('FOUNDERS_OTHER', message);
  }
}

function isPartitionCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= limits.partitionCountMax;
}
