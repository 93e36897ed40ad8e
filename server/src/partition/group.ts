import type { Writer } from '@tuplet/proto';
import { present } from '../base/assert.ts';
import type { GroupId, LogIndex, StampMs, Term } from '../base/ids.ts';
import { snapshotTailShare } from '../base/limits.ts';
import type { GroupLog, PendingEntry } from './group-log.ts';
import type { Payloads } from './payloads.ts';
import type { Slice } from './slice.ts';
import type { StampClock } from './stamp-clock.ts';

/** A group's state as bytes, cut while the group goes on. */
export interface GroupCut {
  /** The index at which the state is cut. */
  readonly index: LogIndex;
  /** The term of the entry there. */
  readonly term: Term;
  /** The state's hash there; 0 where it was not worth the walk. */
  readonly stateHash: bigint;
  /** The next chunk, of about `bytesMax` bytes; undefined after the last. The caller owns it. */
  next(bytesMax: number): Uint8Array | undefined;
  /** Lets go of what was held for the cut; after the last chunk or in the middle. Once. */
  end(): void;
}

/** What a leadership needs besides the state. */
export interface Leadership<Command> {
  readonly log: GroupLog<Command>;
  readonly stamps: StampClock;
  /** Where entries of all groups are encoded. */
  readonly payloads: Payloads;
}

/** What snapshots and recovery know of a group's past. */
export interface GroupPast {
  /** Bytes of payloads applied since the newest snapshot. */
  readonly tailBytes: number;
  /** Bytes of the newest snapshot; 0 for none. */
  readonly snapshotBytes: number;
  /** The term of the last entry applied; 0 for none. */
  readonly appliedTerm: Term | 0;
}

/**
 * One group as the turn loop drives it: a log in front of a state machine. The loop asks the `wants…`
 * flags of each group in each turn, so they are cheap.
 */
export abstract class Group<Command> {
  readonly id: GroupId;
  /** Whether something happened since the last `flush`. */
  touched = false;
  /** Whether an entry was applied since observers were woken. */
  moved = false;
  /** Bytes of payloads applied since the newest snapshot; the snapshotter takes off what it cut. */
  tailBytes: number;
  /** Bytes of payloads between the older snapshot and the newest. */
  olderTailBytes: number;
  /** Bytes of the newest snapshot. */
  snapshotBytes: number;
  /** Entries applied as a leader. */
  appliedCount = 0;
  #appliedTerm: Term | 0;
  #leadership: Leadership<Command> | undefined;
  // The entry of the own term that must be applied before anything is answered (L1).
  #leadIndex = 0;

  constructor(id: GroupId, past: GroupPast) {
    this.id = id;
    this.tailBytes = past.tailBytes;
    this.snapshotBytes = past.snapshotBytes;
    // Not known after a start; the measure of a tail is as much as it may have been.
    this.olderTailBytes = past.snapshotBytes * snapshotTailShare;
    this.#appliedTerm = past.appliedTerm;
  }

  /** The last entry applied. */
  abstract get appliedIndex(): LogIndex;
  /** Begins a snapshot at what is applied. One at a time. */
  abstract cut(): GroupCut;
  /** Time passes: every 10 ms or so while the group serves. */
  abstract tick(nowMs: number): void;
  protected abstract encode(writer: Writer, stampMs: StampMs, command: Command): void;
  protected abstract applyEntry(entry: PendingEntry<Command>, nowMs: number): void;
  protected abstract flushLeader(nowMs: number): void;
  /** The `lead` entry is applied: soft state may begin to answer. */
  protected abstract beginServing(nowMs: number): void;
  protected abstract readonly leadCommand: Command;

  /** The leadership's log. Only where `lead` was called. */
  get log(): GroupLog<Command> {
    return this.#leading().log;
  }

  /** The term in which this group serves; undefined before its `lead` entry is applied. */
  get epoch(): Term | undefined {
    const { log } = this.#leading();
    return this.appliedIndex >= this.#leadIndex ? log.term : undefined;
  }

  /** The term of the last entry applied; 0 for none. */
  get appliedTerm(): Term | 0 {
    return this.#appliedTerm;
  }

  /** Begins a leadership whose term is durable: proposes the entry that must be applied first (L1). */
  lead(leadership: Leadership<Command>, nowMs: number): void {
    this.#leadership = leadership;
    this.#leadIndex = this.propose(this.leadCommand, nowMs);
  }

  /** What an entry proposed now would be stamped with. */
  stampMs(nowMs: number): StampMs {
    return this.#leading().stamps.stampMs(nowMs);
  }

  /** Makes a decision an entry of the log. */
  propose(command: Command, nowMs: number): LogIndex {
    const { log, stamps, payloads } = this.#leading();
    const stampMs = stamps.stampMs(nowMs);
    const start = payloads.begin();
    this.encode(payloads.writer, stampMs, command);
    return log.propose(stampMs, command, payloads.end(start));
  }

  /** Applies what is committed until there is no more, or the slice or its share of it is over. */
  applyCommitted(slice: Slice, countMax: number): void {
    const { log } = this.#leading();
    for (let count = 0; count < countMax && !slice.over(); count += 1) {
      const entry = log.nextCommitted();
      if (entry === undefined) return;
      this.applyEntry(entry, slice.nowMs);
      this.#appliedTerm = entry.term;
      this.tailBytes += entry.payloadBytes;
      this.appliedCount += 1;
      this.touched = true;
      this.moved = true;
      if (entry.index === this.#leadIndex) this.beginServing(slice.nowMs);
    }
  }

  /** Lets the leader match and answer, if anything happened. */
  flush(nowMs: number): void {
    if (!this.touched) return;
    this.touched = false;
    if (this.epoch !== undefined) this.flushLeader(nowMs);
  }

  #leading(): Leadership<Command> {
    return present(this.#leadership, 'the group leads');
  }
}
