/** The names of gRPC's status codes but OK, in the order of their numbers from 1. */
const codes = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** A gRPC status code by name. */
export type Code = (typeof codes)[number];

/** The name of a status code's number; an unknown number is UNKNOWN. */
export function codeOf(number: number): Code {
  return codes[number - 1] ?? 'UNKNOWN';
}

/** What a TupletError is made of. */
export interface TupletErrorFacts {
  /** See `TupletError.reason`. */
  readonly reason: string;
  /** See `TupletError.code`. */
  readonly code: Code;
  /** See `TupletError.definite`. */
  readonly definite: boolean;
  /** See `TupletError.retryable`. */
  readonly retryable: boolean;
  /** A sentence for people. */
  readonly message: string;
  /** See `TupletError.field`. */
  readonly field?: string | undefined;
  /** See `TupletError.retryAfterMs`. */
  readonly retryAfterMs?: number | undefined;
  /** What led to it. */
  readonly cause?: unknown;
}

/**
 * The one error that Tuplet's SDK rejects with. What happened is in `reason` (the rows of
 * proto/errors.json, and the client's own in `reasons.ts`), not in the message.
 */
export class TupletError extends Error {
  override readonly name = 'TupletError';
  /** Why, in UPPER_SNAKE_CASE: `NO_LEADER`, `SESSION_EXPIRED`, `CANCELLED`. */
  readonly reason: string;
  /** The gRPC status code. */
  readonly code: Code;
  /**
   * Whether the operation surely did not happen. False means that it may have: a take may have
   * removed its tuple (which then comes back), a write may have been written.
   */
  readonly definite: boolean;
  /** Whether the same call may succeed later. The SDK has retried already, within the call's time. */
  readonly retryable: boolean;
  /** The argument at fault, as a path: `fields[2].string_value`. */
  readonly field?: string;
  /** How long the server asks to wait before trying again, in milliseconds. */
  readonly retryAfterMs?: number;

  constructor(facts: TupletErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.reason = facts.reason;
    this.code = facts.code;
    this.definite = facts.definite;
    this.retryable = facts.retryable;
    if (facts.field !== undefined) this.field = facts.field;
    if (facts.retryAfterMs !== undefined) this.retryAfterMs = facts.retryAfterMs;
  }

  /** The error itself, or one that wraps what is none: a mistake in this client. */
  static from(error: unknown): TupletError {
    if (error instanceof TupletError) return error;
    return new TupletError({
      reason: 'INTERNAL',
      code: 'INTERNAL',
      definite: false,
      retryable: false,
      message: String(error),
      cause: error,
    });
  }

  /** The caller aborted before anything was sent. */
  static cancelled(cause: unknown): TupletError {
    return new TupletError({
      reason: 'CANCELLED',
      code: 'CANCELLED',
      definite: true,
      retryable: false,
      message: 'cancelled by the caller',
      cause,
    });
  }

  /** The same error, where an earlier sending of the operation may have acted. */
  asIndefinite(): TupletError {
    if (!this.definite) return this;
    const { reason, code, retryable, message, field, retryAfterMs, cause } = this;
    return new TupletError({
      reason,
      code,
      definite: false,
      retryable,
      message,
      field,
      retryAfterMs,
      cause,
    });
  }
}
