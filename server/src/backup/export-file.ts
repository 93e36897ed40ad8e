/** Writes all tuples of a cluster into a file of lines (`export-line.ts`). */
import { type FileHandle, open } from 'node:fs/promises';
import type { Client } from '@tuplet/client';
import type { SpaceId } from '../base/ids.ts';
import { BackupError } from './backup-error.ts';
import { spaceLines, tupleLine } from './export-line.ts';
import { type GroupRead, readCluster, readMap } from './read-cluster.ts';

/** How an export is made. */
export interface ExportOptions {
  /** Made anew; one that is there is not replaced. */
  readonly file: string;
  /** Only this space; undefined: all. */
  readonly space: string | undefined;
  readonly signal: AbortSignal;
  /** One more partition is in the file. */
  readonly onGroup: (read: GroupRead, partitions: number) => void;
}

/**
 * Makes an export; resolves with how many tuples it has. Rejects with BackupError and as `readCluster` does; then
 * the file is not whole.
 */
export async function exportCluster(client: Client, options: ExportOptions): Promise<number> {
  const { signal, onGroup } = options;
  const { map } = await readMap(client, { signal });
  const spaces = map.spaces.filter(({ name }) => [name, undefined].includes(options.space));
  if (spaces.length === 0 && options.space !== undefined)
    throw new BackupError(`there is no space ${options.space}`);
  const names = new Map<SpaceId, string>(spaces.map(({ id, name }) => [id, name]));
  const file = await open(options.file, 'wx');
  try {
    const out = new Lines(file);
    for (const line of spaceLines({ spaces })) out.add(line);
    await out.keep();
    await readCluster(client, {
      signal,
      // A partition that is read again begins where it began before.
      begin: async () => out.rewind(),
      tuple: (tuple, bytes) => {
        const name = names.get(tuple.space);
        if (name === undefined) return;
        out.addTuple(tupleLine(name, bytes.subarray(tuple.from, tuple.to), tuple.leaseEndMs));
      },
      add: () => out.flush(),
      end: async (read, partitions) => {
        await out.keep();
        if (read.group > 0) onGroup(read, partitions);
      },
    });
    await file.truncate(out.bytes);
    await file.sync();
    return out.tuples;
  } finally {
    await file.close();
  }
}

/** Lines on their way to a file, which may be taken back up to the last `keep`. */
class Lines {
  readonly #file: FileHandle;
  #waiting: string[] = [];
  #bytes = 0;
  #tuples = 0;
  #kept = { bytes: 0, tuples: 0 };

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Bytes that count. */
  get bytes(): number {
    return this.#kept.bytes;
  }

  /** Tuples that count. */
  get tuples(): number {
    return this.#kept.tuples;
  }

  add(line: string): void {
    this.#waiting.push(line);
  }

  addTuple(line: string): void {
    this.#tuples += 1;
    this.add(line);
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const bytes = Buffer.from(`${this.#waiting.join('\n')}\n`);
    this.#waiting = [];
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#bytes);
      at += bytesWritten;
      this.#bytes += bytesWritten;
    }
  }

  /** What came so far counts. */
  async keep(): Promise<void> {
    await this.flush();
    this.#kept = { bytes: this.#bytes, tuples: this.#tuples };
  }

  /** What came since the last `keep` does not. */
  rewind(): void {
    this.#waiting = [];
    this.#bytes = this.#kept.bytes;
    this.#tuples = this.#kept.tuples;
  }
}
