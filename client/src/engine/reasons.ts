/** The errors that the client itself makes. */
import { type Code, TupletError } from '../error.ts';

function make(
  reason: string,
  code: Code,
  message: string,
  facts: { definite: boolean; retryable: boolean; cause?: unknown },
): TupletError {
  return new TupletError({ reason, code, message, ...facts });
}

/** The caller aborted. Definite where the call surely did not and will not happen. */
export function cancelled(definite: boolean, cause: unknown): TupletError {
  const message = definite
    ? 'cancelled by the caller'
    : 'cancelled by the caller after it was sent; it may have happened';
  return make('CANCELLED', 'CANCELLED', message, { definite, retryable: false, cause });
}

/** The call's time is over. */
export function timedOut(definite: boolean, timeoutMs: number, cause: unknown): TupletError {
  const message = definite
    ? `not done within ${timeoutMs} ms`
    : `no answer within ${timeoutMs} ms; it may have happened`;
  return make('DEADLINE', 'DEADLINE_EXCEEDED', message, { definite, retryable: true, cause });
}

/** A cancelled take whose outcome did not become known in time. Its tuple, if any, comes back. */
export function outcomeUnknown(cause: unknown): TupletError {
  const message = 'cancelled, and the server did not say in time whether a tuple was taken';
  return make('OUTCOME_UNKNOWN', 'UNAVAILABLE', message, {
    definite: false,
    retryable: true,
    cause,
  });
}

/** The session's lease ended before the call was answered. */
export function sessionExpired(definite: boolean, cause?: unknown): TupletError {
  const message = 'the session ended before the call was answered; what it took comes back';
  return make('SESSION_EXPIRED', 'FAILED_PRECONDITION', message, {
    definite,
    retryable: true,
    cause,
  });
}

/** The client is closed or closing. */
export function clientClosed(definite: boolean): TupletError {
  const message = 'the client is closed';
  return make('CLIENT_CLOSED', 'FAILED_PRECONDITION', message, { definite, retryable: false });
}

/** Too many calls wait in this client. */
export function clientBusy(message: string): TupletError {
  return make('TOO_MANY_IN_FLIGHT', 'RESOURCE_EXHAUSTED', message, {
    definite: true,
    retryable: true,
  });
}

/** A request that no batch can hold. */
export function requestTooLarge(bytes: number, bytesMax: number): TupletError {
  const message = `request has ${bytes} bytes, limit ${bytesMax}`;
  return make('REQUEST_TOO_LARGE', 'INVALID_ARGUMENT', message, {
    definite: true,
    retryable: false,
  });
}

/** The server's answer is not what the contract says. */
export function answerUnreadable(cause: unknown): TupletError {
  const message = 'the answer cannot be read; nothing of it was acknowledged';
  return make('ANSWER_UNREADABLE', 'INTERNAL', message, {
    definite: false,
    retryable: false,
    cause,
  });
}

/** A server that was met beside others belongs to another cluster. */
export function otherCluster(): TupletError {
  const message = 'the server belongs to another cluster than the others';
  return make('CONNECTION_LOST', 'UNAVAILABLE', message, { definite: false, retryable: true });
}

/** The connection says nothing although it was asked. */
export function silent(): TupletError {
  const message = 'the server does not answer';
  return make('CONNECTION_LOST', 'UNAVAILABLE', message, { definite: false, retryable: true });
}
