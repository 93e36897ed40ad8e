import { limits } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { Cancel, Clock, Disk, Random } from '../base/doors.ts';
import type { GroupId, PartitionId, SpaceId, Term } from '../base/ids.ts';
import {
  inboxBytesMax,
  inboxMessagesMax,
  inboxReadyShare,
  inFlightBytesMax,
  inFlightEntriesMax,
  logSegmentBytes,
  snapshotReserveBytesMin,
} from '../base/limits.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import type { MapOutcome, MapProblem, SpaceSettings } from '../cluster/map-command.ts';
import { partitionIds } from '../cluster/slots.ts';
import type { CoordinatorId, ToLeader } from '../coordination/messages.ts';
import type { Space } from '../space/space.ts';
import type { SpaceLimits } from '../space/space-state.ts';
import type { Checksum } from '../storage/entry.ts';
import type { Storage } from '../storage/storage.ts';
import { Compactor } from './compactor.ts';
import { LoneGroupLog } from './group-log.ts';
import { beginsWork, type InboxTotal } from './inbox.ts';
import { type MapAnswer, MapGroup } from './map-group.ts';
import { PartitionGroup, type PartitionHooks } from './partition-group.ts';
import { Payloads } from './payloads.ts';
import { openData, type RecoveredState } from './recovery.ts';
import { type RouterPort, Routers } from './routers.ts';
import { Snapshotter } from './snapshotter.ts';
import { SpaceDrops } from './space-drops.ts';
import { StampClock } from './stamp-clock.ts';
import { StartError } from './start-error.ts';
import { TurnLoop, type TurnStats } from './turn-loop.ts';

/** What a host is made with. */
export interface HostOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly checksum: Checksum;
  /** Partitions of a new cluster; of an existing one, what it must have. Undefined: 16, or what it has. */
  readonly partitions?: number;
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

/** The cluster map as the rest of the node uses it. */
export interface MapPort {
  /** Read only. */
  readonly cluster: ClusterMap;
  /** Creates a space; answered once, when it is durable or refused. */
  createSpace(name: string, settings: SpaceSettings, answer: MapAnswer): void;
  /** Drops a space; answered once, when that is durable or refused. Its tuples go in time. */
  dropSpace(name: string, answer: MapAnswer): void;
  /** Calls `run` after changes, at most once a turn. */
  onChange(run: () => void): Cancel;
}

/** The host's own calls to leaders (dropping spaces) come from this coordinator. */
const hostCoordinator: CoordinatorId = 0;

/**
 * All groups of one node behind one log. Routers send messages and get answers in batches; DESIGN.md
 * says how a turn goes. Not to be used before `open` resolves nor after `close`.
 */
export class PartitionHost {
  /** Group 0. */
  readonly map: MapPort;
  readonly #options: HostOptions;
  readonly #unlock: Cancel;
  readonly #storage: Storage;
  readonly #payloads = new Payloads();
  readonly #routers = new Routers();
  readonly #loop: TurnLoop;
  readonly #snapshotter: Snapshotter;
  readonly #compactor: Compactor;
  readonly #mapGroup: MapGroup;
  readonly #partitions: PartitionGroup[] = [];
  readonly #inboxTotal: InboxTotal = { bytes: 0 };
  #drops: SpaceDrops | undefined;
  #state: 'starting' | 'serving' | 'closing' | 'closed' | 'failed' = 'starting';
  #refusedMessages = 0;
  #servingGroups = 0;
  #started: { readonly groups: number; readonly resolve: () => void } | undefined;
  #failStart: ((error: Error) => void) | undefined;
  #failClose: (() => void) | undefined;

  private constructor(
    options: HostOptions,
    parts: { unlock: Cancel; storage: Storage; recovered: RecoveredState },
  ) {
    this.#options = options;
    this.#unlock = parts.unlock;
    this.#storage = parts.storage;
    this.#loop = new TurnLoop({
      clock: options.clock,
      log: parts.storage.log,
      routers: this.#routers,
      payloads: this.#payloads,
      onTick: (nowMs) => this.#tick(nowMs),
    });
    this.#mapGroup = new MapGroup(parts.recovered.map, parts.recovered.pastOf(0 as GroupId), {
      admitsData: () => this.#admitsData(),
      wake: () => this.#loop.wake(),
      serving: () => this.#countServing(),
      dropped: (space) => this.#drops?.begin(space),
    });
    this.#snapshotter = new Snapshotter({
      clock: options.clock,
      storage: parts.storage,
      segmentBytes: options.segmentBytes ?? logSegmentBytes,
      groups: () => [this.#mapGroup, ...this.#partitions],
      ...(options.snapshotTailBytes === undefined ? {} : { tailBytes: options.snapshotTailBytes }),
      onFatal: (error) => this.#fail(error),
      onWarning: (message) => options.onWarning?.(message),
    });
    this.#compactor = new Compactor(options.clock, this.#partitions);
    this.map = this.#mapPort();
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
      host = new PartitionHost(options, { unlock, storage, recovered });
      if (early !== undefined) throw early;
      await host.#start(recovered);
      return host;
    } catch (error) {
      if (host !== undefined) host.#stop('failed');
      await storage.close();
      throw error;
    }
  }

  /** The groups' terms are durable, their first entries proposed, applied; then it serves. */
  async #start(recovered: RecoveredState): Promise<void> {
    const map = this.#mapGroup;
    this.#loop.addMap(map);
    await this.#lead([map], recovered);
    if (!map.map.founded) await this.#found();
    for (const partition of partitionIds(map.map.partitions)) {
      const group = new PartitionGroup({
        partition,
        space: recovered.spaceOf(partition),
        past: recovered.pastOf(partition),
        hooks: this.#hooks(),
        pipeline: { entries: inFlightEntriesMax, bytes: inFlightBytesMax },
        inboxTotal: this.#inboxTotal,
        hashesCuts: this.#options.hashesCuts ?? false,
      });
      this.#partitions.push(group);
    }
    await this.#lead(this.#partitions, recovered);
    this.#drops = new SpaceDrops({
      partitions: map.map.partitions,
      send: (partition, message) => this.send(partition, hostCoordinator, message),
      forget: (space) => this.#forget(space),
    });
    for (const space of map.map.dropped()) this.#drops.begin(space);
    this.#routers.add({
      id: hostCoordinator,
      deliver: (messages) => {
        for (const message of messages) this.#drops?.answered(message, this.#loop.nowMs);
      },
      leadership: () => undefined,
    });
    this.#state = 'serving';
    this.#loop.startTicks();
  }

  /** Begins a leadership of each group, and waits until each serves. */
  async #lead(groups: readonly (MapGroup | PartitionGroup)[], past: RecoveredState): Promise<void> {
    const { clock } = this.#options;
    const leaderships = groups.map((group) => ({ group, ...past.nextTerm(group.id) }));
    const hardStates = leaderships.map(({ group, term, lastIndex }) => {
      return { group: group.id, term, vote: 0, commit: lastIndex };
    });
    await this.#settled((resolve) =>
      this.#storage.log.append({ entries: [], hardStates }, resolve),
    );
    await this.#settled((resolve) => {
      this.#servingGroups = 0;
      this.#started = { groups: groups.length, resolve };
      for (const { group, term, lastIndex } of leaderships) {
        const nowMs = clock.monotonicMs();
        const lastStampMs = group instanceof MapGroup ? group.map.stampMs : group.space.stampMs;
        const stamps = new StampClock({ lastStampMs, wallMs: clock.wallMs(), nowMs });
        const payloads = this.#payloads;
        if (group instanceof MapGroup) {
          const log = new LoneGroupLog<never>({ group: group.id, term, lastIndex });
          group.lead({ log, stamps, payloads }, nowMs);
        } else {
          const log = new LoneGroupLog<never>({ group: group.id, term, lastIndex });
          group.lead({ log, stamps, payloads }, nowMs);
          this.#loop.addPartition(group);
        }
      }
      this.#loop.wake();
    });
  }

  async #found(): Promise<void> {
    const { random, partitions = limits.partitionCountDefault } = this.#options;
    let clusterId = '';
    for (let word = 0; word < 4; word += 1) {
      clusterId += random.uint32().toString(16).padStart(8, '0');
    }
    await this.#settled((resolve) => {
      const command = { kind: 'found', clusterId, partitions } as const;
      this.#mapGroup.call(command, this.#loop.nowMs, () => resolve());
    });
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
    const group = this.#partition(to);
    if (this.#state === 'serving') {
      if (!beginsWork(message) || this.#hasRoom(group, 1)) group.inbox.push(from, message);
      else {
        this.#refusedMessages += 1;
        const text = `partition ${to} has more work waiting than it may hold`;
        group.turnAway(from, message, text);
      }
    } else if (this.#state === 'failed' || this.#state === 'closed') return;
    else group.answer(from, message.call, { kind: 'not-leader', definite: true });
    this.#loop.wake();
  }

  /** Whether a partition takes new work gladly; while false, routers should slow their callers. */
  ready(partition: PartitionId): boolean {
    return this.#hasRoom(this.#partition(partition), inboxReadyShare);
  }

  /** Attaches a router, which hears at once of every leadership here. Cancel detaches it for ever. */
  attach(router: RouterPort): Cancel {
    assert(router.id !== hostCoordinator, 'coordinator 0 is the host itself');
    this.#routers.add(router);
    for (const { partition, epoch } of this.#partitions) {
      if (epoch !== undefined) router.leadership(partition, epoch);
    }
    let attached = true;
    return () => {
      if (!attached) return;
      attached = false;
      this.#routers.remove(router.id);
      if (this.#state !== 'serving') return;
      // Behind its messages that still wait, so that none of them is left without an owner.
      for (const { inbox } of this.#partitions) inbox.push(router.id, undefined);
      this.#loop.wake();
    };
  }

  /** The epoch in which a partition serves here. */
  epochOf(partition: PartitionId): Term | undefined {
    return this.#partition(partition).epoch;
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
    for (const { log, waitingCount } of this.#partitions) {
      inboxMessages += waitingCount;
      inFlightEntries += log.inFlightEntries;
      inFlightBytes += log.inFlightBytes;
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

  /** A partition's leader counts: waiters, offers, entries in flight, sessions. */
  leaderStats(partition: PartitionId): ReturnType<PartitionGroup['leader']['stats']> {
    return this.#partition(partition).leader.stats();
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

  async #settleDown(): Promise<void> {
    await this.#loop.drain();
    await this.#snapshotter.stop();
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
    return present(this.#partitions[partition - 1], 'the partition exists');
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
      sendLeader: (to, message) => {
        this.#partition(to).receiveLeader(message);
        this.#loop.wake();
      },
      admitsData: () => this.#admitsData(),
      serving: (partition, epoch) => {
        this.#routers.announce(partition, epoch);
        this.#countServing();
      },
    };
  }

  #countServing(): void {
    this.#servingGroups += 1;
    const started = this.#started;
    if (started === undefined || this.#servingGroups < started.groups) return;
    this.#started = undefined;
    started.resolve();
  }

  #tick(nowMs: number): void {
    this.#drops?.tick(nowMs);
    this.#snapshotter.poke();
    this.#compactor.tick();
  }

  #forget(space: SpaceId): void {
    if (this.#state !== 'serving') return;
    const command = { kind: 'forget-space', space } as const;
    this.#mapGroup.call(command, this.#loop.nowMs, (outcome: MapOutcome) => {
      // Refused where too much is in flight: dropping begins anew, and finds nothing left.
      if (outcome.kind === 'refused') this.#drops?.begin(space);
    });
  }

  #mapPort(): MapPort {
    const group = this.#mapGroup;
    const problem: MapProblem = {
      reason: 'SHUTTING_DOWN',
      field: '',
      message: 'the node is not serving',
    };
    const refused: MapOutcome = { kind: 'refused', problem };
    return {
      cluster: group.map,
      createSpace: (name, settings, answer) => {
        if (this.#state !== 'serving') answer(refused);
        else group.createSpace(name, settings, this.#loop.nowMs, answer);
      },
      dropSpace: (name, answer) => {
        if (this.#state !== 'serving') answer(refused);
        else group.dropSpace(name, this.#loop.nowMs, answer);
      },
      onChange: (run) => {
        const observer = (): void => run();
        group.observers.add(observer);
        return () => void group.observers.delete(observer);
      },
    };
  }
}

function isPartitionCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= limits.partitionCountMax;
}
