/** The snapshots of a node's groups: written beside the log, verified at start, the newest two kept. */
import { assert } from '../base/assert.ts';
import { type Clock, type Disk, DiskError, type DiskFile } from '../base/doors.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { snapshotPieceBytesMax, snapshotSyncBytes, snapshotsKept } from '../base/limits.ts';
import { SnapshotDamaged } from './damage.ts';
import type { Checksum, SnapshotMark } from './entry.ts';
import { removeIfThere } from './segments.ts';
import {
  SnapshotEncoder,
  SnapshotReader,
  type SnapshotSummary,
  snapshotReadBytes,
} from './snapshot-file.ts';
import { SpaceReserve } from './space-reserve.ts';

/** The folder of the snapshots. */
export const snapshotFolder = 'snapshots';
const unfinished = '.new';
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

/** Sees the chunks of a snapshot, as they were added; their bytes are valid during the call. */
export type SeeChunk = (chunk: Uint8Array) => void;

/** What `SnapshotStore.open` resolves to. */
export interface OpenedSnapshots {
  readonly snapshots: SnapshotStore;
  /** Sentences for the operator: snapshots that are damaged, and not used. */
  readonly warnings: readonly string[];
}

/** The file of a snapshot within the data folder. */
export function snapshotName({ group, index, term }: SnapshotMark): string {
  const digits = (value: number, count: number): string => String(value).padStart(count, '0');
  return `${snapshotFolder}/${digits(group, 3)}-${digits(index, 16)}-${digits(term, 16)}`;
}

/** Whether the data folder has a snapshot, whole or damaged. */
export async function hasSnapshots(disk: Disk): Promise<boolean> {
  const names = await disk.list(snapshotFolder);
  return names.some((name) => markNamed(name) !== undefined);
}

function markNamed(name: string): SnapshotMark | undefined {
  const [, group, index, term] = /^(\d{3})-(\d{16})-(\d{16})$/.exec(name) ?? [];
  if (group === undefined) return undefined;
  return {
    group: Number(group) as GroupId,
    index: Number(index) as LogIndex,
    term: Number(term) as Term | 0,
  };
}

const seesNothing: SeeChunk = () => undefined;

/** See the top of the file. */
export class SnapshotStore {
  readonly #disk: Disk;
  readonly #checksum: Checksum;
  readonly #reserveBytesMin: number;
  readonly #reading: (mark: SnapshotMark) => SeeChunk;
  readonly #reserve: SpaceReserve;
  /** Whole snapshots of each group, newest first. */
  readonly #usable = new Map<GroupId, SnapshotSummary[]>();

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
    const warnings: string[] = [];
    const memory = new Uint8Array(snapshotReadBytes);
    // A name is as good as durable: the file was, before it got the name.
    await disk.syncFolder(snapshotFolder);
    for (const name of [...(await disk.list(snapshotFolder))].reverse()) {
      const mark = markNamed(name);
      if (mark !== undefined) await store.#look(mark, warnings, memory);
      else if (name.endsWith(unfinished)) await disk.remove(`${snapshotFolder}/${name}`);
    }
    store.#wantReserve();
    return { snapshots: store, warnings };
  }

  /** The newest whole snapshot of each group: where the log must go on (`LogOptions.bases`). */
  bases(): ReadonlyMap<GroupId, SnapshotMark> {
    const bases = new Map<GroupId, SnapshotMark>();
    for (const [group, [newest]] of this.#usable) if (newest) bases.set(group, newest.mark);
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

  /** Reads a group's newest snapshot through again. Rejects with SnapshotDamaged. */
  async verify(group: GroupId): Promise<void> {
    await this.load(group, seesNothing);
  }

  /** Begins a snapshot; several groups' may be on their way. Rejects with DiskError. */
  async begin(mark: SnapshotMark): Promise<SnapshotWriter> {
    const finished = (summary: SnapshotSummary): void => {
      const others = (this.#usable.get(mark.group) ?? []).filter(
        (each) => each.mark.index !== mark.index,
      );
      const all = [summary, ...others].sort((one, other) => other.mark.index - one.mark.index);
      this.#usable.set(mark.group, all);
      this.#wantReserve();
    };
    return await SnapshotWriter.begin({
      disk: this.#disk,
      checksum: this.#checksum,
      reserve: this.#reserve,
      mark,
      finished,
    });
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

  /** Takes a snapshot found at start into account. Names come newest first. */
  async #look(mark: SnapshotMark, warnings: string[], memory: Uint8Array): Promise<void> {
    const known = this.#usable.get(mark.group) ?? [];
    try {
      // Older ones wait unread behind a whole one.
      const summary =
        known.length === 0
          ? await this.#read(mark, this.#reading(mark), memory)
          : { mark, stateHash: 0n, bytes: 0 };
      this.#usable.set(mark.group, [...known, summary]);
    } catch (error) {
      if (!(error instanceof SnapshotDamaged)) throw error;
      warnings.push(`${error.message}; an older one is used if the log reaches back to it`);
    }
  }

  async #read(mark: SnapshotMark, see: SeeChunk, memory?: Uint8Array): Promise<SnapshotSummary> {
    const name = snapshotName(mark);
    const file = await this.#disk.open(name);
    try {
      return await new SnapshotReader(file, name, this.#checksum, memory).read(mark, see);
    } finally {
      await file.close();
    }
  }

  #wantReserve(): void {
    let largest = 0;
    for (const [newest] of this.#usable.values()) largest = Math.max(largest, newest?.bytes ?? 0);
    this.#reserve.want(Math.max(this.#reserveBytesMin, Math.ceil(largest * reserveShare)));
  }
}

interface SnapshotWriterOptions {
  readonly disk: Disk;
  readonly checksum: Checksum;
  readonly reserve: SpaceReserve;
  readonly mark: SnapshotMark;
  readonly finished: (summary: SnapshotSummary) => void;
}

/** One snapshot on its way. Calls come one after the other: the next `add` waits for the last. */
export class SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  readonly #encoder: SnapshotEncoder;
  readonly #file: DiskFile;
  #offset = 0;
  #syncedOffset = 0;
  #ended = false;

  private constructor(options: SnapshotWriterOptions, file: DiskFile) {
    this.#options = options;
    this.#encoder = new SnapshotEncoder(options.checksum);
    this.#file = file;
  }

  /** Called by `SnapshotStore.begin`. */
  static async begin(options: SnapshotWriterOptions): Promise<SnapshotWriter> {
    const name = snapshotName(options.mark) + unfinished;
    await removeIfThere(options.disk, name);
    const file = await withReserve(options.reserve, () => options.disk.create(name));
    const writer = new SnapshotWriter(options, file);
    await writer.#orAbort(() => writer.#put(writer.#encoder.header(options.mark)));
    return writer;
  }

  /**
   * Adds a chunk of any size; the next may be cut when it resolves. Rejects with DiskError: `full` means
   * that this snapshot was given up and nothing is lost, `io` that the process should end.
   */
  async add(chunk: Uint8Array): Promise<void> {
    assert(!this.#ended, 'a snapshot on its way is added to');
    await this.#orAbort(async () => {
      let from = 0;
      do {
        const piece = chunk.subarray(from, from + snapshotPieceBytesMax);
        from += piece.length;
        await this.#put(this.#encoder.piece(piece, from < chunk.length));
      } while (from < chunk.length);
    });
  }

  /** The snapshot is durable, file and name, when this resolves; then its mark may be appended. */
  async finish(stateHash: bigint): Promise<SnapshotSummary> {
    assert(!this.#ended, 'a snapshot on its way is finished');
    const { disk, mark, reserve, finished } = this.#options;
    const name = snapshotName(mark);
    await this.#orAbort(async () => {
      await this.#put(this.#encoder.footer(stateHash));
      await this.#file.sync();
    });
    this.#ended = true;
    await this.#file.close();
    await withReserve(reserve, () => disk.rename(name + unfinished, name));
    await withReserve(reserve, () => disk.syncFolder(snapshotFolder));
    const summary = { mark, stateHash, bytes: this.#offset };
    finished(summary);
    return summary;
  }

  /** Gives the snapshot up; its file goes. */
  async abort(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#file.close();
    await removeIfThere(this.#options.disk, snapshotName(this.#options.mark) + unfinished);
  }

  async #orAbort(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (error instanceof DiskError && error.kind === 'full') await this.abort();
      throw error;
    }
  }

  async #put(bytes: Uint8Array): Promise<void> {
    await withReserve(this.#options.reserve, () => this.#file.write(this.#offset, bytes));
    this.#offset += bytes.length;
    if (this.#offset - this.#syncedOffset < snapshotSyncBytes) return;
    await this.#file.sync();
    this.#syncedOffset = this.#offset;
  }
}

/** Tries again without the reserve when the disk is full. */
async function withReserve<T>(reserve: SpaceReserve, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof DiskError) || error.kind !== 'full') throw error;
    await reserve.release();
    return await run();
  }
}
