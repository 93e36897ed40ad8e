import { type Client, type Space, TupletError } from '@tuplet/client';
import type { Latency } from './latency.ts';

/** One write that ended well. Times by `performance.now`. */
interface Written {
  readonly partition: number;
  readonly begunMs: number;
  readonly endedMs: number;
}

/** Milliseconds between two writes to each kind of partition. */
const everyMs = 5;

/** A client that writes at a fixed rate to some partitions, whatever becomes of the writes before. */
export class FailoverWriter {
  readonly written: Written[] = [];
  /** Writes that failed and did not happen for sure, and those of which the SDK cannot tell. */
  readonly failures: { definite: number; unknown: number } = { definite: 0, unknown: 0 };
  readonly #client: Client;
  readonly #space: Space;
  readonly #tags: ReadonlyMap<number, string>;
  readonly #open = new Set<Promise<void>>();
  readonly #timers: NodeJS.Timeout[] = [];

  /** `tags`: of each partition one whose tuples are its. */
  constructor(client: Client, tags: ReadonlyMap<number, string>) {
    this.#client = client;
    this.#space = client.space('default');
    this.#tags = tags;
  }

  /** Writes to these partitions in turn, from now on, beside whatever it does already. */
  begin(partitions: readonly number[]): void {
    let at = 0;
    const next = (): void => {
      const partition = partitions[at % partitions.length];
      at += 1;
      if (partition === undefined) return;
      const write = this.#write(partition).finally(() => this.#open.delete(write));
      this.#open.add(write);
    };
    this.#timers.push(setInterval(next, everyMs));
  }

  /**
   * When each of some partitions had acknowledged a write that was begun at that time or later; infinite: not
   * yet.
   */
  servedMs(sinceMs: number, partitions: ReadonlySet<number>): number {
    const first = new Map<number, number>();
    for (const { partition, begunMs, endedMs } of this.written) {
      if (begunMs < sinceMs || !partitions.has(partition)) continue;
      first.set(partition, Math.min(endedMs, first.get(partition) ?? Number.POSITIVE_INFINITY));
    }
    return first.size < partitions.size ? Number.POSITIVE_INFINITY : Math.max(...first.values());
  }

  /** Latencies of those begun in a while, to some of the partitions. */
  record(latency: Latency, which: (each: Written) => boolean): void {
    for (const each of this.written) if (which(each)) latency.record(each.endedMs - each.begunMs);
  }

  /** Begins nothing more; resolves when all that was begun has ended. */
  async end(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#open);
    await this.#client.close();
  }

  async #write(partition: number): Promise<void> {
    const begunMs = performance.now();
    try {
      await this.#space.write([this.#tags.get(partition) ?? '', begunMs]);
      this.written.push({ partition, begunMs, endedMs: performance.now() });
    } catch (error) {
      if (!(error instanceof TupletError)) throw error;
      if (error.definite) this.failures.definite += 1;
      else this.failures.unknown += 1;
    }
  }
}
