/** Linearizable reads without an entry, both sides (Ongaro 2014 §6.4). The idea is in read-index.ts. */
import { Message, MessageKind, noReplica } from './message.ts';
import type { Progress } from './progress.ts';
import type { PendingRead } from './read-index.ts';
import { type RaftState, Role } from './state.ts';

/** What became of a read: its state comes in a later Ready; or there is nobody to ask, or no room. */
export type ReadOutcome = 'pending' | 'no-leader' | 'full';

/** A read of this replica's caller. `token` comes back in its ReadState; it need not be unique. */
export function readIndex(raft: RaftState, token: number): ReadOutcome {
  if (raft.role === Role.leader) return leaderRead(raft, { from: raft.id, token });
  if (raft.lead === noReplica) return 'no-leader';
  const number = raft.nextReadNumber;
  raft.nextReadNumber += 1;
  raft.forwardedReads.set(number, token);
  // Answers get lost; so the oldest gives way, and its caller has long asked again.
  raft.forwardedReads.delete(number - raft.options.readsMax);
  // Without a term: it asks whoever leads when it arrives.
  const message = new Message(MessageKind.readIndex, raft.id, raft.lead, 0);
  message.context = number;
  raft.send(message);
  return 'pending';
}

/** A follower's read, passed on to this replica. One that does not lead leaves it unanswered. */
export function handleReadIndex(raft: RaftState, message: Message): void {
  if (raft.role !== Role.leader) return;
  leaderRead(raft, { from: message.from, token: message.context });
}

/** Follower: the leader has answered a read. What was not asked for in this life and term is nobody's. */
export function handleReadIndexAnswer(raft: RaftState, message: Message): void {
  const token = raft.forwardedReads.get(message.context);
  if (token === undefined) return;
  raft.forwardedReads.delete(message.context);
  raft.readStates.push({ index: message.index, token });
}

/** Leader: a member has answered a round. */
export function handleRoundAnswer(raft: RaftState, from: Progress, round: number): void {
  if (round <= from.round || round > raft.reads.round) return;
  from.round = round;
  releaseConfirmed(raft);
}

/** Leader: what a majority has confirmed is answered. Its own answer may be all that is needed. */
export function releaseConfirmed(raft: RaftState): void {
  const confirmed = raft.tracker.confirmedRound();
  const sentMs = raft.reads.confirm(confirmed);
  if (sentMs >= 0) raft.lease?.extend(sentMs);
  for (;;) {
    const batch = raft.reads.take(confirmed);
    if (batch === undefined) return;
    for (const read of batch.reads) answer(raft, read, batch.index);
  }
}

/** Leader: something of its term is committed, so it knows what is; reads that waited for that go on. */
export function releaseEarlyReads(raft: RaftState): void {
  if (raft.reads.count === 0 || !answersAlone(raft)) return;
  for (const read of raft.reads.takeWaiting()) answer(raft, read, raft.log.committed);
}

/** Leader: whether reads wait for a round that may begin now. */
export function wantsReadRound(raft: RaftState): boolean {
  return raft.role === Role.leader && raft.reads.wantsRound() && raft.hasCommittedInTerm();
}

function leaderRead(raft: RaftState, read: PendingRead): ReadOutcome {
  if (answersAlone(raft)) {
    answer(raft, read, raft.log.committed);
    return 'pending';
  }
  if (raft.reads.count >= raft.options.readsMax) return 'full';
  raft.reads.add(read);
  return 'pending';
}

/** Whether a leader may answer without asking: it is the only voter, or has the lease. */
export function answersAlone(raft: RaftState): boolean {
  // Before an entry of its own term is committed, a leader does not know what is (§6.4, step 1).
  if (!raft.hasCommittedInTerm()) return false;
  if (raft.tracker.isSingleton() && raft.self()?.learner === false) return true;
  return raft.lease?.isValid() === true;
}

function answer(raft: RaftState, { from, token }: PendingRead, index: number): void {
  if (from === raft.id) {
    raft.readStates.push({ index, token });
    return;
  }
  const message = new Message(MessageKind.readIndexAnswer, raft.id, from, raft.term);
  message.index = index;
  message.context = token;
  raft.send(message);
}
