/** Takes records into a frame, and into the sum of what the log says. */
import { assert } from '../base/assert.ts';
import type { GroupId } from '../base/ids.ts';
import { logPayloadBytesMax } from '../base/limits.ts';
import { standsBefore } from './batch.ts';
import type { LogContents } from './contents.ts';
import {
  type HardState,
  indexZero,
  type LogBatch,
  type LogEntry,
  type ReplicaRecord,
  type SnapshotMark,
} from './entry.ts';
import type { GroupTable } from './groups.ts';
import type { PendingFrame } from './pending.ts';

/** See the top of the file. Frames have room for what they are given. */
export class Recorder {
  readonly #table: GroupTable;
  readonly #contents: LogContents;

  constructor(table: GroupTable, contents: LogContents) {
    this.#table = table;
    this.#contents = contents;
  }

  /** Adds what lies in one frame, in the order in which it is read back. */
  add(frame: PendingFrame, { entries, hardStates, marks, replicas }: LogBatch): void {
    if (replicas !== undefined) for (const record of replicas) this.#replica(frame, record);
    const before = marks?.filter((mark) => standsBefore(mark, entries)) ?? [];
    for (const mark of before) this.#newMark(frame, mark);
    for (const entry of entries) this.#entry(frame, entry);
    if (hardStates !== undefined) for (const state of hardStates) this.hardState(frame, state);
    for (const mark of marks ?? []) if (!before.includes(mark)) this.#newMark(frame, mark);
  }

  hardState(frame: PendingFrame, hardState: HardState): void {
    const { term, vote, group } = hardState;
    const state = this.#table.of(group);
    assert(state.isLiving, 'a removed replica has no state');
    assert(term >= state.hardState.term, 'a term never falls');
    assert(vote === vote >>> 0, 'a vote has 32 bits');
    state.hardState = hardState;
    frame.hardState(hardState);
  }

  /**
   * A mark below the newest says that the newer snapshot is of no use. `rewinds`: nothing that the log
   * has of the group counts, whatever it is.
   */
  mark(frame: PendingFrame, mark: SnapshotMark, rewinds = false): void {
    const { group } = mark;
    const state = this.#table.of(group);
    assert(state.isLiving, 'a removed replica has no snapshot');
    const resets = rewinds || state.isReplacedBy(mark);
    state.seeMark(mark, resets);
    frame.mark(mark, resets);
    if (resets) this.#void(frame, group, 1);
    frame.floors.push([group, state.previousMark.index]);
  }

  /** One below the newest comes late: a snapshot from elsewhere has overtaken it. */
  #newMark(frame: PendingFrame, mark: SnapshotMark): void {
    if (mark.index >= this.#table.of(mark.group).mark.index) this.mark(frame, mark);
  }

  #replica(frame: PendingFrame, record: ReplicaRecord): void {
    const { group, replica } = record;
    const state = this.#table.of(group);
    assert(replica > 0, 'replicas are numbered from 1');
    assert(replica === replica >>> 0, 'the number of a replica has 32 bits');
    assert(state.admitsReplica(record), 'the number of a replica is never used again');
    state.seeReplica(record);
    frame.replica(record);
    this.#void(frame, group, 1);
    frame.floors.push([group, indexZero]);
  }

  #entry(frame: PendingFrame, entry: LogEntry): void {
    assert(entry.payload.length <= logPayloadBytesMax, 'a payload is within its limit');
    assert(entry.term > 0, 'an entry has a term');
    const state = this.#table.of(entry.group);
    assert(state.admits(entry), 'an entry continues its group or replaces its tail');
    assert(entry.index > state.hardState.commit, 'what is committed is not replaced');
    if (entry.index <= state.lastIndex) this.#void(frame, entry.group, entry.index);
    this.#contents.note(entry);
    state.seeEntry(entry);
    frame.entry(entry);
  }

  /** What a group has from an index on counts no more, in older segments once the frame is durable. */
  #void(frame: PendingFrame, group: GroupId, index: number): void {
    this.#contents.void(group, index, { from: this.#contents.newest });
    frame.voids.push([group, index]);
  }
}
