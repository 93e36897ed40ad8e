/** One snapshot on its way to the disk. */
import { assert } from '../base/assert.ts';
import { type Disk, DiskError, type DiskFile } from '../base/doors.ts';
import { snapshotPieceBytesMax, snapshotSyncBytes } from '../base/limits.ts';
import type { Checksum, SnapshotMark } from './entry.ts';
import { removeIfThere } from './segments.ts';
import { SnapshotEncoder, type SnapshotOrigin, type SnapshotSummary } from './snapshot-file.ts';
import type { SpaceReserve } from './space-reserve.ts';

/** What a snapshot's name ends with until it is whole. */
export const unfinishedSuffix = '.new';

/** What `SnapshotStore.begin` gives its writer. */
export interface SnapshotWriterOptions {
  readonly disk: Disk;
  readonly checksum: Checksum;
  readonly reserve: SpaceReserve;
  /** The file, and the folder it lies in. */
  readonly name: string;
  readonly folder: string;
  readonly mark: SnapshotMark;
  readonly origin: SnapshotOrigin;
  /** Called once; without a summary where it was given up. */
  readonly ended: (summary: SnapshotSummary | undefined) => void;
}

/** See the top of the file. Calls come one after the other: the next `add` waits for the last. */
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
    const { disk, reserve, mark, origin } = options;
    const name = options.name + unfinishedSuffix;
    await removeIfThere(disk, name);
    const file = await withReserve(reserve, () => disk.create(name));
    const writer = new SnapshotWriter(options, file);
    try {
      await writer.#put(writer.#encoder.header(mark));
      await writer.#put(writer.#encoder.origin(origin));
    } catch (error) {
      await file.close();
      if (isFull(error)) await removeIfThere(disk, name);
      throw error;
    }
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
    const { disk, mark, origin, reserve, name, folder, ended } = this.#options;
    await this.#orAbort(async () => {
      await this.#put(this.#encoder.footer(stateHash));
      await this.#file.sync();
    });
    this.#ended = true;
    let summary: SnapshotSummary | undefined;
    try {
      await this.#file.close();
      await withReserve(reserve, () => disk.rename(name + unfinishedSuffix, name));
      await withReserve(reserve, () => disk.syncFolder(folder));
      summary = { ...origin, mark, stateHash, bytes: this.#offset };
      return summary;
    } finally {
      ended(summary);
    }
  }

  /** Gives the snapshot up; its file goes. */
  async abort(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      await this.#file.close();
      await removeIfThere(this.#options.disk, this.#options.name + unfinishedSuffix);
    } finally {
      this.#options.ended(undefined);
    }
  }

  async #orAbort(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (isFull(error)) await this.abort();
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

function isFull(error: unknown): boolean {
  return error instanceof DiskError && error.kind === 'full';
}

/** Tries again without the reserve when the disk is full. */
async function withReserve<T>(reserve: SpaceReserve, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isFull(error)) throw error;
    await reserve.release();
    return await run();
  }
}
