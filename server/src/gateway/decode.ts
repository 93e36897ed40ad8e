/** From the contract's messages to the router's requests: what is missing or out of range is refused. */
import { type ErrorReason, limits, Reader } from '@tuplet/proto';
import type * as contract from '@tuplet/proto/contract';
import { TupleState } from '@tuplet/proto/contract';
import type { Attempt, LogIndex, Sequence, SessionId, TupleId } from '../base/ids.ts';
import {
  callsPerMessageMax,
  durationMsMax,
  manyMax,
  receiptsMax,
  requestIdBytesMax,
  sessionLeaseMsDefault,
  sessionLeaseMsMax,
  sessionLeaseMsMin,
  sessionNameBytesMax,
  writeManyMax,
} from '../base/limits.ts';
import { type Failure, invalid } from '../router/failure.ts';
import type {
  Identity,
  ReplaceRequest,
  Request,
  RequestedTuple,
  SpaceRef,
  States,
} from '../router/request.ts';
import type { SessionOperation } from '../space/command.ts';

/** A request that the contract's words do not make; caught where a call is begun. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

function refuse(reason: ErrorReason, field: string, message: string, limit?: number): never {
  throw new RefusedError(invalid(reason, field, message, limit));
}

/** Every call of Exchange but `end_call`, which is no request of the router's. */
export type RouterCall = Exclude<contract.CallRequest, { readonly kind: 'endCall' }>;

/**
 * The router's request. Properties of frequent ones are named one by one: an object that is spread
 * into a larger one costs 1.5 µs for each property that follows (V8 11).
 * Throws RefusedError. Tuples and templates are views of the message. */
export function requestOf(call: RouterCall): Request {
  switch (call.kind) {
    case 'write': {
      const { space, operation, tuple, lease } = call.value;
      return {
        kind: 'write',
        space: spaceOf(space),
        operation: operationOf(operation),
        tuple: tupleOf(tuple, lease, ''),
      };
    }
    case 'writeMany':
      return { kind: 'write-many', ...head(call.value), tuples: itemsOf(call.value.items) };
    case 'writeIfAbsent':
      return {
        kind: 'write-if-absent',
        ...head(call.value),
        tuple: tupleOf(call.value.tuple, call.value.lease, ''),
        absent: required(call.value.absent, 'absent'),
      };
    case 'read':
    case 'readMany':
      return readOf(call);
    case 'take':
    case 'takeMany':
      return takeOf(call);
    case 'cancelTake':
      return {
        kind: 'cancel-take',
        space: spaceOf(call.value.space),
        operation: sessionOperationOf(call.value.operation),
        template: required(call.value.template, 'template'),
      };
    case 'replace':
      return replaceOf(call.value);
    default:
      return shortRequestOf(call);
  }
}

function shortRequestOf(
  call: Exclude<
    RouterCall,
    {
      readonly kind:
        | 'write'
        | 'writeMany'
        | 'writeIfAbsent'
        | 'read'
        | 'readMany'
        | 'take'
        | 'takeMany'
        | 'cancelTake'
        | 'replace';
    }
  >,
): Request {
  switch (call.kind) {
    case 'increment':
      return {
        kind: 'increment',
        ...head(call.value),
        template: required(call.value.template, 'template'),
        field: call.value.field,
        delta: required(call.value.delta, 'delta'),
      };
    case 'count':
      return {
        kind: 'count',
        space: spaceOf(call.value.space),
        template: call.value.template ?? undefined,
        states: statesOf(call.value.states),
      };
    case 'renew':
      return {
        kind: 'renew',
        ...head(call.value),
        tuple: tupleIdOf(call.value.tupleId, 'tuple_id'),
        leaseMs: leaseOf(call.value.lease, 'lease'),
      };
    case 'cancel':
      return {
        kind: 'cancel',
        ...head(call.value),
        tuple: tupleIdOf(call.value.tupleId, 'tuple_id'),
      };
    case 'acknowledge':
      return acknowledgeOf(call.value);
    case 'openSession':
      return openSessionOf(call.value);
    case 'keepSession':
      return { kind: 'keep-session', session: sessionOf(call.value.sessionId, 'session_id') };
    case 'closeSession':
      return { kind: 'close-session', session: sessionOf(call.value.sessionId, 'session_id') };
  }
}

function head(message: {
  readonly space: contract.SpaceRef | null;
  readonly operation: contract.OperationId | null;
}): { readonly space: SpaceRef; readonly operation: Identity | undefined } {
  return { space: spaceOf(message.space), operation: operationOf(message.operation) };
}

function readOf(call: Extract<RouterCall, { readonly kind: 'read' | 'readMany' }>): Request {
  const { value } = call;
  const many = call.kind === 'readMany' ? call.value : undefined;
  const space = spaceOf(value.space);
  const states = statesOf(value.states);
  const { template, waitMs, max, min } = searchOf(value, many);
  // One node: its replica is the leader's own, so that a fresh answer is what a stale read gets.
  return { kind: 'read', space, states, template, waitMs, max, min };
}

function takeOf(call: Extract<RouterCall, { readonly kind: 'take' | 'takeMany' }>): Request {
  const { value } = call;
  const many = call.kind === 'takeMany' ? call.value : undefined;
  const space = spaceOf(value.space);
  const operation = operationOf(value.operation);
  const { template, waitMs, max, min } = searchOf(value, many);
  return { kind: 'take', space, operation, template, waitMs, max, min };
}

function searchOf(
  message: {
    readonly template: Uint8Array | null;
    readonly wait: contract.DurationMessage | null;
  },
  many: { readonly max: number; readonly min: number } | undefined,
): {
  readonly template: Uint8Array;
  readonly waitMs: number;
  readonly max: number;
  readonly min: number;
} {
  const template = required(message.template, 'template');
  const waitMs = message.wait === null ? Infinity : durationMs(message.wait, 'wait', 0);
  if (many === undefined) return { template, waitMs, max: 1, min: 1 };
  const { max } = many;
  const min = many.min === 0 ? 1 : many.min;
  if (max < 1 || max > manyMax)
    refuse('REQUEST_INVALID', 'max', `${max} is not in 1..${manyMax}`, manyMax);
  if (min > max) refuse('REQUEST_INVALID', 'min', `${min} is above max, which is ${max}`, max);
  return { template, waitMs, max, min };
}

function itemsOf(items: readonly contract.WriteItem[]): readonly RequestedTuple[] {
  if (items.length < 1 || items.length > writeManyMax) {
    const message = `${items.length} tuples are not 1 to ${writeManyMax}`;
    const reason = items.length < 1 ? 'REQUEST_INVALID' : 'REQUEST_TOO_LARGE';
    refuse(reason, 'items', message, writeManyMax);
  }
  return items.map(({ tuple, lease }, position) => tupleOf(tuple, lease, `items[${position}].`));
}

function replaceOf(message: contract.ReplaceRequest): ReplaceRequest {
  const { target, lease } = message;
  if (target === null)
    refuse('REQUEST_INVALID', 'target', 'a replace names a template or a version');
  return {
    kind: 'replace',
    ...head(message),
    target:
      target.kind === 'template'
        ? target.value
        : {
            tuple: tupleIdOf(target.value.tupleId, 'version.tuple_id'),
            revision: target.value.revision as LogIndex,
          },
    bytes: required(message.tuple, 'tuple'),
    leaseMs: lease === null ? 'keep' : durationMs(lease, 'lease', 1),
  };
}

function acknowledgeOf(message: contract.AcknowledgeRequest): Request {
  const { receipts } = message;
  if (receipts.length < 1 || receipts.length > receiptsMax) {
    const text = `${receipts.length} receipts are not 1 to ${receiptsMax}`;
    const reason = receipts.length < 1 ? 'REQUEST_INVALID' : 'REQUEST_TOO_LARGE';
    refuse(reason, 'receipts', text, receiptsMax);
  }
  return {
    kind: 'acknowledge',
    session: sessionOf(message.sessionId, 'session_id'),
    floor: positive(message.floor, 'floor') as Sequence,
    receipts: receipts.map(({ sequence, tupleId }, position) => ({
      sequence: positive(sequence, `receipts[${position}].sequence`) as Sequence,
      tuple: tupleIdOf(tupleId, `receipts[${position}].tuple_id`),
    })),
  };
}

function openSessionOf({ lease, name }: contract.OpenSessionRequest): Request {
  const leaseMs = lease === null ? sessionLeaseMsDefault : durationMs(lease, 'lease', 1);
  if (leaseMs < sessionLeaseMsMin || leaseMs > sessionLeaseMsMax) {
    const message = `a lease of ${leaseMs} ms is not in ${sessionLeaseMsMin}..${sessionLeaseMsMax}`;
    refuse('LEASE_OUT_OF_RANGE', 'lease', message, sessionLeaseMsMax);
  }
  if (Buffer.byteLength(name) > sessionNameBytesMax) {
    const message = `a name of ${Buffer.byteLength(name)} bytes exceeds ${sessionNameBytesMax}`;
    refuse('REQUEST_INVALID', 'name', message, sessionNameBytesMax);
  }
  return { kind: 'open-session', leaseMs, name };
}

/** The space a call names. Throws RefusedError. */
export function spaceOf(ref: contract.SpaceRef | null): SpaceRef {
  if (ref === null) refuse('REQUEST_INVALID', 'space', 'the call names no space');
  const { name, id, mapEpoch } = ref;
  if (id === 0) {
    if (mapEpoch !== 0)
      refuse('REQUEST_INVALID', 'space.map_epoch', 'an epoch goes with an id only');
    return { name };
  }
  if (name !== '')
    refuse('REQUEST_INVALID', 'space.name', 'a space is named or has its id, not both');
  return { id, mapEpoch };
}

function operationOf(id: contract.OperationId | null): Identity | undefined {
  const kind = id?.kind;
  if (kind === null || kind === undefined) return undefined;
  if (kind.kind === 'session') return sessionOperationOf(kind.value, 'operation.session');
  const { length } = kind.value;
  if (length < 1 || length > requestIdBytesMax) {
    const message = `a request id of ${length} bytes is not 1 to ${requestIdBytesMax}`;
    refuse('REQUEST_INVALID', 'operation.request_id', message, requestIdBytesMax);
  }
  return { kind: 'request', requestId: Buffer.from(kind.value).toString('hex') };
}

function sessionOperationOf(
  operation: contract.SessionOperation | null,
  field = 'operation',
): SessionOperation {
  if (operation === null) refuse('REQUEST_INVALID', field, 'the call names no operation');
  const sequence = positive(operation.sequence, `${field}.sequence`) as Sequence;
  const floor = positive(operation.floor, `${field}.floor`) as Sequence;
  if (floor > sequence) {
    const message = `the lowest open sequence ${floor} is above the operation's own, ${sequence}`;
    refuse('REQUEST_INVALID', `${field}.floor`, message);
  }
  return {
    kind: 'session',
    session: sessionOf(operation.sessionId, `${field}.session_id`),
    sequence,
    attempt: positive(operation.attempt, `${field}.attempt`) as Attempt,
    floor,
  };
}

function tupleOf(
  bytes: Uint8Array | null,
  lease: contract.DurationMessage | null,
  path: string,
): RequestedTuple {
  return { bytes: required(bytes, `${path}tuple`), leaseMs: leaseOf(lease, `${path}lease`) };
}

function leaseOf(lease: contract.DurationMessage | null, field: string): number | undefined {
  return lease === null ? undefined : durationMs(lease, field, 1);
}

function statesOf(states: readonly contract.TupleState[]): States {
  if (states.length === 0) return readyOnly;
  const wanted = new Set<'ready' | 'handed'>();
  for (const state of states) wanted.add(state === TupleState.HANDED ? 'handed' : 'ready');
  return [...wanted];
}

const readyOnly: States = ['ready'];

/** Whole milliseconds, rounded up, of at least `leastMs`. Throws RefusedError. */
export function durationMs(
  { seconds, nanos }: contract.DurationMessage,
  field: string,
  leastMs: number,
): number {
  const ms = seconds * 1_000 + Math.ceil(nanos / 1_000_000);
  const whole = nanos >= 0 && nanos <= 999_999_999 && seconds >= 0;
  if (whole && ms >= leastMs && ms <= durationMsMax) return ms;
  const message = `a duration of ${seconds} s and ${nanos} ns is not in ${leastMs} ms to 100 years`;
  const reason = field === 'wait' ? 'WAIT_OUT_OF_RANGE' : 'LEASE_OUT_OF_RANGE';
  return refuse(reason, field, message, durationMsMax);
}

function sessionOf(id: number, field: string): SessionId {
  return positive(id, field) as SessionId;
}

function tupleIdOf(id: number, field: string): TupleId {
  return positive(id, field) as TupleId;
}

function positive(value: number, field: string): number {
  if (value < 1) refuse('REQUEST_INVALID', field, 'the number is missing; it begins at 1');
  return value;
}

function required(bytes: Uint8Array | null, field: string): Uint8Array {
  if (bytes === null) refuse('REQUEST_INVALID', field, 'it is missing');
  return bytes;
}

/**
 * A message as the decoder is to have it. What it reads are views; whoever keeps one copies it by
 * `slice`, which is what that does to a Uint8Array and not to a Buffer.
 */
export function plainBytes(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Holds a message to SPEC's limit; gRPC's own lies a little above. Throws RefusedError. */
export function checkSize(bytes: Uint8Array): void {
  if (bytes.length <= limits.messageBytesMax) return;
  const message = `a request of ${bytes.length} bytes exceeds ${limits.messageBytesMax}`;
  const limit = limits.messageBytesMax;
  throw new RefusedError({ reason: 'REQUEST_TOO_LARGE', message, limit });
}

/** Bytes of the smallest element of a repeated field. */
const elementBytesMin = 2;

/**
 * Holds an Exchange's message to its number of calls before they are decoded: an empty one has two
 * bytes on the wire, and hundreds in memory. Throws RefusedError, and DecodeError.
 */
export function checkCalls(bytes: Uint8Array): void {
  if (bytes.length <= callsPerMessageMax * elementBytesMin) return;
  const reader = new Reader(bytes);
  for (let calls = 0; reader.position < reader.end; calls += 1) {
    if (calls === callsPerMessageMax) {
      const message = `a message of more than ${callsPerMessageMax} calls`;
      refuse('REQUEST_TOO_LARGE', 'calls', message, callsPerMessageMax);
    }
    reader.skip(reader.tag());
  }
}
