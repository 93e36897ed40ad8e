/**
 * The log's files: segments prepared ahead, in use, and removed. A segment gets its name only when it
 * is zeros to its whole size on disk, and is handed out only when the name is durable.
 */
import { assert, present } from '../base/assert.ts';
import { type Cancel, type Clock, type Disk, DiskError, type DiskFile } from '../base/doors.ts';
import { diskFullRetryMs, logSparesTarget, logZeroBytes } from '../base/limits.ts';

/** The folder of the log. */
export const logFolder = 'log';
const newName = `${logFolder}/new`;
const numberDigits = 12;

/** The name of a segment's file within the data folder. */
export function segmentName(number: number): string {
  return `${logFolder}/${String(number).padStart(numberDigits, '0')}`;
}

/** The number in a file's name, undefined for other files. Names come without their folder. */
export function segmentNumber(name: string): number | undefined {
  return name.length === numberDigits && /^\d+$/.test(name) ? Number(name) : undefined;
}

/** A segment that frames may be written to. */
export interface Segment {
  readonly number: number;
  readonly file: DiskFile;
}

/** What the pool needs. */
export interface SegmentPoolOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly segmentBytes: number;
  /** The number that the next segment to be prepared gets. */
  readonly next: number;
  /** Prepared segments found at start, in order. */
  readonly spares: readonly Segment[];
  readonly onFatal: (error: Error) => void;
}

/** Keeps `logSparesTarget` segments ready. One preparation or removal is on its way at a time. */
export class SegmentPool {
  readonly #options: SegmentPoolOptions;
  readonly #spares: Segment[];
  readonly #removals: number[] = [];
  #next: number;
  #waiting: ((segment: Segment) => void) | undefined;
  #working = false;
  #closed = false;
  /** The last preparation found the disk full, and none has succeeded since. */
  #full = false;
  #retry: Cancel | undefined;
  #idle: (() => void) | undefined;

  constructor(options: SegmentPoolOptions) {
    this.#options = options;
    this.#spares = [...options.spares];
    this.#next = options.next;
  }

  /** `reserve` while space cannot be prepared: what is ready may be all there will be. */
  reserveState(): 'ok' | 'reserve' {
    return this.#full ? 'reserve' : 'ok';
  }

  /** Begins to prepare what is missing; returns at once. */
  start(): void {
    this.#work();
  }

  /** The next segment, in order of number; waits until one is ready. One caller at a time. */
  take(): Promise<Segment> {
    assert(this.#waiting === undefined, 'one caller waits for a segment');
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#hand();
      this.#work();
    });
  }

  /** Removes a segment whose entries are all in snapshots, after those asked for before. */
  remove(number: number): void {
    this.#removals.push(number);
    this.#work();
  }

  /** Ends preparation and closes the spares. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.();
    if (this.#working) await new Promise<void>((resolve) => (this.#idle = resolve));
    for (const spare of this.#spares) await spare.file.close();
  }

  #hand(): void {
    const take = this.#waiting;
    if (take === undefined || this.#spares.length === 0) return;
    this.#waiting = undefined;
    take(present(this.#spares.shift(), 'a spare is there'));
  }

  #work(): void {
    if (this.#working || this.#closed) return;
    const wanted = this.#spares.length < logSparesTarget && this.#retry === undefined;
    if (this.#removals.length === 0 && !wanted) return;
    this.#working = true;
    const step = this.#removals.length > 0 ? this.#removeFirst() : this.#prepare();
    step.then(
      () => this.#worked(),
      (error: unknown) => {
        this.#closed = true;
        this.#worked();
        this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  #worked(): void {
    this.#working = false;
    this.#idle?.();
    this.#hand();
    this.#work();
  }

  async #removeFirst(): Promise<void> {
    const number = present(this.#removals.shift(), 'a removal is due');
    await this.#options.disk.remove(segmentName(number));
    // Before the next one goes: else a power cut could leave a gap in the middle.
    await this.#options.disk.syncFolder(logFolder);
    this.#retry?.();
    this.#retry = undefined;
  }

  async #prepare(): Promise<void> {
    const { disk, segmentBytes, clock } = this.#options;
    let file: DiskFile | undefined;
    try {
      file = await writeZeros(disk, newName, segmentBytes, () => this.#closed);
      if (file === undefined) return;
      await disk.rename(newName, segmentName(this.#next));
      await disk.syncFolder(logFolder);
      this.#spares.push({ number: this.#next, file });
      this.#next++;
      this.#full = false;
    } catch (error) {
      if (!(error instanceof DiskError) || error.kind !== 'full') throw error;
      await file?.close();
      this.#full = true;
      await removeIfThere(disk, newName);
      if (this.#closed) return;
      this.#retry = clock.after(diskFullRetryMs, () => {
        this.#retry = undefined;
        this.#work();
      });
    }
  }
}

/**
 * Makes a file of zeros that is on disk when it resolves; the name is not durable yet. Returns
 * undefined, and leaves no file, when `stop` says so meanwhile.
 */
export async function writeZeros(
  disk: Disk,
  name: string,
  bytes: number,
  stop: () => boolean,
): Promise<DiskFile | undefined> {
  await removeIfThere(disk, name);
  const file = await disk.create(name);
  try {
    for (let offset = 0; offset < bytes && !stop(); offset += zeros.length) {
      await file.write(offset, zeros.subarray(0, Math.min(zeros.length, bytes - offset)));
      // Piece by piece: a heap of dirty pages would hold up the log's own sync.
      await file.sync();
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  if (!stop()) return file;
  await file.close();
  await removeIfThere(disk, name);
  return undefined;
}

const zeros = new Uint8Array(logZeroBytes);

/** Removes a file; an absent one is no error. */
export async function removeIfThere(disk: Disk, name: string): Promise<void> {
  try {
    await disk.remove(name);
  } catch (error) {
    if (!(error instanceof DiskError) || error.kind !== 'missing') throw error;
  }
}
