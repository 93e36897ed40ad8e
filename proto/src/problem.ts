/** Why bytes or values are refused. Each is a row of `errors.json` with code INVALID_ARGUMENT. */
export type InvalidReason =
  | 'ANY_OF_SIZE'
  | 'DUPLICATE_KEY'
  | 'ENUM_UNKNOWN'
  | 'FIELD_REPEATED'
  | 'KIND_UNKNOWN'
  | 'LIST_TOO_LONG'
  | 'MALFORMED_MESSAGE'
  | 'MATCHER_WITHOUT_KIND'
  | 'NESTED_TOO_DEEP'
  | 'PATTERN_EMPTY'
  | 'PATTERN_TOO_LONG'
  | 'PREFIX_WITHOUT_KIND'
  | 'RANGE_BOUND'
  | 'RANGE_FAMILY'
  | 'RECORD_TOO_LARGE'
  | 'ROUTING_RULE'
  | 'STRING_NOT_UTF8'
  | 'TEMPLATE_ALTERNATIVES'
  | 'TEMPLATE_TOO_LARGE'
  | 'TIMESTAMP_OUT_OF_RANGE'
  | 'TUPLE_ARITY'
  | 'TUPLE_TOO_LARGE'
  | 'UNKNOWN_FIELD'
  | 'VALUE_OUT_OF_RANGE'
  | 'VALUE_WITHOUT_KIND';

/** What is wrong with an argument, where, and which limit it broke. */
export interface Problem {
  /** The reason, as callers see it. */
  readonly reason: InvalidReason;
  /** The path of the field, in the words of the contract: `fields[3].list_value.values[2]`. */
  readonly field: string;
  /** A sentence for people: lower-case, no full stop, with the values that matter. */
  readonly message: string;
  /** The limit that was broken, where there is one. */
  readonly limit?: number;
}

/** Carries a problem to the edge where it becomes an answer. */
export class ProblemError extends Error {
  /** What is wrong. */
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.field === '' ? problem.message : `${problem.field}: ${problem.message}`);
    this.problem = problem;
  }
}

/** Bytes from outside are not what they claim to be. The only thing that decoding throws. */
export class DecodeError extends ProblemError {
  override readonly name = 'DecodeError';
}

/** A value that cannot be encoded was given to an encoder: a mistake of the caller. */
export class EncodeError extends ProblemError {
  override readonly name = 'EncodeError';
}

/** Whether a checked result is a problem. Results are bytes, words or classes; problems have reasons. */
export function isProblem(result: unknown): result is Problem {
  return typeof result === 'object' && result !== null && 'reason' in result && 'field' in result;
}

/** The error for bytes that break a rule; whoever knows where adds the place with `within`. */
export function refuse(reason: InvalidReason, message: string, limit?: number): DecodeError {
  const problem = { reason, field: '', message };
  return new DecodeError(limit === undefined ? problem : { ...problem, limit });
}

/** The same error with `place` before its field; anything but a DecodeError as it is. */
export function within(error: unknown, place: string): unknown {
  if (!(error instanceof DecodeError)) return error;
  return new DecodeError({ ...error.problem, field: place + error.problem.field });
}
