import { assert } from '../base/assert.ts';
import type { Change } from './change.ts';
import { encodeChange } from './change-codec.ts';
import type { Configuration } from './configuration.ts';
import { becomeFollower, type CampaignOutcome, campaign } from './election.ts';
import {
  appliedTo,
  applyChangeEntry,
  type ProposeOutcome,
  proposalsStopped,
  snapshotInstalled,
  startConfiguration,
} from './membership.ts';
import {
  assertNumbers,
  type Entry,
  entriesBytes,
  type HardState,
  isAnswer,
  type Message,
  noReplica,
  type Snapshot,
} from './message.ts';
import type { RaftOptions } from './options.ts';
import { type Progress, ProgressState } from './progress.ts';
import { propose, proposeEncodedChange } from './propose.ts';
import type { ReadState } from './read-index.ts';
import { answersAlone, type ReadOutcome, readIndex, wantsReadRound } from './reads.ts';
import type { AppendWork, ApplyWork, Ready, SoftState, StableMark } from './ready.ts';
import { broadcastHeartbeat, owesCommits, tellCommits } from './replication.ts';
import { RaftState, Role } from './state.ts';
import { step } from './step.ts';
import { tick } from './tick.ts';
import { type TransferOutcome, transferLeader } from './transfer.ts';

const noMessages: readonly Message[] = [];
const noReads: readonly ReadState[] = [];

/** What a Ready takes along. */
interface Queues {
  readonly reads: readonly ReadState[];
  readonly responses: readonly Message[];
  readonly outgoing: readonly Message[];
}

/** Whether a message was looked at. An answer of somebody who is no member was not. */
export type StepOutcome = 'stepped' | 'unknown-replica';

/** What can be seen of a replica. `members` belong to it and change with it. */
export interface RaftStatus {
  readonly id: number;
  readonly term: number;
  readonly vote: number;
  readonly lead: number;
  readonly role: Role;
  readonly committed: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly electionTimeoutTicks: number;
  /** Leader: who is to lead instead; 0: nobody. */
  readonly transferTarget: number;
  readonly configuration: Configuration;
  /** No change of the configuration is in the log between here and what is applied. */
  readonly configurationIndex: number;
  /** Leader: whether there may be a change in its log that it has not applied. */
  readonly isChangePending: boolean;
  readonly members: readonly Progress[];
}

/**
 * One replica of one group. Everything it hears comes in through its methods, everything it wants goes
 * out in Readys; nothing happens in between. DESIGN.md says what its caller promises.
 */
export class RaftNode {
  readonly #raft: RaftState;
  #softState: SoftState;
  #hardState: HardState;
  /** Writes handed out and not told to have ended, oldest first. */
  #appends: AppendWork[] = [];
  #applies: ApplyWork[] = [];
  /** Without asynchronous storage: the Ready that `advance` will end. */
  #accepted: Ready | null = null;
  #acceptedWork: AppendWork | null = null;

  /** Starts, or starts again, from what is durable in `options.storage`. */
  constructor(options: RaftOptions) {
    const raft = new RaftState(options);
    const { hardState, configuration } = options.storage.initialState();
    assert(hardState.commit <= raft.log.lastIndex(), 'what was committed is in the log');
    raft.log.commitTo(hardState.commit);
    raft.term = hardState.term;
    raft.vote = hardState.vote;
    if (options.applied > raft.log.applied) raft.log.appliedTo(options.applied, 0);
    startConfiguration(raft, configuration);
    becomeFollower(raft, raft.term, noReplica);
    this.#raft = raft;
    this.#softState = { lead: raft.lead, role: raft.role };
    this.#hardState = hardStateOf(raft);
  }

  get id(): number {
    return this.#raft.id;
  }

  get term(): number {
    return this.#raft.term;
  }

  get role(): Role {
    return this.#raft.role;
  }

  /** Who leads; 0: nobody is known. */
  get lead(): number {
    return this.#raft.lead;
  }

  /** The last index of the log, durable or not. After `propose`, that of the last entry proposed. */
  get lastIndex(): number {
    return this.#raft.log.lastIndex();
  }

  /** A tick has passed. */
  tick(): void {
    tick(this.#raft);
  }

  /**
   * With leases: what the clock says, monotonic milliseconds. Told before anything else is, whenever
   * time may have passed, and read after the messages had arrived that are stepped next.
   */
  setClock(nowMs: number): void {
    this.#raft.lease?.setClock(nowMs);
  }

  /** A message of another replica of this group has arrived. */
  step(message: Message): StepOutcome {
    assertNumbers(message);
    assert(message.to === this.#raft.id, 'a message is for this replica');
    if (isAnswer(message.kind) && this.#raft.tracker.find(message.from) === undefined) {
      return 'unknown-replica';
    }
    step(this.#raft, message);
    return 'stepped';
  }

  /** Proposes entries, all or none. The payloads are the log's from now on. */
  propose(payloads: readonly Uint8Array[]): ProposeOutcome {
    return propose(this.#raft, payloads);
  }

  /** Proposes a change of the configuration. */
  proposeChange(change: Change): ProposeOutcome {
    return proposeEncodedChange(this.#raft, encodeChange(change));
  }

  /** The caller applies an entry of kind `change`: from now on that is the configuration. */
  applyChange(entry: Entry): Configuration {
    return applyChangeEntry(this.#raft, entry);
  }

  /** Up to where the log is known to be committed. */
  get committed(): number {
    return this.#raft.log.committed;
  }

  /** The snapshot of a leader that was accepted and is not told to be installed; null: there is none. */
  get pendingSnapshot(): Snapshot | null {
    return this.#raft.log.unstable.snapshot;
  }

  /** Whether a proposal would be logged, but for the bound of the uncommitted log. */
  get admitsProposals(): boolean {
    return this.#raft.role === Role.leader && proposalsStopped(this.#raft) === undefined;
  }

  /** Whether this replica knows, without asking anybody, that it leads at this moment. */
  get confirmsAlone(): boolean {
    return this.#raft.role === Role.leader && answersAlone(this.#raft);
  }

  /** Leader: leads no longer in this term; whoever is elected next, it may be this one, has another. */
  resign(): void {
    if (this.#raft.role === Role.leader) becomeFollower(this.#raft, this.#raft.term, noReplica);
  }

  /** Asks for an index from which on a read is linearizable; it comes in a Ready, with the token. */
  readIndex(token: number): ReadOutcome {
    return readIndex(this.#raft, token);
  }

  /** Begins an election now. */
  campaign(): CampaignOutcome {
    return campaign(this.#raft, false);
  }

  /** Asks for another leader; a follower passes it on. */
  transferLeader(target: number): TransferOutcome {
    return transferLeader(this.#raft, target);
  }

  /**
   * The leader is known to be gone: its follower may vote again at once. With leases it may not, since
   * the leader counts on that.
   */
  forgetLeader(): void {
    if (this.#raft.role !== Role.follower || this.#raft.lease !== null) return;
    this.#raft.lead = noReplica;
  }

  /**
   * The connection to a replica broke. Whether it led this one, and is forgotten: the caller lets this
   * replica campaign soon. It may be alive; then those who still hear it keep to it (DESIGN.md).
   */
  leaderLost(id: number): boolean {
    if (this.#raft.lead !== id) return false;
    this.forgetLeader();
    return this.#raft.lead === noReplica;
  }

  /** Leader: whether a follower has not been told what is committed; see `lazyCommits`. */
  get owesCommits(): boolean {
    return this.#raft.role === Role.leader && owesCommits(this.#raft);
  }

  /** Leader: tells followers that the log is committed up to `index`, those who have not been told. */
  tellCommits(index: number): void {
    if (this.#raft.role === Role.leader) tellCommits(this.#raft, index);
  }

  /** What was last sent to a replica has probably not arrived. */
  reportUnreachable(id: number): void {
    const progress = this.#progressOf(id);
    if (progress?.state === ProgressState.replicate) progress.becomeProbe();
  }

  /** The snapshot for a replica has arrived there, or has not. */
  reportSnapshot(id: number, arrived: boolean): void {
    const progress = this.#progressOf(id);
    if (progress?.state !== ProgressState.snapshot) return;
    // Lost: probing goes on from what matches, not from what was sent.
    if (!arrived) progress.pendingSnapshot = 0;
    progress.becomeProbe();
    // Its answer comes soon, and if it does not, so does a heartbeat.
    progress.paused = true;
  }

  /** Whether `ready` would hold anything. */
  hasReady(): boolean {
    const raft = this.#raft;
    const { unstable } = raft.log;
    return (
      raft.messages.length > 0 ||
      raft.afterAppend.length > 0 ||
      unstable.hasNextEntries() ||
      raft.log.hasNextCommitted(!raft.options.asynchronous) ||
      raft.readStates.length > 0 ||
      !this.#isSoftStateKnown() ||
      !this.#isHardStateKnown() ||
      unstable.nextSnapshot() !== null ||
      wantsReadRound(raft)
    );
  }

  /** What is to be done now. The caller does all of it. */
  ready(): Ready {
    assert(this.#accepted === null, 'a Ready is ended before the next');
    const raft = this.#raft;
    // All reads since the last Ready share a round.
    if (wantsReadRound(raft)) broadcastHeartbeat(raft);
    const { log } = raft;
    const { asynchronous } = raft.options;
    const hardState = this.#isHardStateKnown() ? null : hardStateOf(raft);
    const entries = log.unstable.nextEntries();
    const snapshot = log.unstable.nextSnapshot();
    const committed = log.nextCommitted(!asynchronous);
    const softState = this.#isSoftStateKnown() ? null : { lead: raft.lead, role: raft.role };
    const mustSync =
      entries.length > 0 ||
      (hardState !== null &&
        (hardState.term !== this.#hardState.term || hardState.vote !== this.#hardState.vote));
    const { reads, responses, outgoing } = this.#takeQueues();
    const mark = this.#markOf(snapshot);
    log.unstable.acceptInProgress();
    const last = committed[committed.length - 1];
    if (last !== undefined) log.acceptApplying(last.index, entriesBytes(committed), !asynchronous);
    if (softState !== null) this.#softState = softState;
    if (hardState !== null) this.#hardState = hardState;
    const work = { hardState, entries, snapshot, responses, mark };
    const write = asynchronous && isWork(work) ? work : null;
    const application = asynchronous && last !== undefined ? { entries: committed } : null;
    if (write !== null) this.#appends.push(write);
    if (application !== null) this.#applies.push(application);
    const ready: Ready = {
      softState,
      hardState,
      entries,
      snapshot,
      committed,
      messages: asynchronous ? outgoing : withAnswers(outgoing, responses, raft.id),
      reads,
      mustSync,
      append: write,
      apply: application,
    };
    if (!asynchronous) {
      this.#accepted = ready;
      this.#acceptedWork = work;
    }
    return ready;
  }

  /** The last Ready was carried out whole. */
  advance(): void {
    const ready = this.#accepted;
    const work = this.#acceptedWork;
    assert(ready !== null && work !== null, 'a Ready was handed out');
    this.#accepted = null;
    this.#acceptedWork = null;
    for (const response of work.responses) {
      if (response.to === this.#raft.id) step(this.#raft, response);
    }
    if (work.mark !== null) this.markStable(work.mark);
    if (ready.committed.length > 0) this.#entriesApplied(ready.committed);
  }

  /**
   * A write is durable, and its entries, hard state and snapshot are what `storage` says. Answers that
   * waited for it are for the next Ready, or were for this replica. In the order of handing out.
   */
  appended(work: AppendWork): void {
    assert(this.#appends.shift() === work, 'writes end in the order in which they were handed out');
    const raft = this.#raft;
    for (const response of work.responses) {
      if (response.to === raft.id) step(raft, response);
      else raft.messages.push(response);
    }
    if (work.mark !== null) this.markStable(work.mark);
  }

  /** Entries were applied. In the order of handing out. */
  applied(work: ApplyWork): void {
    assert(this.#applies.shift() === work, 'entries are applied in the order of handing out');
    this.#entriesApplied(work.entries);
  }

  /**
   * The part of `appended` after the responses, for a caller that has delivered those itself; such a
   * caller never calls `appended`.
   */
  markStable({ term, index, logTerm, snapshot }: StableMark): void {
    const raft = this.#raft;
    // See StableMark. A snapshot is of what is committed, whatever the term.
    if (term === raft.term && index > 0) raft.log.unstable.stableTo(index, logTerm);
    if (snapshot !== null) snapshotInstalled(raft, snapshot);
  }

  /** No change of the configuration is in this replica's log after this index, applied or not. */
  get lastChangeIndex(): number {
    const { log, configurationIndex } = this.#raft;
    // One that is not installed yet stands for all before it.
    if (this.pendingSnapshot !== null) return this.pendingSnapshot.index;
    return log.lastUnappliedChange()?.index ?? configurationIndex;
  }

  status(): RaftStatus {
    const { id, term, vote, lead, role, log, electionTimeoutTicks, transferTarget, tracker } =
      this.#raft;
    const { configurationIndex, pendingChangeIndex } = this.#raft;
    return {
      id,
      term,
      vote,
      lead,
      role,
      committed: log.committed,
      applied: log.applied,
      lastIndex: log.lastIndex(),
      electionTimeoutTicks,
      transferTarget,
      configuration: tracker.configuration,
      configurationIndex,
      isChangePending: pendingChangeIndex > log.applied,
      members: tracker.members,
    };
  }

  /** Asserts what must hold between any two calls; for tests and the simulator. */
  verify(): void {
    this.#raft.verify();
  }

  /** What waits to go out, taken away; the arrays are the Ready's own from now on. */
  #takeQueues(): Queues {
    const raft = this.#raft;
    const { readStates, afterAppend, messages } = raft;
    if (readStates.length > 0) raft.readStates = [];
    if (afterAppend.length > 0) raft.afterAppend = [];
    if (messages.length > 0) raft.messages = [];
    return {
      reads: readStates.length > 0 ? readStates : noReads,
      responses: afterAppend.length > 0 ? afterAppend : noMessages,
      outgoing: messages.length > 0 ? messages : noMessages,
    };
  }

  #entriesApplied(entries: readonly Entry[]): void {
    const raft = this.#raft;
    const last = entries[entries.length - 1];
    assert(last !== undefined, 'something was applied');
    // Before the index moves: leaving a joint configuration may begin then, and weighs nothing.
    if (raft.uncommittedBytes > 0) raft.uncommittedBytes -= bytesOfTerm(entries, raft.term);
    appliedTo(raft, last.index, entriesBytes(entries));
  }

  #progressOf(id: number): Progress | undefined {
    return this.#raft.role === Role.leader ? this.#raft.tracker.find(id) : undefined;
  }

  /**
   * Up to where the log is durable once everything handed out so far is. It is asked for as long as
   * anything is not known to be durable, not only with new entries: the mark that came with those may
   * have been void, since the term had changed.
   */
  #markOf(snapshot: Snapshot | null): StableMark | null {
    const { log, term } = this.#raft;
    const open = log.unstable.count > 0;
    if (!open && snapshot === null) return null;
    const index = open ? log.lastIndex() : 0;
    return { term, index, logTerm: open ? log.lastTerm() : 0, snapshot };
  }

  #isSoftStateKnown(): boolean {
    return this.#softState.lead === this.#raft.lead && this.#softState.role === this.#raft.role;
  }

  #isHardStateKnown(): boolean {
    const { term, vote, commit } = this.#hardState;
    const raft = this.#raft;
    return term === raft.term && vote === raft.vote && commit === raft.log.committed;
  }
}

function hardStateOf(raft: RaftState): HardState {
  return { term: raft.term, vote: raft.vote, commit: raft.log.committed };
}

/** Bytes of the payloads of one term: those of earlier ones were not counted when it began. */
function bytesOfTerm(entries: readonly Entry[], term: number): number {
  let bytes = 0;
  for (const entry of entries) if (entry.term === term) bytes += entry.payload.length;
  return bytes;
}

/** Messages, and answers to others after them. */
function withAnswers(
  messages: readonly Message[],
  answers: readonly Message[],
  self: number,
): readonly Message[] {
  const others = answers.filter(({ to }) => to !== self);
  return others.length === 0 ? messages : messages.concat(others);
}

function isWork({ hardState, entries, snapshot, responses }: AppendWork): boolean {
  return hardState !== null || entries.length > 0 || snapshot !== null || responses.length > 0;
}
