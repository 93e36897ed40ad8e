/** The sum of what a log says of its groups, kept while it is written and while it is read back. */
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { groupMax } from '../base/limits.ts';
import { type HardState, indexZero, type LogEntry, type SnapshotMark } from './entry.ts';
import type { GroupSummary } from './record.ts';

/** One group's sum. Invariant: previousMark.index <= mark.index <= lastIndex. */
export class GroupState {
  hardState: HardState;
  mark: SnapshotMark;
  previousMark: SnapshotMark;
  lastIndex: LogIndex = indexZero;
  lastTerm: Term | 0 = 0;

  constructor(group: GroupId) {
    this.hardState = { group, term: 0, vote: 0, commit: indexZero };
    this.mark = { group, index: indexZero, term: 0 };
    this.previousMark = this.mark;
  }

  /** Whether an entry may come next: contiguous, or a new tail above what is in a snapshot. */
  admits(entry: LogEntry): boolean {
    return entry.index <= this.lastIndex + 1 && entry.index > this.mark.index;
  }

  seeEntry(entry: LogEntry): void {
    this.lastIndex = entry.index;
    this.lastTerm = entry.term;
  }

  /**
   * A mark above the newest follows it; one at the same index gives the older up; one below says that
   * the newer snapshot is of no use.
   */
  seeMark(mark: SnapshotMark): void {
    if (mark.index >= this.mark.index) this.previousMark = this.mark;
    else if (mark.index < this.previousMark.index) this.previousMark = mark;
    this.mark = mark;
    if (mark.index >= this.lastIndex) {
      // A snapshot from elsewhere may be ahead of everything here: it is the log now.
      this.lastIndex = mark.index;
      this.lastTerm = mark.term;
    }
  }

  summary(): GroupSummary {
    const { hardState, mark, previousMark, lastIndex, lastTerm } = this;
    return { hardState, mark, previousMark, lastIndex, lastTerm };
  }
}

/** All groups of a log; a group exists from its first record on. */
export class GroupTable {
  readonly #states: (GroupState | undefined)[] = new Array(groupMax + 1).fill(undefined);

  of(group: GroupId): GroupState {
    const known = this.#states[group];
    if (known !== undefined) return known;
    const state = new GroupState(group);
    this.#states[group] = state;
    return state;
  }

  /** Takes what a segment's head says as the truth so far. */
  restore(summary: GroupSummary): void {
    const state = this.of(summary.hardState.group);
    state.hardState = summary.hardState;
    state.mark = summary.mark;
    state.previousMark = summary.previousMark;
    state.lastIndex = summary.lastIndex;
    state.lastTerm = summary.lastTerm;
  }

  /** In order of group. */
  summaries(): readonly GroupSummary[] {
    const summaries: GroupSummary[] = [];
    for (const state of this.#states) if (state !== undefined) summaries.push(state.summary());
    return summaries;
  }
}

/** A segment in use, and how far it holds each group's entries: what decides when it may go. */
export class SegmentContent {
  readonly number: number;
  /** Highest index of each group's living entries in this segment; 0 for none. */
  readonly highest: Float64Array = new Float64Array(groupMax + 1);

  constructor(number: number) {
    this.number = number;
  }
}

/** Notes an entry in the newest segment; a replaced tail no longer lives in the older ones. */
export function noteEntry(
  segments: readonly SegmentContent[],
  entry: LogEntry,
  lastIndex: LogIndex,
): void {
  const newest = segments[segments.length - 1];
  if (newest === undefined) return;
  if (entry.index <= lastIndex) {
    for (const { highest } of segments) {
      if ((highest[entry.group] ?? 0) >= entry.index) highest[entry.group] = entry.index - 1;
    }
  }
  newest.highest[entry.group] = entry.index;
}
