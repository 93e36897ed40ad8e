import { assert } from '../base/assert.ts';
import { logScanBytes } from '../base/limits.ts';
import { type Entry, EntryKind, entriesBytes, noEntries, type Snapshot } from './message.ts';
import { compacted, type RaftStorage, unavailable } from './storage.ts';
import { Unstable } from './unstable.ts';

/**
 * One replica's log: the durable part in the caller's storage, the rest in `unstable`.
 *
 * Invariant: applied ≤ applying ≤ committed ≤ lastIndex.
 */
export class RaftLog {
  readonly #storage: RaftStorage;
  readonly #applyingBytesMax: number;
  readonly unstable: Unstable;
  /** Known to be durable on a majority, and never taken back. */
  committed: number;
  /** Handed to the caller to be applied. */
  #applying: number;
  /** Applied, as the caller says. */
  #applied: number;
  /** Bytes handed out to be applied and not yet acknowledged. */
  #applyingBytes = 0;
  #applyingPaused = false;

  /** `applyingBytesMax`: bytes that may be under way between `nextCommitted` and `appliedTo`. */
  constructor(storage: RaftStorage, applyingBytesMax: number) {
    this.#storage = storage;
    this.#applyingBytesMax = applyingBytesMax;
    this.unstable = new Unstable(storage.lastIndex() + 1);
    this.committed = storage.firstIndex() - 1;
    this.#applying = this.committed;
    this.#applied = this.committed;
  }

  get applied(): number {
    return this.#applied;
  }

  get applying(): number {
    return this.#applying;
  }

  firstIndex(): number {
    const { snapshot } = this.unstable;
    return snapshot === null ? this.#storage.firstIndex() : snapshot.index + 1;
  }

  lastIndex(): number {
    const last = this.unstable.lastIndex();
    return last > 0 ? last : this.#storage.lastIndex();
  }

  lastTerm(): number {
    const term = this.term(this.lastIndex());
    assert(term >= 0, 'the term of the last entry is known');
    return term;
  }

  /** The term at an index; `compacted` or `unavailable` outside the log. */
  term(index: number): number {
    const term = this.unstable.term(index);
    if (term > 0) return term;
    if (index + 1 < this.firstIndex()) return compacted;
    if (index > this.lastIndex()) return unavailable;
    return this.#storage.term(index);
  }

  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends so has all that this one has (Ongaro 2014 §3.6.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const term = this.lastTerm();
    return lastTerm > term || (lastTerm === term && lastIndex >= this.lastIndex());
  }

  /**
   * Takes a leader's entries after (`previous`, `previousTerm`). Returns the last index that now agrees
   * with the leader's log, or -1 where the logs do not agree at `previous`. What is there already stays:
   * an old message must not cut off what a newer one brought.
   */
  maybeAppend(
    previous: number,
    previousTerm: number,
    entries: readonly Entry[],
    leaderCommit: number,
  ): number {
    if (!this.matches(previous, previousTerm)) return -1;
    const last = previous + entries.length;
    for (let at = 0; at < entries.length; at += 1) {
      const entry = entries[at] as Entry;
      assert(entry.index === previous + 1 + at, 'entries of a message follow each other');
      if (this.matches(entry.index, entry.term)) continue;
      assert(entry.index > this.committed, 'a committed entry is never replaced');
      this.unstable.append(entries, at);
      break;
    }
    this.commitTo(Math.min(leaderCommit, last));
    return last;
  }

  /** Adds a leader's own entries. */
  append(entries: readonly Entry[]): void {
    this.unstable.append(entries, 0);
  }

  /**
   * The highest index up to `index` whose term is at most `term`, and so may agree with a log that has
   * `term` at `index`. Ends where the log does: what is compacted may agree.
   */
  lastPossibleMatch(index: number, term: number): number {
    let at = index;
    while (at > 0 && this.term(at) > term) at -= 1;
    return at;
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    assert(index <= this.lastIndex(), 'what is committed is in the log');
    this.committed = index;
  }

  /** Commits up to an index of this term; entries of earlier terms only go with it (§5.4.2). */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committed || this.term(index) !== term) return false;
    this.commitTo(index);
    return true;
  }

  /** Entries from `low` on that fit `bytesMax`, at least one where there is one. */
  entriesFrom(low: number, bytesMax: number): readonly Entry[] {
    const end = this.lastIndex() + 1;
    return low >= end ? noEntries : this.#slice(low, end, bytesMax);
  }

  /** Whether committed entries wait to be applied. */
  hasNextCommitted(allowUnstable: boolean): boolean {
    // A snapshot comes first, and may bring what they would.
    if (this.#applyingPaused || this.unstable.snapshot !== null) return false;
    return this.#applying < this.#appliable(allowUnstable);
  }

  /** Committed entries to apply; without `allowUnstable` only those that are durable here. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return noEntries;
    const room = this.#applyingBytesMax - this.#applyingBytes;
    assert(room > 0, 'applying goes on only where there is room');
    return this.#slice(this.#applying + 1, this.#appliable(allowUnstable) + 1, room);
  }

  /** Entries up to `index` are handed out to be applied. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    assert(index <= this.committed, 'only what is committed is applied');
    assert(index > this.#applying, 'entries are applied once');
    this.#applying = index;
    this.#applyingBytes += bytes;
    // Cut short by the bound, or at it: nothing more before something is acknowledged.
    this.#applyingPaused =
      this.#applyingBytes >= this.#applyingBytesMax || index < this.#appliable(allowUnstable);
  }

  /** The caller has applied everything up to `index`; `bytes` of it were handed out as entries. */
  appliedTo(index: number, bytes: number): void {
    assert(index <= this.committed, 'only what is committed was applied');
    assert(index >= this.#applied, 'applying moves forward');
    this.#applied = index;
    this.#applying = Math.max(this.#applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
  }

  /** Whether a change of the configuration is committed and not yet applied. */
  hasUnappliedChange(): boolean {
    for (let low = this.#applied + 1; low <= this.committed; ) {
      const page = this.#slice(low, this.committed + 1, logScanBytes);
      for (const entry of page) if (entry.kind === EntryKind.change) return true;
      low += page.length;
    }
    return false;
  }

  /** The last change of the configuration in the log that is not applied; undefined if there is none. */
  lastUnappliedChange(): Entry | undefined {
    let found: Entry | undefined;
    for (let low = this.#applied + 1; low <= this.lastIndex(); ) {
      const page = this.entriesFrom(low, logScanBytes);
      for (const entry of page) if (entry.kind === EntryKind.change) found = entry;
      low += page.length;
    }
    return found;
  }

  /** A snapshot takes the place of the whole log. */
  restore(snapshot: Snapshot): void {
    this.committed = snapshot.index;
    this.unstable.restore(snapshot);
  }

  /** The newest snapshot, or null while there is none to give. */
  snapshot(): Snapshot | null {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  #appliable(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  #slice(low: number, high: number, bytesMax: number): Entry[] {
    assert(low >= this.firstIndex(), 'what is read is not compacted');
    const { offset } = this.unstable;
    if (low >= offset) return this.unstable.slice(low, high, bytesMax);
    const cut = Math.min(high, offset);
    const entries = this.#storage.entries(low, cut, bytesMax);
    if (cut === high || entries.length < cut - low) return entries;
    const room = bytesMax - entriesBytes(entries);
    if (room <= 0) return entries;
    const rest = this.unstable.slice(offset, high, room);
    // A slice has at least one entry, which here need not fit.
    if (rest.length === 1 && entriesBytes(rest) > room) return entries;
    for (const entry of rest) entries.push(entry);
    return entries;
  }
}
