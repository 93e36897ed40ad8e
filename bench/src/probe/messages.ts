/** What the bench asks of a server that was started with the probe, over Node's IPC channel. */
export type ProbeRequest =
  /** Collect all garbage, and say what memory is in use then. */
  | { readonly kind: 'memory' }
  /** Begin to measure turns and slices anew. */
  | { readonly kind: 'begin-turns' }
  /** Say what was measured since. */
  | { readonly kind: 'turns' }
  /** Say how many snapshots were begun and completed. */
  | { readonly kind: 'snapshots' };

/** The answer to each kind of request. */
export interface ProbeAnswers {
  readonly memory: MemoryReport;
  readonly 'begin-turns': null;
  readonly turns: TurnReport;
  readonly snapshots: SnapshotReport;
}

/** A request or an answer with the number that joins them. */
export interface Numbered<Body> {
  readonly number: number;
  readonly body: Body;
}

/** Bytes, after forced collections. */
export interface MemoryReport {
  /** Resident pages, from /proc/self/statm. */
  readonly rss: number;
  readonly heapUsed: number;
  readonly heapTotal: number;
  /** Memory of array buffers, outside the heap. */
  readonly arrayBuffers: number;
  /** All memory outside the heap that the heap knows of, array buffers included. */
  readonly external: number;
}

/** Snapshots of partitions. */
export interface SnapshotReport {
  readonly begun: number;
  readonly ended: number;
  /** Partitions of which at least one was ended. */
  readonly partitions: number;
}

/** One run of code between two looks at the clock. */
export interface LongRun {
  readonly kind: RunKind;
  /** Milliseconds of the thread's CPU, collections included. */
  readonly cpuMs: number;
  /** Milliseconds that collections paused it, by the wall clock. */
  readonly collectionMs: number;
  readonly wallMs: number;
}

/** A pause of the garbage collector, in milliseconds. */
export interface Collections {
  readonly count: number;
  readonly totalMs: number;
  readonly maxMs: number;
}

/**
 * `turn`: what the node's clock runs soon: a turn of the loop. `tick`: what its timers run: ticks, and
 * the turns in them. `cut` and `slice`: the begin and the pieces of a snapshot.
 */
export type RunKind = 'turn' | 'tick' | 'cut' | 'slice';

/** What was measured. */
export interface TurnReport {
  readonly counts: { readonly [Kind in RunKind]: number };
  /** Runs of 10 ms of CPU and more, collections included or not. */
  readonly long: readonly LongRun[];
  /** Milliseconds of CPU, collections subtracted, of the longest run. */
  readonly longestMs: number;
  /** Collections by kind: `scavenge`, `mark-compact`, `incremental`, `weak-callbacks`. */
  readonly collections: { readonly [kind: string]: Collections };
}

/** CPU milliseconds from which on a run is long. */
export const longRunMs = 10;
