/** Makes TupletErrors of the statuses that servers send (SPEC §10). */
import { decodeStatus, errorRow, type ReceivedFailure } from '@tuplet/proto';
import { type Code, codeOf, TupletError } from '../error.ts';

/** Codes that say surely that nothing happened, where the reason is not in the table. */
const definiteCodes: ReadonlySet<Code> = new Set<Code>([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'UNAUTHENTICATED',
]);

/** What a status without a reason of ours says: from a proxy, or from gRPC itself. */
function factsOfCode(code: Code): { readonly definite: boolean; readonly retryable: boolean } {
  return {
    definite: definiteCodes.has(code),
    retryable: code === 'UNAVAILABLE' || code === 'RESOURCE_EXHAUSTED',
  };
}

/** The error that a status says; its reason's row in errors.json decides, else its code. */
export function errorOf(failure: ReceivedFailure, cause?: unknown): TupletError {
  const { reason, reasonText, message, metadata, retryAfterMs } = failure;
  const code = codeOf(failure.code);
  const facts = reason === undefined ? factsOfCode(code) : errorRow(reason);
  return new TupletError({
    reason: reasonText === '' ? code : reasonText,
    code,
    message,
    definite: facts.definite,
    retryable: facts.retryable,
    field: metadata.get('field'),
    retryAfterMs,
    cause,
  });
}

/** The error in the bytes of a google.rpc.Status. */
export function errorIn(bytes: Uint8Array, start: number, end: number): TupletError {
  const failure = decodeStatus(bytes.subarray(start, end));
  if (failure !== undefined) return errorOf(failure);
  return new TupletError({
    reason: 'ANSWER_UNREADABLE',
    code: 'INTERNAL',
    definite: false,
    retryable: false,
    message: 'the status of the answer cannot be read',
  });
}
