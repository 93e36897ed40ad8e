import type { Writer } from '@tuplet/proto';
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
import { readEntry, writeEntry } from '../space/entry-codec.ts';
import type { Space } from '../space/space.ts';
import { Fifo } from './fifo.ts';
import {
  Group,
  type GroupCut,
  type GroupPast,
  type GroupSurroundings,
  type StampedCommand,
} from './group.ts';
import { Inbox, type InboxTotal, sendingOf } from './inbox.ts';
import type { Replica } from './replica.ts';
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
  readonly inbox: Inbox;
  /** Who wants to know that entries were applied, at most once a turn. */
  readonly observers: Set<() => void> = new Set();
  protected readonly leadCommand: LeadCommand = { kind: 'lead' };
  readonly #fromLeaders = new Fifo<BetweenLeaders>();
  readonly #hooks: PartitionHooks;
  readonly #pipeline: PipelineLimits;
  readonly #hashesCuts: boolean;
  #space: Space;
  #leader: Leader | undefined;
  #nowMs = 0;

  constructor(options: {
    replica: Replica;
    around: GroupSurroundings;
    space: Space;
    past: GroupPast;
    hooks: PartitionHooks;
    pipeline: PipelineLimits;
    inboxTotal: InboxTotal;
    /** Whether snapshots carry the state's hash, which costs a walk over everything at each cut. */
    hashesCuts: boolean;
  }) {
    super(options.replica, options.past, options.around);
    this.partition = options.replica.group as PartitionId;
    this.#space = options.space;
    this.inbox = new Inbox(options.inboxTotal);
    this.#hooks = options.hooks;
    this.#pipeline = options.pipeline;
    this.#hashesCuts = options.hashesCuts;
  }

  /** The replicated state, until a snapshot from a leader takes its place. */
  get space(): Space {
    return this.#space;
  }

  override get appliedIndex(): LogIndex {
    return this.#space.appliedIndex;
  }

  /** The soft state of this replica's leadership; undefined: it does not lead. */
  get leader(): Leader | undefined {
    return this.#leader;
  }

  /** Whether `drain` could do something. */
  get wantsDrain(): boolean {
    if (this.inbox.size === 0 && this.#fromLeaders.size === 0) return false;
    return this.takesWork && !this.#isBehind && !this.#pipelineFull();
  }

  /**
   * Whether others may have applied, and shown, what is not applied here: a majority may have an entry before
   * the leader's own disk. Nothing is looked for meanwhile, or it would be missed (I5).
   */
  get #isBehind(): boolean {
    return !this.replica.isAlone && this.replica.committed > this.appliedIndex;
  }

  /** Messages that wait, of either kind. */
  get waitingCount(): number {
    return this.inbox.size + this.#fromLeaders.size;
  }

  /** Says something about a call without asking the leader. */
  #answer(to: CoordinatorId, call: CallId, answer: Answer): void {
    const { partition, replica } = this;
    this.#hooks.send(to, { ...answer, call, partition, epoch: replica.term });
  }

  /** A message that no leader here has seen; in the name of the leadership that it was meant for, or a later one. */
  sayNotLeader(to: CoordinatorId, message: ToLeader): void {
    const { partition, replica } = this;
    const asked = 'epoch' in message ? message.epoch : 0;
    const epoch = Math.max(asked, replica.term) as Term;
    this.#hooks.send(to, {
      kind: 'not-leader',
      definite: true,
      call: message.call,
      partition,
      epoch,
    });
  }

  /** Refuses a message that begins work, for want of room; a copy of an earlier one is passed over. */
  turnAway(from: CoordinatorId, message: ToLeader, text: string): void {
    const kept = this.#leader?.turnAway(message) ?? 'in-doubt';
    if (kept === 'known') return;
    this.#answer(from, message.call, {
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
    const leader = this.#leader;
    if (leader === undefined || !this.takesWork || this.#isBehind) return;
    for (let count = 0; count < countMax && !this.#pipelineFull() && !slice.over(); count += 1) {
      this.#nowMs = slice.nowMs;
      const between = this.#fromLeaders.shift();
      if (between !== undefined) leader.receiveLeader(between, slice.nowMs);
      else {
        const waiting = this.inbox.shift();
        if (waiting === undefined) return;
        const { from, message } = waiting;
        if (message === undefined) leader.coordinatorGone(from);
        else leader.receive(from, message, slice.nowMs);
      }
      this.touched = true;
    }
  }

  /** The leader settles by itself; what it proposes and answers goes out with the turn that follows. */
  override tick(nowMs: number): void {
    if (!this.takesWork) return;
    this.#nowMs = nowMs;
    this.#leader?.tick(nowMs);
  }

  override cut(): GroupCut {
    const index = this.#space.appliedIndex;
    const cut = this.#space.beginSnapshot();
    return {
      index,
      term: this.appliedTerm as Term,
      stateHash: this.#hashesCuts ? this.#space.stateHash() : 0n,
      next: (bytesMax) => cut.next(bytesMax),
      end: () => cut.abort(),
    };
  }

  protected override encode(writer: Writer, stampMs: StampMs, command: Command): void {
    writeEntry(writer, { stampMs, command });
  }

  /** A snapshot from the group's leader is the state from now on. */
  replaceState(space: Space, past: GroupPast): void {
    this.#space = space;
    this.stateReplaced(past);
  }

  protected override decode(payload: Uint8Array): StampedCommand<Command> {
    return readEntry(payload);
  }

  protected override applyCommand(
    index: LogIndex,
    entry: StampedCommand<Command>,
    nowMs: number,
  ): void {
    this.#nowMs = nowMs;
    const outcome = this.#space.apply(index, entry);
    this.#leader?.applied(index, entry.command, outcome, nowMs);
  }

  protected override pass(index: LogIndex): void {
    this.#space.pass(index);
  }

  protected override get stateStampMs(): StampMs {
    return this.#space.stampMs;
  }

  protected override beginLeading(term: Term, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#leader = new Leader({
      partition: this.partition,
      epoch: term,
      space: this.#space,
      ports: this.#ports(),
    });
  }

  protected override beginServing(nowMs: number): void {
    this.#leader?.serve(nowMs);
    this.#hooks.serving(this.partition, this.replica.term);
  }

  /** What waited for the leader never reached it: whoever asked may ask the next one. */
  protected override endLeading(): void {
    this.#leader?.stepDown();
    this.#leader = undefined;
    this.#fromLeaders.clear();
    for (let next = this.inbox.shift(); next !== undefined; next = this.inbox.shift()) {
      const { from, message } = next;
      if (message !== undefined) this.sayNotLeader(from, message);
    }
  }

  protected override flushLeader(nowMs: number): void {
    this.#nowMs = nowMs;
    const leader = this.#leader;
    leader?.flush(nowMs);
    // Indexes being built and searches go on in the next turn, whether anything happens or not.
    if (leader?.hasSlices === true) this.touched = true;
  }

  #pipelineFull(): boolean {
    const { inFlightEntries, inFlightBytes } = this;
    return inFlightEntries >= this.#pipeline.entries || inFlightBytes >= this.#pipeline.bytes;
  }

  #ports(): LeaderPorts {
    return {
      propose: (command) => this.propose(command, this.#nowMs),
      admitsData: () => this.#hooks.admitsData(),
      hasRoom: () => !this.#pipelineFull(),
      stampMs: () => this.stampMs(this.#nowMs),
      send: (to, message) => this.#hooks.send(to, message),
      sendLeader: (to, message) => this.#hooks.sendLeader(to, message),
      confirm: (run) => this.replica.confirm(run),
    };
  }
}
