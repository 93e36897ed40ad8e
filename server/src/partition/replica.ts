import { assert, present } from '../base/assert.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import type { Change } from '../raft/change.ts';
import { type Configuration, membersOf } from '../raft/configuration.ts';
import type { ProposeOutcome } from '../raft/membership.ts';
import { MemoryStorage, type StoredLog } from '../raft/memory-storage.ts';
import { type Entry, EntryKind, type Message, type Snapshot } from '../raft/message.ts';
import { type RaftOptions, raftDefaults } from '../raft/options.ts';
import { RaftNode } from '../raft/raft-node.ts';
import type { AppendWork, ApplyWork, Ready, StableMark } from '../raft/ready.ts';
import { Role } from '../raft/state.ts';
import type { TransferOutcome } from '../raft/transfer.ts';
import type { HardState, LogEntry } from '../storage/entry.ts';
import { Fifo } from './fifo.ts';

/** What a replica needs of its host. */
export interface ReplicaPorts {
  /** A message for another replica of the group; it may get lost. */
  send(message: Message): void;
  /** Something came in or changed: the group is to be looked at in the next turn. */
  stirred(): void;
}

/** How a replica begins. */
export interface ReplicaStart {
  readonly group: GroupId;
  /** This replica's id, never used by another one of the group. */
  readonly id: number;
  readonly log: StoredLog;
  /** That of the state machine at `applied`. */
  readonly configuration: Configuration;
  /** The last index that the state machine has applied. */
  readonly applied: LogIndex;
}

/** What a turn gives to the write-ahead log, of all groups. */
export interface TurnBatch {
  readonly entries: LogEntry[];
  readonly hardStates: HardState[];
  /** Who waits for it. */
  readonly works: { readonly replica: Replica; readonly work: AppendWork }[];
}

/** A write handed out by the core. */
interface Write {
  readonly work: AppendWork;
  /** A commit index, answers, and nothing that no write before it carries: it ends with that one. */
  readonly isIdle: boolean;
}

/** A snapshot that the core wants installed, with the write that it belongs to. */
export interface Installation {
  readonly snapshot: Snapshot;
  readonly work: AppendWork;
  /** Its commit index is the snapshot's: it is durable with the snapshot's mark, and never before. */
  readonly hardState: HardState;
  /** The last commit index that was given to be written: what may be on disk before the mark. */
  readonly writtenCommit: LogIndex;
}

/**
 * One replica of one group: the Raft core, the durable part of its log in memory, and what became
 * committed and is to be applied. It carries out Readys, except that their writes join the turn's batch.
 */
export class Replica {
  readonly group: GroupId;
  readonly id: number;
  readonly #ports: ReplicaPorts;
  readonly #storage: MemoryStorage;
  readonly #raft: RaftNode;
  /** Handed out to be applied; `#appliedOf` entries of the first are. */
  readonly #applies = new Fifo<ApplyWork>();
  #appliedOf = 0;
  /** Writes under way, oldest first. */
  readonly #writing = new Fifo<Write>();
  /** The newest hard state that is in no batch yet; where only its commit index is new, it can wait. */
  #unwritten: HardState | undefined;
  /** What the last write that is waited for will make durable. */
  #lastMark: StableMark | null = null;
  #writtenTerm: number;
  #writtenVote: number;
  #writtenCommit: LogIndex;
  #installation: Installation | undefined;
  #configuration: Configuration;
  #isAlone: boolean;
  #confirming: (() => void)[] = [];
  readonly #confirmations = new Map<number, readonly (() => void)[]>();
  #nextToken = 1;

  constructor(
    start: ReplicaStart,
    ports: ReplicaPorts,
    options: Partial<RaftOptions> & Pick<RaftOptions, 'random'>,
  ) {
    this.group = start.group;
    this.id = start.id;
    this.#ports = ports;
    this.#storage = new MemoryStorage(start.log);
    const { id, applied, configuration } = start;
    this.#raft = new RaftNode({ ...raftDefaults, ...options, id, applied, storage: this.#storage });
    this.#writtenTerm = start.log.hardState.term;
    this.#writtenVote = start.log.hardState.vote;
    this.#writtenCommit = start.log.hardState.commit as LogIndex;
    this.#configuration = configuration;
    this.#isAlone = isAlone(configuration, id);
  }

  get term(): Term {
    return this.#raft.term as Term;
  }

  get lastIndex(): LogIndex {
    return this.#raft.lastIndex as LogIndex;
  }

  /** Whether it leads its group in `term`. */
  get leads(): boolean {
    return this.#raft.role === Role.leader;
  }

  /** Who leads, as far as it knows; 0: nobody. */
  get lead(): number {
    return this.#raft.lead;
  }

  /** Whether a proposal is logged: it leads, and is not about to hand over or to leave. */
  get admitsProposals(): boolean {
    return this.#raft.admitsProposals;
  }

  /** The configuration of the state machine. */
  get configuration(): Configuration {
    return this.#configuration;
  }

  /** No change of the configuration is in its log after this index, applied or not. */
  get lastChangeIndex(): LogIndex {
    return this.#raft.lastChangeIndex as LogIndex;
  }

  /** Up to where the log is known to be committed, durable here or not. */
  get committed(): LogIndex {
    return this.#raft.committed as LogIndex;
  }

  /** Whether nobody else belongs to its group. */
  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** What can be seen of the core; for tests, the simulator and operators. */
  status(): ReturnType<RaftNode['status']> {
    return this.#raft.status();
  }

  /** Asserts what must hold between turns. */
  verify(): void {
    this.#raft.verify();
  }

  /** Logs a payload, which is the log's from now on. Only where proposals are admitted. */
  propose(payload: Uint8Array): LogIndex {
    const { kind } = this.#raft.propose([payload]);
    // The pipeline of a group is bounded far below what the core admits uncommitted.
    assert(kind === 'appended', 'a leader that admits proposals logs them');
    this.#ports.stirred();
    return this.lastIndex;
  }

  proposeChange(change: Change): ProposeOutcome {
    this.#ports.stirred();
    return this.#raft.proposeChange(change);
  }

  transferLeader(target: number): TransferOutcome {
    this.#ports.stirred();
    return this.#raft.transferLeader(target);
  }

  /** Leader: the voter who has most of its log, and of those one that was heard; undefined: there is none. */
  bestSuccessor(): number | undefined {
    let best: { readonly id: number; readonly match: number; readonly active: boolean } | undefined;
    for (const { id, match, active, learner } of this.#raft.status().members) {
      if (id === this.id || learner) continue;
      const isBetter =
        best === undefined ||
        match > best.match ||
        (match === best.match && active && !best.active);
      if (isBetter) best = { id, match, active };
    }
    return best?.id;
  }

  /** See `RaftNode.resign`. */
  resign(): void {
    this.#ports.stirred();
    this.#raft.resign();
  }

  /** Begins an election at once: of one that is alone, or whose leader is lost. */
  campaign(): void {
    this.#ports.stirred();
    this.#raft.campaign();
  }

  /** See `RaftNode.leaderLost`. */
  leaderLost(id: number): boolean {
    this.#ports.stirred();
    return this.#raft.leaderLost(id);
  }

  /** A tick's time has passed. One that leads alone needs none. */
  tick(): void {
    // What others were asked before they left is answered by the next round.
    if (this.leads && this.#isAlone && this.#confirmations.size === 0) return;
    this.#raft.tick();
    this.#ports.stirred();
  }

  /** What the leader here has not told its followers of is committed up to here; undefined: it owes nothing. */
  get owedCommit(): LogIndex | undefined {
    return this.#raft.owesCommits ? this.committed : undefined;
  }

  /** Tells followers that `index` is committed, those whom no entries told since. */
  tellCommits(index: LogIndex): void {
    this.#raft.tellCommits(index);
    this.#ports.stirred();
  }

  step(message: Message): void {
    this.#raft.step(message);
    this.#ports.stirred();
  }

  /** A snapshot that was sent to a replica has arrived, or has not. */
  reportSnapshot(to: number, arrived: boolean): void {
    this.#raft.reportSnapshot(to, arrived);
    this.#ports.stirred();
  }

  /** L3: runs it once it is sure that this replica still led after this call; never, if it did not. */
  confirm(run: () => void): void {
    if (this.#raft.confirmsAlone) {
      run();
      return;
    }
    if (this.#confirming.length === 0) this.#ports.stirred();
    this.#confirming.push(run);
  }

  /** Nobody waits any more for what a lost leadership would have confirmed. */
  dropConfirmations(): void {
    this.#confirming = [];
    this.#confirmations.clear();
  }

  /** The snapshot to install before anything else happens here; the caller ends it with `installed`. */
  get installation(): Installation | undefined {
    return this.#installation;
  }

  /** Whether the core has accepted a snapshot that is not installed. */
  hasAccepted(snapshot: Snapshot): boolean {
    return this.#raft.pendingSnapshot === snapshot;
  }

  /** Whether `collect` would find something. */
  get hasReady(): boolean {
    return this.#raft.hasReady();
  }

  /** Takes what the core wants done: sends, answers reads, and adds what is to be written to the batch. */
  collect(batch: TurnBatch): void {
    this.#askToConfirm();
    while (this.#installation === undefined && this.#raft.hasReady()) {
      this.#carryOut(this.#raft.ready(), batch);
    }
  }

  /** A write of `collect`'s is durable. In the order in which they were collected. */
  written(work: AppendWork): void {
    assert(this.#writing.shift()?.work === work, 'writes end in order');
    this.#storage.append(work.entries);
    this.#raft.appended(work);
    this.#endIdleWrites();
    this.#ports.stirred();
  }

  /** The snapshot of `installation` is durable with its mark, and is the state machine's state. */
  installed(): void {
    const { snapshot, work } = present(this.#installation, 'a snapshot was to be installed');
    assert(this.#writing.shift()?.work === work, 'writes end in order');
    this.#installation = undefined;
    this.#storage.install(snapshot);
    this.#storage.append(work.entries);
    this.#raft.appended(work);
    this.#use(snapshot.configuration);
    // It led past whatever was handed out before it came and is not applied.
    for (let late = this.#applies.shift(); late !== undefined; late = this.#applies.shift()) {
      this.#raft.applied(late);
    }
    this.#appliedOf = 0;
    this.#endIdleWrites();
    this.#ports.stirred();
  }

  /** A commit index that no write has carried yet, for a batch that is written in any case or in time. */
  takeUnwritten(batch: TurnBatch): boolean {
    if (this.#unwritten === undefined) return false;
    batch.hardStates.push(this.#unwritten);
    this.#writtenCommit = this.#unwritten.commit;
    this.#unwritten = undefined;
    return true;
  }

  /** Whether `nextCommitted` has something. */
  get hasCommitted(): boolean {
    return this.#applies.size > 0;
  }

  /** The next entry to apply, each once and in order; `applied` follows before it is asked again. */
  nextCommitted(): Entry | undefined {
    return this.#applies.first()?.entries[this.#appliedOf];
  }

  /** The entry of `nextCommitted` is applied. */
  applied(entry: Entry): void {
    const work = present(this.#applies.first(), 'what is applied was handed out');
    assert(work.entries[this.#appliedOf] === entry, 'entries are applied in order');
    if (entry.kind === EntryKind.change) this.#use(this.#raft.applyChange(entry));
    this.#appliedOf += 1;
    if (this.#appliedOf < work.entries.length) return;
    this.#applies.shift();
    this.#appliedOf = 0;
    this.#raft.applied(work);
    // Alone there is nobody who could ask for them.
    if (this.#isAlone) this.#storage.trim(entry.index);
    this.#ports.stirred();
  }

  /** A snapshot of one's own is durable: the log in memory need not go back beyond it. */
  snapshotCut(snapshot: Snapshot): void {
    this.#storage.compact(snapshot);
    this.#ports.stirred();
  }

  /** Whether a follower needs a snapshot, and there is none that it could go on from. */
  get wantsSnapshot(): boolean {
    return this.#storage.isSnapshotWanted;
  }

  #askToConfirm(): void {
    if (this.#confirming.length === 0) return;
    const token = this.#nextToken;
    if (this.#raft.readIndex(token) !== 'pending') return;
    this.#nextToken += 1;
    this.#confirmations.set(token, this.#confirming);
    this.#confirming = [];
  }

  #carryOut(ready: Ready, batch: TurnBatch): void {
    for (const message of ready.messages) this.#ports.send(message);
    for (const { token } of ready.reads) {
      const runs = this.#confirmations.get(token);
      this.#confirmations.delete(token);
      if (runs !== undefined) for (const run of runs) run();
    }
    if (ready.append !== null) this.#write(ready.append, batch);
    if (ready.apply !== null) this.#applies.push(ready.apply);
  }

  #write(work: AppendWork, batch: TurnBatch): void {
    const { hardState, entries, snapshot, mark } = work;
    if (hardState !== null) this.#unwritten = { group: this.group, ...hardState } as HardState;
    const { term, vote } = hardState ?? { term: this.#writtenTerm, vote: this.#writtenVote };
    const isIdle =
      entries.length === 0 &&
      snapshot === null &&
      term === this.#writtenTerm &&
      vote === this.#writtenVote &&
      (mark === null || this.#isUnderWay(mark));
    this.#writing.push({ work, isIdle });
    if (!isIdle) this.#lastMark = mark;
    this.#writtenTerm = term;
    this.#writtenVote = vote;
    if (snapshot !== null) this.#install(snapshot, work);
    else if (isIdle) this.#endIdleWrites();
    else {
      for (const entry of entries) batch.entries.push(logEntryOf(this.group, entry));
      this.takeUnwritten(batch);
      batch.works.push({ replica: this, work });
    }
  }

  /** What is written meanwhile may not say that more is committed than the log has: its old end need not be. */
  #install(snapshot: Snapshot, work: AppendWork): void {
    const hardState = present(this.#unwritten, 'a snapshot is newer than what is committed');
    this.#unwritten = undefined;
    this.#installation = { snapshot, work, hardState, writtenCommit: this.#writtenCommit };
  }

  /** Whether the write before, which is not durable, is to make the log so just as far. */
  #isUnderWay({ term, index, logTerm }: StableMark): boolean {
    const last = this.#lastMark;
    if (this.#writing.size === 0 || last === null) return false;
    return last.term === term && last.index === index && last.logTerm === logTerm;
  }

  #endIdleWrites(): void {
    for (let first = this.#writing.first(); first?.isIdle === true; ) {
      this.#writing.shift();
      this.#raft.appended(first.work);
      first = this.#writing.first();
    }
  }

  #use(configuration: Configuration): void {
    this.#configuration = configuration;
    this.#isAlone = isAlone(configuration, this.id);
  }
}

/** Whether a replica is the only member of a configuration. */
export function isAlone(configuration: Configuration, id: number): boolean {
  const members = membersOf(configuration);
  return members.length === 1 && members[0] === id;
}

/** An entry as the write-ahead log takes it. */
export function logEntryOf(group: GroupId, { term, index, kind, payload }: Entry): LogEntry {
  return { group, term: term as Term, index: index as LogIndex, kind, payload };
}
