import type { Writer } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { GroupId, LogIndex, StampMs, Term } from '../base/ids.ts';
import { handOverWaitMs, snapshotTailShare } from '../base/limits.ts';
import { type Entry, EntryKind, noBytes } from '../raft/message.ts';
import { Fifo } from './fifo.ts';
import type { Payloads } from './payloads.ts';
import type { Replica } from './replica.ts';
import type { Slice } from './slice.ts';
import { StampClock } from './stamp-clock.ts';

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

/** What snapshots and recovery know of a group's past. */
export interface GroupPast {
  /** Bytes of payloads applied since the newest snapshot. */
  readonly tailBytes: number;
  /** Bytes of the newest snapshot; 0 for none. */
  readonly snapshotBytes: number;
  /** The term of the last entry applied; 0 for none. */
  readonly appliedTerm: Term | 0;
}

/** An entry, read, as the state machine takes it. */
export interface StampedCommand<Command> {
  readonly stampMs: StampMs;
  readonly command: Command;
}

/** What every group of a host shares. */
export interface GroupSurroundings {
  /** Where entries of all groups are encoded. */
  readonly payloads: Payloads;
  /** The operating system's belief about 1970. */
  wallMs(): number;
}

/** A decision of this leadership between its proposal and its application. */
interface Proposal<Command> extends StampedCommand<Command> {
  readonly index: LogIndex;
  readonly payloadBytes: number;
}

/** One leadership of this replica. */
interface Leadership {
  readonly term: Term;
  readonly stamps: StampClock;
  /** The entry of the own term that must be applied before anything is answered (L1). */
  leadIndex: LogIndex;
}

/**
 * One group as the turn loop drives it: a replica in front of a state machine, and what a leadership
 * needs while there is one. The loop asks the `wants…` flags of each group in each turn, so they are cheap.
 */
export abstract class Group<Command> {
  readonly id: GroupId;
  readonly replica: Replica;
  /** Whether something happened since the last `flush`. */
  touched = false;
  /** Whether its replica was removed: it is driven no longer, whatever of it ends late. */
  isRemoved = false;
  /** Whether an entry was applied since observers were woken. */
  moved = false;
  /** Bytes of payloads applied since the newest snapshot; the snapshotter takes off what it cut. */
  tailBytes: number;
  /** Bytes of payloads between the older snapshot and the newest. */
  olderTailBytes: number;
  /** Bytes of the newest snapshot. */
  snapshotBytes: number;
  /** Entries applied. */
  appliedCount = 0;
  /** Times that the whole state was replaced by a snapshot from a leader. */
  installedCount = 0;
  readonly #around: GroupSurroundings;
  #appliedTerm: Term | 0;
  #leadership: Leadership | undefined;
  // The last term in which a leadership began here: one that was given up does not come back.
  #ledTerm = 0;
  // Invariant: indexes ascend, all above what is applied.
  readonly #proposals = new Fifo<Proposal<Command>>();
  #proposedBytes = 0;
  /** The wall clocks that came with the votes of `#votesTerm`. */
  #votesTerm = 0;
  readonly #voterClocks = new Map<number, number>();
  /** Who has asked for an index, and is not answered. */
  readonly #indexQuestions = new Set<(index: LogIndex | undefined) => void>();
  /** The entry that shows when a majority has applied a configuration. */
  #settling:
    | { readonly configurationIndex: number; readonly term: number; readonly index: LogIndex }
    | undefined;
  /** To whom the leadership is to go, once what is in flight is applied or it takes too long. */
  #handOver: { readonly target: number; readonly untilMs: number } | undefined;

  constructor(replica: Replica, past: GroupPast, around: GroupSurroundings) {
    this.id = replica.group;
    this.replica = replica;
    this.#around = around;
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
  /** Time passes for a leadership that serves: every 10 ms or so. */
  abstract tick(nowMs: number): void;
  protected abstract encode(writer: Writer, stampMs: StampMs, command: Command): void;
  protected abstract decode(payload: Uint8Array): StampedCommand<Command>;
  protected abstract applyCommand(
    index: LogIndex,
    entry: StampedCommand<Command>,
    nowMs: number,
  ): void;
  /** An entry that means nothing to the state machine. */
  protected abstract pass(index: LogIndex): void;
  /** The last stamp applied. */
  protected abstract get stateStampMs(): StampMs;
  /** A leadership begins: soft state is made, and does not answer yet. */
  protected abstract beginLeading(term: Term, nowMs: number): void;
  /** The `lead` entry is applied: soft state may begin to answer. */
  protected abstract beginServing(nowMs: number): void;
  /** The leadership is over: soft state goes, and answers nothing any more. */
  protected abstract endLeading(): void;
  protected abstract flushLeader(nowMs: number): void;
  protected abstract readonly leadCommand: Command;

  /** The term in which this replica leads or serves; undefined: it does not. */
  get leadTerm(): Term | undefined {
    return this.#leadership?.term;
  }

  /** The term in which this group serves here; undefined before its `lead` entry is applied. */
  get epoch(): Term | undefined {
    const leadership = this.#leadership;
    if (leadership === undefined || this.appliedIndex < leadership.leadIndex) return undefined;
    return leadership.term;
  }

  /** Whether new work is taken on: it serves, and is not about to hand over. */
  get takesWork(): boolean {
    return this.epoch !== undefined && this.#handOver === undefined;
  }

  /** The term of the last entry applied; 0 for none. */
  get appliedTerm(): Term | 0 {
    return this.#appliedTerm;
  }

  /** Decisions of this leadership that are not applied: how many, and bytes of their payloads. */
  get inFlightEntries(): number {
    return this.#proposals.size;
  }

  get inFlightBytes(): number {
    return this.#proposedBytes;
  }

  /** What an entry proposed now would be stamped with. */
  stampMs(nowMs: number): StampMs {
    return this.#leading().stamps.stampMs(nowMs);
  }

  /** Makes a decision an entry of the log. */
  propose(command: Command, nowMs: number): LogIndex {
    const { payloads } = this.#around;
    const stampMs = this.#leading().stamps.stampMs(nowMs);
    const start = payloads.begin();
    this.encode(payloads.writer, stampMs, command);
    const payload = payloads.end(start);
    const index = this.replica.propose(payload);
    this.#proposals.push({ index, stampMs, command, payloadBytes: payload.length });
    this.#proposedBytes += payload.length;
    return index;
  }

  /**
   * Answers with an index that covers everything which any leader of the group has answered before this call,
   * or with nothing: it does not serve here, or another may have begun to (ReadIndex, Ongaro 2014 §6.4).
   */
  readIndex(answer: (index: LogIndex | undefined) => void): void {
    if (this.epoch === undefined) {
      answer(undefined);
      return;
    }
    // What a leader has answered it has applied; and what earlier ones had, before it served.
    const index = this.appliedIndex;
    this.#indexQuestions.add(answer);
    this.replica.confirm(() => {
      if (this.#indexQuestions.delete(answer)) answer(index);
    });
  }

  /** A voter of this replica said yes in a term, when its wall clock said so. */
  votedFor(from: number, term: number, wallMs: number): void {
    if (term < this.#votesTerm) return;
    if (term > this.#votesTerm) this.#voterClocks.clear();
    this.#votesTerm = term;
    this.#voterClocks.set(from, wallMs);
  }

  /**
   * Whether a majority has applied the present configuration, durably: an entry that was logged here after it
   * was applied is committed. Logs one where that is not under way.
   */
  isConfigurationSettled(): boolean {
    const { replica } = this;
    const { configurationIndex, isChangePending, term } = replica.status();
    if (!this.takesWork || isChangePending) return false;
    const settling = this.#settling;
    if (settling?.configurationIndex === configurationIndex && settling.term === term)
      return replica.committed >= settling.index;
    this.#settling = { configurationIndex, term, index: replica.propose(noBytes) };
    return false;
  }

  /** Brings soft state in line with the core's role; after whatever may have changed that. */
  settleRole(nowMs: number): void {
    const { replica } = this;
    const { term } = replica;
    const leads = replica.leads && replica.admitsProposals;
    if (this.#leadership !== undefined && !(leads && this.#leadership.term === term)) {
      this.#endLeadership();
    }
    if (!leads || this.#leadership !== undefined) return;
    // It gave its leadership up to hand it over, and nobody took it.
    if (this.#ledTerm === term) replica.resign();
    else this.#beginLeadership(term, nowMs);
  }

  /**
   * Hands the leadership to another replica: takes no new work, and goes when what is in flight is
   * applied, or after `handOverWaitMs`. Nothing where it does not serve.
   */
  handOver(target: number, nowMs: number): void {
    if (this.epoch === undefined || this.#handOver !== undefined) return;
    this.#handOver = { target, untilMs: nowMs + handOverWaitMs };
    this.goOnHandingOver(nowMs);
  }

  /**
   * The disk does not answer, so nothing in flight will be applied: the leadership goes at once, to whoever
   * has most of the log.
   */
  giveUpLeadership(nowMs: number): void {
    if (!this.replica.leads || !this.replica.admitsProposals) return;
    const target = this.replica.bestSuccessor();
    // Alone there is nobody.
    if (target === undefined) return;
    this.#handOver = undefined;
    this.touched = true;
    if (this.replica.transferLeader(target) !== 'begun') return;
    this.settleRole(nowMs);
  }

  /** Asked in every turn while it hands over. */
  goOnHandingOver(nowMs: number): void {
    const handOver = this.#handOver;
    if (handOver === undefined) return;
    if (this.#proposals.size > 0 && nowMs < handOver.untilMs) return;
    this.#handOver = undefined;
    this.touched = true;
    if (this.replica.transferLeader(handOver.target) === 'begun') this.settleRole(nowMs);
  }

  /** Applies what is committed until there is no more, or the slice or its share of it is over. */
  applyCommitted(slice: Slice, countMax: number): void {
    const { replica } = this;
    for (let count = 0; count < countMax && !slice.over(); count += 1) {
      const entry = replica.nextCommitted();
      if (entry === undefined) return;
      // One that a snapshot from the leader has led past meanwhile is over.
      if (entry.index > this.appliedIndex) this.#apply(entry, slice.nowMs);
      replica.applied(entry);
      // A change of the configuration, or what follows from it, may have ended the leadership.
      if (!replica.isAlone) this.settleRole(slice.nowMs);
    }
  }

  /** Lets the leader match and answer, if anything happened. */
  flush(nowMs: number): void {
    if (!this.touched) return;
    this.touched = false;
    if (this.takesWork) this.flushLeader(nowMs);
  }

  /** The whole state is a snapshot's now, which has been loaded already. */
  protected stateReplaced(past: GroupPast): void {
    assert(this.#leadership === undefined, 'a leader installs no snapshot');
    this.tailBytes = past.tailBytes;
    this.olderTailBytes = 0;
    this.snapshotBytes = past.snapshotBytes;
    this.#appliedTerm = past.appliedTerm;
    this.installedCount += 1;
    this.moved = true;
  }

  /** Its replica is removed: a leadership ends here. */
  retire(): void {
    if (this.#leadership !== undefined) this.#endLeadership();
  }

  #apply(entry: Entry, nowMs: number): void {
    const index = entry.index as LogIndex;
    assert(index === this.appliedIndex + 1, 'entries are applied in order');
    if (entry.kind === EntryKind.normal && entry.payload.length > 0) {
      this.applyCommand(index, this.#commandOf(entry), nowMs);
      this.tailBytes += entry.payload.length;
      this.touched = true;
    } else this.pass(index);
    this.#appliedTerm = entry.term as Term;
    this.appliedCount += 1;
    this.moved = true;
    if (index === this.#leadership?.leadIndex) this.#serve(this.#leadership, nowMs);
  }

  /** What the log had before this leadership is applied only now: stamps go on from the last of it. */
  #serve(leadership: Leadership, nowMs: number): void {
    leadership.stamps.raise(this.stateStampMs, nowMs);
    this.beginServing(nowMs);
  }

  /** A leader decodes nothing of its own. */
  #commandOf(entry: Entry): StampedCommand<Command> {
    const own = this.#proposals.first();
    if (own === undefined || own.index !== entry.index) return this.decode(entry.payload);
    this.#proposals.shift();
    this.#proposedBytes -= own.payloadBytes;
    return own;
  }

  #beginLeadership(term: Term, nowMs: number): void {
    const wallMs = this.#votedWallMs(term);
    const stamps = new StampClock({ lastStampMs: this.stateStampMs, wallMs, nowMs });
    const leadIndex = Number.MAX_SAFE_INTEGER as LogIndex;
    const leadership: Leadership = { term, stamps, leadIndex };
    this.#leadership = leadership;
    this.#ledTerm = term;
    this.beginLeading(term, nowMs);
    leadership.leadIndex = this.propose(this.leadCommand, nowMs);
    this.touched = true;
  }

  #endLeadership(): void {
    this.#leadership = undefined;
    this.#handOver = undefined;
    this.#proposals.clear();
    this.#proposedBytes = 0;
    this.replica.dropConfirmations();
    const questions = [...this.#indexQuestions];
    this.#indexQuestions.clear();
    for (const answer of questions) answer(undefined);
    this.endLeading();
  }

  /** The lower median of the wall clocks that came with the votes, its own among them (SPEC §4). */
  #votedWallMs(term: Term): number {
    const clocks = this.#votesTerm === term ? [...this.#voterClocks.values()] : [];
    clocks.push(this.#around.wallMs());
    clocks.sort((one, other) => one - other);
    return present(clocks[(clocks.length - 1) >> 1], 'one clock is there');
  }

  #leading(): Leadership {
    return present(this.#leadership, 'the group leads');
  }
}
