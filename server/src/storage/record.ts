/** Records: what a frame's body is made of. Each begins with its kind (u8), a zero, and its group (u16). */
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { groupMax } from '../base/limits.ts';
import type { HardState, LogEntry, SnapshotMark } from './entry.ts';
import { getInteger, putInteger } from './frame.ts';

const kinds = { padding: 0, entry: 1, hardState: 2, mark: 3, head: 4, headGroup: 5 } as const;

/** Bytes of an entry's record before its payload. */
export const entryHeaderBytes = 24;
/** Bytes of a hard state or a mark. */
export const stateBytes = 24;
/** Bytes of a segment's head before its groups. */
export const headBytes = 16;
/** Bytes of one group in a segment's head. */
export const headGroupBytes = 72;

/** All that a segment's head says of a group: the sum of everything before it. */
export interface GroupSummary {
  readonly hardState: HardState;
  readonly mark: SnapshotMark;
  /** The mark before `mark`: the log is kept from here on. */
  readonly previousMark: SnapshotMark;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term | 0;
}

/** A record read back. The entry's payload is a view of the segment. */
export type LogRecord =
  | { readonly kind: 'entry'; readonly entry: LogEntry }
  | { readonly kind: 'hard-state'; readonly state: HardState }
  | { readonly kind: 'mark'; readonly mark: SnapshotMark }
  | { readonly kind: 'head'; readonly segment: number; readonly groups: readonly GroupSummary[] };

function putKind(view: DataView, offset: number, kind: number, group: number, word: number): void {
  view.setUint16(offset, kind, true);
  view.setUint16(offset + 2, group, true);
  view.setUint32(offset + 4, word, true);
}

/** Writes an entry; returns the offset behind it. `bytes` and `view` show the same memory. */
export function putEntry(bytes: Uint8Array, view: DataView, at: number, entry: LogEntry): number {
  putKind(view, at, kinds.entry, entry.group, entry.payload.length);
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

/** Writes a mark; returns the offset behind it. */
export function putMark(view: DataView, at: number, mark: SnapshotMark): number {
  putKind(view, at, kinds.mark, mark.group, 0);
  putInteger(view, at + 8, mark.term);
  putInteger(view, at + 16, mark.index);
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

function headAt(view: DataView, at: number, to: number): readonly GroupSummary[] | undefined {
  const count = view.getUint32(at + 4, true);
  if (count > groupMax + 1 || at + headBytes + count * headGroupBytes > to) return undefined;
  const groups: GroupSummary[] = [];
  for (let number = 0; number < count; number++) {
    const offset = at + headBytes + number * headGroupBytes;
    if (view.getUint16(offset, true) !== kinds.headGroup) return undefined;
    const group = view.getUint16(offset + 2, true) as GroupId;
    if (group > groupMax) return undefined;
    groups.push({
      hardState: hardStateAt(view, group, offset),
      mark: markAt(view, group, offset + 24),
      previousMark: markAt(view, group, offset + 40),
      lastTerm: getInteger(view, offset + 56) as Term | 0,
      lastIndex: getInteger(view, offset + 64) as LogIndex,
    });
  }
  return groups;
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
    const kind = view.getUint16(at, true);
    const group = view.getUint16(at + 2, true) as GroupId;
    if (group > groupMax) return false;
    if (kind === kinds.head) {
      const groups = headAt(view, at, to);
      if (groups === undefined) return false;
      see({ kind: 'head', segment: getInteger(view, at + 8), groups });
      at += headBytes + groups.length * headGroupBytes;
      continue;
    }
    if (to - at < stateBytes) return false;
    if (kind === kinds.entry) {
      const end = at + entryHeaderBytes + view.getUint32(at + 4, true);
      if (end > to) return false;
      const payload = bytes.subarray(at + entryHeaderBytes, end);
      const { term, index } = markAt(view, group, at + 8);
      if (term === 0) return false;
      see({ kind: 'entry', entry: { group, term, index, payload } });
      at = end;
    } else if (kind === kinds.hardState) {
      see({ kind: 'hard-state', state: hardStateAt(view, group, at) });
      at += stateBytes;
    } else if (kind === kinds.mark) {
      see({ kind: 'mark', mark: markAt(view, group, at + 8) });
      at += stateBytes;
    } else return false;
  }
  // Fewer bytes than any record are the padding to the next frame.
  return to - at < 8 && bytes.subarray(at, to).every((byte) => byte === 0);
}
