/** What tests of the disk and the log share: virtual time, a seeded disk, and entries to write. */

import { type Cancel, type Clock, DiskError, type Random } from '../src/base/doors.ts';
import type { GroupId, LogIndex, Term } from '../src/base/ids.ts';
import { hostChecksum } from '../src/host/checksum.ts';
import type { LogEntry, SnapshotMark } from '../src/storage/entry.ts';
import { type LogOptions, type OpenedLog, WriteAheadLog } from '../src/storage/log.ts';
import { type OpenedStorage, Storage } from '../src/storage/storage.ts';
import { SimDisk, type SimDiskOptions } from './disk.ts';

/** A small random source: mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return {
    uint32(): number {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return (mixed ^ (mixed >>> 14)) >>> 0;
    },
  };
}

interface Event {
  readonly atMs: number;
  readonly number: number;
  run: (() => void) | undefined;
}

/** Virtual time: events in order of time, then of arrival; promises settle between them. */
export class TestTime {
  #nowMs = 0;
  #numbers = 0;
  eventsRun = 0;
  readonly #events: Event[] = [];

  readonly schedule = (delayMs: number, run: () => void): Cancel => {
    const event: Event = { atMs: this.#nowMs + delayMs, number: this.#numbers++, run };
    let at = this.#events.length;
    // Mostly appended: a sorted array is enough for tests.
    while (at > 0 && (this.#events[at - 1]?.atMs ?? 0) > event.atMs) at--;
    this.#events.splice(at, 0, event);
    return () => {
      event.run = undefined;
    };
  };

  readonly clock: Clock = {
    monotonicMs: () => this.#nowMs,
    wallMs: () => this.#nowMs,
    after: this.schedule,
    soon: (run) => void this.schedule(0, run),
  };

  /** Drops everything planned: its process is gone. */
  forget(): void {
    this.#events.length = 0;
  }

  /** Runs until a promise has settled; fails when nothing is left that could settle it. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    promise.then(end, end);
    await microtasks();
    while (!settled) {
      if (!(await this.step())) throw new Error('nothing is left to wait for');
    }
    return promise;
  }

  /** Runs for so many milliseconds. */
  async run(forMs: number): Promise<void> {
    const end = this.#nowMs + forMs;
    await microtasks();
    while ((this.#events[0]?.atMs ?? Number.POSITIVE_INFINITY) <= end) await this.step();
    this.#nowMs = end;
  }

  /** Runs one event; false when there is none. */
  async step(): Promise<boolean> {
    const event = this.#events.shift();
    if (event === undefined) return false;
    this.#nowMs = Math.max(this.#nowMs, event.atMs);
    this.eventsRun++;
    event.run?.();
    await microtasks();
    return true;
  }
}

function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** A world for one test: its time, its chance, its disk. */
export class World {
  readonly time: TestTime = new TestTime();
  readonly random: Random;
  disk: SimDisk;
  readonly fatal: Error[] = [];

  constructor(seed = 1, options: Partial<SimDiskOptions> = {}) {
    this.random = randomFrom(seed);
    this.disk = new SimDisk({
      schedule: this.time.schedule,
      random: this.random,
      ...options,
    });
  }

  options(more: Partial<LogOptions> = {}): LogOptions {
    return {
      checksum: hostChecksum,
      random: this.random,
      segmentBytes: 64 * 1024,
      onFatal: (error) => this.fatal.push(error),
      ...more,
    };
  }

  /** Opens the log and lets its first preparations be done. */
  async open(more: Partial<LogOptions> = {}): Promise<OpenedLog> {
    return await this.time.until(
      WriteAheadLog.open(this.disk, this.time.clock, this.options(more)),
    );
  }

  /** Opens log and snapshots. */
  async openStorage(): Promise<OpenedStorage> {
    return await this.time.until(this.openingStorage());
  }

  /** The same, for who moves time on. */
  openingStorage(): Promise<OpenedStorage> {
    const options = { ...this.options(), reserveBytesMin: 16 * 1024 };
    return Storage.open(this.disk, this.time.clock, options);
  }

  /** Appends entries and runs until they are durable. */
  async append(log: WriteAheadLog, ...entries: LogEntry[]): Promise<void> {
    await this.time.until(new Promise<void>((resolve) => log.append({ entries }, resolve)));
  }

  /** Appends a mark and runs until it is durable. */
  async mark(log: WriteAheadLog, mark: SnapshotMark): Promise<void> {
    const batch = { entries: [], marks: [mark] };
    await this.time.until(new Promise<void>((resolve) => log.append(batch, resolve)));
  }

  /** The power fails, and everything planned with it. */
  crash(): void {
    this.disk.crash();
    this.time.forget();
  }
}

/** An entry whose payload says what it is. */
export function entryOf(group: number, index: number, term = 1, payload?: Uint8Array): LogEntry {
  return {
    group: group as GroupId,
    index: index as LogIndex,
    term: term as Term,
    kind: 0,
    payload: payload ?? new TextEncoder().encode(`group ${group} index ${index} term ${term}`),
  };
}

/** A mark. */
export function markOf(group: number, index: number, term = 1): SnapshotMark {
  return { group: group as GroupId, index: index as LogIndex, term: term as Term };
}

/** Readable: `group:index:term=payload`. */
export function show(entries: readonly LogEntry[]): readonly string[] {
  return entries.map(
    ({ group, index, term, payload }) =>
      `${group}:${index}:${term}=${new TextDecoder().decode(payload)}`,
  );
}

/** Whether an error is of the disk and of this kind. */
export function isDiskError(error: unknown, kind: DiskError['kind']): boolean {
  return error instanceof DiskError && error.kind === kind;
}
