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
  /** The file, its name until then, which no other writer has, and the folder it lies in. */
  readonly name: string;
  readonly unfinishedName: string;
  readonly folder: string;
  readonly mark: SnapshotMark;
  readonly origin: SnapshotOrigin;
  /** Called once, when its file has its name or is gone; without a summary where it was given up. */
  readonly ended: (summary: SnapshotSummary | undefined) => void;
}

/**
 * See the top of the file. Calls come one after the other: the next `add` waits for the last. Several
 * writers may be at it for the same mark.
 */
export class SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  readonly #encoder: SnapshotEncoder;
  readonly #file: DiskFile;
  #offset = 0;
  #syncedOffset = 0;
  #state: 'open' | 'sealed' | 'ended' = 'open';
  #stateHash = 0n;

  private constructor(options: SnapshotWriterOptions, file: DiskFile) {
    this.#options = options;
    this.#encoder = new SnapshotEncoder(options.checksum);
    this.#file = file;
  }

  /** Called by `SnapshotStore.begin`. */
  static async begin(options: SnapshotWriterOptions): Promise<SnapshotWriter> {
    const { disk, reserve, mark, origin, unfinishedName } = options;
    const file = await withReserve(reserve, () => disk.create(unfinishedName));
    const writer = new SnapshotWriter(options, file);
    try {
      await writer.#put(writer.#encoder.header(mark));
      await writer.#put(writer.#encoder.origin(origin));
    } catch (error) {
      await file.close();
      if (isFull(error)) await removeIfThere(disk, unfinishedName);
      throw error;
    }
    return writer;
  }

  /**
   * Adds a chunk of any size; the next may be cut when it resolves. Rejects with DiskError: `full` means
   * that this snapshot was given up and nothing is lost, `io` that the process should end.
   */
  async add(chunk: Uint8Array): Promise<void> {
    assert(this.#state === 'open', 'a snapshot on its way is added to');
    await this.#orAbort(async () => {
      let from = 0;
      do {
        const piece = chunk.subarray(from, from + snapshotPieceBytesMax);
        from += piece.length;
        await this.#put(this.#encoder.piece(piece, from < chunk.length));
      } while (from < chunk.length);
    });
  }

  /**
   * Ends the content, and makes it durable; the snapshot has no name yet, and can be given up. Rejects
   * as `add` does: a disk without room is met here at the latest.
   */
  async seal(stateHash: bigint): Promise<void> {
    assert(this.#state === 'open', 'a snapshot on its way is sealed');
    await this.#orAbort(async () => {
      await this.#put(this.#encoder.footer(stateHash));
      await this.#file.sync();
    });
    await this.#file.close();
    this.#state = 'sealed';
    this.#stateHash = stateHash;
  }

  /**
   * Gives what is sealed its name. The snapshot is durable, file and name, when this resolves; then its
   * mark may be appended. Rejects as `add` does.
   */
  async publish(): Promise<SnapshotSummary> {
    assert(this.#state === 'sealed', 'what gets its name is sealed');
    const { disk, mark, origin, reserve, name, unfinishedName, folder, ended } = this.#options;
    await this.#orAbort(() => withReserve(reserve, () => disk.rename(unfinishedName, name)));
    this.#state = 'ended';
    let summary: SnapshotSummary | undefined;
    try {
      await withReserve(reserve, () => disk.syncFolder(folder));
      summary = { ...origin, mark, stateHash: this.#stateHash, bytes: this.#offset };
      return summary;
    } finally {
      ended(summary);
    }
  }

  /** `seal` and `publish`. */
  async finish(stateHash: bigint): Promise<SnapshotSummary> {
    await this.seal(stateHash);
    return await this.publish();
  }

  /** Gives the snapshot up, sealed or not; its file goes. Nothing where it has ended. */
  async abort(): Promise<void> {
    const state = this.#state;
    if (state === 'ended') return;
    this.#state = 'ended';
    try {
      if (state === 'open') await this.#file.close();
      await removeIfThere(this.#options.disk, this.#options.unfinishedName);
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
