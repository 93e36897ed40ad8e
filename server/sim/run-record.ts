/** What one run writes down while it goes on, the judgement at its end, and what it gives back. */
import type { PartitionId } from '../src/base/ids.ts';
import type { ClusterMap } from '../src/cluster/cluster-map.ts';
import type { Space } from '../src/space/space.ts';
import { checkHistory } from './check/check.ts';
import { type FoundJson, historyOf, type Line, type Violation } from './check/history.ts';
import { Recorder } from './check/recorder.ts';
import { bump, type Counts } from './coverage.ts';
import type { Tap } from './tap.ts';
import { Trace } from './trace.ts';
import type { PathWatch } from './watch.ts';
import { tupleOf } from './wire.ts';
import { simSpaces } from './workload.ts';

/** What a run gives back. */
export interface RunReport {
  readonly seed: number;
  readonly hash: string;
  readonly operations: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly counts: Counts;
  readonly violations: readonly Violation[];
}

/** Who is told of a run while it goes on. */
export interface RunListeners {
  /** Each noted line, for a replay. */
  readonly print?: (line: string) => void;
  /** Each line of the history. */
  readonly history?: (line: Line) => void;
}

/** The state of everything, as those who lead it see it. */
export interface Seen {
  readonly map: ClusterMap;
  readonly partitions: readonly PartitionId[];
  spaceOf(partition: PartitionId): Space;
}

/** What is looked at when everything has ended that can end. */
export interface RunEnd {
  /** Undefined: something does not serve. */
  readonly seen: Seen | undefined;
  readonly tap: Tap;
  readonly watch: PathWatch;
}

/** See the top of the file. */
export class RunRecord {
  readonly counts: Counts = new Map();
  readonly trace: Trace;
  readonly recorder: Recorder;
  readonly #lines: Line[] = [];
  readonly #violations: Violation[] = [];
  readonly #onLine: ((line: Line) => void) | undefined;

  constructor({ print, history }: RunListeners, nowNs: () => number) {
    this.trace = new Trace(print);
    this.#onLine = history;
    this.recorder = new Recorder(nowNs, (line) => this.#record(line));
  }

  /** Folds a line into the hash. */
  note(line: string): void {
    this.trace.note(line);
  }

  /** Counts a fault or a rare path. */
  count(name: string): void {
    bump(this.counts, name);
  }

  /** Counts a fault and writes it into the history. */
  fault(name: string, forMs = 0, process?: string): void {
    this.count(name);
    this.recorder.fault(name, process === undefined ? { forMs } : { forMs, process });
  }

  /** Something threw that must not. */
  bug(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.say('invariant', text);
  }

  /** The survey of all spaces, and then what every checker says of the run. */
  judge({ seen, tap, watch }: RunEnd): void {
    if (seen === undefined) this.say('liveness', 'not everything is served at the end');
    else {
      for (const partition of seen.partitions) seen.spaceOf(partition).verify();
      tap.compare(seen);
      for (const { name } of simSpaces) this.#survey(seen, name);
    }
    if (tap.isBlind) this.count('the observer was blind');
    this.#violations.push(...tap.violations, ...watch.violations);
    const lines = tap.isBlind
      ? this.#lines.filter((line) => !('process' in line) || line.process !== 'observer')
      : this.#lines;
    this.#violations.push(...checkHistory(historyOf(lines)));
    for (const violation of this.#violations) this.note(`violation ${violation.message}`);
  }

  /** What the run came to. */
  report(run: Pick<RunReport, 'seed' | 'events' | 'virtualMs'>): RunReport {
    return {
      ...run,
      hash: this.trace.hash,
      operations: this.recorder.operations,
      counts: this.counts,
      violations: this.#violations,
    };
  }

  /** Everything in a space, from the partitions themselves. */
  #survey(seen: Seen, space: string): void {
    const record = seen.map.space(space);
    if (record === undefined) return;
    const id = this.recorder.invoke('judge', 'survey', { space });
    const found: FoundJson[] = [];
    for (const partition of seen.partitions) {
      const state = seen.spaceOf(partition);
      for (let row = state.oldest(record.id); row >= 0; row = state.next(row)) {
        const stored = state.stored(row);
        found.push({
          id: stored.id,
          partition,
          revision: stored.revision,
          deliveries: stored.deliveries,
          leaseEndMs: stored.leaseEndMs ?? null,
          state: stored.state,
          tuple: tupleOf(stored.bytes),
        });
      }
    }
    this.recorder.complete(id, 'ok', { found });
  }

  #record(line: Line): void {
    this.#lines.push(line);
    this.note(JSON.stringify(line));
    this.#onLine?.(line);
  }

  /** A checker of the world complains. */
  say(checker: string, message: string): void {
    this.#violations.push({ checker, message, operations: [] });
  }

  /** Whether anything was complained of so far. */
  get hasFailed(): boolean {
    return this.#violations.length > 0;
  }
}
