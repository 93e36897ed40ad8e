/** Time, as a replica sees it: a number of ticks, never caught up in a burst (see DESIGN.md). */

import { becomeFollower, campaign } from './election.ts';
import { handOverIfRemoved, leaveJointIfDue } from './membership.ts';
import { noReplica } from './message.ts';
import { broadcastHeartbeat } from './replication.ts';
import { type RaftState, Role } from './state.ts';

/** One tick has passed. */
export function tick(raft: RaftState): void {
  if (raft.role === Role.leader) tickLeader(raft);
  else tickElection(raft);
}

function tickElection(raft: RaftState): void {
  raft.electionElapsed += 1;
  if (raft.electionElapsed < raft.electionTimeoutTicks || !raft.isPromotable()) return;
  raft.electionElapsed = 0;
  campaign(raft, false);
}

function tickLeader(raft: RaftState): void {
  const { electionTicks, heartbeatTicks, checkQuorum } = raft.options;
  raft.heartbeatElapsed += 1;
  raft.electionElapsed += 1;
  if (raft.electionElapsed >= electionTicks) {
    raft.electionElapsed = 0;
    if (checkQuorum && !keepsQuorum(raft)) return;
    if (raft.transferTarget !== noReplica) giveUpTransfer(raft);
    handOverIfRemoved(raft);
  }
  if (raft.heartbeatElapsed < heartbeatTicks) return;
  raft.heartbeatElapsed = 0;
  broadcastHeartbeat(raft);
}

/** Whoever was to lead did not within an election timeout: proposals go on here. */
function giveUpTransfer(raft: RaftState): void {
  raft.transferTarget = noReplica;
  leaveJointIfDue(raft);
}

/** A leader that a majority does not hear serves nobody, and keeps its followers from electing another. */
function keepsQuorum(raft: RaftState): boolean {
  const active = raft.tracker.quorumActive();
  if (!active) becomeFollower(raft, raft.term, noReplica);
  raft.tracker.clearActive(raft.id);
  return active;
}
