/** A turn's records as the frames they need: what a group writes lies in one frame, where it fits one. */
import type { GroupId, LogIndex } from '../base/ids.ts';
import type { HardState, LogBatch, LogEntry, ReplicaRecord, SnapshotMark } from './entry.ts';
import { entryHeaderBytes, stateBytes } from './record.ts';

/** Bytes of a batch's records. */
export function batchBytes({ entries, hardStates, marks, replicas }: LogBatch): number {
  const states = (hardStates?.length ?? 0) + (marks?.length ?? 0) + (replicas?.length ?? 0);
  let bytes = states * stateBytes + entries.length * entryHeaderBytes;
  for (const { payload } of entries) bytes += payload.length;
  return bytes;
}

/** Whether a mark stands before the batch's entries of its group: they go on from it. */
export function standsBefore(mark: SnapshotMark, entries: readonly LogEntry[]): boolean {
  const first = entries.find(({ group }) => group === mark.group);
  return first !== undefined && first.index > mark.index;
}

/**
 * A batch in pieces of at most `bytesMax` (one entry may be more), each of which must come back whole or
 * not at all. The writes of different groups are different pieces. A group's write that is larger still
 * becomes several writes, each of which that replica could have made: a part of the entries, with the
 * term and the vote, and with as much of the new commit index as the entries so far allow.
 */
export function pieces(batch: LogBatch, bytesMax: number): readonly LogBatch[] {
  if (batchBytes(batch) <= bytesMax) return [batch];
  return [...byGroup(batch).values()].flatMap((write) =>
    batchBytes(write) <= bytesMax ? [write] : divided(write, bytesMax),
  );
}

interface GroupWrite extends LogBatch {
  readonly entries: LogEntry[];
  readonly hardStates: HardState[];
  readonly marks: SnapshotMark[];
  readonly replicas: ReplicaRecord[];
}

function byGroup(batch: LogBatch): ReadonlyMap<GroupId, GroupWrite> {
  const writes = new Map<GroupId, GroupWrite>();
  const of = ({ group }: { readonly group: GroupId }): GroupWrite => {
    const known = writes.get(group);
    if (known !== undefined) return known;
    const write: GroupWrite = { entries: [], hardStates: [], marks: [], replicas: [] };
    writes.set(group, write);
    return write;
  };
  for (const each of batch.replicas ?? []) of(each).replicas.push(each);
  for (const each of batch.entries) of(each).entries.push(each);
  for (const each of batch.hardStates ?? []) of(each).hardStates.push(each);
  for (const each of batch.marks ?? []) of(each).marks.push(each);
  return writes;
}

function divided(write: GroupWrite, bytesMax: number): LogBatch[] {
  const { entries, replicas, marks } = write;
  const hardState = write.hardStates.at(-1);
  const before = marks.filter((mark) => standsBefore(mark, entries));
  const after = marks.filter((mark) => !before.includes(mark));
  const others = (1 + replicas.length + marks.length) * stateBytes;
  const parts: LogEntry[][] = [[]];
  let bytes = others;
  for (const entry of entries) {
    const more = entryHeaderBytes + entry.payload.length;
    if (bytes + more > bytesMax && bytes > others) {
      parts.push([]);
      bytes = others;
    }
    bytes += more;
    parts.at(-1)?.push(entry);
  }
  return parts.map((part, position) => {
    const isFirst = position === 0;
    const isLast = position === parts.length - 1;
    return {
      replicas: isFirst ? replicas : [],
      entries: part,
      hardStates:
        hardState === undefined ? [] : [heldBack(hardState, parts.slice(position + 1).flat())],
      marks: [...(isFirst ? before : []), ...(isLast ? after : [])],
    };
  });
}

/** As much of a hard state as is true before some entries are there. */
function heldBack(hardState: HardState, later: readonly LogEntry[]): HardState {
  let { commit } = hardState;
  for (const { index } of later) commit = Math.min(commit, index - 1) as LogIndex;
  return { ...hardState, commit };
}
