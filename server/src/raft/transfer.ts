/** Handing over the leadership (Ongaro 2014 §3.10). */
import { Message, MessageKind, noReplica } from './message.ts';
import { sendAppend, sendTimeoutNow } from './replication.ts';
import { type RaftState, Role } from './state.ts';

/** What became of a wish to hand over. */
export type TransferOutcome = 'begun' | 'forwarded' | 'no-leader' | 'leading' | 'not-a-voter';

/**
 * Hands the leadership to `target`: once it has all there is, it is told to campaign at once. Proposals
 * are refused meanwhile, else it might never have all. Given up after an election timeout.
 */
export function transferLeader(raft: RaftState, target: number): TransferOutcome {
  if (raft.role !== Role.leader) return forward(raft, target);
  if (target === raft.id) {
    raft.transferTarget = noReplica;
    return 'leading';
  }
  const progress = raft.tracker.find(target);
  if (progress === undefined || progress.learner) return 'not-a-voter';
  if (raft.transferTarget === target) return 'begun';
  raft.electionElapsed = 0;
  raft.transferTarget = target;
  if (progress.match === raft.log.lastIndex()) sendTimeoutNow(raft, target);
  else sendAppend(raft, progress, true);
  return 'begun';
}

function forward(raft: RaftState, target: number): TransferOutcome {
  if (raft.role !== Role.follower || raft.lead === noReplica) return 'no-leader';
  const message = new Message(MessageKind.transferLeader, raft.id, raft.lead, 0);
  message.context = target;
  raft.send(message);
  return 'forwarded';
}
