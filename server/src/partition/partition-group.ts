import type { Writer } from '@tuplet/proto';
import { present } from '../base/assert.ts';
import type { LogIndex, PartitionId, StampMs, Term } from '../base/ids.ts';
import { Leader } from '../coordination/leader.ts';
import type {
  Answer,
  BetweenLeaders,
  CallId,
  CoordinatorId,
  FromLeader,
  ToLeader,
} from '../coordination/messages.ts';
import type { LeaderPorts } from '../coordination/ports.ts';
import type { Command, LeadCommand } from '../space/command.ts';
import { writeEntry } from '../space/entry-codec.ts';
import type { Space } from '../space/space.ts';
import { Fifo } from './fifo.ts';
import { Group, type GroupCut, type GroupPast, type Leadership } from './group.ts';
import type { PendingEntry } from './group-log.ts';
import { Inbox, type InboxTotal, sendingOf } from './inbox.ts';
import type { Slice } from './slice.ts';

/** What a partition needs of its host. */
export interface PartitionHooks {
  /** An answer for a router; delivered at the end of the turn. */
  send(to: CoordinatorId, message: FromLeader): void;
  /** A message for another partition's leader; seen in a later turn. */
  sendLeader(to: PartitionId, message: BetweenLeaders): void;
  /** Whether the disk has room for more than what frees room. */
  admitsData(): boolean;
  /** The group serves from now on, in this term. */
  serving(partition: PartitionId, epoch: Term): void;
}

/** Proposals in flight of one partition beyond which its inbox waits. */
export interface PipelineLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** One partition: its space, its leader, and what waits for the leader. */
export class PartitionGroup extends Group<Command> {
  readonly partition: PartitionId;
  readonly space: Space;
  readonly inbox: Inbox;
  /** Who wants to know that entries were applied, at most once a turn. */
  readonly observers: Set<() => void> = new Set();
  protected readonly leadCommand: LeadCommand = { kind: 'lead' };
  readonly #fromLeaders = new Fifo<BetweenLeaders>();
  readonly #hooks: PartitionHooks;
  readonly #pipeline: PipelineLimits;
  readonly #hashesCuts: boolean;
  #leader: Leader | undefined;
  #nowMs = 0;

  constructor(options: {
    partition: PartitionId;
    space: Space;
    past: GroupPast;
    hooks: PartitionHooks;
    pipeline: PipelineLimits;
    inboxTotal: InboxTotal;
    /** Whether snapshots carry the state's hash, which costs a walk over everything at each cut. */
    hashesCuts: boolean;
  }) {
    super(options.partition, options.past);
    this.partition = options.partition;
    this.space = options.space;
    this.inbox = new Inbox(options.inboxTotal);
    this.#hooks = options.hooks;
    this.#pipeline = options.pipeline;
    this.#hashesCuts = options.hashesCuts;
  }

  override get appliedIndex(): LogIndex {
    return this.space.appliedIndex;
  }

  /** The leader's soft state. Only where `lead` was called. */
  get leader(): Leader {
    return present(this.#leader, 'the partition leads');
  }

  /** Whether `drain` could do something. */
  get wantsDrain(): boolean {
    if (this.inbox.size === 0 && this.#fromLeaders.size === 0) return false;
    return this.epoch !== undefined && !this.#pipelineFull();
  }

  /** Messages that wait, of either kind. */
  get waitingCount(): number {
    return this.inbox.size + this.#fromLeaders.size;
  }

  override lead(leadership: Leadership<Command>, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#leader = new Leader({
      partition: this.partition,
      epoch: leadership.log.term,
      space: this.space,
      ports: this.#ports(),
    });
    super.lead(leadership, nowMs);
  }

  /** Says something about a call without asking the leader. */
  answer(to: CoordinatorId, call: CallId, answer: Answer): void {
    const { partition, log } = this;
    this.#hooks.send(to, { ...answer, call, partition, epoch: log.term });
  }

  /** Refuses a message that begins work, for want of room; a copy of an earlier one is passed over. */
  turnAway(from: CoordinatorId, message: ToLeader, text: string): void {
    const kept = this.#leader?.turnAway(message) ?? 'in-doubt';
    if (kept === 'known') return;
    this.answer(from, message.call, {
      kind: 'refused',
      reason: 'TOO_MANY_IN_FLIGHT',
      message: text,
      m: sendingOf(message),
      inDoubt: kept === 'in-doubt',
    });
  }

  /** Queues a message of another partition's leader. */
  receiveLeader(message: BetweenLeaders): void {
    this.#fromLeaders.push(message);
  }

  /** Gives waiting messages to the leader until none is left, the slice is over or the log is full. */
  drain(slice: Slice, countMax: number): void {
    if (this.epoch === undefined) return;
    for (let count = 0; count < countMax && !this.#pipelineFull() && !slice.over(); count += 1) {
      this.#nowMs = slice.nowMs;
      const between = this.#fromLeaders.shift();
      if (between !== undefined) this.leader.receiveLeader(between, slice.nowMs);
      else {
        const waiting = this.inbox.shift();
        if (waiting === undefined) return;
        this.#receive(waiting.from, waiting.message, slice.nowMs);
      }
      this.touched = true;
    }
  }

  /** The leader settles by itself; what it proposes and answers goes out with the turn that follows. */
  override tick(nowMs: number): void {
    if (this.epoch === undefined) return;
    this.#nowMs = nowMs;
    this.leader.tick(nowMs);
  }

  override cut(): GroupCut {
    const index = this.space.appliedIndex;
    const cut = this.space.beginSnapshot();
    return {
      index,
      term: this.appliedTerm as Term,
      stateHash: this.#hashesCuts ? this.space.stateHash() : 0n,
      next: (bytesMax) => cut.next(bytesMax),
      end: () => cut.abort(),
    };
  }

  protected override encode(writer: Writer, stampMs: StampMs, command: Command): void {
    writeEntry(writer, { stampMs, command });
  }

  protected override applyEntry(entry: PendingEntry<Command>, nowMs: number): void {
    this.#nowMs = nowMs;
    const outcome = this.space.apply(entry.index, entry);
    this.leader.applied(entry.index, entry.command, outcome, nowMs);
  }

  protected override flushLeader(nowMs: number): void {
    this.#nowMs = nowMs;
    this.leader.flush(nowMs);
    // Indexes being built and searches go on in the next turn, whether anything happens or not.
    if (this.leader.hasSlices) this.touched = true;
  }

  protected override beginServing(nowMs: number): void {
    this.leader.serve(nowMs);
    this.#hooks.serving(this.partition, this.log.term);
  }

  #receive(from: CoordinatorId, message: ToLeader | undefined, nowMs: number): void {
    if (message === undefined) this.leader.coordinatorGone(from);
    else this.leader.receive(from, message, nowMs);
  }

  #pipelineFull(): boolean {
    const { log } = this;
    return (
      log.inFlightEntries >= this.#pipeline.entries || log.inFlightBytes >= this.#pipeline.bytes
    );
  }

  #ports(): LeaderPorts {
    return {
      propose: (command) => this.propose(command, this.#nowMs),
      admitsData: () => this.#hooks.admitsData(),
      stampMs: () => this.stampMs(this.#nowMs),
      send: (to, message) => this.#hooks.send(to, message),
      sendLeader: (to, message) => this.#hooks.sendLeader(to, message),
    };
  }
}
