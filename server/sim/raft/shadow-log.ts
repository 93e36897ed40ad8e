/** A replica's whole log as its Readys told it, durable or not. */
import { assert, present } from '../../src/base/assert.ts';
import type { Entry } from '../../src/raft/message.ts';
import type { RaftStorage } from '../../src/raft/storage.ts';

/** Invariant: `#entries[at]` has index `base + 1 + at`. */
export class ShadowLog {
  #base = 0;
  #baseTerm = 0;
  #entries: Entry[] = [];

  /** The index of the snapshot that the log begins with; 0: none. */
  get base(): number {
    return this.#base;
  }

  get lastIndex(): number {
    return this.#base + this.#entries.length;
  }

  /** What is durable: a life begins with it. */
  load(storage: RaftStorage): void {
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    this.restore(first - 1, storage.term(first - 1));
    if (last >= first) {
      this.#entries = storage.entries(first, last + 1, Number.POSITIVE_INFINITY);
    }
  }

  /** A snapshot takes the place of everything. */
  restore(index: number, term: number): void {
    this.#base = index;
    this.#baseTerm = term;
    this.#entries = [];
  }

  /** The term at an index; undefined: not there any more, or not yet. */
  term(index: number): number | undefined {
    return index === this.#base ? this.#baseTerm : this.entry(index)?.term;
  }

  entry(index: number): Entry | undefined {
    return this.#entries[index - this.#base - 1];
  }

  /** Entries follow those before the first of them; gives back those that they replaced. */
  write(entries: readonly Entry[]): readonly Entry[] {
    const at = present(entries[0], 'something is written').index - this.#base - 1;
    assert(at >= 0, 'nothing is written under a snapshot');
    assert(at <= this.#entries.length, 'a log has no gaps');
    const replaced = this.#entries.splice(at);
    for (const entry of entries) this.#entries.push(entry);
    return replaced;
  }
}
