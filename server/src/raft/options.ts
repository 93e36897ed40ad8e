import { assert } from '../base/assert.ts';
import type { Random } from '../base/doors.ts';
import {
  appendBytesMax,
  applyingBytesMax,
  electionTicks,
  inflightAppendBytesMax,
  inflightAppendsMax,
  raftReadsMax,
  uncommittedBytesMax,
} from '../base/limits.ts';
import type { LeaseOptions } from './lease.ts';
import type { RaftStorage } from './storage.ts';

/** What a replica is told at its start. All bounds are per group and replica. */
export interface RaftOptions {
  /** From 1. Never given to another replica again, not even on the same node. */
  readonly id: number;
  readonly storage: RaftStorage;
  /** Draws election timeouts and the first number of forwarded reads. */
  readonly random: Random;
  /**
   * The last index that the state machine has applied: at least the start of the log, at most what was
   * known to be committed.
   */
  readonly applied: number;
  /** Ticks without a sign of the leader after which an election may begin; drawn from 1 to 2 times it. */
  readonly electionTicks: number;
  /** Ticks between heartbeats. */
  readonly heartbeatTicks: number;
  /**
   * Writes go on while the next Readys are made, and their completion is told by `appended` and
   * `applied`; else each Ready is carried out whole before `advance`.
   */
  readonly asynchronous: boolean;
  /** Ask whether an election could be won before disturbing the term (Ongaro 2014 §9.6). */
  readonly preVote: boolean;
  /**
   * A leader that hears of no majority for an election timeout steps down, and who hears of a leader
   * helps nobody to depose it (Ongaro 2014 §6.2, §4.2.3).
   */
  readonly checkQuorum: boolean;
  /** Leader leases; null: reads always ask a majority. Needs `checkQuorum`. */
  readonly lease: LeaseOptions | null;
  /**
   * What is committed is told with the next entries, or when the caller asks for it (`tellCommits`), and not by an
   * append of its own, which costs each follower a message, an answer and a turn. A change is told at once.
   */
  readonly lazyCommits: boolean;
  /** Followers pass proposals on. A network that repeats messages then repeats proposals. */
  readonly forwardProposals: boolean;
  /** Refuse changes that cannot be made, when they are proposed. Off only where something above does. */
  readonly validateChanges: boolean;
  /**
   * What a leader does that the configuration no longer has as a voter. `hand-over`: it leads on, without
   * proposals, until it has handed over to a voter; `step-down`: it becomes a follower at once; `stay`: it
   * leads on. Only the first leaves nobody behind: who has not heard that the change is committed may
   * need its vote (DESIGN.md).
   */
  readonly onRemoval: 'hand-over' | 'step-down' | 'stay';
  /** Bytes of entries in one append; a larger entry goes alone. */
  readonly messageBytesMax: number;
  /** Bytes of entries handed out to be applied and not yet applied. */
  readonly applyingBytesMax: number;
  /** Bytes of payloads in a leader's uncommitted log; one proposal may pass it where there is none. */
  readonly uncommittedBytesMax: number;
  /** Appends on their way to one follower. */
  readonly inflightMessagesMax: number;
  /** Bytes on their way to one follower; at least `messageBytesMax`. */
  readonly inflightBytesMax: number;
  /** Reads that wait for a leader's answer or for a round; more are refused. */
  readonly readsMax: number;
}

/** What a server runs with; id, storage, randomness and place are its own. */
export const raftDefaults: Omit<RaftOptions, 'id' | 'storage' | 'random' | 'applied'> = {
  electionTicks,
  heartbeatTicks: 1,
  asynchronous: true,
  preVote: true,
  checkQuorum: true,
  lease: null,
  lazyCommits: false,
  forwardProposals: false,
  validateChanges: true,
  onRemoval: 'hand-over',
  messageBytesMax: appendBytesMax,
  applyingBytesMax,
  uncommittedBytesMax,
  inflightMessagesMax: inflightAppendsMax,
  inflightBytesMax: inflightAppendBytesMax,
  readsMax: raftReadsMax,
};

/** Asserts that options make sense together. */
export function assertOptions(options: RaftOptions): void {
  assert(Number.isSafeInteger(options.id), 'an id is a safe integer');
  assert(options.id > 0, 'ids begin at 1');
  assert(options.heartbeatTicks > 0, 'heartbeats have a distance');
  assert(options.electionTicks > options.heartbeatTicks, 'some heartbeats fit an election timeout');
  assert(options.inflightMessagesMax > 0, 'one append may be on its way');
  assert(options.inflightBytesMax >= options.messageBytesMax, 'a full message may be on its way');
  assert(options.applyingBytesMax > 0, 'something may be applied');
  assert(options.readsMax > 0, 'one read may wait');
  if (options.lease === null) return;
  assert(options.checkQuorum, 'leases rest on voters that keep to their leader');
  assert(options.lease.marginShare > 0, 'clocks differ');
  assert(options.lease.marginShare < 1, 'a margin leaves something');
  assert(options.lease.electionMs > 0, 'an election timeout has a length');
}
