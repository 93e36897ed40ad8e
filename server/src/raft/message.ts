/**
 * What replicas of a group say to each other, and what their log is made of. Terms, indexes and ids
 * of replicas are plain numbers here, since nearly every line computes with them: safe integers,
 * asserted where they enter. 0 means "none" for all three.
 */
import { assert } from '../base/assert.ts';
import type { Configuration } from './configuration.ts';

/** The payload of an entry that carries nothing. */
export const noBytes: Uint8Array = new Uint8Array(0);

/** Entries of a message that carries none. */
export const noEntries: readonly Entry[] = [];

/** No replica: nobody voted for, no leader known. */
export const noReplica = 0;

/** What an entry is for: the group's own user, or the group itself. */
export const EntryKind = { normal: 0, change: 1 } as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

/** Bytes that an entry costs besides its payload, wherever bytes are counted. */
const entryOverheadBytes = 24;

/** One position of the log. Never changed after it is made: log, messages and caller share it. */
export class Entry {
  readonly term: number;
  readonly index: number;
  readonly kind: EntryKind;
  /** Opaque. Empty in the entry with which a leader begins its term. */
  readonly payload: Uint8Array;

  constructor(term: number, index: number, kind: EntryKind, payload: Uint8Array) {
    this.term = term;
    this.index = index;
    this.kind = kind;
    this.payload = payload;
  }
}

/** Bytes of an entry as messages and applying count them. */
export function entryBytes(entry: Entry): number {
  return entry.payload.length + entryOverheadBytes;
}

/** Bytes of some entries as messages and applying count them. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.payload.length + entryOverheadBytes;
  return bytes;
}

/** Bytes of the payloads alone: an empty entry weighs nothing in the bound of the uncommitted log. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.payload.length;
  return bytes;
}

/** What must survive a restart, besides the entries (Ongaro 2014 §3.8). */
export interface HardState {
  readonly term: number;
  /** Whom this replica voted for in that term. */
  readonly vote: number;
  /**
   * Known to be committed. Alone it may be lost; but it must be as durable as the entries that are
   * written with it, or changes of the configuration are not safe (DESIGN.md).
   */
  readonly commit: number;
}

/** The state machine at an index, instead of the entries up to it (Ongaro 2014 §5). */
export interface Snapshot {
  readonly index: number;
  readonly term: number;
  /** The configuration in force at that index. */
  readonly configuration: Configuration;
  /** Opaque: the state itself, or how the host finds it. */
  readonly payload: Uint8Array;
}

export const MessageKind = {
  /** A proposal on its way to the leader. Without a term, like the other two that are forwarded. */
  propose: 0,
  append: 1,
  appendAnswer: 2,
  vote: 3,
  voteAnswer: 4,
  preVote: 5,
  preVoteAnswer: 6,
  heartbeat: 7,
  heartbeatAnswer: 8,
  snapshot: 9,
  transferLeader: 10,
  timeoutNow: 11,
  readIndex: 12,
  readIndexAnswer: 13,
} as const;
export type MessageKind = (typeof MessageKind)[keyof typeof MessageKind];

/** One message, all kinds of one shape. Filled by who makes it and left alone once it is sent. */
export class Message {
  readonly kind: MessageKind;
  readonly from: number;
  readonly to: number;
  /** The sender's term; for a vote, the term that is asked for. 0: the message has none. */
  readonly term: number;
  /** The term at `index`. */
  logTerm = 0;
  /** append: the entry before the first; answers: what is acknowledged, or the `index` refused. */
  index = 0;
  /** append, heartbeat: up to where the log is committed. Votes and their refusals tell it as well. */
  commit = 0;
  /** In a vote or its refusal, the term at `commit`: the receiver may have something else there. */
  commitTerm = 0;
  entries: readonly Entry[] = noEntries;
  /** An answer: no. */
  reject = false;
  /** In a refusal of an append, where the follower believes the logs may still agree. */
  hint = 0;
  /** A number that the answer repeats: the round of a heartbeat, the context of a read. */
  context = 0;
  /** vote: the leader itself asked for this election, so nobody defends it. */
  forced = false;
  snapshot: Snapshot | null = null;
  /** voteAnswer: the voter's wall clock, which its host puts there and the candidate's host reads. */
  wallMs = 0;

  constructor(kind: MessageKind, from: number, to: number, term: number) {
    this.kind = kind;
    this.from = from;
    this.to = to;
    this.term = term;
  }
}

/** Whether only a replica that this one asked something may send such a message. */
export function isAnswer(kind: MessageKind): boolean {
  return (
    kind === MessageKind.appendAnswer ||
    kind === MessageKind.voteAnswer ||
    kind === MessageKind.preVoteAnswer ||
    kind === MessageKind.heartbeatAnswer ||
    kind === MessageKind.readIndexAnswer
  );
}

/** Numbers of a message that comes from outside are checked once, here. */
export function assertNumbers(message: Message): void {
  assert(Number.isSafeInteger(message.term), 'a term is a safe integer');
  assert(Number.isSafeInteger(message.index), 'an index is a safe integer');
  assert(Number.isSafeInteger(message.logTerm), 'a log term is a safe integer');
  assert(Number.isSafeInteger(message.commit), 'a commit index is a safe integer');
  assert(Number.isSafeInteger(message.commitTerm), 'the term of a commit index is a safe integer');
  assert(message.from > 0, 'a message says who sends it');
}
