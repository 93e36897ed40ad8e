/** What the log keeps of a group: its entries, its hard state and the marks of its snapshots. */
import type { GroupId, LogIndex, Term } from '../base/ids.ts';

/** One entry of one group. The payload belongs to the log from `append` until its callback. */
export interface LogEntry {
  readonly group: GroupId;
  readonly term: Term;
  /** From 1 and contiguous; an index at or below the last one replaces the tail from there on. */
  readonly index: LogIndex;
  /** 0: the group's user's; 1: a change of the group's configuration. */
  readonly kind: 0 | 1;
  /** At most `logPayloadBytesMax` bytes, or none; their meaning is the caller's. */
  readonly payload: Uint8Array;
}

/** Raft's hard state (Ongaro 2014 §3.8): durable before a vote or an acknowledgement leaves. */
export interface HardState {
  readonly group: GroupId;
  readonly term: Term | 0;
  /** The replica voted for in `term`, 0 for none; 32 bits. */
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

/**
 * Which replica of a group is here, and whether it still is. `living` is durable before the replica's
 * first answer. `removed` is its tombstone: what the group has is gone from then on. A later `living`
 * with a higher number begins the group anew, from nothing; numbers are never used again.
 */
export interface ReplicaRecord {
  readonly group: GroupId;
  /** From 1; 32 bits. */
  readonly replica: number;
  readonly state: 'living' | 'removed';
}

/**
 * What one turn appends; all of it is durable when the batch's callback comes. What a group has in it
 * is its write, and comes back whole or not at all (DESIGN.md, "A write is whole"): one hard state a
 * group, the last if there are more.
 */
export interface LogBatch {
  readonly entries: readonly LogEntry[];
  readonly hardStates?: readonly HardState[];
  readonly marks?: readonly SnapshotMark[];
  readonly replicas?: readonly ReplicaRecord[];
}

/** A snapshot that will be loaded: where its group's log must go on. */
export interface SnapshotBase extends SnapshotMark {
  /** The replica that wrote it; absent or 0 where groups have no replicas. */
  readonly replica?: number;
}

/** One group as it came out of the log. Of a removed replica there is nothing but its record. */
export interface RecoveredGroup {
  /** Which replica this is; undefined where none was ever recorded. */
  readonly replica: ReplicaRecord | undefined;
  /** `commit` lies between `base` and `lastIndex`; `term` is not below the last entry's. */
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
