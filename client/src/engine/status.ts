/** Reads google.rpc.Status with ErrorInfo, RetryInfo and BadRequest as TupletError (SPEC §10). */
import { Reader } from '@tuplet/proto';
import { type Code, codeOf, TupletError } from '../error.ts';
import { readDuration } from './envelope.ts';

const VARINT_1 = 0x08;
const LENGTH_1 = 0x0a;
const LENGTH_2 = 0x12;
const LENGTH_3 = 0x1a;

/** What a reason says beside its code (a row of proto/errors.json). */
export interface ReasonFacts {
  readonly definite: boolean;
  readonly retryable: boolean;
}

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

/** What gRPC's own codes say of an error whose reason is not in the table. */
export function factsOfCode(code: Code): ReasonFacts {
  return {
    definite: definiteCodes.has(code),
    retryable: code === 'UNAVAILABLE' || code === 'RESOURCE_EXHAUSTED',
  };
}

interface Details {
  reason: string;
  field: string | undefined;
  retryAfterMs: number | undefined;
}

/** Calls `field` with each field of a message: its tag, and the run of its content if it has one. */
function eachField(
  bytes: Uint8Array,
  start: number,
  end: number,
  field: (tag: number, reader: Reader, contentEnd: number) => void,
): void {
  const reader = new Reader(bytes, start, end);
  while (reader.position < end) {
    const tag = reader.tag();
    if ((tag & 7) !== 2) {
      if (tag === VARINT_1) field(tag, reader, reader.position);
      else reader.skip(tag);
      continue;
    }
    const size = reader.length();
    const contentEnd = reader.position + size;
    field(tag, reader, contentEnd);
    reader.position = contentEnd;
  }
}

function textOf(reader: Reader, end: number): string {
  return new TextDecoder().decode(reader.bytes.subarray(reader.position, end));
}

function readErrorInfo(bytes: Uint8Array, start: number, end: number, into: Details): void {
  eachField(bytes, start, end, (tag, reader, contentEnd) => {
    if (tag === LENGTH_1) into.reason = textOf(reader, contentEnd);
    if (tag !== LENGTH_3) return;
    let key = '';
    let value = '';
    eachField(bytes, reader.position, contentEnd, (entryTag, entry, entryEnd) => {
      if (entryTag === LENGTH_1) key = textOf(entry, entryEnd);
      else if (entryTag === LENGTH_2) value = textOf(entry, entryEnd);
    });
    if (key === 'field') into.field = value;
  });
}

function readBadRequest(bytes: Uint8Array, start: number, end: number, into: Details): void {
  eachField(bytes, start, end, (tag, reader, contentEnd) => {
    if (tag !== LENGTH_1 || into.field !== undefined) return;
    eachField(bytes, reader.position, contentEnd, (inner, violation, violationEnd) => {
      if (inner === LENGTH_1) into.field = textOf(violation, violationEnd);
    });
  });
}

function readDetail(bytes: Uint8Array, start: number, end: number, into: Details): void {
  let type = '';
  eachField(bytes, start, end, (tag, reader, contentEnd) => {
    if (tag === LENGTH_1) type = textOf(reader, contentEnd);
    if (tag !== LENGTH_2) return;
    if (type.endsWith('/google.rpc.ErrorInfo')) {
      readErrorInfo(bytes, reader.position, contentEnd, into);
    } else if (type.endsWith('/google.rpc.BadRequest')) {
      readBadRequest(bytes, reader.position, contentEnd, into);
    } else if (type.endsWith('/google.rpc.RetryInfo')) {
      eachField(bytes, reader.position, contentEnd, (inner, delay, delayEnd) => {
        if (inner === LENGTH_1) {
          into.retryAfterMs = readDuration(bytes, delay.position, delayEnd);
        }
      });
    }
  });
}

/**
 * The error in a google.rpc.Status. `factsOf` knows the reasons of the table; a reason it does not
 * know is judged by its code. Throws DecodeError.
 */
export function readStatus(
  bytes: Uint8Array,
  start: number,
  end: number,
  factsOf: (reason: string) => ReasonFacts | undefined,
): TupletError {
  let number = 0;
  let message = '';
  const details: Details = { reason: '', field: undefined, retryAfterMs: undefined };
  eachField(bytes, start, end, (tag, reader, contentEnd) => {
    if (tag === VARINT_1) number = reader.uint32();
    else if (tag === LENGTH_2) message = textOf(reader, contentEnd);
    else if (tag === LENGTH_3) readDetail(bytes, reader.position, contentEnd, details);
  });
  const code = codeOf(number);
  const facts = factsOf(details.reason) ?? factsOfCode(code);
  return new TupletError({
    reason: details.reason === '' ? code : details.reason,
    code,
    message,
    definite: facts.definite,
    retryable: facts.retryable,
    field: details.field,
    retryAfterMs: details.retryAfterMs,
  });
}
