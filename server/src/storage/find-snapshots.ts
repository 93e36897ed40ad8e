/** Which snapshots of a data folder are whole. Reads only. */
import type { Disk } from '../base/doors.ts';
import { FormatError } from '../base/format-error.ts';
import type { GroupId } from '../base/ids.ts';
import { SnapshotDamaged } from './damage.ts';
import type { Checksum, SnapshotMark } from './entry.ts';
import {
  type SnapshotOrigin,
  SnapshotReader,
  type SnapshotSummary,
  snapshotReadBytes,
} from './snapshot-file.ts';
import { markNamed, snapshotFolder, snapshotName } from './snapshot-name.ts';

/** Sees the chunks of a snapshot, as they were added; their bytes are valid during the call. */
export type SeeChunk = (chunk: Uint8Array) => void;

/** One that is not what was written. */
export interface DamagedSnapshot {
  readonly mark: SnapshotMark;
  readonly error: SnapshotDamaged;
}

/** What `findSnapshots` resolves to. */
export interface FoundSnapshots {
  /**
   * Of each group's newest replica, newest first. The first was read through; what the ends of the
   * others say is not known yet.
   */
  readonly usable: ReadonlyMap<GroupId, SnapshotSummary[]>;
  readonly damaged: readonly DamagedSnapshot[];
}

/**
 * Reads each group's newest snapshot through; where it is damaged, the older one. `reading` is told
 * before one is read, and sees its chunks. Rejects with FormatError, DiskError.
 */
export async function findSnapshots(
  disk: Disk,
  checksum: Checksum,
  reading: (mark: SnapshotMark) => SeeChunk,
): Promise<FoundSnapshots> {
  const damaged: DamagedSnapshot[] = [];
  const usable = new Map<GroupId, SnapshotSummary[]>();
  const memory = new Uint8Array(snapshotReadBytes);
  for (const [group, found] of await readOrigins(disk, checksum, damaged)) {
    // Ids of replicas rise: those of earlier ones are no state to go back to.
    const replica = Math.max(...found.map((each) => each.replica));
    const candidates = found.filter((each) => each.replica === replica);
    for (const [position, { mark }] of candidates.entries()) {
      try {
        const see = reading(mark);
        const read = (reader: SnapshotReader): Promise<SnapshotSummary> => reader.read(mark, see);
        const newest = await withSnapshot(disk, checksum, mark, read, memory);
        usable.set(group, [newest, ...candidates.slice(position + 1)]);
        break;
      } catch (error) {
        if (!(error instanceof SnapshotDamaged)) throw error;
        damaged.push({ mark, error });
      }
    }
  }
  return { usable, damaged };
}

/** All snapshots whose headers are whole, each group's newest first. */
async function readOrigins(
  disk: Disk,
  checksum: Checksum,
  damaged: DamagedSnapshot[],
): Promise<ReadonlyMap<GroupId, SnapshotSummary[]>> {
  const found = new Map<GroupId, SnapshotSummary[]>();
  for (const name of [...(await disk.list(snapshotFolder))].reverse()) {
    const mark = markNamed(name);
    if (mark === undefined) continue;
    const known = found.get(mark.group) ?? [];
    try {
      const { replica, context } = await readOrigin(disk, checksum, mark);
      found.set(mark.group, [...known, { mark, replica, context, stateHash: 0n, bytes: 0 }]);
    } catch (error) {
      // Behind one that this build can read, one of another format is of no use.
      if (error instanceof FormatError && known.length > 0) continue;
      if (!(error instanceof SnapshotDamaged)) throw error;
      damaged.push({ mark, error });
    }
  }
  return found;
}

/** Reads a snapshot's header. */
export async function readOrigin(
  disk: Disk,
  checksum: Checksum,
  mark: SnapshotMark,
): Promise<SnapshotOrigin> {
  return await withSnapshot(disk, checksum, mark, (reader) => reader.readOrigin(mark));
}

/** Opens a snapshot's file for a while. */
export async function withSnapshot<T>(
  disk: Disk,
  checksum: Checksum,
  mark: SnapshotMark,
  run: (reader: SnapshotReader) => Promise<T>,
  memory?: Uint8Array,
): Promise<T> {
  const name = snapshotName(mark);
  const file = await disk.open(name);
  try {
    return await run(new SnapshotReader(file, name, checksum, memory));
  } finally {
    await file.close();
  }
}
