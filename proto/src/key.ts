import { byteAt } from './bytes.ts';
import { encodeValue } from './encode.ts';
import type { FieldOffsets } from './fields.ts';
import {
  contentStart,
  instant,
  lanes,
  lengthAt,
  readInstant,
  readLanes,
  StoredTag,
  word,
} from './stored.ts';
import type { Value } from './value.ts';
import { varintSize, Writer } from './wire.ts';

/**
 * The first byte of a key encoding, by kind. All are above 0, so that the 0 that ends a list or a
 * record comes before every further element; the gaps are room for kinds to come.
 */
export const KeyTag = {
  NULL: 0x10,
  FALSE: 0x20,
  TRUE: 0x21,
  NUMBER: 0x30,
  TIMESTAMP: 0x40,
  STRING: 0x50,
  BYTES: 0x60,
  LIST: 0x70,
  RECORD: 0x80,
} as const;

/** Ends a string, bytes, a list or a record; stands for a missing field in a hash (SPEC §6). */
export const KEY_END = 0x00;
/** Follows a 0 that is part of a string or of bytes. */
const KEY_ESCAPE = 0xff;
const TWO_32 = 4_294_967_296;

const shared = new Writer(1_024);

/** The key encoding of a value: equal values have equal keys, and byte order is value order. */
export function keyOf(value: Value): Uint8Array {
  const stored = encodeValue(value);
  return keyOfStored(stored, 0, stored.length);
}

/** The key encoding of the canonical stored value in `start` to `end`. */
export function keyOfStored(bytes: Uint8Array, start: number, end: number): Uint8Array {
  shared.reset();
  writeKey(shared, bytes, start, end);
  return shared.finish();
}

/** Writes the key of a field, or the single byte 0 where the tuple has no such field. */
export function writeFieldKey(
  writer: Writer,
  bytes: Uint8Array,
  offsets: FieldOffsets,
  field: number,
): void {
  if (field < offsets.arity) writeKey(writer, bytes, offsets.start(field), offsets.end(field));
  else writer.byte(KEY_END);
}

/**
 * Writes the key of the canonical stored value in `start` to `end`, straight from its bytes.
 * Recursion is bounded by `limits.valueDepthMax`, which holds for everything stored.
 */
export function writeKey(writer: Writer, bytes: Uint8Array, start: number, end: number): void {
  switch (byteAt(bytes, start)) {
    case StoredTag.STRING:
      writer.byte(KeyTag.STRING);
      writeEscaped(writer, bytes, contentStart(bytes, start), end);
      return;
    case StoredTag.INT:
      writeInt(writer, bytes, start + 1);
      return;
    case StoredTag.FLOAT:
      writeDouble(writer, word(bytes, start + 1), word(bytes, start + 5), 0);
      return;
    case StoredTag.BOOL:
      writer.byte(byteAt(bytes, start + 1) === 0 ? KeyTag.FALSE : KeyTag.TRUE);
      return;
    case StoredTag.NULL:
      writer.byte(KeyTag.NULL);
      return;
    case StoredTag.BYTES:
      writer.byte(KeyTag.BYTES);
      writeEscaped(writer, bytes, contentStart(bytes, start), end);
      return;
    case StoredTag.TIMESTAMP:
      writeInstant(writer, bytes, start, end);
      return;
    case StoredTag.LIST:
      writer.byte(KeyTag.LIST);
      writeElements(writer, bytes, contentStart(bytes, start), end);
      return;
    default:
      writer.byte(KeyTag.RECORD);
      writeEntries(writer, bytes, contentStart(bytes, start), end);
  }
}

/** Content with each 0 escaped, and 0 0 at the end: order is kept, and no key is another's prefix. */
function writeEscaped(writer: Writer, bytes: Uint8Array, start: number, end: number): void {
  writer.reserve((end - start) * 2 + 2);
  const target = writer.bytes;
  let to = writer.position;
  for (let at = start; at < end; at += 1) {
    const byte = byteAt(bytes, at);
    target[to] = byte;
    to += 1;
    if (byte === 0) {
      target[to] = KEY_ESCAPE;
      to += 1;
    }
  }
  target[to] = KEY_END;
  target[to + 1] = KEY_END;
  writer.position = to + 2;
}

const nearest = new DataView(new ArrayBuffer(8));

/**
 * An int's key: the largest double that is not above it, and what it exceeds that double by (0 within
 * ±2^53, at most 1,023), so that ints which no double equals sort between the doubles around them.
 */
function writeInt(writer: Writer, bytes: Uint8Array, start: number): void {
  readLanes(bytes, start);
  if (lanes.high === 0) {
    const value = lanes.low & 1 ? -(lanes.low >>> 1) - 1 : lanes.low >>> 1;
    nearest.setFloat64(0, value);
    writeDouble(writer, nearest.getUint32(4), nearest.getUint32(0), 0);
    return;
  }
  const sign = -(lanes.low & 1);
  const low = (((lanes.low >>> 1) | (lanes.high << 31)) ^ sign) >>> 0;
  const high = (lanes.high >>> 1) ^ sign;
  nearest.setFloat64(0, high * TWO_32 + low);
  let excess = excessOver(nearest.getFloat64(0), low, high);
  if (excess < 0) {
    stepDown();
    excess = excessOver(nearest.getFloat64(0), low, high);
  }
  writeDouble(writer, nearest.getUint32(4), nearest.getUint32(0), excess);
}

/** high:low − double, exactly: the double is integral and within 2,048 of it. */
function excessOver(double: number, low: number, high: number): number {
  const upper = Math.floor(double / TWO_32);
  return (high - upper) * TWO_32 + (low - (double - upper * TWO_32));
}

/** Replaces `nearest`, which is no zero, by the next double below it. */
function stepDown(): void {
  const low = nearest.getUint32(4);
  const high = nearest.getUint32(0);
  if (high < 0x8000_0000) {
    nearest.setUint32(4, low - 1);
    if (low === 0) nearest.setUint32(0, high - 1);
  } else {
    nearest.setUint32(4, low + 1);
    if (low === 0xffff_ffff) nearest.setUint32(0, high + 1);
  }
}

/**
 * Eight bytes that order as doubles do, and two of `excess`. Negative doubles have all bits turned,
 * others the sign bit alone; -0 is 0; NaN, which would come last, is all zeros and comes first.
 */
function writeDouble(writer: Writer, low: number, high: number, excess: number): void {
  let lo = low;
  let hi = high;
  const magnitude = hi & 0x7fff_ffff;
  if (magnitude > 0x7ff0_0000 || (magnitude === 0x7ff0_0000 && lo !== 0)) {
    lo = 0;
    hi = 0;
  } else if (hi < 0x8000_0000) hi |= 0x8000_0000;
  else if (magnitude === 0 && lo === 0) hi = 0x8000_0000;
  else {
    lo = ~lo;
    hi = ~hi;
  }
  writer.reserve(11);
  const { bytes, position } = writer;
  bytes[position] = KeyTag.NUMBER;
  putBig32(bytes, position + 1, hi);
  putBig32(bytes, position + 5, lo);
  bytes[position + 9] = excess >> 8;
  bytes[position + 10] = excess;
  writer.position = position + 11;
}

/** Four bytes, the highest first. */
function putBig32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Seconds as eight bytes, big-endian, with the sign bit turned; nanos as four. */
function writeInstant(writer: Writer, bytes: Uint8Array, start: number, end: number): void {
  readInstant(bytes, start, end);
  writer.reserve(13);
  const { bytes: target, position } = writer;
  target[position] = KeyTag.TIMESTAMP;
  putBig32(target, position + 1, Math.floor(instant.seconds / TWO_32) ^ 0x8000_0000);
  putBig32(target, position + 5, instant.seconds >>> 0);
  putBig32(target, position + 9, instant.nanos);
  writer.position = position + 13;
}

function writeElements(writer: Writer, bytes: Uint8Array, start: number, end: number): void {
  let at = start;
  while (at < end) {
    const size = lengthAt(bytes, at + 1);
    const element = at + 1 + varintSize(size);
    at = element + size;
    writeKey(writer, bytes, element, at);
  }
  writer.byte(KEY_END);
}

function writeEntries(writer: Writer, bytes: Uint8Array, start: number, end: number): void {
  let at = start;
  while (at < end) {
    const size = lengthAt(bytes, at + 1);
    const entry = at + 1 + varintSize(size);
    at = entry + size;
    const keySize = lengthAt(bytes, entry + 1);
    const key = entry + 1 + varintSize(keySize);
    const keyEnd = key + keySize;
    writer.byte(KeyTag.STRING);
    writeEscaped(writer, bytes, key, keyEnd);
    const valueSize = lengthAt(bytes, keyEnd + 1);
    writeKey(writer, bytes, keyEnd + 1 + varintSize(valueSize), at);
  }
  writer.byte(KEY_END);
}
