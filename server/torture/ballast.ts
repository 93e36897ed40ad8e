/** Bulk beside the judged tuples, so that their partitions take snapshots while the server is killed. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, TupletError, t } from '@tuplet/client';

/** A space that shares the partitions of the judged one; nobody observes it. */
const name = 'ballast';
/** The tags of the judged space, and so its partitions. */
const tags = ['job', 'lock', 'res'] as const;
/** Bytes of one tuple: some twenty of them make a partition's next snapshot due. */
const tupleBytes = 200_000;
/** Tuples that follow each other in one partition: enough for a snapshot, and not for the event history. */
const burst = 30;
/** Tuples of a burst that stay, to be in the snapshots. */
const keptMax = 5;
/** Milliseconds between two writes: bounds the load, and how fast the event history is cut. */
const thinkMs = 80;

/** See the top of the file. */
export class Ballast {
  readonly #client: Client;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(client: Client) {
    this.#client = client;
  }

  /** `like`: the judged space. */
  async start(like: string): Promise<void> {
    await this.#client.admin.createSpace(name, { like });
    this.#running = this.#run();
  }

  /** Resolves when its last call has ended. Rejects with what no fault of the test explains. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const bulk = 'x'.repeat(tupleBytes);
    for (let written = 0; !this.#stopped; written++) {
      const tag = tags[Math.floor(written / burst) % tags.length] ?? tags[0];
      try {
        await this.#write(tag, written, bulk);
      } catch (error) {
        // The server was away for longer than a lease: the next call opens another session.
        if (!(error instanceof TupletError) || !error.retryable) throw error;
      }
      await pause(thinkMs);
    }
  }

  async #write(tag: string, at: number, bulk: string): Promise<void> {
    const space = this.#client.space(name);
    await space.write([tag, at, bulk]);
    if (at % burst >= keptMax) await space.takeIfExists([tag, t.int, t.string]);
  }
}
