/** How the public cases print what a replica shows and says. */

import { decodeChange } from '../../src/raft/change-codec.ts';
import { type Configuration, isVoter } from '../../src/raft/configuration.ts';
import {
  type Entry,
  EntryKind,
  type HardState,
  type Message,
  MessageKind,
  type Snapshot,
} from '../../src/raft/message.ts';
import { type Progress, ProgressState } from '../../src/raft/progress.ts';
import type { RaftStatus } from '../../src/raft/raft-node.ts';
import type { AppendWork, ApplyWork, Ready, SoftState, StableMark } from '../../src/raft/ready.ts';
import { Role } from '../../src/raft/state.ts';
import { changeKindName, changesText } from './change-notation.ts';

const utf8 = new TextDecoder();

export const messageNames: Readonly<Record<MessageKind, string>> = {
  [MessageKind.propose]: 'MsgProp',
  [MessageKind.append]: 'MsgApp',
  [MessageKind.appendAnswer]: 'MsgAppResp',
  [MessageKind.vote]: 'MsgVote',
  [MessageKind.voteAnswer]: 'MsgVoteResp',
  [MessageKind.preVote]: 'MsgPreVote',
  [MessageKind.preVoteAnswer]: 'MsgPreVoteResp',
  [MessageKind.heartbeat]: 'MsgHeartbeat',
  [MessageKind.heartbeatAnswer]: 'MsgHeartbeatResp',
  [MessageKind.snapshot]: 'MsgSnap',
  [MessageKind.transferLeader]: 'MsgTransferLeader',
  [MessageKind.timeoutNow]: 'MsgTimeoutNow',
  [MessageKind.readIndex]: 'MsgReadIndex',
  [MessageKind.readIndexAnswer]: 'MsgReadIndexResp',
};

const roleNames: Readonly<Record<Role, string>> = {
  [Role.follower]: 'StateFollower',
  [Role.candidate]: 'StateCandidate',
  [Role.leader]: 'StateLeader',
  [Role.preCandidate]: 'StatePreCandidate',
};

const progressNames: Readonly<Record<ProgressState, string>> = {
  [ProgressState.probe]: 'StateProbe',
  [ProgressState.replicate]: 'StateReplicate',
  [ProgressState.snapshot]: 'StateSnapshot',
};

export function entryText(entry: Entry): string {
  const place = `${entry.term}/${entry.index}`;
  if (entry.kind === EntryKind.normal) {
    return `${place} EntryNormal ${JSON.stringify(utf8.decode(entry.payload))}`;
  }
  const change = decodeChange(entry.payload);
  const steps = changesText(change);
  return `${place} ${changeKindName(change)}${steps === '' ? '' : ` ${steps}`}`;
}

export function entriesText(entries: readonly Entry[]): string {
  return entries.map((entry) => `${entryText(entry)}\n`).join('');
}

export function messageText(message: Message, indent = ''): string {
  const { from, to, kind, term } = message;
  const parts = [
    `${indent}${from}->${to} ${messageNames[kind]} Term:${term} Log:${message.logTerm}/${message.index}`,
  ];
  if (message.reject) parts.push(`Rejected (Hint: ${message.hint})`);
  // The public cases' votes say nothing of what is committed.
  if (message.commit !== 0 && message.commitTerm === 0) parts.push(`Commit:${message.commit}`);
  return (
    parts.join(' ') + listText(message.entries, indent) + snapshotPart(message.snapshot, indent)
  );
}

export function appendWorkText(id: number, work: AppendWork, responses: boolean): string {
  const { hardState } = work;
  let text = `${id}->AppendThread MsgStorageAppend Term:${hardState?.term ?? 0} Log:0/0`;
  if (hardState !== null && hardState.commit !== 0) text += ` Commit:${hardState.commit}`;
  if (hardState !== null && hardState.vote !== 0) text += ` Vote:${hardState.vote}`;
  text += listText(work.entries, '') + snapshotPart(work.snapshot, '');
  if (!responses || (work.responses.length === 0 && work.mark === null)) return text;
  const lines = work.responses.map((message) => messageText(message, '  '));
  if (work.mark !== null) lines.push(`  ${markText(id, work.mark, work.snapshot, '  ')}`);
  return `${text} Responses:[\n${lines.join('\n')}\n]`;
}

export function markText(
  id: number,
  mark: StableMark,
  snapshot: Snapshot | null,
  indent = '',
): string {
  const text = `AppendThread->${id} MsgStorageAppendResp Term:${mark.term} Log:${mark.logTerm}/${mark.index}`;
  return text + snapshotPart(snapshot, indent);
}

export function applyWorkText(id: number, work: ApplyWork, response: boolean): string {
  const text = `${id}->ApplyThread MsgStorageApply Term:0 Log:0/0${listText(work.entries, '')}`;
  return response ? `${text} Responses:[\n  ${appliedText(id, work, '  ')}\n]` : text;
}

export function appliedText(id: number, work: ApplyWork, indent = ''): string {
  return `ApplyThread->${id} MsgStorageApplyResp Term:0 Log:0/0${listText(work.entries, indent)}`;
}

export function readyText(id: number, ready: Ready): string {
  const lines: string[] = [];
  if (ready.softState !== null) lines.push(softStateText(ready.softState));
  if (ready.hardState !== null) lines.push(`HardState ${hardStateText(ready.hardState)}`);
  if (ready.entries.length > 0) lines.push('Entries:', ...ready.entries.map(entryText));
  if (ready.snapshot !== null) lines.push(`Snapshot ${snapshotText(ready.snapshot)}`);
  if (ready.committed.length > 0) {
    lines.push('CommittedEntries:', ...ready.committed.map(entryText));
  }
  const messages = ready.messages.map((message) => messageText(message));
  if (ready.append !== null) messages.push(appendWorkText(id, ready.append, true));
  if (ready.apply !== null) messages.push(applyWorkText(id, ready.apply, true));
  if (messages.length > 0) lines.push('Messages:', ...messages);
  if (lines.length === 0) return '<empty Ready>\n';
  return `Ready MustSync=${ready.mustSync}:\n${lines.join('\n')}\n`;
}

export function statusText({ members }: RaftStatus): string {
  return members.map((progress) => `${progressText(progress)}\n`).join('');
}

export function stateText({ id, role, term, lead, configuration }: RaftStatus): string {
  const vote = isVoter(configuration, id) ? '(Voter)' : '(Non-Voter)';
  return `${id}: ${roleNames[role]} ${vote} Term:${term} Lead:${lead}\n`;
}

export function progressText(progress: Progress): string {
  const parts = [
    `${progress.id}: ${progressNames[progress.state]} match=${progress.match} next=${progress.next}`,
  ];
  if (progress.learner) parts.push('learner');
  if (progress.isPaused()) parts.push('paused');
  if (progress.pendingSnapshot > 0) parts.push(`pendingSnap=${progress.pendingSnapshot}`);
  if (!progress.active) parts.push('inactive');
  const { inflights } = progress;
  if (inflights.count > 0) {
    parts.push(`inflight=${inflights.count}${inflights.full() ? '[full]' : ''}`);
  }
  return parts.join(' ');
}

export function configurationText(configuration: Configuration): string {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  let text = `voters=(${voters.join(' ')})`;
  if (outgoing.length > 0) text += `&&(${outgoing.join(' ')})`;
  if (learners.length > 0) text += ` learners=(${learners.join(' ')})`;
  if (learnersNext.length > 0) text += ` learners_next=(${learnersNext.join(' ')})`;
  return autoLeave ? `${text} autoleave` : text;
}

function softStateText({ lead, role }: SoftState): string {
  return `Lead:${lead} State:${roleNames[role]}`;
}

function hardStateText({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === 0 ? '' : ` Vote:${vote}`} Commit:${commit}`;
}

function snapshotText({ index, term, configuration }: Snapshot): string {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  const list = (ids: readonly number[]): string => `[${ids.join(' ')}]`;
  return `Index:${index} Term:${term} ConfState:Voters:${list(voters)} VotersOutgoing:${list(outgoing)} Learners:${list(learners)} LearnersNext:${list(learnersNext)} AutoLeave:${autoLeave}`;
}

function snapshotPart(snapshot: Snapshot | null, indent: string): string {
  return snapshot === null ? '' : `\n${indent}  Snapshot: ${snapshotText(snapshot)}`;
}

function listText(entries: readonly Entry[], indent: string): string {
  const [first] = entries;
  if (first === undefined) return '';
  if (entries.length === 1) return ` Entries:[${entryText(first)}]`;
  const lines = entries.map((entry) => `\n${indent}  ${entryText(entry)}`);
  return ` Entries:[${lines.join('')}\n${indent}]`;
}
