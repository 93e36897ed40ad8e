/** Who leads: elections, votes, and the roles (Raft §5.2, §5.4.1; Ongaro 2014 §3.4, §3.6, §9.6). */
import { assert } from '../base/assert.ts';
import { votersOf } from './configuration.ts';
import { noteLeaving } from './leaving.ts';
import { Entry, EntryKind, Message, MessageKind, noBytes, noReplica } from './message.ts';
import { Ballot } from './progress.ts';
import { appendOwn, broadcastAppend } from './replication.ts';
import { type RaftState, Role } from './state.ts';

/** What a campaign came to: it began; or this replica leads already, or may not campaign now. */
export type CampaignOutcome =
  | 'begun'
  | 'leading'
  | 'not-promotable'
  | 'change-unapplied'
  | 'promised';

/** Becomes a follower in a term, of a leader where one is known. */
export function becomeFollower(raft: RaftState, term: number, lead: number): void {
  raft.reset(term);
  raft.lead = lead;
  raft.role = Role.follower;
}

/** Begins an election, where this replica may; `forced`: its leader asked for it. */
export function campaign(raft: RaftState, forced: boolean): CampaignOutcome {
  if (raft.role === Role.leader) return 'leading';
  if (!raft.isPromotable()) return 'not-promotable';
  // It may count by a configuration that is no longer in force.
  if (raft.log.hasUnappliedChange()) return 'change-unapplied';
  if (!forced && raft.lease?.isPromised() === true) return 'promised';
  if (raft.options.preVote && !forced) startPreVote(raft);
  else startVote(raft, forced);
  return 'begun';
}

function startPreVote(raft: RaftState): void {
  assert(raft.role !== Role.leader, 'a leader does not campaign');
  // Term and vote stay as they are: asking must not disturb anybody.
  raft.tracker.clearBallots();
  raft.lead = noReplica;
  raft.role = Role.preCandidate;
  askForVotes(raft, MessageKind.preVote, raft.term + 1, false);
}

function startVote(raft: RaftState, forced: boolean): void {
  assert(raft.role !== Role.leader, 'a leader does not campaign');
  raft.reset(raft.term + 1);
  raft.vote = raft.id;
  raft.role = Role.candidate;
  askForVotes(raft, MessageKind.vote, raft.term, forced);
}

function askForVotes(
  raft: RaftState,
  kind: typeof MessageKind.vote | typeof MessageKind.preVote,
  term: number,
  forced: boolean,
): void {
  for (const voter of votersOf(raft.tracker.configuration)) {
    if (voter === raft.id) {
      // One's own vote counts when it is durable, like any other.
      const own = new Message(answerTo(kind), raft.id, raft.id, term);
      own.context = raft.life;
      raft.send(own);
      continue;
    }
    const message = new Message(kind, raft.id, voter, term);
    message.index = raft.log.lastIndex();
    message.logTerm = raft.log.lastTerm();
    message.forced = forced;
    message.context = raft.life;
    tellCommitted(raft, message);
    raft.send(message);
  }
}

/**
 * Who asks for votes, and who refuses one, says what is committed. One that has the change which removed
 * another, but has not heard that it is committed, counts by the configuration before, and may need the
 * vote of that other one, whose log may be longer, and which never campaigns again.
 */
function tellCommitted({ log }: RaftState, message: Message): void {
  message.commit = log.committed;
  message.commitTerm = log.term(log.committed);
}

/** A vote or its refusal tells what is committed. A leader knows best itself. */
export function hearCommitted(raft: RaftState, { commit, commitTerm }: Message): void {
  const { log } = raft;
  if (raft.role === Role.leader || commit <= log.committed) return;
  if (!log.matches(commit, commitTerm)) return;
  log.commitTo(commit);
  // What it asks for by the configuration before is asked for in vain.
  if (raft.role !== Role.follower && log.hasUnappliedChange()) {
    becomeFollower(raft, raft.term, noReplica);
  }
}

/**
 * Whether a vote is not even considered, since this replica keeps to its leader (Ongaro 2014 §4.2.3);
 * then its term stays as well. A leader that hands over speaks for the election itself.
 */
export function isKept(raft: RaftState, message: Message): boolean {
  if (message.forced) return false;
  if (raft.lease?.isPromised() === true && raft.role !== Role.leader) return true;
  return (
    message.term > raft.term &&
    raft.options.checkQuorum &&
    raft.lead !== noReplica &&
    raft.electionElapsed < raft.options.electionTicks
  );
}

/** Answers a vote or pre-vote of this term, or a pre-vote of a later one. */
export function handleVote(raft: RaftState, message: Message): void {
  const preVote = message.kind === MessageKind.preVote;
  // One vote a term (§5.2): this one again, or the first where no leader is known in the term. Learners
  // vote as well: one may have been made a voter and not know it yet.
  const free =
    raft.vote === message.from ||
    (raft.vote === noReplica && raft.lead === noReplica) ||
    (preVote && message.term > raft.term);
  const granted = free && raft.log.isUpToDate(message.index, message.logTerm);
  // A granted answer has the term that was asked for, which for a pre-vote is not ours.
  const answer = new Message(
    answerTo(message.kind),
    raft.id,
    message.from,
    granted ? message.term : raft.term,
  );
  answer.reject = !granted;
  answer.context = message.context;
  if (!granted) tellCommitted(raft, answer);
  raft.send(answer);
  if (!granted || preVote) return;
  raft.electionElapsed = 0;
  raft.vote = message.from;
}

/**
 * A vote or pre-vote of an earlier term learns of ours, else its sender might never catch up: this replica
 * may campaign as often, and need not know the other one as a voter, whom it would tell its term.
 */
export function refuseOldVote(raft: RaftState, message: Message): void {
  const answer = new Message(answerTo(message.kind), raft.id, message.from, raft.term);
  answer.reject = true;
  answer.context = message.context;
  tellCommitted(raft, answer);
  raft.send(answer);
}

/** Candidate or pre-candidate: counts an answer to the election that is under way. */
export function handleVoteAnswer(raft: RaftState, message: Message): void {
  if (message.context !== raft.life) return;
  raft.tracker.recordBallot(message.from, !message.reject);
  const result = raft.tracker.voteResult();
  if (result === 'pending') return;
  if (result === 'lost') {
    // The answer to a pre-vote may have a term to come, which must not become ours.
    becomeFollower(raft, raft.term, noReplica);
  } else if (raft.role === Role.preCandidate) {
    startVote(raft, false);
  } else if (raft.self()?.ballot === Ballot.granted) {
    becomeLeader(raft);
    broadcastAppend(raft);
  }
  // Else the others are enough, but its own vote is not durable: after a crash it could be elected in
  // this term again, and give other entries the same places.
}

function becomeLeader(raft: RaftState): void {
  assert(raft.role === Role.candidate, 'only a candidate is elected');
  raft.reset(raft.term);
  raft.lead = raft.id;
  raft.role = Role.leader;
  const self = raft.self();
  assert(self !== undefined, 'a leader is a member');
  self.becomeReplicate();
  self.active = true;
  // There may be a change among the entries that are not applied.
  raft.pendingChangeIndex = raft.log.lastIndex();
  const change = raft.log.lastUnappliedChange();
  if (change !== undefined) noteLeaving(raft, change);
  const entry = new Entry(raft.term, raft.log.lastIndex() + 1, EntryKind.normal, noBytes);
  assert(appendOwn(raft, [entry]), 'an empty entry is never refused');
}

function answerTo(kind: MessageKind): MessageKind {
  assert(
    kind === MessageKind.vote || kind === MessageKind.preVote,
    'an answer to a vote answers a vote',
  );
  return kind === MessageKind.vote ? MessageKind.voteAnswer : MessageKind.preVoteAnswer;
}
