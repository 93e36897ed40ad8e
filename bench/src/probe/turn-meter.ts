import { closeSync, openSync, readSync } from 'node:fs';
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import {
  type Collections,
  type LongRun,
  longRunMs,
  type RunKind,
  type TurnReport,
} from './messages.ts';

/** A pause of the collector, on the clock of `performance.now()`. */
interface Pause {
  readonly kind: string;
  readonly startMs: number;
  readonly durationMs: number;
}

interface Span {
  readonly kind: RunKind;
  readonly startMs: number;
  readonly endMs: number;
  readonly cpuMs: number;
}

const pauseKinds = new Map<number, string>([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'scavenge'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'mark-compact'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weak-callbacks'],
]);

/**
 * Measures runs of code by the CPU time of their thread (`schedstat`), so that a busy machine does
 * not pass for a slow turn, and takes off what the collector did meanwhile.
 */
export class TurnMeter {
  readonly #file: number;
  readonly #digits = Buffer.alloc(64);
  readonly #observer: PerformanceObserver;
  #counts: { [Kind in RunKind]: number } = { turn: 0, tick: 0, cut: 0, slice: 0 };
  #spans: Span[] = [];
  #pauses: Pause[] = [];
  #isWithin = false;
  #isOn = false;
  #longestShortMs = 0;

  /** Of the thread that makes it: `thread-self` is resolved when the file is opened. */
  constructor() {
    this.#file = openSync('/proc/thread-self/schedstat', 'r');
    this.#observer = new PerformanceObserver((list) => this.#collected(list.getEntries()));
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  /** Forgets what was measured, and measures from now on. */
  begin(): void {
    this.#counts = { turn: 0, tick: 0, cut: 0, slice: 0 };
    this.#spans = [];
    this.#pauses = [];
    this.#longestShortMs = 0;
    this.#isOn = true;
  }

  /** Runs something. What runs within a run that is measured belongs to that. */
  measure<Result>(kind: RunKind, run: () => Result): Result {
    if (!this.#isOn || this.#isWithin) return run();
    this.#isWithin = true;
    const cpuAtStart = this.#cpuMs();
    const startMs = performance.now();
    try {
      return run();
    } finally {
      const endMs = performance.now();
      this.#counts[kind] += 1;
      // CPU never exceeds the wall clock: only a run that was long there needs the second look.
      if (endMs - startMs >= longRunMs) {
        this.#spans.push({ kind, startMs, endMs, cpuMs: this.#cpuMs() - cpuAtStart });
      } else if (endMs - startMs > this.#longestShortMs) this.#longestShortMs = endMs - startMs;
      this.#isWithin = false;
    }
  }

  /** What was measured since `begin`. */
  report(): TurnReport {
    this.#collected(this.#observer.takeRecords());
    let longestMs = this.#longestShortMs;
    const long: LongRun[] = [];
    for (const { kind, startMs, endMs, cpuMs } of this.#spans) {
      const collectionMs = pausedWithin(this.#pauses, startMs, endMs);
      longestMs = Math.max(longestMs, cpuMs - collectionMs);
      if (cpuMs >= longRunMs) long.push({ kind, cpuMs, collectionMs, wallMs: endMs - startMs });
    }
    return { counts: { ...this.#counts }, long, longestMs, collections: byKind(this.#pauses) };
  }

  /** Lets go of the file and the collector. */
  close(): void {
    this.#observer.disconnect();
    closeSync(this.#file);
  }

  /** The kernel brings the thread's time up to now only when it is asked for by getrusage. */
  #cpuMs(): number {
    process.cpuUsage();
    const length = readSync(this.#file, this.#digits, 0, this.#digits.length, 0);
    let nanoseconds = 0;
    for (let i = 0; i < length; i += 1) {
      const digit = (this.#digits[i] ?? 0) - 48;
      if (digit < 0) break;
      nanoseconds = nanoseconds * 10 + digit;
    }
    return nanoseconds / 1_000_000;
  }

  #collected(entries: readonly PerformanceEntry[]): void {
    if (!this.#isOn) return;
    for (const { startTime, duration, detail } of entries as readonly CollectionEntry[]) {
      const kind = pauseKinds.get(detail.kind) ?? 'other';
      this.#pauses.push({ kind, startMs: startTime, durationMs: duration });
    }
  }
}

/** Entries of type `gc`, as Node documents them. */
type CollectionEntry = PerformanceEntry & { readonly detail: { readonly kind: number } };

/** Milliseconds of pauses that lie between two moments. */
export function pausedWithin(
  pauses: readonly { readonly startMs: number; readonly durationMs: number }[],
  startMs: number,
  endMs: number,
): number {
  let paused = 0;
  for (const pause of pauses) {
    const from = Math.max(startMs, pause.startMs);
    const to = Math.min(endMs, pause.startMs + pause.durationMs);
    if (to > from) paused += to - from;
  }
  return paused;
}

function byKind(pauses: readonly Pause[]): { [kind: string]: Collections } {
  const kinds: { [kind: string]: Collections } = {};
  for (const { kind, durationMs } of pauses) {
    const { count = 0, totalMs = 0, maxMs = 0 } = kinds[kind] ?? {};
    kinds[kind] = {
      count: count + 1,
      totalMs: totalMs + durationMs,
      maxMs: Math.max(maxMs, durationMs),
    };
  }
  return kinds;
}
