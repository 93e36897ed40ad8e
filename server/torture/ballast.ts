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
/** Writes under way at once: each takes a while on a busy disk. */
const lanes = 3;
/** Milliseconds between two writes of one lane: bounds the load, and how fast the event history is cut. */
const thinkMs = 80;

/** See the top of the file. */
export class Ballast {
  readonly #client: Client;
  #stopped = false;
  #begun = 0;
  #running: Promise<unknown> = Promise.resolve();

  constructor(client: Client) {
    this.#client = client;
  }

  /** `like`: the judged space. */
  async start(like: string): Promise<void> {
    await this.#client.admin.createSpace(name, { like });
    this.#running = Promise.all(Array.from({ length: lanes }, () => this.#run()));
  }

  /** Resolves when its last call has ended. Rejects with what no fault of the test explains. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const bulk = 'x'.repeat(tupleBytes);
    while (!this.#stopped) {
      const at = this.#begun++;
      const tag = tags[Math.floor(at / burst) % tags.length] ?? tags[0];
      try {
        await this.#write(tag, at, bulk);
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
