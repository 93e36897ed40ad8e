import { assert, present } from '../base/assert.ts';
import { type Configuration, emptyConfiguration } from './configuration.ts';
import { type Entry, entryBytes, type HardState, noBytes, type Snapshot } from './message.ts';
import { compacted, type RaftStorage, unavailable } from './storage.ts';

/**
 * A group's durable log in memory: the snapshot it begins with, and the entries after it. Its caller
 * changes it when the same change is durable on disk.
 *
 * Invariant: entries[i] has index `snapshot.index + 1 + i`.
 */
export class MemoryStorage implements RaftStorage {
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #snapshot: Snapshot = { index: 0, term: 0, configuration: emptyConfiguration, payload: noBytes };
  #entries: Entry[] = [];

  initialState(): { readonly hardState: HardState; readonly configuration: Configuration } {
    return { hardState: this.#hardState, configuration: this.#snapshot.configuration };
  }

  firstIndex(): number {
    return this.#snapshot.index + 1;
  }

  lastIndex(): number {
    return this.#snapshot.index + this.#entries.length;
  }

  term(index: number): number {
    const at = index - this.#snapshot.index;
    if (at < 0) return compacted;
    if (at === 0) return this.#snapshot.term;
    return at > this.#entries.length ? unavailable : this.#at(at - 1).term;
  }

  entries(low: number, high: number, bytesMax: number): Entry[] {
    assert(low >= this.firstIndex(), 'entries that are asked for are not compacted');
    assert(high <= this.lastIndex() + 1, 'entries that are asked for are there');
    const from = low - this.firstIndex();
    const to = from + (high - low);
    let end = from;
    for (let bytes = 0; end < to; end += 1) {
      bytes += entryBytes(this.#at(end));
      if (bytes > bytesMax && end > from) break;
    }
    return this.#entries.slice(from, end);
  }

  snapshot(): Snapshot | null {
    return this.#snapshot.index === 0 ? null : this.#snapshot;
  }

  /** A new hard state is durable. */
  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /** Entries are durable; they replace what the log had from the first of them on. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const at = first.index - this.firstIndex();
    assert(at >= 0, 'no entry is appended below the snapshot');
    assert(at <= this.#entries.length, 'the log has no gaps');
    this.#entries.length = at;
    for (const entry of entries) this.#entries.push(entry);
  }

  /** A snapshot from a leader is durable; it takes the place of the whole log. */
  install(snapshot: Snapshot): void {
    assert(snapshot.index > this.#snapshot.index, 'a snapshot moves forward');
    this.#snapshot = snapshot;
    this.#entries = [];
  }

  /** A snapshot of one's own is durable; entries up to it go. It must not lead past what is applied. */
  compact(snapshot: Snapshot): void {
    assert(snapshot.index <= this.lastIndex(), 'what is compacted is in the log');
    if (snapshot.index <= this.#snapshot.index) return;
    assert(snapshot.term === this.term(snapshot.index), 'a snapshot is of this log');
    this.#entries.splice(0, snapshot.index - this.#snapshot.index);
    this.#snapshot = snapshot;
  }

  #at(position: number): Entry {
    return present(this.#entries[position], 'an entry within the log is there');
  }
}
