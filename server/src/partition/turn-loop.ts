import type { Cancel, Clock } from '../base/doors.ts';
import type { LogIndex } from '../base/ids.ts';
import {
  groupShareMax,
  idleTickMs,
  inFlightBytesTotalMax,
  tickMs,
  turnSliceMs,
} from '../base/limits.ts';
import type { LogBatch, LogEntry } from '../storage/entry.ts';
import type { Group } from './group.ts';
import type { MapGroup } from './map-group.ts';
import type { PartitionGroup } from './partition-group.ts';
import type { Payloads } from './payloads.ts';
import type { Routers } from './routers.ts';
import { Slice } from './slice.ts';

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
type AnyGroup = Group<unknown>;

/** How far one batch brings a group. */
interface Reach {
  readonly group: AnyGroup;
  readonly index: LogIndex;
}

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
  readonly #routers: Routers;
  readonly #payloads: Payloads;
  readonly #slice: Slice;
  readonly #onTick: (nowMs: number) => void;
  readonly #groups: AnyGroup[] = [];
  readonly #partitions: PartitionGroup[] = [];
  #map: MapGroup | undefined;
  /** Whose turn it is to be first. */
  #first = 0;
  #scheduled = false;
  #running = false;
  #stopped = false;
  #busySinceTick = false;
  #cancelTick: Cancel | undefined;
  #drained: (() => void) | undefined;

  constructor(options: {
    clock: Clock;
    log: TurnLog;
    routers: Routers;
    payloads: Payloads;
    /** Called at each tick, before its turn. */
    onTick: (nowMs: number) => void;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#routers = options.routers;
    this.#payloads = options.payloads;
    this.#onTick = options.onTick;
    this.#slice = new Slice(options.clock);
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

  /** A turn is due. Cheap, and may be called any number of times. */
  wake(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#clock.soon(() => this.#turn());
  }

  /** Ticks begin. */
  startTicks(): void {
    this.#armTick();
  }

  /** Ticks end; resolves when all that was admitted is applied and answered. */
  async drain(): Promise<void> {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      this.wake();
    });
  }

  /** No turn, tick or answer follows. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#stopped) return;
    this.#running = true;
    this.#busySinceTick = true;
    this.stats.turns += 1;
    const startMs = this.#clock.monotonicMs();
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
        if (group?.log.hasCommitted !== true) continue;
        if (slice.over()) return;
        group.applyCommitted(slice, groupShareMax);
        if (group.log.hasCommitted) again = true;
      }
    }
  }

  #flush(): void {
    const { nowMs } = this.#slice;
    for (const group of this.#groups) if (group.touched) group.flush(nowMs);
  }

  #append(): void {
    const entries: LogEntry[] = [];
    const reaches: Reach[] = [];
    for (const group of this.#groups) {
      if (group.log.drainUnwritten(entries)) reaches.push({ group, index: group.log.lastIndex });
    }
    if (entries.length === 0) return;
    this.stats.batches += 1;
    this.stats.entries += entries.length;
    for (const entry of entries) this.stats.bytes += entry.payload.length;
    this.#log.append({ entries }, () => {
      for (const { group, index } of reaches) group.log.written(index);
      this.wake();
    });
    this.#payloads.clear();
  }

  #wakeObservers(): void {
    for (const group of this.#partitions) wakeObservers(group);
    if (this.#map !== undefined) wakeObservers(this.#map);
  }

  /** Whether another turn can do something before anything happens outside. */
  #hasWork(): boolean {
    if (this.#routers.wantsDelivery) return true;
    for (const group of this.#groups) if (group.touched || group.log.hasCommitted) return true;
    if (this.#inFlightBytes() >= inFlightBytesTotalMax) return false;
    for (const group of this.#partitions) if (group.wantsDrain) return true;
    return false;
  }

  #isDrained(): boolean {
    for (const group of this.#groups) if (group.log.inFlightEntries > 0) return false;
    for (const group of this.#partitions) if (group.waitingCount > 0) return false;
    return true;
  }

  #inFlightBytes(): number {
    let bytes = 0;
    for (const group of this.#groups) bytes += group.log.inFlightBytes;
    return bytes;
  }

  /** Often while something was done or an offer runs out soon; rarely on an idle node. */
  #armTick(): void {
    let busy = this.#busySinceTick;
    for (const group of this.#partitions) if (group.leader.hasOffers) busy = true;
    this.#busySinceTick = false;
    this.#cancelTick = this.#clock.after(busy ? tickMs : idleTickMs, () => this.#tick());
  }

  #tick(): void {
    if (this.#stopped) return;
    const nowMs = this.#clock.monotonicMs();
    for (const group of this.#partitions) group.tick(nowMs);
    this.#onTick(nowMs);
    const busy = this.#busySinceTick;
    // What ticks do is no work: an idle node stays idle.
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#turn();
      this.#busySinceTick = busy;
    }
    this.#armTick();
  }
}

function wakeObservers(group: MapGroup | PartitionGroup): void {
  if (!group.moved) return;
  group.moved = false;
  for (const observer of group.observers) observer();
}
