/** Reads the answers of the contract (`tuplet/v1/space.proto`). All throw DecodeError. */
import { decodeTuple, limits, malformed, Reader, Timestamp } from '@tuplet/proto';
import { codeOf, TupletError } from './error.ts';
import { readStatus } from './engine/status.ts';
import { factsOf } from './facts.ts';
import type { PreparedTemplate } from './template.ts';
import { fromStored, type Value } from './value.ts';

const VARINT_1 = 0x08;
const VARINT_2 = 0x10;
const VARINT_3 = 0x18;
const VARINT_4 = 0x20;
const VARINT_5 = 0x28;
const VARINT_8 = 0x40;
const LENGTH_1 = 0x0a;
const LENGTH_2 = 0x12;
const LENGTH_4 = 0x22;
const LENGTH_6 = 0x32;
const LENGTH_7 = 0x3a;

/** What a write answers. */
export interface Written {
  /** The tuple's id: it names its partition and is never reused. */
  readonly id: number;
  readonly partition: number;
  /** The position of the write in the partition's log. */
  readonly revision: number;
  /** When the tuple's lease ends; undefined: never. */
  readonly leaseEnd: Timestamp | undefined;
}

/** What a partition knows of a tuple. */
export interface TupleMeta {
  /** Its id: it names its partition and is never reused. */
  readonly id: number;
  readonly partition: number;
  /** The position in the partition's log at which it took its present form. */
  readonly revision: number;
  /** How often it was handed over and given back. */
  readonly deliveries: number;
  /** When its lease ends; undefined: never. */
  readonly leaseEnd: Timestamp | undefined;
  /** When it was written, on the partition's clock. */
  readonly writtenAt: Timestamp | undefined;
  /** `handed` only where the call asked for such tuples. */
  readonly state: 'ready' | 'handed';
}

/** How a read or a take ended. */
export interface Found {
  readonly outcome: 'found' | 'nothing' | 'cancelled';
  readonly tuples: readonly Value[][];
  readonly ids: readonly number[];
}

const metaKey: unique symbol = Symbol('tuplet.meta');

/**
 * What the server knew of a tuple that this SDK returned, when it returned it: its id, partition,
 * revision, deliveries, lease. Undefined for any other array.
 */
export function metaOf(tuple: readonly unknown[]): TupleMeta | undefined {
  return (tuple as { readonly [metaKey]?: TupleMeta })[metaKey];
}

/** Reads a google.protobuf.Timestamp. */
export function readTimestamp(reader: Reader): Timestamp {
  const end = reader.length() + reader.position;
  let seconds = 0;
  let nanos = 0;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === VARINT_1) seconds = reader.int64();
    else if (tag === VARINT_2) nanos = reader.int32();
    else reader.skip(tag);
  }
  return new Timestamp(seconds, nanos);
}

/** The values of an encoded tuple, of whatever size a space may allow, as users read them. */
export function readValues(bytes: Uint8Array): Value[] {
  return decodeTuple(bytes, { tupleBytesMax: limits.tupleBytesMax }).map(fromStored);
}

/** Reads a StoredTuple of `end - position` bytes as the tuple's values, which carry their meta. */
export function readStored(
  reader: Reader,
  end: number,
  template: PreparedTemplate | undefined,
): { readonly values: Value[]; readonly meta: TupleMeta } {
  let bytes: Uint8Array | undefined;
  let id = 0;
  let partition = 0;
  let revision = 0;
  let deliveries = 0;
  let leaseEnd: Timestamp | undefined;
  let writtenAt: Timestamp | undefined;
  let state = 0;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) bytes = reader.lengthDelimited();
    else if (tag === VARINT_2) id = reader.uint64();
    else if (tag === VARINT_3) partition = reader.uint32();
    else if (tag === VARINT_4) revision = reader.uint64();
    else if (tag === VARINT_5) deliveries = reader.uint32();
    else if (tag === LENGTH_6) leaseEnd = readTimestamp(reader);
    else if (tag === LENGTH_7) writtenAt = readTimestamp(reader);
    else if (tag === VARINT_8) state = reader.uint32();
    else reader.skip(tag);
  }
  const values = readValues(bytes ?? new Uint8Array());
  if (bytes !== undefined) template?.convert(values, bytes);
  const meta: TupleMeta = {
    id,
    partition,
    revision,
    deliveries,
    leaseEnd,
    writtenAt,
    state: state === 2 ? 'handed' : 'ready',
  };
  Object.defineProperty(values, metaKey, { value: meta });
  return { values, meta };
}

/** Reads the answer of a read, a take or a cancelled take: outcome 1, found 2. */
export function readFound(
  bytes: Uint8Array,
  start: number,
  end: number,
  template: PreparedTemplate | undefined,
): Found {
  const reader = new Reader(bytes, start, end);
  let outcome = 0;
  const tuples: Value[][] = [];
  const ids: number[] = [];
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === VARINT_1) outcome = reader.uint32();
    else if (tag === LENGTH_2) {
      const { values, meta } = readStored(reader, reader.length() + reader.position, template);
      tuples.push(values);
      ids.push(meta.id);
    } else reader.skip(tag);
  }
  return { outcome: outcome === 3 ? 'cancelled' : outcome === 1 ? 'found' : 'nothing', tuples, ids };
}

/** Reads a Written that lies where the reader stands, with its length. */
function readWritten(reader: Reader): Written {
  const end = reader.length() + reader.position;
  let id = 0;
  let partition = 0;
  let revision = 0;
  let leaseEnd: Timestamp | undefined;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === VARINT_1) id = reader.uint64();
    else if (tag === VARINT_2) partition = reader.uint32();
    else if (tag === VARINT_3) revision = reader.uint64();
    else if (tag === LENGTH_4) leaseEnd = readTimestamp(reader);
    else reader.skip(tag);
  }
  return { id, partition, revision, leaseEnd };
}

/** Reads the answer of Write or WriteIfAbsent (written 1); undefined where nothing was written. */
export function readWriteAnswer(bytes: Uint8Array, start: number, end: number): Written | undefined {
  const reader = new Reader(bytes, start, end);
  let written: Written | undefined;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) written = readWritten(reader);
    else reader.skip(tag);
  }
  return written;
}

/** Reads the answer of Write. */
export function readSureWrite(bytes: Uint8Array, start: number, end: number): Written {
  const written = readWriteAnswer(bytes, start, end);
  if (written === undefined) throw malformed('a write without what was written');
  return written;
}

/** What became of one tuple of `writeMany`. */
export type WriteOutcome =
  | { readonly kind: 'written'; readonly written: Written }
  | { readonly kind: 'failed'; readonly error: TupletError };

/** Reads the answer of WriteMany (outcomes 1: written 1 or error 2). */
export function readOutcomes(bytes: Uint8Array, start: number, end: number): WriteOutcome[] {
  const reader = new Reader(bytes, start, end);
  const outcomes: WriteOutcome[] = [];
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) outcomes.push(readOutcome(reader));
    else reader.skip(tag);
  }
  return outcomes;
}

function readOutcome(reader: Reader): WriteOutcome {
  const end = reader.length() + reader.position;
  let outcome: WriteOutcome | undefined;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) outcome = { kind: 'written', written: readWritten(reader) };
    else if (tag === LENGTH_2) {
      const size = reader.length();
      const start = reader.advance(size);
      const error = readStatus(reader.bytes, start, start + size, factsOf);
      outcome = { kind: 'failed', error };
    } else reader.skip(tag);
  }
  return outcome ?? { kind: 'failed', error: withoutOutcome() };
}

function withoutOutcome(): TupletError {
  return new TupletError({
    reason: 'ANSWER_UNREADABLE',
    code: codeOf(13),
    definite: false,
    retryable: false,
    message: 'the server said nothing of this tuple',
  });
}

/** What `replace` answers. */
export interface Replaced<Tuple> {
  /** The new form. */
  readonly written: Written;
  /** The old form. */
  readonly replaced: Tuple;
}

/** Reads the answer of Replace (written 1, replaced 2); undefined where nothing matched. */
export function readReplaced(
  bytes: Uint8Array,
  start: number,
  end: number,
  template: PreparedTemplate | undefined,
): Replaced<Value[]> | undefined {
  const reader = new Reader(bytes, start, end);
  let written: Written | undefined;
  let replaced: Value[] = [];
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) written = readWritten(reader);
    else if (tag === LENGTH_2) {
      replaced = readStored(reader, reader.length() + reader.position, template).values;
    } else reader.skip(tag);
  }
  return written === undefined ? undefined : { written, replaced };
}

/** Reads the answer of Increment (found 1); undefined where nothing matched. */
export function readIncremented(
  bytes: Uint8Array,
  start: number,
  end: number,
): Value[] | undefined {
  const reader = new Reader(bytes, start, end);
  let found: Value[] | undefined;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) {
      found = readStored(reader, reader.length() + reader.position, undefined).values;
    } else reader.skip(tag);
  }
  return found;
}

/** Reads the first number of an answer: a count, or a bool as 0 or 1. */
export function readNumber(bytes: Uint8Array, start: number, end: number): number {
  const reader = new Reader(bytes, start, end);
  let number = 0;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === VARINT_1) number = reader.uint64();
    else reader.skip(tag);
  }
  return number;
}

/** Reads the first bool of an answer. */
export function readFlag(bytes: Uint8Array, start: number, end: number): boolean {
  return readNumber(bytes, start, end) === 1;
}

/** What `renew` answers. */
export interface Renewed {
  /** When the lease ends now; undefined: never. */
  readonly leaseEnd: Timestamp | undefined;
}

/** Reads the answer of Renew (renewed 1, lease end 2); undefined where the tuple was not there. */
export function readRenewed(bytes: Uint8Array, start: number, end: number): Renewed | undefined {
  const reader = new Reader(bytes, start, end);
  let renewed = false;
  let leaseEnd: Timestamp | undefined;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === VARINT_1) renewed = reader.bool();
    else if (tag === LENGTH_2) leaseEnd = readTimestamp(reader);
    else reader.skip(tag);
  }
  return renewed ? { leaseEnd } : undefined;
}
