/** The snapshots of a node's groups: written beside the log, verified at start, the newest two kept. */
import type { Clock, Disk } from '../base/doors.ts';
import { FormatError } from '../base/format-error.ts';
import type { GroupId } from '../base/ids.ts';
import { snapshotsKept } from '../base/limits.ts';
import { SnapshotDamaged } from './damage.ts';
import type { Checksum, ReplicaRecord, SnapshotBase, SnapshotMark } from './entry.ts';
import { findSnapshots, readOrigin, type SeeChunk, withSnapshot } from './find-snapshots.ts';
import { type SnapshotOrigin, SnapshotReader, type SnapshotSummary } from './snapshot-file.ts';
import { markNamed, snapshotFolder, snapshotName } from './snapshot-name.ts';
import { SnapshotWriter, unfinishedSuffix } from './snapshot-writer.ts';
import { SpaceReserve } from './space-reserve.ts';

export type { SeeChunk } from './find-snapshots.ts';
export { snapshotName } from './snapshot-name.ts';

const reserveName = `${snapshotFolder}/reserve`;
/** The reserve is this many times the largest snapshot: the next will be larger. */
const reserveShare = 1.5;

/** What `SnapshotStore.open` needs besides its doors. */
export interface SnapshotStoreOptions {
  readonly checksum: Checksum;
  /** Bytes reserved for a snapshot before any is known; `snapshotReserveBytesMin` in earnest. */
  readonly reserveBytesMin: number;
  /** Called when the reserve meets an error other than a full disk. */
  readonly onFatal: (error: Error) => void;
  /**
   * Called at start before a snapshot is read; the result sees its chunks. It may throw. A group whose
   * newest snapshot is damaged has its older one read as well: the one begun last counts, and none
   * where `newest` says that none is whole.
   */
  readonly reading?: (mark: SnapshotMark) => SeeChunk;
}

/** What `SnapshotStore.open` resolves to. */
export interface OpenedSnapshots {
  readonly snapshots: SnapshotStore;
  /** Sentences for the operator: snapshots that are damaged, and not used. */
  readonly warnings: readonly string[];
}

/** Whether the data folder has a snapshot, whole or damaged. */
export async function hasSnapshots(disk: Disk): Promise<boolean> {
  const names = await disk.list(snapshotFolder);
  return names.some((name) => markNamed(name) !== undefined);
}

const seesNothing: SeeChunk = () => undefined;
const nowhere: SnapshotOrigin = { replica: 0, context: new Uint8Array(0) };

/** See the top of the file. */
export class SnapshotStore {
  readonly #disk: Disk;
  readonly #checksum: Checksum;
  readonly #reserveBytesMin: number;
  readonly #reading: (mark: SnapshotMark) => SeeChunk;
  readonly #reserve: SpaceReserve;
  /** Whole snapshots of each group's newest replica, newest first. */
  readonly #usable = new Map<GroupId, SnapshotSummary[]>();
  /** Snapshots on their way, of each group. */
  readonly #underWay = new Map<GroupId, number>();
  /** Snapshots begun in this life, each under a name of its own until it is whole. */
  #begun = 0;

  private constructor(disk: Disk, clock: Clock, options: SnapshotStoreOptions) {
    this.#disk = disk;
    this.#checksum = options.checksum;
    this.#reserveBytesMin = options.reserveBytesMin;
    this.#reading = options.reading ?? (() => seesNothing);
    const { onFatal } = options;
    this.#reserve = new SpaceReserve({
      disk,
      clock,
      name: reserveName,
      folder: snapshotFolder,
      onFatal,
    });
  }

  /**
   * Removes what was not finished, and reads each group's newest snapshot through; where it is damaged,
   * the older one. Rejects with FormatError, DiskError.
   */
  static async open(
    disk: Disk,
    clock: Clock,
    options: SnapshotStoreOptions,
  ): Promise<OpenedSnapshots> {
    const store = new SnapshotStore(disk, clock, options);
    await disk.makeFolder(snapshotFolder);
    await disk.syncFolder('');
    // A name is as good as durable: the file was, before it got the name.
    await disk.syncFolder(snapshotFolder);
    for (const name of await disk.list(snapshotFolder)) {
      if (name.endsWith(unfinishedSuffix)) await disk.remove(`${snapshotFolder}/${name}`);
    }
    const { usable, damaged } = await findSnapshots(disk, options.checksum, store.#reading);
    for (const [group, snapshots] of usable) store.#usable.set(group, snapshots);
    const warnings = damaged.map(
      ({ error }) => `${error.message}; an older one is used if the log reaches back to it`,
    );
    store.#wantReserve();
    return { snapshots: store, warnings };
  }

  /** The newest whole snapshot of each group: where the log must go on (`LogOptions.bases`). */
  bases(): ReadonlyMap<GroupId, SnapshotBase> {
    const bases = new Map<GroupId, SnapshotBase>();
    for (const [group, [newest]] of this.#usable) {
      if (newest !== undefined) bases.set(group, { ...newest.mark, replica: newest.replica });
    }
    return bases;
  }

  /** The newest whole snapshot of a group. */
  newest(group: GroupId): SnapshotSummary | undefined {
    return this.#usable.get(group)?.[0];
  }

  /**
   * Hands out the chunks of a group's newest snapshot, then what it says of itself; undefined where
   * there is none. Rejects with SnapshotDamaged when the file has changed since it was verified.
   */
  async load(group: GroupId, see: SeeChunk): Promise<SnapshotSummary | undefined> {
    const newest = this.newest(group);
    return newest === undefined ? undefined : await this.#read(newest.mark, see);
  }

  /**
   * The chunks of a group's newest snapshot, read no faster than they are asked for, each valid until the next
   * is; nothing where there is none. Newer ones may come meanwhile. Rejects with SnapshotDamaged, DiskError.
   */
  async *chunksOf(group: GroupId): AsyncGenerator<Uint8Array, void, undefined> {
    const newest = this.newest(group);
    if (newest === undefined) return;
    const name = snapshotName(newest.mark);
    const file = await this.#disk.open(name);
    try {
      yield* new SnapshotReader(file, name, this.#checksum).chunks(newest.mark);
    } finally {
      await file.close();
    }
  }

  /** Reads a group's newest snapshot through again. Rejects with SnapshotDamaged. */
  async verify(group: GroupId): Promise<void> {
    await this.load(group, seesNothing);
  }

  /**
   * Begins a snapshot, a group's own or one that its leader sends; several may be on their way, of one
   * mark too. Rejects with DiskError.
   */
  async begin(mark: SnapshotMark, origin: SnapshotOrigin = nowhere): Promise<SnapshotWriter> {
    const { group } = mark;
    const name = snapshotName(mark);
    this.#begun += 1;
    this.#underWay.set(group, (this.#underWay.get(group) ?? 0) + 1);
    const ended = (summary: SnapshotSummary | undefined): void => {
      this.#underWay.set(group, (this.#underWay.get(group) ?? 0) - 1);
      if (summary !== undefined) this.#finished(summary);
      // One that was given up may have given up the reserve before.
      this.#wantReserve();
    };
    try {
      return await SnapshotWriter.begin({
        disk: this.#disk,
        checksum: this.#checksum,
        reserve: this.#reserve,
        folder: snapshotFolder,
        name,
        unfinishedName: `${name}.${this.#begun}${unfinishedSuffix}`,
        mark,
        origin,
        ended,
      });
    } catch (error) {
      ended(undefined);
      throw error;
    }
  }

  #finished(summary: SnapshotSummary): void {
    const { group, index } = summary.mark;
    const others = (this.#usable.get(group) ?? []).filter(
      ({ mark, replica }) => mark.index !== index && replica === summary.replica,
    );
    const all = [summary, ...others].sort((one, other) => other.mark.index - one.mark.index);
    this.#usable.set(group, all);
  }

  /** Whether a snapshot of a group is being written. */
  isUnderWay(group: GroupId): boolean {
    return (this.#underWay.get(group) ?? 0) > 0;
  }

  /**
   * Removes the snapshots of replicas that are no more, once their tombstones are durable: all of a
   * group whose replica is removed, and those that another than the living one wrote.
   */
  async removeDead(replicas: readonly ReplicaRecord[]): Promise<void> {
    const records = new Map(replicas.map((record) => [record.group, record]));
    let removed = false;
    for (const name of await this.#disk.list(snapshotFolder)) {
      const mark = markNamed(name);
      const record = mark === undefined ? undefined : records.get(mark.group);
      if (mark === undefined || record === undefined) continue;
      if (record.state === 'living' && !(await this.#isOfAnother(mark, record))) continue;
      await this.#disk.remove(`${snapshotFolder}/${name}`);
      removed = true;
    }
    for (const { group, state, replica } of replicas) {
      const newest = this.newest(group);
      if (state === 'removed' || newest?.replica !== replica) this.#usable.delete(group);
    }
    if (removed) await this.#disk.syncFolder(snapshotFolder);
  }

  /** A file whose header is damaged may be anybody's. */
  async #isOfAnother(mark: SnapshotMark, { replica }: ReplicaRecord): Promise<boolean> {
    try {
      const origin = await readOrigin(this.#disk, this.#checksum, mark);
      return origin.replica !== replica;
    } catch (error) {
      if (error instanceof SnapshotDamaged || error instanceof FormatError) return false;
      throw error;
    }
  }

  /** Removes a group's snapshots but the newest two; once the mark of the newest is durable. */
  async retire(group: GroupId): Promise<void> {
    const kept = (this.#usable.get(group) ?? []).slice(0, snapshotsKept);
    this.#usable.set(group, kept);
    const names = new Set(kept.map(({ mark }) => snapshotName(mark)));
    for (const name of await this.#disk.list(snapshotFolder)) {
      const path = `${snapshotFolder}/${name}`;
      if (markNamed(name)?.group !== group || names.has(path)) continue;
      await this.#disk.remove(path);
    }
    await this.#disk.syncFolder(snapshotFolder);
  }

  /** `reserve` while there is no room on the disk for one more snapshot. */
  reserveState(): 'ok' | 'reserve' {
    return this.#reserve.state();
  }

  /** Ends the growing of the reserve. */
  async close(): Promise<void> {
    await this.#reserve.close();
  }

  async #read(mark: SnapshotMark, see: SeeChunk): Promise<SnapshotSummary> {
    return await withSnapshot(this.#disk, this.#checksum, mark, (reader) => reader.read(mark, see));
  }

  #wantReserve(): void {
    let largest = 0;
    for (const [newest] of this.#usable.values()) largest = Math.max(largest, newest?.bytes ?? 0);
    this.#reserve.want(Math.max(this.#reserveBytesMin, Math.ceil(largest * reserveShare)));
  }
}
