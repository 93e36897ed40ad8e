import type { Cancel, Clock, Random } from '../base/doors.ts';
import {
  commitWriteMs,
  diskHungMs,
  groupShareMax,
  idleTickMs,
  inFlightBytesTotalMax,
  raftTickMs,
  tickMs,
  turnSliceMs,
} from '../base/limits.ts';
import type { LogBatch } from '../storage/entry.ts';
import { CommitTeller } from './commit-teller.ts';
import { Fifo } from './fifo.ts';
import type { Group } from './group.ts';
import type { MapGroup } from './map-group.ts';
import type { PartitionGroup } from './partition-group.ts';
import type { Payloads } from './payloads.ts';
import type { TurnBatch } from './replica.ts';
import type { Routers } from './routers.ts';
import { Slice } from './slice.ts';
import { Successions } from './successions.ts';

/** What the loop needs of the write-ahead log. */
export interface TurnLog {
  /** `durable` is called when all of the batch is on disk, after the callbacks of earlier batches. */
  append(batch: LogBatch, durable: () => void): void;
}

/** What the loop has done; plain numbers for metrics. */
export interface TurnStats {
  turns: number;
  /** Milliseconds of the longest turn, by the clock. */
  longestTurnMs: number;
  /** Batches given to the log, and the entries and payload bytes in them. */
  batches: number;
  entries: number;
  bytes: number;
  /** Answers handed to routers. */
  answers: number;
}

/** Any group, where its commands do not matter. */
export type AnyGroup = Group<unknown>;

/** The turns of a node. DESIGN.md says what a turn does, and in which order. */
export class TurnLoop {
  readonly stats: TurnStats = {
    turns: 0,
    longestTurnMs: 0,
    batches: 0,
    entries: 0,
    bytes: 0,
    answers: 0,
  };
  readonly #clock: Clock;
  readonly #log: TurnLog;
  readonly #payloads: Payloads;
  readonly #routers: Routers;
  readonly #slice: Slice;
  readonly #onTick: (nowMs: number) => void;
  readonly #onDiskHung: (isHung: boolean) => void;
  readonly #onInstallation: (group: AnyGroup) => void;
  readonly #groups: AnyGroup[] = [];
  readonly #partitions: PartitionGroup[] = [];
  /** Groups whose replica may want something done. */
  readonly #stirred: Set<AnyGroup> = new Set();
  readonly #successions: Successions;
  readonly #commits: CommitTeller;
  /** When each batch that is not durable was given to the log, oldest first. */
  readonly #writingSinceMs = new Fifo<number>();
  #map: MapGroup | undefined;
  #raftTickAtMs: number;
  #commitWriteAtMs: number;
  /** Whose turn it is to be first. */
  #first = 0;
  #scheduled = false;
  #running = false;
  #stopped = false;
  #busySinceTick = false;
  #isDiskHung = false;
  #cancelTick: Cancel | undefined;
  #drained: (() => void) | undefined;

  constructor(options: {
    clock: Clock;
    random: Random;
    log: TurnLog;
    payloads: Payloads;
    routers: Routers;
    /** Called at each tick, before its turn. */
    onTick: (nowMs: number) => void;
    /** The disk has not answered for long, or does so again. */
    onDiskHung: (isHung: boolean) => void;
    /** A group wants a snapshot installed; called again while it is. */
    onInstallation: (group: AnyGroup) => void;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#payloads = options.payloads;
    this.#routers = options.routers;
    this.#onTick = options.onTick;
    this.#onDiskHung = options.onDiskHung;
    this.#onInstallation = options.onInstallation;
    this.#slice = new Slice(options.clock);
    this.#successions = new Successions(options.random);
    this.#commits = new CommitTeller(options.clock);
    this.#raftTickAtMs = this.#slice.nowMs + raftTickMs;
    this.#commitWriteAtMs = this.#slice.nowMs + commitWriteMs;
  }

  /** Monotonic time, as fresh as the present piece of work. */
  get nowMs(): number {
    return this.#running ? this.#slice.nowMs : this.#clock.monotonicMs();
  }

  /** Drives group 0 from now on. */
  addMap(group: MapGroup): void {
    this.#map = group;
    this.#groups.push(group);
  }

  /** Drives a partition from now on. */
  addPartition(group: PartitionGroup): void {
    this.#partitions.push(group);
    this.#groups.push(group);
  }

  /** Drives it no longer: its replica was removed. */
  removePartition(group: PartitionGroup): void {
    this.#partitions.splice(this.#partitions.indexOf(group), 1);
    this.#groups.splice(this.#groups.indexOf(group), 1);
    this.#stirred.delete(group);
    group.isRemoved = true;
  }

  /** A group's replica heard something, or changed: it is looked at in the next turn. */
  stir(group: AnyGroup): void {
    if (group.isRemoved) return;
    this.#stirred.add(group);
    // A turn that runs looks at it before it ends.
    if (!this.#running) this.wake();
  }

  /** A turn is due. Cheap, and may be called any number of times. */
  wake(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#clock.soon(() => this.#turn());
  }

  /** The connection to the node of a group's leader broke; nothing where that is not its leader, or may not be. */
  leaderLost(group: AnyGroup, leader: number): void {
    if (!group.replica.leaderLost(leader)) return;
    this.#successions.begin(group, leader, this.nowMs);
    this.#hurryTick();
  }

  /** Ticks begin. */
  startTicks(): void {
    this.#armTick();
  }

  /**
   * Leaders begin nothing more by themselves; resolves when all that was admitted is applied and answered.
   * Replicas still tick: who has lost its majority learns so, and waits for nothing more.
   */
  async drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      this.wake();
    });
  }

  /** Writes the commit indexes that nobody waits for, so that the next start need not ask for them. */
  writeCommits(): void {
    const batch: TurnBatch = { entries: [], hardStates: [], works: [] };
    for (const group of this.#groups) group.replica.takeUnwritten(batch);
    if (batch.hardStates.length > 0) this.#give(batch);
  }

  /** No turn, tick or answer follows. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#commits.stop();
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#stopped) return;
    this.#running = true;
    this.#busySinceTick = true;
    this.stats.turns += 1;
    const startMs = this.#clock.monotonicMs();
    this.#settleRoles(startMs);
    this.#drain();
    this.#flush();
    this.#append();
    this.#apply();
    this.#flush();
    this.#append();
    this.#running = false;
    this.stats.answers += this.#routers.deliver();
    this.#wakeObservers();
    const tookMs = this.#clock.monotonicMs() - startMs;
    if (tookMs > this.stats.longestTurnMs) this.stats.longestTurnMs = tookMs;
    if (this.#hasWork()) this.wake();
    else if (this.#drained !== undefined && this.#isDrained()) this.#drained();
  }

  #drain(): void {
    const slice = this.#slice;
    slice.begin(turnSliceMs);
    if (this.#inFlightBytes() >= inFlightBytesTotalMax) return;
    const partitions = this.#partitions;
    this.#first = (this.#first + 1) % Math.max(1, partitions.length);
    for (let again = true; again; ) {
      again = false;
      for (let count = 0; count < partitions.length; count += 1) {
        const group = partitions[(this.#first + count) % partitions.length];
        if (group?.wantsDrain !== true) continue;
        if (slice.over()) return;
        group.drain(slice, groupShareMax);
        if (group.wantsDrain) again = true;
      }
    }
  }

  #apply(): void {
    const slice = this.#slice;
    slice.begin(turnSliceMs);
    const groups = this.#groups;
    for (let again = true; again; ) {
      again = false;
      for (let count = 0; count < groups.length; count += 1) {
        const group = groups[(this.#first + count) % groups.length];
        if (group?.replica.hasCommitted !== true) continue;
        if (slice.over()) return;
        group.applyCommitted(slice, groupShareMax);
        if (group.replica.hasCommitted) again = true;
      }
    }
  }

  #flush(): void {
    const { nowMs } = this.#slice;
    for (const group of this.#groups) if (group.touched) group.flush(nowMs);
  }

  /** What groups heard since the last turn may have made leaders of them, or of others. */
  #settleRoles(nowMs: number): void {
    for (const group of this.#stirred) group.settleRole(nowMs);
    for (const group of this.#groups) group.goOnHandingOver(nowMs);
  }

  /** Carries out what the replicas want, and gives what they want written to the log as one batch. */
  #append(): void {
    const batch: TurnBatch = { entries: [], hardStates: [], works: [] };
    while (this.#stirred.size > 0) {
      const stirred = [...this.#stirred];
      this.#stirred.clear();
      for (const group of stirred) {
        group.replica.collect(batch);
        this.#commits.look(group);
        group.settleRole(this.#slice.nowMs);
        if (group.replica.installation !== undefined) this.#onInstallation(group);
      }
    }
    if (batch.works.length === 0) return;
    this.#give(batch);
    // All that was proposed is in it, as nowhere else: what came between turns may still wait for one.
    this.#payloads.copied();
  }

  #give({ entries, hardStates, works }: TurnBatch): void {
    this.#writingSinceMs.push(this.nowMs);
    this.stats.batches += 1;
    this.stats.entries += entries.length;
    for (const entry of entries) this.stats.bytes += entry.payload.length;
    this.#log.append({ entries, hardStates }, () => {
      if (this.#stopped) return;
      this.#writingSinceMs.shift();
      for (const { replica, work } of works) replica.written(work);
    });
  }

  #wakeObservers(): void {
    for (const group of this.#partitions) wakeObservers(group);
    if (this.#map !== undefined) wakeObservers(this.#map);
  }

  /** Whether another turn can do something before anything happens outside. */
  #hasWork(): boolean {
    if (this.#routers.wantsDelivery || this.#stirred.size > 0) return true;
    for (const group of this.#groups) if (group.touched || group.replica.hasCommitted) return true;
    if (this.#inFlightBytes() >= inFlightBytesTotalMax) return false;
    for (const group of this.#partitions) if (group.wantsDrain) return true;
    return false;
  }

  #isDrained(): boolean {
    for (const group of this.#groups) if (group.inFlightEntries > 0) return false;
    for (const group of this.#partitions) if (group.waitingCount > 0) return false;
    return true;
  }

  #inFlightBytes(): number {
    let bytes = 0;
    for (const group of this.#groups) bytes += group.inFlightBytes;
    return bytes;
  }

  /** Often while something was done or an offer runs out soon; rarely on an idle node. */
  #armTick(): void {
    let busy = this.#busySinceTick;
    if (this.#successions.size > 0) busy = true;
    for (const group of this.#partitions) if (group.leader?.hasOffers === true) busy = true;
    this.#busySinceTick = false;
    this.#cancelTick = this.#clock.after(busy ? tickMs : idleTickMs, () => this.#tick());
  }

  /** The next tick is that of a node at work. */
  #hurryTick(): void {
    if (this.#cancelTick === undefined) return;
    this.#cancelTick();
    this.#cancelTick = this.#clock.after(tickMs, () => this.#tick());
  }

  #tick(): void {
    if (this.#stopped) return;
    const nowMs = this.#clock.monotonicMs();
    this.#lookAtDisk(nowMs);
    if (this.#isDiskHung) for (const group of this.#groups) group.giveUpLeadership(nowMs);
    else {
      this.#tickReplicas(nowMs);
      this.#successions.tick(nowMs);
    }
    // A tick, or what came since the last turn, may have ended a leadership.
    this.#settleRoles(nowMs);
    if (this.#drained === undefined) {
      for (const group of this.#partitions) group.tick(nowMs);
      this.#onTick(nowMs);
    }
    const busy = this.#busySinceTick;
    // What ticks do is no work: an idle node stays idle.
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#turn();
      this.#busySinceTick = busy;
    }
    this.#armTick();
  }

  /**
   * Where the disk does not answer for long, time stands still for the replicas: nobody campaigns who could
   * not vote for itself, and followers whose leader does not get rid of its leadership miss its heartbeats.
   */
  #lookAtDisk(nowMs: number): void {
    const sinceMs = this.#writingSinceMs.first();
    const isHung = sinceMs !== undefined && nowMs - sinceMs >= diskHungMs;
    if (isHung !== this.#isDiskHung) this.#onDiskHung(isHung);
    this.#isDiskHung = isHung;
  }

  /** Ticks that a stall has swallowed are not made up for: what their messages would say is still to be read. */
  #tickReplicas(nowMs: number): void {
    if (nowMs >= this.#raftTickAtMs) {
      this.#raftTickAtMs = nowMs + raftTickMs;
      for (const group of this.#groups) group.replica.tick();
    }
    if (nowMs >= this.#commitWriteAtMs) {
      this.#commitWriteAtMs = nowMs + commitWriteMs;
      this.writeCommits();
    }
  }
}

function wakeObservers(group: MapGroup | PartitionGroup): void {
  if (!group.moved) return;
  group.moved = false;
  for (const observer of group.observers) observer();
}
