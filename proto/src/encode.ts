import { compareBytes } from './bytes.ts';
import { defaultTupleLimits, limits, type TupleLimits } from './limits.ts';
import { EncodeError, type InvalidReason } from './problem.ts';
import { ELEMENT_TAG, KEY_TAG, StoredTag, VALUE_TAG } from './stored.ts';
import { Float, isTimestamp, Timestamp, type TupleBytes, type Value } from './value.ts';
import { Writer } from './wire.ts';

const shared = new Writer(4_096);

function refuse(
  reason: InvalidReason,
  field: string,
  message: string,
  limit?: number,
): EncodeError {
  return new EncodeError(
    limit === undefined ? { reason, field, message } : { reason, field, message, limit },
  );
}

/**
 * The stored encoding of a tuple, canonical. Throws EncodeError, which names the field, for what no
 * tuple can hold.
 */
export function encodeTuple(
  fields: readonly Value[],
  bounds: TupleLimits = defaultTupleLimits,
): TupleBytes {
  shared.reset();
  writeTuple(shared, fields, bounds);
  return shared.finish() as TupleBytes;
}

/** The stored encoding of one value, as in a field of a tuple. Throws EncodeError. */
export function encodeValue(value: Value): Uint8Array {
  shared.reset();
  writeValue(shared, value, 0);
  return shared.finish();
}

/** Writes a tuple where the writer stands: its stored encoding alone, without tag or length. */
export function writeTuple(
  writer: Writer,
  fields: readonly Value[],
  bounds: TupleLimits = defaultTupleLimits,
): void {
  const arity = fields.length;
  if (arity < 1 || arity > limits.arityMax) {
    const message = `tuple has ${arity} fields, limit 1 to ${limits.arityMax}`;
    throw refuse('TUPLE_ARITY', 'fields', message, limits.arityMax);
  }
  const start = writer.position;
  let i = 0;
  try {
    for (; i < arity; i += 1) {
      writer.byte(ELEMENT_TAG);
      const mark = writer.open();
      writeValue(writer, fields[i] as Value, 0);
      writer.close(mark);
    }
  } catch (error) {
    throw placed(error, `fields[${i}]`);
  }
  const size = writer.position - start;
  if (size > bounds.tupleBytesMax) {
    const message = `tuple has ${size} bytes, limit ${bounds.tupleBytesMax}`;
    throw refuse('TUPLE_TOO_LARGE', '', message, bounds.tupleBytesMax);
  }
}

/** The same error with `place` before its field; anything but an EncodeError as it is. */
function placed(error: unknown, place: string): unknown {
  if (!(error instanceof EncodeError)) return error;
  return new EncodeError({ ...error.problem, field: place + error.problem.field });
}

/** Writes a value's stored encoding where the writer stands; `depth` lists are around it. Throws EncodeError. */
export function writeValue(writer: Writer, value: Value, depth = 0): void {
  switch (typeof value) {
    case 'string':
      refuseSize(value.length);
      writer.byte(StoredTag.STRING);
      writer.string(value);
      return;
    case 'number':
      writeNumber(writer, value);
      return;
    case 'boolean':
      writer.byte(StoredTag.BOOL);
      writer.byte(value ? 1 : 0);
      return;
    case 'bigint':
      writer.byte(StoredTag.INT);
      writer.sint64(value);
      return;
    case 'object':
      writeObject(writer, value, depth);
      return;
    default:
      throw refuse('VALUE_WITHOUT_KIND', '', `${typeof value} is no value`);
  }
}

function writeNumber(writer: Writer, value: number): void {
  if (Number.isSafeInteger(value)) {
    writer.byte(StoredTag.INT);
    writer.sint64(value);
  } else writeFloat(writer, value);
}

/** NaN has one pattern: DataView keeps the payload of the NaN it is given, so ours is written out. */
function writeFloat(writer: Writer, value: number): void {
  writer.byte(StoredTag.FLOAT);
  if (!Number.isNaN(value)) writer.double(value);
  else {
    writer.fixed32(0);
    writer.fixed32(0x7ff8_0000);
  }
}

function writeObject(writer: Writer, value: Value & (object | null), depth: number): void {
  if (value === null) {
    writer.byte(StoredTag.NULL);
    writer.byte(0);
  } else if (value instanceof Float) writeFloat(writer, value.value);
  else if (value instanceof Uint8Array) {
    refuseSize(value.length);
    writer.byte(StoredTag.BYTES);
    writer.lengthDelimited(value);
  } else if (value instanceof Timestamp) writeTimestamp(writer, value);
  else if (value instanceof Map) writeRecord(writer, value, depth + 1);
  else if (Array.isArray(value)) writeList(writer, value, depth + 1);
  else throw refuse('VALUE_WITHOUT_KIND', '', 'object is no value');
}

function writeTimestamp(writer: Writer, value: Timestamp): void {
  if (!isTimestamp(value.seconds, value.nanos)) {
    const message = `timestamp of ${value.seconds} s and ${value.nanos} ns is outside 64-bit nanoseconds`;
    throw refuse('TIMESTAMP_OUT_OF_RANGE', '', message);
  }
  writer.byte(StoredTag.TIMESTAMP);
  const mark = writer.open();
  if (value.seconds !== 0) {
    writer.byte(0x08);
    writer.int64(value.seconds);
  }
  if (value.nanos !== 0) {
    writer.byte(0x10);
    writer.uint32(value.nanos);
  }
  writer.close(mark);
}

/** Recursion over user data is bounded by `limits.valueDepthMax`, here and in `writeRecord`. */
function writeList(writer: Writer, values: readonly Value[], depth: number): void {
  refuseDepth(depth);
  const length = values.length;
  if (length > limits.listLengthMax) {
    const message = `list has ${length} elements, limit ${limits.listLengthMax}`;
    throw refuse('LIST_TOO_LONG', '', message, limits.listLengthMax);
  }
  writer.byte(StoredTag.LIST);
  const mark = writer.open();
  let i = 0;
  try {
    for (; i < length; i += 1) {
      writer.byte(ELEMENT_TAG);
      const element = writer.open();
      writeValue(writer, values[i] as Value, depth);
      writer.close(element);
    }
  } catch (error) {
    throw placed(error, `.list_value.values[${i}]`);
  }
  writer.close(mark);
}

function writeRecord(writer: Writer, record: ReadonlyMap<string, Value>, depth: number): void {
  refuseDepth(depth);
  if (record.size > limits.recordKeysMax) {
    const message = `record has ${record.size} keys, limit ${limits.recordKeysMax}`;
    throw refuse('RECORD_TOO_LARGE', '', message, limits.recordKeysMax);
  }
  writer.byte(StoredTag.RECORD);
  const mark = writer.open();
  for (const [key, value] of inKeyOrder(record)) {
    try {
      writeEntry(writer, key, value, depth);
    } catch (error) {
      throw placed(error, `.record_value.entries[${JSON.stringify(key)}]`);
    }
  }
  writer.close(mark);
}

function writeEntry(writer: Writer, key: string, value: Value, depth: number): void {
  writer.byte(ELEMENT_TAG);
  const entry = writer.open();
  writer.byte(KEY_TAG);
  writer.string(key);
  writer.byte(VALUE_TAG);
  const content = writer.open();
  writeValue(writer, value, depth);
  writer.close(content);
  writer.close(entry);
}

/** No space takes such a tuple; refused before a buffer grows for it. */
function refuseSize(size: number): void {
  if (size > limits.tupleBytesMax) {
    const message = `value has ${size} bytes or more, limit ${limits.tupleBytesMax}`;
    throw refuse('TUPLE_TOO_LARGE', '', message, limits.tupleBytesMax);
  }
}

function refuseDepth(depth: number): void {
  if (depth > limits.valueDepthMax) {
    const message = `value nests ${depth} deep, limit ${limits.valueDepthMax}`;
    throw refuse('NESTED_TOO_DEEP', '', message, limits.valueDepthMax);
  }
}

/** A map's entries by the UTF-8 bytes of their keys, which is the order of their code points. */
export function inKeyOrder<T>(record: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  const entries = [...record];
  return entries.sort(([a], [b]) => compareCodePoints(a, b));
}

/**
 * Orders strings by code points. UTF-16 units order alike, but that surrogates (d800 to dfff) stand
 * for code points above all others: they move behind e000 to ffff.
 */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rankOfUnit(x) - rankOfUnit(y);
  }
  return a.length - b.length;
}

function rankOfUnit(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Orders two byte strings, a prefix first. */
export function compareOctets(a: Uint8Array, b: Uint8Array): number {
  return compareBytes(a, 0, a.length, b, 0, b.length);
}
