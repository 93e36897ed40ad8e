/** Zeros on disk that are given up when a snapshot finds the disk full. */
import { type Cancel, type Clock, type Disk, DiskError } from '../base/doors.ts';
import { diskFullRetryMs, logZeroBytes } from '../base/limits.ts';
import { removeIfThere } from './segments.ts';

const zeros = new Uint8Array(logZeroBytes);

/** What a reserve needs. */
export interface SpaceReserveOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** The file, and the folder it lies in. */
  readonly name: string;
  readonly folder: string;
  /** Told of an error that is not a full disk. */
  readonly onFatal: (error: Error) => void;
}

/** One file of at least the wanted size. It grows off the turn; while it cannot, it says so. */
export class SpaceReserve {
  readonly #options: SpaceReserveOptions;
  #wantedBytes = 0;
  #full = false;
  #closed = false;
  #retry: Cancel | undefined;
  /** Growing and giving up happen one after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: SpaceReserveOptions) {
    this.#options = options;
  }

  /** `reserve` while the disk had no room for the last attempt. */
  state(): 'ok' | 'reserve' {
    return this.#full ? 'reserve' : 'ok';
  }

  /** Wants so many bytes from now on, and sees to it; returns at once. */
  want(bytes: number): void {
    this.#wantedBytes = bytes;
    this.#then(() => this.#grow());
  }

  /** Gives the space up; resolves when it is free. `want` takes it again. */
  async release(): Promise<void> {
    this.#then(() => removeIfThere(this.#options.disk, this.#options.name));
    await this.#work;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.();
    await this.#work;
  }

  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch((error: unknown) => {
      this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #grow(): Promise<void> {
    const { disk, name, folder } = this.#options;
    try {
      const file = await disk.open(name).catch(async (error: unknown) => {
        if (error instanceof DiskError && error.kind === 'missing') return await disk.create(name);
        throw error;
      });
      try {
        let size = await file.size();
        while (size < this.#wantedBytes && !this.#closed) {
          const bytes = Math.min(zeros.length, this.#wantedBytes - size);
          await file.write(size, zeros.subarray(0, bytes));
          await file.sync();
          size += bytes;
        }
      } finally {
        await file.close();
      }
      await disk.syncFolder(folder);
      this.#full = false;
    } catch (error) {
      if (!(error instanceof DiskError) || error.kind !== 'full') throw error;
      this.#full = true;
      this.#tryAgainLater();
    }
  }

  #tryAgainLater(): void {
    if (this.#closed || this.#retry !== undefined) return;
    this.#retry = this.#options.clock.after(diskFullRetryMs, () => {
      this.#retry = undefined;
      this.#then(() => this.#grow());
    });
  }
}
