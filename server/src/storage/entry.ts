/** What the log keeps of a group: its entries, its hard state and the marks of its snapshots. */
import type { GroupId, LogIndex, Term } from '../base/ids.ts';

/** One entry of one group. The payload belongs to the log from `append` until its callback. */
export interface LogEntry {
  readonly group: GroupId;
  readonly term: Term;
  /** From 1 and contiguous; an index at or below the last one replaces the tail from there on. */
  readonly index: LogIndex;
  /** At most `logPayloadBytesMax` bytes; their meaning is the caller's. */
  readonly payload: Uint8Array;
}

/** Raft's hard state (Ongaro 2014 §3.8): durable before a vote or an acknowledgement leaves. */
export interface HardState {
  readonly group: GroupId;
  readonly term: Term | 0;
  /** The node voted for in `term`, 0 for none; 32 bits. */
  readonly vote: number;
  /** Entries up to here are committed; may lag behind what is known elsewhere. */
  readonly commit: LogIndex;
}

/** A snapshot of a group at an index is durable: file, name and folder. */
export interface SnapshotMark {
  readonly group: GroupId;
  readonly index: LogIndex;
  /** The term of the entry at `index`. */
  readonly term: Term | 0;
}

/** What one turn appends. All of it is durable when the batch's callback comes. */
export interface LogBatch {
  readonly entries: readonly LogEntry[];
  readonly hardStates?: readonly HardState[];
  readonly marks?: readonly SnapshotMark[];
}

/** One group as it came out of the log. */
export interface RecoveredGroup {
  readonly hardState: HardState;
  /** The newest mark; index 0 when there is none. */
  readonly snapshotMark: SnapshotMark;
  /** The index after which `entries` begins: the base asked for, else the newest mark's. */
  readonly base: LogIndex;
  /** Contiguous, from `base` + 1, in order. Payloads are views of memory that nobody else writes. */
  readonly entries: readonly LogEntry[];
  readonly lastIndex: LogIndex;
}

/** A checksum of 32 bits over bytes, continued from a seed: CRC-32 as `zlib.crc32`, given by the host. */
export type Checksum = (bytes: Uint8Array, seed: number) => number;

/** No entry: the index before the first. */
export const indexZero: LogIndex = 0 as LogIndex;
