import { NumberMap } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type { Random } from '../base/doors.ts';
import { type Configuration, emptyConfiguration } from './configuration.ts';
import { LeaderLease } from './lease.ts';
import { RaftLog } from './log.ts';
import { type Message, MessageKind, noReplica } from './message.ts';
import { assertOptions, type RaftOptions } from './options.ts';
import { type Progress, ProgressState } from './progress.ts';
import { ReadQueue, type ReadState } from './read-index.ts';
import { Tracker } from './tracker.ts';

/** What a replica is in its group. A pre-candidate asks whether it could win, and changes nothing. */
export const Role = { follower: 0, candidate: 1, leader: 2, preCandidate: 3 } as const;
export type Role = (typeof Role)[keyof typeof Role];

const uint32Count = 2 ** 32;
const lowBits = 20;

/** A number of 52 bits: two of them are the same about never. */
function drawNumber(random: Random): number {
  return random.uint32() * 2 ** lowBits + (random.uint32() >>> (32 - lowBits));
}

/**
 * Everything that one replica of a group knows. The other files of this folder are functions on it:
 * `election.ts`, `replication.ts`, `reads.ts`, `membership.ts` and, for each role, `step.ts`.
 *
 * Durable, through Readys: term, vote, and the log. All else is gone after a restart.
 */
export class RaftState {
  readonly id: number;
  readonly options: RaftOptions;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly lease: LeaderLease | null;

  term = 0;
  vote: number = noReplica;
  role: Role = Role.follower;
  lead: number = noReplica;

  /** May be sent at once. */
  messages: Message[] = [];
  /**
   * Answers that rest on what is being written: they go out when that is durable, those to oneself too.
   * Refusals wait as well, since what they rest on (a vote, a longer log) may be gone after a crash.
   */
  afterAppend: Message[] = [];

  /** Leader: who is to lead instead; proposals are refused meanwhile. */
  transferTarget: number = noReplica;
  /** Leader: no change is proposed before this index is applied. One change is under way at most. */
  pendingChangeIndex = 0;
  /** Leader: the change that removes it, if one is in its log; nothing is proposed before it is applied. */
  leavesAtIndex = 0;
  /** The index of the change or snapshot that brought the configuration in force. */
  configurationIndex = 0;
  /**
   * The configuration of the state machine. The one in force is newer while a snapshot is not installed:
   * entries may be applied meanwhile that were handed out before it came.
   */
  appliedConfiguration: Configuration = emptyConfiguration;
  /** The index of the change or snapshot that brought that one. */
  appliedConfigurationIndex = 0;
  /** Leader: bytes of payloads that are in the log and not yet applied. */
  uncommittedBytes = 0;

  /** Leader: reads of this term. */
  readonly reads: ReadQueue = new ReadQueue();
  /** Follower: reads that were passed on to the leader, by the number they carry. */
  readonly forwardedReads: NumberMap<number> = new NumberMap<number>();
  /**
   * The next such number. It begins at random, so that an answer to an earlier life finds no read: the
   * index it carries may be older than the read that it would be taken for.
   */
  nextReadNumber: number;
  /**
   * This life, at random; votes that were asked for in another one do not count. Requests go out before
   * the term is durable, so a life after a crash may campaign in the same term once more, with a shorter
   * log than the one that was judged.
   */
  readonly life: number;
  /** Answered reads for the next Ready. */
  readStates: ReadState[] = [];

  /** Ticks since the leader was heard, or for a leader since it last checked its quorum. */
  electionElapsed = 0;
  /** Leader: ticks since the last heartbeats. */
  heartbeatElapsed = 0;
  /** Ticks after which this replica campaigns: 1 to 2 times `electionTicks`, drawn anew each time. */
  electionTimeoutTicks = 0;

  constructor(options: RaftOptions) {
    assertOptions(options);
    this.id = options.id;
    this.options = options;
    this.log = new RaftLog(options.storage, options.applyingBytesMax);
    this.tracker = new Tracker(options.inflightMessagesMax, options.inflightBytesMax);
    this.lease = options.lease === null ? null : new LeaderLease(options.lease);
    this.nextReadNumber = drawNumber(options.random);
    this.life = drawNumber(options.random);
  }

  self(): Progress | undefined {
    return this.tracker.find(this.id);
  }

  /** Whether this replica may become leader: a voter whose state machine is not being replaced. */
  isPromotable(): boolean {
    const self = this.self();
    return self !== undefined && !self.learner && this.log.unstable.snapshot === null;
  }

  /** Leader: whether an entry of its term is committed; before that it does not know what is. */
  hasCommittedInTerm(): boolean {
    return this.log.matches(this.log.committed, this.term);
  }

  /** Sends a message, now or when what it rests on is durable. */
  send(message: Message): void {
    const { kind } = message;
    if (
      kind === MessageKind.appendAnswer ||
      kind === MessageKind.voteAnswer ||
      kind === MessageKind.preVoteAnswer
    ) {
      this.afterAppend.push(message);
      return;
    }
    assert(message.to !== this.id, 'only answers are sent to oneself');
    this.messages.push(message);
  }

  /** Begins a term, or a role in the same one. Nothing is kept that belonged to the one before. */
  reset(term: number): void {
    assert(term >= this.term, 'terms do not go back');
    if (this.term !== term) {
      this.term = term;
      this.vote = noReplica;
    }
    this.lead = noReplica;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.drawElectionTimeout();
    this.transferTarget = noReplica;
    const last = this.log.lastIndex();
    this.tracker.clearBallots();
    for (const member of this.tracker.members) {
      member.reset(last + 1, member.id === this.id ? last : 0);
    }
    this.pendingChangeIndex = 0;
    this.leavesAtIndex = 0;
    this.uncommittedBytes = 0;
    this.reads.clear();
    this.forwardedReads.clear();
    this.lease?.reset();
  }

  drawElectionTimeout(): void {
    const { electionTicks, random } = this.options;
    this.electionTimeoutTicks =
      electionTicks + Math.floor((random.uint32() * electionTicks) / uint32Count);
  }

  /** Asserts what holds between any two steps. For tests and the simulator: it walks everything. */
  verify(): void {
    const { log } = this;
    assert(log.applied <= log.applying, 'what is applied was handed out');
    assert(log.applying <= log.committed, 'what is handed out is committed');
    assert(log.committed <= log.lastIndex(), 'what is committed is in the log');
    assert(
      log.firstIndex() - 1 <= log.applied || log.unstable.snapshot !== null,
      'only what is applied is compacted',
    );
    for (const member of this.tracker.members) {
      assert(member.match < member.next, 'what is next comes after what matches');
      if (this.role !== Role.leader) continue;
      assert(member.match <= log.lastIndex(), 'nobody has more than its leader');
      if (member.state === ProgressState.snapshot) continue;
      assert(member.next <= log.lastIndex() + 1, 'nothing was sent that is not there');
    }
    if (this.role === Role.leader) assert(this.lead === this.id, 'a leader knows who leads');
    if (this.role === Role.candidate) assert(this.vote === this.id, 'a candidate votes for itself');
  }
}
