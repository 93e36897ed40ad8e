/**
 * A leader that is about to leave logs nothing after the change that removes it. Whoever has that
 * change, but has not heard that it is committed, may still need its vote by the configuration before:
 * with a longer log it could never give it.
 */
import { applyChange } from './change.ts';
import { decodeChange } from './change-codec.ts';
import { isVoter } from './configuration.ts';
import type { Entry } from './message.ts';
import type { RaftState } from './state.ts';

/** Leader: a change is in its log; notes whether this replica is no voter after it. */
export function noteLeaving(raft: RaftState, entry: Entry): void {
  if (raft.options.onRemoval !== 'hand-over') return;
  const outcome = applyChange(raft.tracker.configuration, decodeChange(entry.payload));
  if (outcome.kind === 'changed' && !isVoter(outcome.configuration, raft.id)) {
    raft.leavesAtIndex = entry.index;
  }
}

/** Leader: whether such a change waits to be applied. */
export function isLeaving(raft: RaftState): boolean {
  return raft.leavesAtIndex > raft.log.applied;
}
