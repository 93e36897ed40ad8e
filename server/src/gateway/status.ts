/** Failures as gRPC carries them: a code, a text, and `google.rpc.Status` with its details. */
import { Metadata, type StatusObject } from '@grpc/grpc-js';
import {
  encodeStatus,
  ProblemError,
  STATUS_TRAILER,
  type Failure as WireFailure,
  statusOf as wireStatusOf,
} from '@tuplet/proto';
import type * as contract from '@tuplet/proto/contract';
import type { Failure } from '../router/failure.ts';
import { refusedArgument } from '../router/routing.ts';
import { RefusedError } from './decode.ts';

/** A failure as `google.rpc.Status`, for replies of Exchange and outcomes of write-many. */
export function statusOf(failure: Failure): contract.Status {
  return wireStatusOf(wireFailureOf(failure));
}

/** A failure as a unary call or a stream ends with it. */
export function grpcStatusOf(failure: Failure): StatusObject {
  const wire = wireFailureOf(failure);
  const metadata = new Metadata();
  metadata.set(STATUS_TRAILER, Buffer.from(encodeStatus(wire)));
  return { code: wireStatusOf(wire).code, details: wire.message, metadata };
}

/** The same, as an error that a stream of grpc-js is ended with. */
export function grpcErrorOf(failure: Failure): Error & StatusObject {
  const status = grpcStatusOf(failure);
  return Object.assign(new Error(status.details), status);
}

/**
 * What anything thrown comes to. A refusal tells why; anything else is a mistake of ours, of which
 * the caller hears no details (SPEC §10).
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof RefusedError) return error.failure;
  if (error instanceof ProblemError) return refusedArgument(error.problem, '');
  return { reason: 'INTERNAL', message: 'the server failed to handle the call' };
}

/** Whether what was thrown is the caller's mistake, and not to be logged as ours. */
export function isRefusal(error: unknown): boolean {
  return error instanceof RefusedError || error instanceof ProblemError;
}

function wireFailureOf({
  reason,
  message,
  field,
  limit,
  partition,
  retryMs,
}: Failure): WireFailure {
  const metadata = new Map<string, string>();
  if (field !== undefined && field !== '') metadata.set('field', field);
  if (limit !== undefined) metadata.set('limit', String(limit));
  if (partition !== undefined) metadata.set('partition', String(partition));
  const text = field === undefined || field === '' ? message : `${field}: ${message}`;
  const wire = { reason, message: text, metadata };
  return retryMs === undefined ? wire : { ...wire, retryAfterMs: retryMs };
}
