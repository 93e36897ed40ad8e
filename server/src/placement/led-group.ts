import type { LogIndex } from '../base/ids.ts';
import { caughtUpEntriesMax } from '../base/limits.ts';
import type { LedGroup } from '../cluster/next-change.ts';
import { isJoint } from '../raft/configuration.ts';
import { ProgressState } from '../raft/progress.ts';
import type { RaftStatus } from '../raft/raft-node.ts';

/** What the leader of a group knows of it, in the words of the plans. */
export function ledGroup(status: RaftStatus): LedGroup {
  const { id, configuration, isChangePending, applied, committed, members } = status;
  const member = (replica: number): (typeof members)[number] | undefined =>
    members.find((each) => each.id === replica);
  const isActive = (replica: number): boolean => replica === id || member(replica)?.active === true;
  return {
    self: id,
    configuration: {
      voters: configuration.voters,
      learners: configuration.learners,
      isJoint: isJoint(configuration),
      index: isChangePending ? undefined : (applied as LogIndex),
    },
    isActive,
    isCaughtUp: (replica) => {
      const progress = member(replica);
      if (progress === undefined || !isActive(replica)) return false;
      if (replica !== id && progress.state !== ProgressState.replicate) return false;
      return committed - progress.match <= caughtUpEntriesMax;
    },
  };
}
