import { assert, present } from '../base/assert.ts';
import { type Configuration, emptyConfiguration } from './configuration.ts';
import { type Entry, entryBytes, type HardState, type Snapshot } from './message.ts';
import { compacted, type RaftStorage, unavailable } from './storage.ts';

/** What a durable log holds at a start. */
export interface StoredLog {
  readonly hardState: HardState;
  /** That of the state machine at the index which the core is told as applied; null: the snapshot's. */
  readonly configuration: Configuration | null;
  /** The index before the first entry, and the term there; 0 and 0 where nothing is compacted. */
  readonly baseIndex: number;
  readonly baseTerm: number;
  readonly entries: readonly Entry[];
  /** The newest snapshot; null: there is none. */
  readonly snapshot: Snapshot | null;
}

const nothing: StoredLog = {
  hardState: { term: 0, vote: 0, commit: 0 },
  configuration: null,
  baseIndex: 0,
  baseTerm: 0,
  entries: [],
  snapshot: null,
};

/**
 * A group's durable log in memory: the entries after some index, and the newest snapshot. Its caller
 * changes it when the same change is durable on disk.
 *
 * Invariant: entries[i] has index `base + 1 + i`.
 */
export class MemoryStorage implements RaftStorage {
  #hardState: HardState;
  readonly #configuration: Configuration | null;
  #baseIndex: number;
  #baseTerm: number;
  #entries: Entry[];
  #snapshot: Snapshot | null;
  // Invariant: never true where the newest snapshot serves.
  #isSnapshotWanted = false;

  constructor(start: StoredLog = nothing) {
    this.#hardState = start.hardState;
    this.#configuration = start.configuration;
    this.#baseIndex = start.baseIndex;
    this.#baseTerm = start.baseTerm;
    this.#entries = [...start.entries];
    this.#snapshot = start.snapshot;
  }

  initialState(): { readonly hardState: HardState; readonly configuration: Configuration } {
    const configuration = this.#configuration ?? this.#snapshot?.configuration;
    return { hardState: this.#hardState, configuration: configuration ?? emptyConfiguration };
  }

  firstIndex(): number {
    return this.#baseIndex + 1;
  }

  lastIndex(): number {
    return this.#baseIndex + this.#entries.length;
  }

  term(index: number): number {
    const at = index - this.#baseIndex;
    if (at < 0) return compacted;
    if (at === 0) return this.#baseTerm;
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

  /** Null as well where the log no longer goes on from the newest: another is to be cut. */
  snapshot(): Snapshot | null {
    const snapshot = this.#snapshot;
    if (snapshot !== null && snapshot.index >= this.#baseIndex) return snapshot;
    this.#isSnapshotWanted = true;
    return null;
  }

  /** Whether one was asked for, and there was none to give. */
  get isSnapshotWanted(): boolean {
    return this.#isSnapshotWanted;
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
    assert(snapshot.index > this.#baseIndex, 'a snapshot moves forward');
    this.#snapshot = snapshot;
    this.#isSnapshotWanted = false;
    this.#baseIndex = snapshot.index;
    this.#baseTerm = snapshot.term;
    this.#entries = [];
  }

  /** A snapshot of one's own is durable; entries up to it go. It must not lead past what is applied. */
  compact(snapshot: Snapshot): void {
    assert(snapshot.index <= this.lastIndex(), 'what is compacted is in the log');
    if (this.#snapshot !== null && snapshot.index <= this.#snapshot.index) return;
    const term = this.term(snapshot.index);
    assert(term === compacted || term === snapshot.term, 'a snapshot is of this log');
    this.#snapshot = snapshot;
    this.#isSnapshotWanted = false;
    this.trim(snapshot.index);
  }

  /** Entries up to an index go, which is applied; nobody will ask for them, or gets a snapshot. */
  trim(index: number): void {
    if (index <= this.#baseIndex) return;
    assert(index <= this.lastIndex(), 'what is trimmed is in the log');
    this.#baseTerm = this.term(index);
    if (index === this.lastIndex()) this.#entries.length = 0;
    else this.#entries.splice(0, index - this.#baseIndex);
    this.#baseIndex = index;
  }

  #at(position: number): Entry {
    return present(this.#entries[position], 'an entry within the log is there');
  }
}
