import { assert, present } from '../base/assert.ts';
import { type Entry, entryBytes, type Snapshot } from './message.ts';

/**
 * The end of the log that is not known to be durable: what waits for a Ready, and what a Ready has
 * handed out to be written. It may begin below the end of the durable log, whose entries from there on
 * it then overrules.
 *
 * Invariant: entries[i] has index `offset + i`; offset ≤ offsetInProgress ≤ offset + entries.length.
 */
export class Unstable {
  /** The snapshot that came from a leader, until it is durable. */
  snapshot: Snapshot | null = null;
  #snapshotInProgress = false;
  #entries: Entry[] = [];
  #offset: number;
  /** Entries below it are being written. */
  #offsetInProgress: number;

  /** `offset`: the index after the durable log. */
  constructor(offset: number) {
    this.#offset = offset;
    this.#offsetInProgress = offset;
  }

  /** The first index that is not known to be durable. */
  get offset(): number {
    return this.#offset;
  }

  get count(): number {
    return this.#entries.length;
  }

  /** The last index, or 0 where only the durable log knows. */
  lastIndex(): number {
    if (this.#entries.length > 0) return this.#offset + this.#entries.length - 1;
    return this.snapshot === null ? 0 : this.snapshot.index;
  }

  /** The term at an index, or 0 where it is not here. */
  term(index: number): number {
    if (index < this.#offset) {
      return this.snapshot !== null && this.snapshot.index === index ? this.snapshot.term : 0;
    }
    const entry = this.#entries[index - this.#offset];
    return entry === undefined ? 0 : entry.term;
  }

  hasNextEntries(): boolean {
    return this.#offset + this.#entries.length > this.#offsetInProgress;
  }

  /** Entries that no Ready has handed out. */
  nextEntries(): Entry[] {
    return this.#entries.slice(this.#offsetInProgress - this.#offset);
  }

  /** The snapshot, where no Ready has handed it out. */
  nextSnapshot(): Snapshot | null {
    return this.#snapshotInProgress ? null : this.snapshot;
  }

  /** A Ready has handed out everything. */
  acceptInProgress(): void {
    this.#offsetInProgress = this.#offset + this.#entries.length;
    if (this.snapshot !== null) this.#snapshotInProgress = true;
  }

  /**
   * Entries up to this one are durable. The caller attests that no write under way replaces them (see
   * `StableMark`); an entry of another term has taken the place of the one that was written, and stays.
   */
  stableTo(index: number, term: number): void {
    if (index < this.#offset || this.term(index) !== term) return;
    const count = index + 1 - this.#offset;
    if (count === this.#entries.length) this.#entries = [];
    else this.#entries.splice(0, count);
    this.#offset = index + 1;
    this.#offsetInProgress = Math.max(this.#offsetInProgress, this.#offset);
  }

  /** The snapshot of this index is durable. */
  stableSnapshotTo(index: number): void {
    if (this.snapshot === null || this.snapshot.index !== index) return;
    this.snapshot = null;
    this.#snapshotInProgress = false;
  }

  /** A snapshot takes the place of the whole log. */
  restore(snapshot: Snapshot): void {
    this.#offset = snapshot.index + 1;
    this.#offsetInProgress = this.#offset;
    this.#entries = [];
    this.snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Adds entries, which replace what was there from the first of them on. From `start` in the array. */
  append(entries: readonly Entry[], start: number): void {
    const from = present(entries[start], 'there is something to append').index;
    if (from <= this.#offset) {
      this.#entries = [];
      this.#offset = from;
      this.#offsetInProgress = from;
    } else {
      assert(from <= this.#offset + this.#entries.length, 'the log has no gaps');
      this.#entries.length = from - this.#offset;
      // What replaces entries that are being written must be written as well.
      this.#offsetInProgress = Math.min(this.#offsetInProgress, from);
    }
    for (let at = start; at < entries.length; at += 1) this.#entries.push(entries[at] as Entry);
  }

  /** The entries from `low` to `high - 1`, as many as fit `bytesMax` but at least one. */
  slice(low: number, high: number, bytesMax: number): Entry[] {
    assert(low >= this.#offset, 'a slice begins within the unstable log');
    assert(high <= this.#offset + this.#entries.length, 'a slice ends within the unstable log');
    const from = low - this.#offset;
    const to = high - this.#offset;
    let end = from;
    for (let bytes = 0; end < to; end += 1) {
      bytes += entryBytes(this.#entries[end] as Entry);
      if (bytes > bytesMax && end > from) break;
    }
    return this.#entries.slice(from, end);
  }
}
