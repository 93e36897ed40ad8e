/**
 * One call of a gateway, as a state machine without timers or promises: the router owns the table
 * of calls, their deadlines and their numbers, and drives each through this interface. 100,000
 * blocked calls are normal, so a call keeps what it needs and no more.
 */
import type { PartitionId, Term } from '../base/ids.ts';
import type { CallId, FromLeader, ToLeader } from '../coordination/messages.ts';
import type { Answer } from './request.ts';

/** What a call may do; the router implements it. */
export interface CallPorts {
  /** Queues a message for a partition's leader. */
  send(to: PartitionId, message: ToLeader): void;
  /** The leadership this node knows of; undefined: none. */
  epochOf(partition: PartitionId): Term | undefined;
  /** Ends the call `number` with its only answer. */
  answer(number: CallId, answer: Answer): void;
  /** Monotonic milliseconds, at the present input of the router. */
  nowMs(): number;
}

/** One call. After it has answered nothing of it is called any more. */
export interface Call {
  /** Sends what begins it. */
  start(): void;
  /** A leader's answer. */
  receive(message: FromLeader): void;
  /** A partition has a new leadership; what is open there is to be sent again. */
  newEpoch(partition: PartitionId, epoch: Term): void;
  /**
   * The link to a partition's leader broke: what was sent there, or answered, may be lost. What is open is
   * sent again when a leadership is known, the same one or another.
   */
  linkBroken(partition: PartitionId): void;
  /** The wait is over: an answer is due. Only for calls that wait. */
  endWait(): void;
  /** The caller asks for the end: "cancelled" or what the call came to. Only calls that wait obey. */
  cancel(): void;
  /** The last moment for an answer has come: the call answers now, with what is known. */
  giveUp(): void;
  /** Nobody listens any more: leaders are told where that saves them work. Nothing is answered. */
  abandon(): void;
}

/**
 * The leadership to ask when one has said that it does not lead (undefined: nobody has): a newer one than who
 * says so and than the one that was asked. Any other would say the same again, at once and for ever.
 */
export function leadershipAfter(
  present: Term | undefined,
  asked: Term | undefined,
  refusedBy: Term | undefined,
): Term | undefined {
  if (present === undefined || refusedBy === undefined) return present;
  return present > Math.max(asked ?? 0, refusedBy) ? present : undefined;
}
