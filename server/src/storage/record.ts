/** Records: what a frame's body is made of. Each begins with its kind (u8), a zero, and its group (u16). */
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { groupMax } from '../base/limits.ts';
import type { HardState, LogEntry, ReplicaRecord, SnapshotMark } from './entry.ts';
import { getInteger, putInteger } from './frame.ts';

const kinds = {
  padding: 0,
  entry: 1,
  hardState: 2,
  mark: 3,
  head: 4,
  headGroup: 5,
  change: 6,
  replica: 7,
} as const;

/** The states of a replica, as numbers. */
const replicaStates = ['living', 'removed'] as const;

/** Bytes of a hard state, a mark or a replica. */
export const stateBytes = 24;
/** Bytes of an entry's record before its payload. */
export const entryHeaderBytes: number = stateBytes;
/** Bytes of a segment's head before its groups. */
export const headBytes = 16;
/** Bytes of one group in a segment's head. */
export const headGroupBytes = 80;

/** All that a segment's head says of a group: the sum of everything before it. */
export interface GroupSummary {
  readonly hardState: HardState;
  readonly mark: SnapshotMark;
  /** The mark before `mark`: the log is kept from here on. */
  readonly previousMark: SnapshotMark;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term | 0;
  readonly replica: ReplicaRecord | undefined;
}

/** A record read back. The entry's payload is a view of the segment. */
export type LogRecord =
  | { readonly kind: 'entry'; readonly entry: LogEntry }
  | { readonly kind: 'hard-state'; readonly state: HardState }
  | { readonly kind: 'mark'; readonly mark: SnapshotMark; readonly resets: boolean }
  | { readonly kind: 'replica'; readonly replica: ReplicaRecord }
  | { readonly kind: 'head'; readonly segment: number; readonly groups: readonly GroupSummary[] };

function putKind(view: DataView, offset: number, kind: number, group: number, word: number): void {
  view.setUint16(offset, kind, true);
  view.setUint16(offset + 2, group, true);
  view.setUint32(offset + 4, word, true);
}

/** Writes an entry; returns the offset behind it. `bytes` and `view` show the same memory. */
export function putEntry(bytes: Uint8Array, view: DataView, at: number, entry: LogEntry): number {
  const kind = entry.kind === 1 ? kinds.change : kinds.entry;
  putKind(view, at, kind, entry.group, entry.payload.length);
  putInteger(view, at + 8, entry.term);
  putInteger(view, at + 16, entry.index);
  bytes.set(entry.payload, at + entryHeaderBytes);
  return at + entryHeaderBytes + entry.payload.length;
}

/** Writes a hard state; returns the offset behind it. */
export function putHardState(view: DataView, at: number, state: HardState): number {
  putKind(view, at, kinds.hardState, state.group, state.vote);
  putInteger(view, at + 8, state.term);
  putInteger(view, at + 16, state.commit);
  return at + stateBytes;
}

/** Writes a mark, and whether it replaces the group's log; returns the offset behind it. */
export function putMark(view: DataView, at: number, mark: SnapshotMark, resets: boolean): number {
  putKind(view, at, kinds.mark, mark.group, resets ? 1 : 0);
  putInteger(view, at + 8, mark.term);
  putInteger(view, at + 16, mark.index);
  return at + stateBytes;
}

/** Writes a replica; returns the offset behind it. */
export function putReplica(view: DataView, at: number, record: ReplicaRecord): number {
  putKind(view, at, kinds.replica, record.group, record.replica);
  putInteger(view, at + 8, replicaStates.indexOf(record.state));
  putInteger(view, at + 16, 0);
  return at + stateBytes;
}

/** Writes a segment's head; returns the offset behind it. */
export function putHead(
  view: DataView,
  at: number,
  segment: number,
  groups: readonly GroupSummary[],
): number {
  putKind(view, at, kinds.head, 0, groups.length);
  putInteger(view, at + 8, segment);
  let offset = at + headBytes;
  for (const group of groups) {
    putKind(view, offset, kinds.headGroup, group.hardState.group, group.hardState.vote);
    putInteger(view, offset + 8, group.hardState.term);
    putInteger(view, offset + 16, group.hardState.commit);
    putInteger(view, offset + 24, group.mark.term);
    putInteger(view, offset + 32, group.mark.index);
    putInteger(view, offset + 40, group.previousMark.term);
    putInteger(view, offset + 48, group.previousMark.index);
    putInteger(view, offset + 56, group.lastTerm);
    putInteger(view, offset + 64, group.lastIndex);
    const { replica } = group;
    view.setUint32(offset + 72, replica?.replica ?? 0, true);
    view.setUint32(
      offset + 76,
      replica === undefined ? 0 : replicaStates.indexOf(replica.state),
      true,
    );
    offset += headGroupBytes;
  }
  return offset;
}

function markAt(view: DataView, group: GroupId, at: number): SnapshotMark {
  return {
    group,
    term: getInteger(view, at) as Term | 0,
    index: getInteger(view, at + 8) as LogIndex,
  };
}

function hardStateAt(view: DataView, group: GroupId, at: number): HardState {
  return {
    group,
    vote: view.getUint32(at + 4, true),
    term: getInteger(view, at + 8) as Term | 0,
    commit: getInteger(view, at + 16) as LogIndex,
  };
}

/** Undefined where the state is none that this build knows. */
function replicaOf(group: GroupId, replica: number, state: number): ReplicaRecord | undefined {
  const name = replicaStates[state];
  return name === undefined ? undefined : { group, replica, state: name };
}

function headAt(view: DataView, at: number, to: number): readonly GroupSummary[] | undefined {
  const count = view.getUint32(at + 4, true);
  if (count > groupMax + 1 || at + headBytes + count * headGroupBytes > to) return undefined;
  const groups: GroupSummary[] = [];
  for (let position = 0; position < count; position++) {
    const offset = at + headBytes + position * headGroupBytes;
    if (view.getUint16(offset, true) !== kinds.headGroup) return undefined;
    const group = view.getUint16(offset + 2, true) as GroupId;
    if (group > groupMax) return undefined;
    const number = view.getUint32(offset + 72, true);
    const replica = replicaOf(group, number, view.getUint32(offset + 76, true));
    if (replica === undefined) return undefined;
    groups.push({
      hardState: hardStateAt(view, group, offset),
      mark: markAt(view, group, offset + 24),
      previousMark: markAt(view, group, offset + 40),
      lastTerm: getInteger(view, offset + 56) as Term | 0,
      lastIndex: getInteger(view, offset + 64) as LogIndex,
      replica: number === 0 ? undefined : replica,
    });
  }
  return groups;
}

/** A record that is not a head, and where it ends; undefined where there is none. */
function recordAt(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  to: number,
): { readonly record: LogRecord; readonly end: number } | undefined {
  if (to - at < stateBytes) return undefined;
  const kind = view.getUint16(at, true);
  const group = view.getUint16(at + 2, true) as GroupId;
  const word = view.getUint32(at + 4, true);
  const end = at + stateBytes;
  switch (kind) {
    case kinds.entry:
    case kinds.change: {
      if (end + word > to) return undefined;
      const payload = bytes.subarray(end, end + word);
      const { term, index } = markAt(view, group, at + 8);
      if (term === 0) return undefined;
      const entry = { group, term, index, kind: kind === kinds.change ? 1 : 0, payload } as const;
      return { record: { kind: 'entry', entry }, end: end + word };
    }
    case kinds.hardState:
      return { record: { kind: 'hard-state', state: hardStateAt(view, group, at) }, end };
    case kinds.mark:
      if (word > 1) return undefined;
      return {
        record: { kind: 'mark', mark: markAt(view, group, at + 8), resets: word === 1 },
        end,
      };
    case kinds.replica: {
      const replica = replicaOf(group, word, getInteger(view, at + 8));
      return replica === undefined ? undefined : { record: { kind: 'replica', replica }, end };
    }
    default:
      return undefined;
  }
}

/**
 * Reads the records of a body in order. False when the bytes are no records, which under a good CRC
 * means another format, and is treated as damage.
 */
export function readRecords(
  bytes: Uint8Array,
  from: number,
  to: number,
  see: (record: LogRecord) => void,
): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = from;
  while (to - at >= headBytes) {
    if (view.getUint16(at + 2, true) > groupMax) return false;
    if (view.getUint16(at, true) === kinds.head) {
      const groups = headAt(view, at, to);
      if (groups === undefined) return false;
      see({ kind: 'head', segment: getInteger(view, at + 8), groups });
      at += headBytes + groups.length * headGroupBytes;
      continue;
    }
    const found = recordAt(bytes, view, at, to);
    if (found === undefined) return false;
    see(found.record);
    at = found.end;
  }
  // Fewer bytes than any record are the padding to the next frame.
  return to - at < 8 && bytes.subarray(at, to).every((byte) => byte === 0);
}
