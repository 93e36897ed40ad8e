import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { decodeStatus, STATUS_TRAILER } from '@tuplet/proto';
import { errorOf } from '../engine/status.ts';
import { codeOf, TupletError } from '../error.ts';

/** What gRPC itself says when a connection cannot be made or breaks. */
const brokenCodes: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.CANCELLED,
  status.INTERNAL,
  status.UNKNOWN,
]);

function isServiceError(error: Error): error is ServiceError {
  return 'code' in error && 'metadata' in error && error.metadata instanceof Metadata;
}

/** The error of a gRPC call: the server's reason where it sent one, else CONNECTION_LOST or its code. */
export function errorOfCall(error: Error): TupletError {
  if (!isServiceError(error)) return TupletError.from(error);
  const trailer = error.metadata.get(STATUS_TRAILER)[0];
  const failure = trailer instanceof Uint8Array ? decodeStatus(trailer) : undefined;
  if (failure !== undefined && failure.reasonText !== '') return errorOf(failure, error);
  const isBroken = brokenCodes.has(error.code);
  const code = codeOf(error.code);
  return new TupletError({
    reason: isBroken
      ? 'CONNECTION_LOST'
      : error.code === status.DEADLINE_EXCEEDED
        ? 'DEADLINE'
        : code,
    code: isBroken ? 'UNAVAILABLE' : code,
    definite: false,
    retryable: isBroken || code === 'RESOURCE_EXHAUSTED',
    message: error.details === '' ? error.message : error.details,
    cause: error,
  });
}

/** The error of a call that ended with this status. */
export function errorOfStatus(ended: StatusObject): TupletError {
  const message = `${ended.code} ${status[ended.code]}: ${ended.details}`;
  return errorOfCall(Object.assign(new Error(message), ended));
}

/** The error of a stream that the server ended in good order. */
export function streamEnded(): TupletError {
  return new TupletError({
    reason: 'CONNECTION_LOST',
    code: 'UNAVAILABLE',
    definite: false,
    retryable: true,
    message: 'the server ended the stream',
  });
}
