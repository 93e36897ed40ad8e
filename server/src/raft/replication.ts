/** Entries from a leader to its followers (Raft §5.3), both sides, and what that commits. */
import { assert } from '../base/assert.ts';
import {
  type Entry,
  entriesBytes,
  Message,
  MessageKind,
  noEntries,
  payloadBytes,
} from './message.ts';
import { type Progress, ProgressState } from './progress.ts';
import { handleRoundAnswer, releaseConfirmed, releaseEarlyReads } from './reads.ts';
import type { RaftState } from './state.ts';

/**
 * Leader: adds entries of its term to its log, and counts itself when they are durable. False where
 * the uncommitted log has no room; entries without payload are never refused, for a term begins and a
 * joint configuration ends with one.
 */
export function appendOwn(raft: RaftState, entries: readonly Entry[]): boolean {
  const bytes = payloadBytes(entries);
  const { uncommittedBytes, options } = raft;
  // One proposal larger than the bound must be possible; so the bound is for what there is already.
  const crowded = uncommittedBytes > 0 && uncommittedBytes + bytes > options.uncommittedBytesMax;
  if (crowded && bytes > 0) return false;
  raft.uncommittedBytes += bytes;
  raft.log.append(entries);
  acknowledgeOwn(raft);
  return true;
}

/** Leader: what it has is acknowledged when it is durable; once for all that it logs between two Readys. */
function acknowledgeOwn(raft: RaftState): void {
  const { afterAppend, id, term } = raft;
  const last = afterAppend[afterAppend.length - 1];
  if (last?.kind === MessageKind.appendAnswer && last.from === id && last.to === id) {
    if (last.term === term) {
      last.index = raft.log.lastIndex();
      return;
    }
  }
  const answer = new Message(MessageKind.appendAnswer, id, id, term);
  answer.index = raft.log.lastIndex();
  raft.send(answer);
}

/** Leader: sends everybody what they lack, or at least the commit index. */
export function broadcastAppend(raft: RaftState): void {
  for (const member of raft.tracker.members) {
    if (member.id !== raft.id) sendAppend(raft, member, true);
  }
}

/**
 * Leader: sends a follower the entries from its `next` on, as far as one message and flow control
 * allow; without any only if `evenEmpty`. Returns whether anything was sent.
 */
export function sendAppend(raft: RaftState, to: Progress, evenEmpty: boolean): boolean {
  if (to.isPaused()) return false;
  const { log } = raft;
  const previous = to.next - 1;
  const previousTerm = log.term(previous);
  // What it needs was compacted; that is no conflict between the logs.
  if (previousTerm < 0) return sendSnapshot(raft, to);
  // With too much under way, an empty append still finds out whether all of it was lost.
  const entries =
    to.state === ProgressState.replicate && to.inflights.full()
      ? noEntries
      : log.entriesFrom(to.next, raft.options.messageBytesMax);
  if (entries.length === 0 && !evenEmpty) return false;
  const message = new Message(MessageKind.append, raft.id, to.id, raft.term);
  message.index = previous;
  message.logTerm = previousTerm;
  message.entries = entries;
  message.commit = log.committed;
  raft.send(message);
  to.sentEntries(entries.length, entriesBytes(entries));
  to.sentCommit(log.committed);
  return true;
}

function sendSnapshot(raft: RaftState, to: Progress): boolean {
  // Nobody knows whether it is there at all; the first sign of life brings us here again.
  if (!to.active) return false;
  const snapshot = raft.log.snapshot();
  if (snapshot === null) return false;
  assert(snapshot.index > 0, 'a snapshot holds something');
  to.becomeSnapshot(snapshot.index);
  const message = new Message(MessageKind.snapshot, raft.id, to.id, raft.term);
  message.snapshot = snapshot;
  raft.send(message);
  return true;
}

/** Leader: tells those who have not been told that the log is committed up to `index`; see `lazyCommits`. */
export function tellCommits(raft: RaftState, index: number): void {
  for (const member of raft.tracker.members) {
    if (member.id !== raft.id && member.canBumpCommit(index)) sendAppend(raft, member, true);
  }
}

/** Leader: whether somebody has not been told what is committed, and has entries that it would commit. */
export function owesCommits(raft: RaftState): boolean {
  const { committed } = raft.log;
  for (const member of raft.tracker.members) {
    if (member.id !== raft.id && !member.isPaused() && member.canBumpCommit(committed)) return true;
  }
  return false;
}

/** Leader: heartbeats for everybody, which are a round for reads and the lease as well. */
export function broadcastHeartbeat(raft: RaftState): void {
  const { log, reads, tracker } = raft;
  const nowMs = raft.lease === null ? 0 : raft.lease.nowMs;
  const round = reads.begin(log.committed, raft.hasCommittedInTerm(), nowMs);
  for (const member of tracker.members) {
    if (member.id === raft.id) {
      member.round = round;
      continue;
    }
    const message = new Message(MessageKind.heartbeat, raft.id, member.id, raft.term);
    // Never beyond what is known to match: the follower may have other entries there.
    message.commit = Math.min(member.match, log.committed);
    message.context = round;
    raft.send(message);
    member.sentCommit(message.commit);
  }
  releaseConfirmed(raft);
}

/** Leader: commits what a majority has. Returns whether that was news. */
export function maybeCommit(raft: RaftState): boolean {
  return raft.log.maybeCommit(raft.tracker.committedIndex(), raft.term);
}

/** Follower: takes a leader's entries, and answers when they are durable. */
export function handleAppend(raft: RaftState, message: Message): void {
  const { log } = raft;
  const answer = new Message(MessageKind.appendAnswer, raft.id, message.from, raft.term);
  if (message.index < log.committed) {
    // An old message, or one sent before a compaction: what is committed matches in any case.
    answer.index = log.committed;
    raft.send(answer);
    return;
  }
  const last = log.maybeAppend(message.index, message.logTerm, message.entries, message.commit);
  if (last >= 0) {
    answer.index = last;
    raft.send(answer);
    return;
  }
  // Skips all entries of terms that the leader's log cannot have there.
  const hint = log.lastPossibleMatch(Math.min(message.index, log.lastIndex()), message.logTerm);
  answer.index = message.index;
  answer.reject = true;
  answer.hint = hint;
  answer.logTerm = Math.max(log.term(hint), 0);
  raft.send(answer);
}

/** Follower: learns what is committed, and shows the leader that it is there. */
export function handleHeartbeat(raft: RaftState, message: Message): void {
  raft.log.commitTo(message.commit);
  const answer = new Message(MessageKind.heartbeatAnswer, raft.id, message.from, raft.term);
  answer.context = message.context;
  raft.send(answer);
}

/** Leader: a follower, or its own disk, has answered an append. */
export function handleAppendAnswer(raft: RaftState, from: Progress, message: Message): void {
  from.active = true;
  if (message.reject) {
    handleRefusal(raft, from, message);
    return;
  }
  assert(
    message.index <= raft.log.lastIndex(),
    'nobody acknowledges what its leader does not have',
  );
  const recovered = from.match === message.index && from.state === ProgressState.probe;
  if (!from.maybeUpdate(message.index) && !recovered) return;
  if (from.state === ProgressState.probe) {
    from.becomeReplicate();
  } else if (from.state === ProgressState.snapshot) {
    // Whichever snapshot it was: what counts is that the log can go on from there.
    if (from.match + 1 >= raft.log.firstIndex()) from.becomeReplicate();
  } else {
    from.inflights.freeTo(message.index);
  }
  const self = from.id === raft.id;
  const lazy = raft.options.lazyCommits && raft.pendingChangeIndex <= raft.log.applied;
  if (maybeCommit(raft)) {
    releaseEarlyReads(raft);
    if (!lazy) broadcastAppend(raft);
  } else if (!self && !lazy && from.canBumpCommit(raft.log.committed)) {
    sendAppend(raft, from, true);
  }
  if (self) return;
  // The window may have room for several messages now.
  let sent = true;
  while (sent) sent = sendAppend(raft, from, false);
  if (from.id === raft.transferTarget && from.match === raft.log.lastIndex()) {
    sendTimeoutNow(raft, from.id);
  }
}

/**
 * The leader's own log tells more than the hint: it goes back over its entries of terms that the
 * follower cannot have there, so that a probe costs a round trip a term and not one an entry (§5.3).
 */
function handleRefusal(raft: RaftState, from: Progress, message: Message): void {
  const hint =
    message.logTerm > 0 ? raft.log.lastPossibleMatch(message.hint, message.logTerm) : message.hint;
  if (!from.maybeDecrease(message.index, hint)) return;
  if (from.state === ProgressState.replicate) from.becomeProbe();
  sendAppend(raft, from, true);
}

/** Leader: a follower is there. */
export function handleHeartbeatAnswer(raft: RaftState, from: Progress, message: Message): void {
  from.active = true;
  from.paused = false;
  // Where everything under way was lost, an empty append finds out.
  if (from.match < raft.log.lastIndex() || from.state === ProgressState.probe) {
    sendAppend(raft, from, true);
  }
  handleRoundAnswer(raft, from, message.context);
}

/** Leader: the transfer's target has all there is, and is to campaign at once. */
export function sendTimeoutNow(raft: RaftState, to: number): void {
  raft.lease?.void();
  raft.send(new Message(MessageKind.timeoutNow, raft.id, to, raft.term));
}
