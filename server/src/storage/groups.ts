/** The sum of what a log says of its groups, kept while it is written and while it is read back. */
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { groupMax } from '../base/limits.ts';
import {
  type HardState,
  indexZero,
  type LogEntry,
  type ReplicaRecord,
  type SnapshotMark,
} from './entry.ts';
import type { GroupSummary } from './record.ts';

/** Entries of one term, from an index on. */
interface TermRun {
  readonly from: LogIndex;
  readonly term: Term | 0;
}

/** One group's sum. Invariant: previousMark.index <= mark.index <= lastIndex. */
export class GroupState {
  replica: ReplicaRecord | undefined;
  hardState: HardState;
  mark: SnapshotMark;
  previousMark: SnapshotMark;
  lastIndex: LogIndex = indexZero;
  lastTerm: Term | 0 = 0;
  /**
   * The terms of the entries above `mark`, rising. Not part of a head: what is above the newest mark
   * is in the log, so a log that was read to its end knows them all.
   */
  #terms: TermRun[] = [];

  constructor(group: GroupId) {
    this.hardState = { group, term: 0, vote: 0, commit: indexZero };
    this.mark = { group, index: indexZero, term: 0 };
    this.previousMark = this.mark;
  }

  /** Whether an entry may come next: contiguous, or a new tail above what is in a snapshot. */
  admits(entry: LogEntry): boolean {
    if (!this.isLiving) return false;
    return entry.index <= this.lastIndex + 1 && entry.index > this.mark.index;
  }

  /** Whether entries, hard states and marks may come: not after a tombstone. */
  get isLiving(): boolean {
    return this.replica?.state !== 'removed';
  }

  seeEntry({ index, term }: LogEntry): void {
    if (index <= this.lastIndex) {
      while ((this.#terms.at(-1)?.from ?? 0) >= index) this.#terms.pop();
      this.lastTerm = this.#terms.at(-1)?.term ?? 0;
    }
    if (term !== this.lastTerm) this.#terms.push({ from: index, term });
    this.lastIndex = index;
    this.lastTerm = term;
  }

  /**
   * Whether a mark replaces the whole log: one that the log does not reach, or where it has an entry of
   * another term (Ongaro 2014 §5.1). What is at or below the newest mark is committed, and the same.
   */
  isReplacedBy(mark: SnapshotMark): boolean {
    if (mark.index <= this.mark.index) return false;
    if (mark.index > this.lastIndex) return true;
    const term = this.#terms.findLast(({ from }) => from <= mark.index)?.term;
    return term !== undefined && term !== mark.term;
  }

  /**
   * A mark above the newest follows it; one at the same index gives the older up; one below says that
   * the newer snapshot is of no use.
   */
  seeMark(mark: SnapshotMark, resets: boolean): void {
    if (resets) {
      this.lastIndex = mark.index;
      this.lastTerm = mark.term;
      this.#terms = [{ from: mark.index, term: mark.term }];
    }
    if (mark.index >= this.mark.index) this.previousMark = this.mark;
    else if (mark.index < this.previousMark.index) this.previousMark = mark;
    this.mark = mark;
    while ((this.#terms[1]?.from ?? Number.POSITIVE_INFINITY) <= mark.index + 1)
      this.#terms.shift();
  }

  /**
   * Whether a replica's record may come: numbers rise, each replica begins after the end of the one
   * before it, and nothing belongs to nobody.
   */
  admitsReplica({ replica, state }: ReplicaRecord): boolean {
    const known = this.replica?.replica ?? 0;
    if (state === 'removed') return replica >= known;
    return replica > known && (known > 0 ? !this.isLiving : this.#isEmpty());
  }

  /** From a replica's beginning, and from its end on, the group has nothing. */
  seeReplica(record: ReplicaRecord): void {
    const nothing = new GroupState(record.group);
    this.replica = record;
    this.hardState = nothing.hardState;
    this.mark = nothing.mark;
    this.previousMark = nothing.mark;
    this.lastIndex = indexZero;
    this.lastTerm = 0;
    this.#terms = [];
  }

  summary(): GroupSummary {
    const { hardState, mark, previousMark, lastIndex, lastTerm, replica } = this;
    return { hardState, mark, previousMark, lastIndex, lastTerm, replica };
  }

  /** Takes what a segment's head says as the truth so far. */
  restore(summary: GroupSummary): void {
    this.replica = summary.replica;
    this.hardState = summary.hardState;
    this.mark = summary.mark;
    this.previousMark = summary.previousMark;
    this.lastIndex = summary.lastIndex;
    this.lastTerm = summary.lastTerm;
    this.#terms = [{ from: summary.lastIndex, term: summary.lastTerm }];
  }

  #isEmpty(): boolean {
    return this.lastIndex === 0 && this.hardState.term === 0;
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

  /** In order of group. */
  summaries(): readonly GroupSummary[] {
    const summaries: GroupSummary[] = [];
    for (const state of this.#states) if (state !== undefined) summaries.push(state.summary());
    return summaries;
  }
}
