/** A frame on its way: records are encoded straight into the buffer that is written. */
import { assert } from '../base/assert.ts';
import type { GroupId, LogIndex } from '../base/ids.ts';
import type { HardState, LogEntry, ReplicaRecord, SnapshotMark } from './entry.ts';
import { aligned, frameHeaderBytes } from './frame.ts';
import {
  entryHeaderBytes,
  type GroupSummary,
  headBytes,
  headGroupBytes,
  putEntry,
  putHardState,
  putHead,
  putMark,
  putReplica,
  stateBytes,
} from './record.ts';

const firstBytes = 64 * 1024;

/** One frame's buffer, and who waits for it. Reused from frame to frame. */
export class PendingFrame {
  bytes: Uint8Array = new Uint8Array(firstBytes);
  view: DataView = new DataView(this.bytes.buffer);
  /** Bytes in use, the header included. */
  length: number = frameHeaderBytes;
  /** Bytes that the frame may have. */
  limit = 0;
  /** Whether it is the first of a new segment. */
  opensSegment = false;
  /** Where it goes in its segment; known when it is begun. */
  offset = 0;
  /** Callbacks, in order of their batches. */
  readonly durable: (() => void)[] = [];
  /** Groups whose log may be cut at an index once this frame is durable. */
  readonly floors: [GroupId, LogIndex][] = [];
  /** Groups of which older segments have nothing any more from an index on, once it is durable. */
  readonly voids: [GroupId, number][] = [];

  reset(offset: number, limit: number, opensSegment: boolean): void {
    this.length = frameHeaderBytes;
    this.offset = offset;
    this.limit = limit;
    this.opensSegment = opensSegment;
    this.durable.length = 0;
    this.floors.length = 0;
    this.voids.length = 0;
  }

  /** Whether a record of so many bytes still fits. */
  fits(bytes: number): boolean {
    return aligned(this.length + bytes) <= this.limit;
  }

  /** Makes room for a record; what is there stays. */
  reserve(bytes: number): void {
    const wanted = aligned(this.length + bytes);
    if (wanted <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  entry(entry: LogEntry): void {
    this.reserve(entryHeaderBytes + entry.payload.length);
    this.length = putEntry(this.bytes, this.view, this.length, entry);
  }

  hardState(state: HardState): void {
    this.reserve(stateBytes);
    this.length = putHardState(this.view, this.length, state);
  }

  mark(mark: SnapshotMark, resets: boolean): void {
    this.reserve(stateBytes);
    this.length = putMark(this.view, this.length, mark, resets);
  }

  replica(record: ReplicaRecord): void {
    this.reserve(stateBytes);
    this.length = putReplica(this.view, this.length, record);
  }

  head(segment: number, groups: readonly GroupSummary[]): void {
    this.reserve(headBytes + groups.length * headGroupBytes);
    this.length = putHead(this.view, this.length, segment, groups);
  }

  /** The whole frame, zero-padded, to be sealed and written. */
  close(): Uint8Array {
    const end = aligned(this.length);
    assert(end <= this.bytes.length, 'a frame lies in its buffer');
    this.bytes.fill(0, this.length, end);
    this.length = end;
    return this.bytes.subarray(0, end);
  }
}
