/** Proposals, from this replica's caller or passed on by a follower. */
import { assert } from '../base/assert.ts';
import {
  appended,
  forwarded,
  full,
  noLeader,
  type ProposeOutcome,
  proposalsStopped,
  proposeChange,
} from './membership.ts';
import { Entry, EntryKind, Message, MessageKind, noReplica } from './message.ts';
import { appendOwn, broadcastAppend } from './replication.ts';
import { type RaftState, Role } from './state.ts';

/** Proposes payloads, which get entries side by side, all or none. */
export function propose(raft: RaftState, payloads: readonly Uint8Array[]): ProposeOutcome {
  assert(payloads.length > 0, 'something is proposed');
  if (raft.role !== Role.leader) return forward(raft, EntryKind.normal, payloads);
  const stopped = proposalsStopped(raft);
  if (stopped !== undefined) return stopped;
  const { term } = raft;
  let index = raft.log.lastIndex();
  const entries: Entry[] = [];
  for (const payload of payloads) {
    index += 1;
    entries.push(new Entry(term, index, EntryKind.normal, payload));
  }
  if (!appendOwn(raft, entries)) return full;
  broadcastAppend(raft);
  return appended;
}

/** Proposes a change, encoded. */
export function proposeEncodedChange(raft: RaftState, payload: Uint8Array): ProposeOutcome {
  if (raft.role !== Role.leader) return forward(raft, EntryKind.change, [payload]);
  return proposeChange(raft, payload);
}

/** Leader: a proposal that a follower has passed on. */
export function handleForwarded(raft: RaftState, message: Message): void {
  const [first] = message.entries;
  if (first === undefined) return;
  const payloads = message.entries.map(({ payload }) => payload);
  if (first.kind === EntryKind.normal) propose(raft, payloads);
  else proposeEncodedChange(raft, first.payload);
}

function forward(
  raft: RaftState,
  kind: EntryKind,
  payloads: readonly Uint8Array[],
): ProposeOutcome {
  if (raft.lead === noReplica || !raft.options.forwardProposals) return noLeader;
  // Without a term and without entries' places: those are the leader's to give.
  const message = new Message(MessageKind.propose, raft.id, raft.lead, 0);
  message.entries = payloads.map((payload) => new Entry(0, 0, kind, payload));
  raft.send(message);
  return forwarded;
}
