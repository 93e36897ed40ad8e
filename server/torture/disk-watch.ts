/** Whether the disk under the server keeps up, asked beside it. */
import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Line } from '../sim/check/history.ts';
import { nowNs } from './journal.ts';

const nsPerMs = 1_000_000;
/** Milliseconds between two questions. */
const everyMs = 20;
/** An expiry is to be seen within 100 ms (SPEC §4): not where one sync alone takes as long. */
const slowMs = 100;

/**
 * Writes and syncs a file of its own, all the time, and records each answer that took too long as the
 * fault `slow sync`: SPEC hides nothing before an entry is committed, so a starved disk, or a machine
 * that gives nobody a turn, makes expiries late that nobody is to blame for.
 */
export class DiskWatch {
  readonly #record: (line: Line) => void;
  readonly #file: number;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();
  /** Answers that took too long. */
  slow = 0;

  constructor(folder: string, record: (line: Line) => void) {
    this.#record = record;
    this.#file = openSync(join(folder, 'disk-watch'), 'w');
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Once. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    closeSync(this.#file);
  }

  async #run(): Promise<void> {
    const sync = promisify(fdatasync);
    const byte = new Uint8Array(1);
    while (!this.#stopped) {
      const time = nowNs();
      await pause(everyMs);
      writeSync(this.#file, byte, 0, 1, 0);
      await sync(this.#file);
      const forMs = (nowNs() - time) / nsPerMs - everyMs;
      if (forMs < slowMs) continue;
      this.slow += 1;
      this.#record({ kind: 'fault', fault: 'slow sync', time, forMs: Math.ceil(forMs) });
    }
  }
}
