/**
 * One message, in the order of its checks: first its term, which may make this replica a follower or
 * the message void; then votes, which every role answers; then what the role does with it.
 */
import { unreachable } from '../base/assert.ts';
import {
  becomeFollower,
  campaign,
  handleVote,
  handleVoteAnswer,
  hearCommitted,
  isKept,
  refuseOldVote,
} from './election.ts';
import { handleSnapshot } from './membership.ts';
import { Message, MessageKind, noReplica } from './message.ts';
import { handleForwarded } from './propose.ts';
import { handleReadIndex, handleReadIndexAnswer } from './reads.ts';
import {
  handleAppend,
  handleAppendAnswer,
  handleHeartbeat,
  handleHeartbeatAnswer,
} from './replication.ts';
import { type RaftState, Role } from './state.ts';
import { transferLeader } from './transfer.ts';

/** Steps a message of another replica, or an answer to oneself. */
export function step(raft: RaftState, message: Message): void {
  // Forwarded requests have no term: they are for whoever leads.
  if (message.term !== 0 && !settleTerm(raft, message)) return;
  if (message.commitTerm > 0) hearCommitted(raft, message);
  if (message.kind === MessageKind.vote || message.kind === MessageKind.preVote) {
    if (!isKept(raft, message)) handleVote(raft, message);
    return;
  }
  switch (raft.role) {
    case Role.follower:
      stepFollower(raft, message);
      return;
    case Role.candidate:
    case Role.preCandidate:
      stepCandidate(raft, message);
      return;
    case Role.leader:
      stepLeader(raft, message);
      return;
    default:
      unreachable(raft.role);
  }
}

/** Compares terms. False: the message is done with. */
function settleTerm(raft: RaftState, message: Message): boolean {
  const { kind, term } = message;
  if (term < raft.term) {
    answerOldTerm(raft, message);
    return false;
  }
  if (term === raft.term) return true;
  switch (kind) {
    case MessageKind.preVote:
      // Asking for a term does not begin it.
      return !isKept(raft, message);
    case MessageKind.preVoteAnswer:
      // Granted, it has the term that was asked for; refused, the term that the other one is in.
      if (message.reject) becomeFollower(raft, term, noReplica);
      return true;
    case MessageKind.vote:
      if (isKept(raft, message)) return false;
      becomeFollower(raft, term, noReplica);
      return true;
    case MessageKind.append:
    case MessageKind.heartbeat:
    case MessageKind.snapshot:
      becomeFollower(raft, term, message.from);
      return true;
    default:
      becomeFollower(raft, term, noReplica);
      return true;
  }
}

/**
 * A leader of an earlier term may be one that this replica left behind by campaigning alone, and whose
 * voters now keep to it and ignore the campaign: it must learn the term, or neither gets on.
 */
function answerOldTerm(raft: RaftState, message: Message): void {
  const { kind, from } = message;
  if (kind === MessageKind.vote || kind === MessageKind.preVote) {
    refuseOldVote(raft, message);
    return;
  }
  if (kind !== MessageKind.append && kind !== MessageKind.heartbeat) return;
  raft.send(new Message(MessageKind.appendAnswer, raft.id, from, raft.term));
}

function stepFollower(raft: RaftState, message: Message): void {
  switch (message.kind) {
    case MessageKind.append:
    case MessageKind.heartbeat:
    case MessageKind.snapshot:
      hearLeader(raft, message);
      return;
    case MessageKind.timeoutNow:
      // No pre-vote: the leader itself gives way, so nobody is disturbed.
      campaign(raft, true);
      return;
    case MessageKind.readIndexAnswer:
      handleReadIndexAnswer(raft, message);
      return;
    default:
      // Answers to a role that it no longer has, and what was passed on: that is passed on once.
      return;
  }
}

function stepCandidate(raft: RaftState, message: Message): void {
  switch (message.kind) {
    case MessageKind.append:
    case MessageKind.heartbeat:
    case MessageKind.snapshot:
      // Somebody else was elected in this term.
      becomeFollower(raft, raft.term, message.from);
      hearLeader(raft, message);
      return;
    case MessageKind.voteAnswer:
      if (raft.role === Role.candidate) handleVoteAnswer(raft, message);
      return;
    case MessageKind.preVoteAnswer:
      // A candidate may still get answers to its pre-vote, which are no votes, and a pre-candidate a late
      // consent to the term that it is in.
      if (raft.role !== Role.preCandidate) return;
      if (message.reject || message.term > raft.term) handleVoteAnswer(raft, message);
      return;
    default:
      return;
  }
}

function hearLeader(raft: RaftState, message: Message): void {
  raft.electionElapsed = 0;
  raft.lead = message.from;
  raft.lease?.promise();
  switch (message.kind) {
    case MessageKind.append:
      handleAppend(raft, message);
      return;
    case MessageKind.heartbeat:
      handleHeartbeat(raft, message);
      return;
    default:
      handleSnapshot(raft, message);
  }
}

function stepLeader(raft: RaftState, message: Message): void {
  switch (message.kind) {
    case MessageKind.propose:
      handleForwarded(raft, message);
      return;
    case MessageKind.readIndex:
      handleReadIndex(raft, message);
      return;
    case MessageKind.transferLeader:
      transferLeader(raft, message.context);
      return;
    case MessageKind.appendAnswer:
    case MessageKind.heartbeatAnswer: {
      const from = raft.tracker.find(message.from);
      // Whoever was removed is not counted, oneself included.
      if (from === undefined) return;
      if (message.kind === MessageKind.appendAnswer) handleAppendAnswer(raft, from, message);
      else handleHeartbeatAnswer(raft, from, message);
      return;
    }
    default:
      return;
  }
}
