/**
 * Who belongs to the group: changes of the configuration, and snapshots, which bring one along.
 *
 * A change is in force at a replica when it is *applied* there (as in etcd; the paper's §6 says when it
 * is appended). That is safe because at most one is between proposal and application at the leader,
 * because nobody campaigns with a committed one that it has not applied, and because whatever moves
 * more than one voter goes through a joint configuration.
 */
import { assert } from '../base/assert.ts';
import { applyChange, type Change, type ChangeRefusal, leavesJoint, Transition } from './change.ts';
import { decodeChange, encodeChange } from './change-codec.ts';
import { assertConfiguration, type Configuration, isJoint, isVoter } from './configuration.ts';
import { becomeFollower } from './election.ts';
import { isLeaving, noteLeaving } from './leaving.ts';
import {
  Entry,
  EntryKind,
  Message,
  MessageKind,
  noBytes,
  noReplica,
  type Snapshot,
} from './message.ts';
import type { Progress } from './progress.ts';
import { appendOwn, broadcastAppend, maybeCommit, sendAppend } from './replication.ts';
import { type RaftState, Role } from './state.ts';
import { transferLeader } from './transfer.ts';

/** Why a leader logs no such change now. */
export type ProposalRefusal = ChangeRefusal | 'change pending';

/**
 * What became of a proposal. `appended`: it is in the leader's log, its last entry at the log's end,
 * and will be committed or, in another term, replaced. `forwarded`: nobody knows. `replaced`: the change
 * cannot be made, for the reason given; an empty entry is in the log in its place. All else: it is
 * certain that nothing was logged.
 */
export type ProposeOutcome =
  | { readonly kind: 'appended' | 'forwarded' | 'no-leader' | 'removed' | 'transferring' | 'full' }
  | { readonly kind: 'replaced'; readonly reason: ProposalRefusal };

/** Outcomes are the same objects each time: proposing is frequent. */
export const appended: ProposeOutcome = { kind: 'appended' };
export const forwarded: ProposeOutcome = { kind: 'forwarded' };
export const noLeader: ProposeOutcome = { kind: 'no-leader' };
export const full: ProposeOutcome = { kind: 'full' };
const removed: ProposeOutcome = { kind: 'removed' };
const transferring: ProposeOutcome = { kind: 'transferring' };

const leaveJointPayload = encodeChange({
  transition: Transition.auto,
  steps: [],
  context: noBytes,
});

/** Leader: what forbids proposals of any kind; undefined where nothing does. */
export function proposalsStopped(raft: RaftState): ProposeOutcome | undefined {
  const self = raft.self();
  if (self === undefined || self.learner || isLeaving(raft)) return removed;
  if (raft.transferTarget !== noReplica) return transferring;
  return undefined;
}

/** Leader: logs a change, or an empty entry where it cannot be made. */
export function proposeChange(raft: RaftState, payload: Uint8Array): ProposeOutcome {
  const stopped = proposalsStopped(raft);
  if (stopped !== undefined) return stopped;
  const index = raft.log.lastIndex() + 1;
  const reason = raft.options.validateChanges ? refusalOf(raft, decodeChange(payload)) : undefined;
  const entry =
    reason === undefined
      ? new Entry(raft.term, index, EntryKind.change, payload)
      : new Entry(raft.term, index, EntryKind.normal, noBytes);
  if (!appendOwn(raft, [entry])) return full;
  if (reason === undefined) {
    raft.pendingChangeIndex = index;
    noteLeaving(raft, entry);
  }
  broadcastAppend(raft);
  return reason === undefined ? appended : { kind: 'replaced', reason };
}

function refusalOf(raft: RaftState, change: Change): ProposalRefusal | undefined {
  if (raft.pendingChangeIndex > raft.log.applied) return 'change pending';
  const { configuration } = raft.tracker;
  if (isJoint(configuration) && !leavesJoint(change)) return 'already joint';
  // Nothing else is under way, so this is the configuration that the change will find.
  const outcome = applyChange(configuration, change);
  return outcome.kind === 'refused' ? outcome.reason : undefined;
}

/** The caller applies an entry of a change: its configuration is in force. */
export function applyChangeEntry(raft: RaftState, entry: Entry): Configuration {
  assert(entry.kind === EntryKind.change, 'only a change changes the configuration');
  assert(entry.index <= raft.log.committed, 'only what is committed is applied');
  // A snapshot that came meanwhile, and is installed, has brought it along.
  if (entry.index <= raft.appliedConfigurationIndex) return raft.appliedConfiguration;
  const outcome = applyChange(raft.appliedConfiguration, decodeChange(entry.payload));
  assert(outcome.kind === 'changed', 'a committed change can be applied');
  const { configuration } = outcome;
  raft.appliedConfiguration = configuration;
  raft.appliedConfigurationIndex = entry.index;
  // One that came and is not installed is in force already.
  if (entry.index > raft.configurationIndex) useConfiguration(raft, configuration, entry.index);
  return configuration;
}

/** At the start: the configuration of the state machine, which is in force as well. */
export function startConfiguration(raft: RaftState, configuration: Configuration): void {
  assertConfiguration(configuration);
  raft.appliedConfiguration = configuration;
  raft.appliedConfigurationIndex = raft.log.applied;
  useConfiguration(raft, configuration, raft.log.applied);
}

/** Puts a configuration in force, with what follows from it for a leader. */
function useConfiguration(raft: RaftState, configuration: Configuration, index: number): void {
  raft.configurationIndex = index;
  raft.tracker.use(configuration, raft.log.lastIndex());
  raft.lease?.drop();
  if (raft.role !== Role.leader) return;
  if (!isVoter(configuration, raft.id)) {
    if (raft.options.onRemoval === 'step-down') becomeFollower(raft, raft.term, noReplica);
    else handOverIfRemoved(raft);
    return;
  }
  if (maybeCommit(raft)) {
    // The new configuration needs fewer.
    broadcastAppend(raft);
  } else {
    for (const member of raft.tracker.members) {
      if (member.id !== raft.id) sendAppend(raft, member, false);
    }
  }
  const target = raft.transferTarget;
  if (target !== noReplica && !isVoter(configuration, target)) raft.transferTarget = noReplica;
}

/**
 * Leader: hands over, if it is to because it is no voter any more, to whoever has most. Until then it
 * brings out what is in its log, and that the change is committed, without counting itself.
 */
export function handOverIfRemoved(raft: RaftState): void {
  const { configuration, members } = raft.tracker;
  if (raft.options.onRemoval !== 'hand-over' || isVoter(configuration, raft.id)) return;
  let best: Progress | undefined;
  for (const member of members) {
    if (member.learner || (best !== undefined && member.match <= best.match)) continue;
    best = member;
  }
  if (best !== undefined) transferLeader(raft, best.id);
}

/** The state machine is at `index`. */
export function appliedTo(raft: RaftState, index: number, bytes: number): void {
  raft.log.appliedTo(Math.max(index, raft.log.applied), bytes);
  leaveJointIfDue(raft);
}

/**
 * Leader: leaves a joint configuration that is to end by itself, once it is applied. Refused during a
 * transfer: then the next leader does it, or this one when it has given the transfer up.
 */
export function leaveJointIfDue(raft: RaftState): void {
  if (raft.role !== Role.leader || !raft.tracker.configuration.autoLeave) return;
  if (raft.log.applied >= raft.pendingChangeIndex) proposeChange(raft, leaveJointPayload);
}

/**
 * Follower: a snapshot takes the place of its log, where it leads beyond what is committed. It need not
 * know this replica yet: the change that adds it may be among the entries that follow.
 */
export function handleSnapshot(raft: RaftState, message: Message): void {
  const { snapshot } = message;
  assert(snapshot !== null, 'a snapshot message brings a snapshot');
  const answer = new Message(MessageKind.appendAnswer, raft.id, message.from, raft.term);
  answer.index = restore(raft, snapshot) ? raft.log.lastIndex() : raft.log.committed;
  raft.send(answer);
}

function restore(raft: RaftState, snapshot: Snapshot): boolean {
  const { log } = raft;
  if (snapshot.index <= log.committed) return false;
  assert(raft.role === Role.follower, 'only a follower gets a snapshot');
  if (log.matches(snapshot.index, snapshot.term)) {
    // All of it is here: it only tells what is committed.
    log.commitTo(snapshot.index);
    return false;
  }
  assertConfiguration(snapshot.configuration);
  log.restore(snapshot);
  useConfiguration(raft, snapshot.configuration, snapshot.index);
  return true;
}

/** A snapshot from the leader is durable, and the state machine is what it says. */
export function snapshotInstalled(raft: RaftState, { index, configuration }: Snapshot): void {
  raft.log.unstable.stableSnapshotTo(index);
  assert(index >= raft.appliedConfigurationIndex, 'a snapshot is ahead of the state machine');
  raft.appliedConfiguration = configuration;
  raft.appliedConfigurationIndex = index;
  appliedTo(raft, index, 0);
}
