/** The options of calls. Times are in milliseconds; none of them may be negative or NaN. */
import { clientLimits } from './engine/limits.ts';
import { TupletError } from './error.ts';

/** What every call takes. */
export interface CallOptions {
  /**
   * Milliseconds until the call is given up, retries included; default 30,000, for a call that waits
   * that much beyond its wait, and never for one that waits for ever. A take that times out is
   * cancelled, and resolves with the tuple if it won the race.
   */
  readonly timeoutMs?: number;
  /** Cancels the call: see `Space.take` for what that means to a take. */
  readonly signal?: AbortSignal;
}

/** What calls that wait for a match take. */
export interface WaitOptions extends CallOptions {
  /** Milliseconds to wait for a match; 0: only if one exists; default: for ever. */
  readonly waitMs?: number;
}

/** Which states a read or a count looks at. */
export type TupleState = 'ready' | 'handed';

/** What reads take. */
export interface ReadOptions extends WaitOptions {
  /** The states to look at; default ready alone. */
  readonly states?: readonly TupleState[];
  /** Read from any replica, which may lag; default false. */
  readonly stale?: boolean;
}

/** What writes take. */
export interface WriteOptions extends CallOptions {
  /** Milliseconds until the tuple expires, more than 0; default: never. */
  readonly leaseMs?: number;
}

/** How many tuples. */
export interface ManyOptions {
  /** At most so many, 1 to 1,000; default 1,000. */
  readonly max?: number;
  /** Wait until so many match, 1 to `max`; default 1. More than 1 needs a pinned template. */
  readonly min?: number;
}

function refuse(field: string, value: unknown): never {
  throw new TupletError({
    reason: 'VALUE_OUT_OF_RANGE',
    code: 'INVALID_ARGUMENT',
    definite: true,
    retryable: false,
    message: `${field} is ${String(value)}`,
    field,
  });
}

/** A time in milliseconds, or undefined; throws INVALID_ARGUMENT for what is none. */
export function checkedMs(field: string, ms: number | undefined, least = 0): number | undefined {
  if (ms !== undefined && !(typeof ms === 'number' && ms >= least)) refuse(field, ms);
  return ms;
}

/** The times of a call that may wait `waitMs`. */
export function timesOf(options: WaitOptions | undefined): {
  readonly waitMs: number;
  readonly timeoutMs: number;
} {
  const waitMs = checkedMs('waitMs', options?.waitMs) ?? Number.POSITIVE_INFINITY;
  const timeoutMs =
    checkedMs('timeoutMs', options?.timeoutMs) ?? waitMs + clientLimits.timeoutDefaultMs;
  return { waitMs, timeoutMs };
}

/** The time of a call that never waits. */
export function timeoutOf(options: CallOptions | undefined): number {
  return checkedMs('timeoutMs', options?.timeoutMs) ?? clientLimits.timeoutDefaultMs;
}
