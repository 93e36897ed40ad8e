import { type AnyMessage, ErrorInfo, RetryInfo, Status } from './gen/contract.ts';
import { type ErrorReason, errorRows } from './gen/errors.ts';
import { DecodeError, type Problem } from './problem.ts';
import { durationOfMs, msOfDuration } from './time.ts';

export { type ErrorReason, errorRows } from './gen/errors.ts';

/** The numbers of gRPC's status codes. */
export const GrpcCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
/** A name of `GrpcCode`. */
export type GrpcCodeName = keyof typeof GrpcCode;

/** One row of `errors.json`: what an error's reason means to its receiver. */
export interface ErrorRow {
  /** The gRPC status code. */
  readonly code: GrpcCodeName;
  /** Who says it: servers, only clients by themselves, or nobody in this version: room is kept. */
  readonly by: 'server' | 'client' | 'later';
  /** Whether the operation surely did not happen. */
  readonly definite: boolean;
  /** Whether sending the same request again can succeed without a change elsewhere. */
  readonly retryable: boolean;
  /** What it means, a sentence or two. */
  readonly text: string;
  /** What to do. */
  readonly action: string;
}

/** The facts of one error, as they travel in `google.rpc.Status`. */
export interface Failure {
  readonly reason: ErrorReason;
  /** For people: lower-case, with the values that matter, and no data of other callers. */
  readonly message: string;
  /** Further facts by name: `field`, `limit`, `partition`. At most 64 characters a name. */
  readonly metadata?: ReadonlyMap<string, string>;
  /** When to send again, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** A failure as a client reads it: perhaps from a newer server, or from none of ours. */
export interface ReceivedFailure {
  /** A reason of `errors.json`; undefined where the status has none that we know. */
  readonly reason: ErrorReason | undefined;
  /** The reason as sent, and `''` where there is none of our domain. */
  readonly reasonText: string;
  /** The number of the gRPC status code. */
  readonly code: number;
  readonly message: string;
  readonly metadata: ReadonlyMap<string, string>;
  /** Milliseconds; undefined where the server names no time. */
  readonly retryAfterMs: number | undefined;
}

/** The domain of our reasons in `google.rpc.ErrorInfo`. */
export const ERROR_DOMAIN = 'tuplet.dev';
/** The trailer that carries an encoded `google.rpc.Status`. */
export const STATUS_TRAILER = 'grpc-status-details-bin';

const TYPE_PREFIX = 'type.googleapis.com/';

/** The row of a reason. */
export function errorRow(reason: ErrorReason): ErrorRow {
  return errorRows[reason];
}

/** Whether a text is a reason of `errors.json`. */
export function isErrorReason(text: string): text is ErrorReason {
  return Object.hasOwn(errorRows, text);
}

/** The failure that tells a caller about an argument. */
export function failureOf(problem: Problem): Failure {
  const { reason, field, message, limit } = problem;
  const metadata = new Map<string, string>();
  if (field !== '') metadata.set('field', field);
  if (limit !== undefined) metadata.set('limit', String(limit));
  return { reason, message: field === '' ? message : `${field}: ${message}`, metadata };
}

/** The status of a failure: ErrorInfo, and RetryInfo where it names a time. */
export function statusOf(failure: Failure): Status {
  const { reason, message, metadata = new Map<string, string>(), retryAfterMs } = failure;
  const info = ErrorInfo.encode({ reason, domain: ERROR_DOMAIN, metadata });
  const details = [{ typeUrl: TYPE_PREFIX + ErrorInfo.name, value: info }];
  if (retryAfterMs !== undefined) {
    const value = RetryInfo.encode({ retryDelay: durationOfMs(retryAfterMs) });
    details.push({ typeUrl: TYPE_PREFIX + RetryInfo.name, value });
  }
  return { code: GrpcCode[errorRow(reason).code], message, details };
}

/** The status of a failure in bytes: the value of `STATUS_TRAILER`. */
export function encodeStatus(failure: Failure): Uint8Array {
  return Status.encode(statusOf(failure));
}

/** What a status says. Details of other types or domains, and damaged ones, are passed over. */
export function readStatus(status: Status): ReceivedFailure {
  let reasonText = '';
  let metadata: ReadonlyMap<string, string> = new Map();
  let retryAfterMs: number | undefined;
  for (const detail of status.details) {
    const info = detailOf(detail, ErrorInfo);
    if (info?.domain === ERROR_DOMAIN) {
      reasonText = info.reason;
      metadata = info.metadata;
    }
    const delay = detailOf(detail, RetryInfo)?.retryDelay;
    if (delay) retryAfterMs = msOfDuration(delay);
  }
  const reason = isErrorReason(reasonText) ? reasonText : undefined;
  const { code, message } = status;
  return { reason, reasonText, code, message, metadata, retryAfterMs };
}

/** What the bytes of `STATUS_TRAILER` say; undefined where they are no status. */
export function decodeStatus(bytes: Uint8Array): ReceivedFailure | undefined {
  try {
    return readStatus(Status.decode(bytes));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function detailOf<T>(
  detail: AnyMessage,
  codec: { readonly name: string; decode(bytes: Uint8Array): T },
): T | undefined {
  if (detail.typeUrl !== TYPE_PREFIX + codec.name) return undefined;
  try {
    return codec.decode(detail.value);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
