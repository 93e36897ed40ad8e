import { assert, present } from '../base/assert.ts';
import type { GroupId, LogIndex, StampMs, Term } from '../base/ids.ts';
import type { LogEntry } from '../storage/entry.ts';
import { Fifo } from './fifo.ts';

/** An entry between its proposal and its application. It is also what the write-ahead log is given. */
export interface PendingEntry<Command> extends LogEntry {
  readonly stampMs: StampMs;
  /** As it was proposed: the leader decodes nothing of its own. */
  readonly command: Command;
  /** Bytes of the payload, which is itself gone once the log has copied it (`Payloads`). */
  readonly payloadBytes: number;
}

/**
 * One group's replication, as the turn loop sees it. On one node `LoneGroupLog` stands here. A Raft
 * group takes its place in a cluster, and then
 * - `propose` is for the leader alone, and an entry may be lost with the leadership;
 * - `drainUnwritten` also has entries that came from another leader, which may replace a tail;
 * - `written` marks the local copy stable, and becomes an acknowledgement to the leader, or the
 *   leader's own match (Ongaro 2014 §10.2.1);
 * - `nextCommitted` gives an entry only when a majority has it *and* the local disk has it;
 * - the turn also steps the group with messages and ticks, and sends what it wants sent.
 */
export interface GroupLog<Command> {
  readonly group: GroupId;
  /** The leadership in which this replica proposes. */
  readonly term: Term;
  /** The last entry, written or not. */
  readonly lastIndex: LogIndex;
  /** Proposed and not yet taken by `nextCommitted`: entries, and bytes of their payloads. */
  readonly inFlightEntries: number;
  readonly inFlightBytes: number;
  /** Appends a decision; its index is known at once. The payload is looked at until it is drained. */
  propose(stampMs: StampMs, command: Command, payload: Uint8Array): LogIndex;
  /**
   * Moves what was proposed since the last call into a batch for the disk, which copies the payloads
   * before anything else is proposed. False: nothing was.
   */
  drainUnwritten(into: LogEntry[]): boolean;
  /** The disk has everything up to `index`. */
  written(index: LogIndex): void;
  /** Whether `nextCommitted` has something. */
  readonly hasCommitted: boolean;
  /** The next entry to apply, each once and in order; undefined when there is none yet. */
  nextCommitted(): PendingEntry<Command> | undefined;
}

/** A group with one replica: what its disk has is committed. */
export class LoneGroupLog<Command> implements GroupLog<Command> {
  readonly group: GroupId;
  readonly term: Term;
  // Invariant: taken index < every pending index; committed <= written <= lastIndex.
  readonly #pending = new Fifo<PendingEntry<Command>>();
  #unwritten: PendingEntry<Command>[] = [];
  #lastIndex: LogIndex;
  #writtenIndex: LogIndex;
  #inFlightBytes = 0;

  /** A leadership of `term` begins after `lastIndex`, which is applied. */
  constructor(options: { group: GroupId; term: Term; lastIndex: LogIndex }) {
    this.group = options.group;
    this.term = options.term;
    this.#lastIndex = options.lastIndex;
    this.#writtenIndex = options.lastIndex;
  }

  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  get inFlightEntries(): number {
    return this.#pending.size;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  get hasCommitted(): boolean {
    const first = this.#pending.first();
    return first !== undefined && first.index <= this.#writtenIndex;
  }

  propose(stampMs: StampMs, command: Command, payload: Uint8Array): LogIndex {
    const index = (this.#lastIndex + 1) as LogIndex;
    assert(Number.isSafeInteger(index), 'an index is a safe integer');
    const { group, term } = this;
    const payloadBytes = payload.length;
    const entry = { group, term, index, kind: 0, payload, stampMs, command, payloadBytes } as const;
    this.#lastIndex = index;
    this.#pending.push(entry);
    this.#unwritten.push(entry);
    this.#inFlightBytes += payload.length;
    return index;
  }

  drainUnwritten(into: LogEntry[]): boolean {
    if (this.#unwritten.length === 0) return false;
    for (const entry of this.#unwritten) into.push(entry);
    this.#unwritten = [];
    return true;
  }

  written(index: LogIndex): void {
    assert(index <= this.#lastIndex, 'only what was proposed is written');
    assert(index >= this.#writtenIndex, 'what is written stays written');
    this.#writtenIndex = index;
  }

  nextCommitted(): PendingEntry<Command> | undefined {
    if (!this.hasCommitted) return undefined;
    const entry = present(this.#pending.shift(), 'a committed entry is pending');
    this.#inFlightBytes -= entry.payloadBytes;
    return entry;
  }
}
