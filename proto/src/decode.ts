import { byteAt } from './bytes.ts';
import { defaultTupleLimits, limits, type TupleLimits } from './limits.ts';
import { type DecodeError, refuse, within } from './problem.ts';
import { ELEMENT_TAG, KEY_TAG, StoredTag, VALUE_TAG } from './stored.ts';
import { readUtf8 } from './utf8.ts';
import { floatOf, isTimestamp, Timestamp, type Value } from './value.ts';
import { malformed, Reader } from './wire.ts';

/**
 * The fields of an encoded tuple. Takes every valid encoding, canonical or not, and holds it to every
 * limit; throws DecodeError, which names the field, for anything else. Bytes values are views.
 */
export function decodeTuple(
  bytes: Uint8Array,
  bounds: TupleLimits = defaultTupleLimits,
): readonly Value[] {
  if (bytes.length > bounds.tupleBytesMax) {
    const message = `tuple has ${bytes.length} bytes, limit ${bounds.tupleBytesMax}`;
    throw refuse('TUPLE_TOO_LARGE', message, bounds.tupleBytesMax);
  }
  const reader = new Reader(bytes);
  const fields: Value[] = [];
  while (reader.position < reader.end) {
    if (reader.tag() !== ELEMENT_TAG) throw refuse('UNKNOWN_FIELD', 'tuple has an unknown field');
    if (fields.length === limits.arityMax) throw refuseArity('more than 64');
    try {
      fields.push(readValue(reader, 0));
    } catch (error) {
      throw within(error, `fields[${fields.length}]`);
    }
  }
  if (fields.length === 0) throw refuseArity('0');
  return fields;
}

function refuseArity(count: string): DecodeError {
  const message = `tuple has ${count} fields, limit 1 to ${limits.arityMax}`;
  return refuse('TUPLE_ARITY', message, limits.arityMax);
}

/** The value of an encoded `Value` message, held to the same rules. Throws DecodeError. */
export function decodeValue(bytes: Uint8Array): Value {
  const reader = new Reader(bytes);
  return readContent(reader, 0);
}

/** Reads a length and the value of that length. Recursion is bounded by `limits.valueDepthMax`. */
function readValue(reader: Reader, depth: number): Value {
  const quick = readQuick(reader);
  if (quick !== undefined) return quick;
  const size = reader.length();
  const outer = reader.end;
  reader.end = reader.position + size;
  const value = readContent(reader, depth);
  reader.end = outer;
  return value;
}

/**
 * The short way for the two commonest forms, in their canonical shape: an int of one byte or two, a
 * string below 126 bytes. Anything else is left to the thorough way, unread.
 */
function readQuick(reader: Reader): string | number | undefined {
  const { bytes, position } = reader;
  const size = byteAt(bytes, position);
  const start = position + 3;
  const end = position + 1 + size;
  if (size > 0x7f || size < 2 || end > reader.end) return undefined;
  const tag = byteAt(bytes, position + 1);
  const first = byteAt(bytes, position + 2);
  if (tag === StoredTag.STRING) {
    if (first !== end - start) return undefined;
    const text = readUtf8(bytes, start, end);
    if (text !== undefined) reader.position = end;
    return text;
  }
  if (tag !== StoredTag.INT || size > 3) return undefined;
  const second = size === 3 ? byteAt(bytes, start) : 0;
  if (first > 0x7f !== (size === 3) || second > 0x7f) return undefined;
  reader.position = end;
  const zigzag = (first & 0x7f) | (second << 7);
  return zigzag & 1 ? -(zigzag >> 1) - 1 : zigzag >> 1;
}

function readContent(reader: Reader, depth: number): Value {
  if (reader.position >= reader.end) {
    throw refuse('VALUE_WITHOUT_KIND', 'value has no kind');
  }
  const value = readKind(reader, reader.tag(), depth);
  if (reader.position < reader.end) {
    throw refuse('FIELD_REPEATED', 'value has more than one kind');
  }
  return value;
}

function readKind(reader: Reader, tag: number, depth: number): Value {
  switch (tag) {
    case StoredTag.STRING:
      return reader.string();
    case StoredTag.INT:
      return reader.sint64();
    case StoredTag.FLOAT:
      return floatOf(reader.double());
    case StoredTag.BOOL:
      return reader.bool();
    case StoredTag.NULL:
      if (reader.bool()) throw malformed('null is not 0');
      return null;
    case StoredTag.BYTES:
      return reader.lengthDelimited();
    case StoredTag.TIMESTAMP:
      return nested(reader, depth, readTimestamp);
    case StoredTag.LIST:
      return nested(reader, depth + 1, readList);
    case StoredTag.RECORD:
      return nested(reader, depth + 1, readRecord);
    default:
      throw refuse('UNKNOWN_FIELD', `value has the unknown field ${tag >>> 3}`);
  }
}

function nested<T>(reader: Reader, depth: number, read: (reader: Reader, depth: number) => T): T {
  if (depth > limits.valueDepthMax) {
    const message = `value nests ${depth} deep, limit ${limits.valueDepthMax}`;
    throw refuse('NESTED_TOO_DEEP', message, limits.valueDepthMax);
  }
  const size = reader.length();
  const outer = reader.end;
  reader.end = reader.position + size;
  const value = read(reader, depth);
  reader.end = outer;
  return value;
}

function readTimestamp(reader: Reader): Timestamp {
  let seconds: number | undefined;
  let nanos: number | undefined;
  while (reader.position < reader.end) {
    const tag = reader.tag();
    if (tag === 0x08 && seconds === undefined) seconds = reader.int64();
    else if (tag === 0x10 && nanos === undefined) nanos = reader.int32();
    else if (tag === 0x08 || tag === 0x10)
      throw refuse('FIELD_REPEATED', 'timestamp part repeated');
    else throw refuse('UNKNOWN_FIELD', `timestamp has the unknown field ${tag >>> 3}`);
  }
  const value = new Timestamp(seconds ?? 0, nanos ?? 0);
  if (!isTimestamp(value.seconds, value.nanos)) {
    const message = `timestamp of ${value.seconds} s and ${value.nanos} ns is outside 64-bit nanoseconds`;
    throw refuse('TIMESTAMP_OUT_OF_RANGE', message);
  }
  return value;
}

function readList(reader: Reader, depth: number): readonly Value[] {
  const values: Value[] = [];
  while (reader.position < reader.end) {
    if (reader.tag() !== ELEMENT_TAG) throw refuse('UNKNOWN_FIELD', 'list has an unknown field');
    if (values.length === limits.listLengthMax) {
      const message = `list has more than ${limits.listLengthMax} elements`;
      throw refuse('LIST_TOO_LONG', message, limits.listLengthMax);
    }
    try {
      values.push(readValue(reader, depth));
    } catch (error) {
      throw within(error, `.list_value.values[${values.length}]`);
    }
  }
  return values;
}

function readRecord(reader: Reader, depth: number): ReadonlyMap<string, Value> {
  const entries = new Map<string, Value>();
  while (reader.position < reader.end) {
    if (reader.tag() !== ELEMENT_TAG) throw refuse('UNKNOWN_FIELD', 'record has an unknown field');
    readEntry(reader, depth, entries);
    if (entries.size > limits.recordKeysMax) {
      const message = `record has more than ${limits.recordKeysMax} keys`;
      throw refuse('RECORD_TOO_LARGE', message, limits.recordKeysMax);
    }
  }
  return entries;
}

/** One entry of a map: protobuf lets its parts come in either order, and an empty key stay away. */
function readEntry(reader: Reader, depth: number, entries: Map<string, Value>): void {
  const size = reader.length();
  const outer = reader.end;
  reader.end = reader.position + size;
  let key: string | undefined;
  let value: Value | undefined;
  while (reader.position < reader.end) {
    const tag = reader.tag();
    if (tag === KEY_TAG && key === undefined) key = reader.string();
    else if (tag === VALUE_TAG && value === undefined) value = readEntryValue(reader, depth, key);
    else if (tag === KEY_TAG || tag === VALUE_TAG) {
      throw refuse('FIELD_REPEATED', 'entry of a record has a part twice');
    } else throw refuse('UNKNOWN_FIELD', 'entry of a record has an unknown field');
  }
  reader.end = outer;
  key ??= '';
  if (value === undefined) {
    throw within(refuse('VALUE_WITHOUT_KIND', 'value has no kind'), place(key));
  }
  if (entries.has(key)) {
    throw within(refuse('DUPLICATE_KEY', 'key comes twice'), place(key));
  }
  entries.set(key, value);
}

function readEntryValue(reader: Reader, depth: number, key: string | undefined): Value {
  try {
    return readValue(reader, depth);
  } catch (error) {
    throw within(error, place(key ?? ''));
  }
}

function place(key: string): string {
  return `.record_value.entries[${JSON.stringify(key)}]`;
}
