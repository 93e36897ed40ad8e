import { byteAt } from './bytes.ts';
import { doubleOf, unzigzag } from './wire.ts';

/**
 * Reading *canonical* stored bytes in place. Nothing here checks: the bytes passed `checkTuple`.
 *
 * A stored value is one byte that tells its kind (a protobuf tag) and its content:
 * null `08 00`, bool `10 b`, int `18 zigzag-varint`, float `21 8 bytes`, and with a length before
 * the content string `2a`, bytes `32`, timestamp `3a`, list `42`, record `4a`.
 */
export const StoredTag = {
  NULL: 0x08,
  BOOL: 0x10,
  INT: 0x18,
  FLOAT: 0x21,
  STRING: 0x2a,
  BYTES: 0x32,
  TIMESTAMP: 0x3a,
  LIST: 0x42,
  RECORD: 0x4a,
} as const;

/** The tag before a field of a tuple, an element of a list and an entry of a record. */
export const ELEMENT_TAG = 0x0a;
/** The tag before the key of a record's entry. */
export const KEY_TAG = 0x0a;
/** The tag before the value of a record's entry. */
export const VALUE_TAG = 0x12;

/** The length at `at`: a minimal varint below 2^28. */
export function lengthAt(bytes: Uint8Array, at: number): number {
  let byte = byteAt(bytes, at);
  if (byte < 0x80) return byte;
  let length = byte & 0x7f;
  byte = byteAt(bytes, at + 1);
  length |= (byte & 0x7f) << 7;
  if (byte < 0x80) return length;
  byte = byteAt(bytes, at + 2);
  length |= (byte & 0x7f) << 14;
  if (byte < 0x80) return length;
  return length | ((byteAt(bytes, at + 3) & 0x7f) << 21);
}

/** Where the content begins of a value at `start` whose kind carries a length. */
export function contentStart(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (byteAt(bytes, at) > 0x7f) at += 1;
  return at + 1;
}

/** The unsigned halves of the varint that `readLanes` read last, and where it ended. */
export const lanes: { low: number; high: number; end: number } = { low: 0, high: 0, end: 0 };

/** Reads a varint of up to 64 bits into `lanes`. */
export function readLanes(bytes: Uint8Array, start: number): void {
  let low = 0;
  let high = 0;
  let at = start;
  let byte = 0x80;
  for (let shift = 0; byte > 0x7f && shift < 70; shift += 7) {
    byte = byteAt(bytes, at);
    const bits = byte & 0x7f;
    at += 1;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high = bits >>> 4;
    } else high |= bits << (shift - 32);
  }
  lanes.low = low >>> 0;
  lanes.high = high >>> 0;
  lanes.end = at;
}

/** The number of the int or float at `start`: JavaScript compares numbers and bigints exactly. */
export function numberAt(bytes: Uint8Array, start: number): number | bigint {
  if (byteAt(bytes, start) === StoredTag.FLOAT) return doubleAt(bytes, start + 1);
  const first = byteAt(bytes, start + 1);
  if (first < 0x80) return first & 1 ? -(first >> 1) - 1 : first >> 1;
  readLanes(bytes, start + 1);
  return unzigzag(lanes.low, lanes.high);
}

/** The double in the eight bytes at `at`. */
export function doubleAt(bytes: Uint8Array, at: number): number {
  return doubleOf(word(bytes, at), word(bytes, at + 4));
}

/** The four bytes at `at`, little-endian, unsigned. */
export function word(bytes: Uint8Array, at: number): number {
  const upper = byteAt(bytes, at + 3) << 24;
  const rest = (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 1) << 8) | byteAt(bytes, at);
  return (upper | rest) >>> 0;
}

/** The instant that `readInstant` read last. */
export const instant: { seconds: number; nanos: number } = { seconds: 0, nanos: 0 };

/** Reads the timestamp at `start` (its kind's tag) into `instant`. */
export function readInstant(bytes: Uint8Array, start: number, end: number): void {
  instant.seconds = 0;
  instant.nanos = 0;
  let at = start + 2;
  if (at < end && byteAt(bytes, at) === 0x08) {
    readLanes(bytes, at + 1);
    instant.seconds = (lanes.high | 0) * 4_294_967_296 + lanes.low;
    at = lanes.end;
  }
  if (at < end) {
    readLanes(bytes, at + 1);
    instant.nanos = lanes.low;
  }
}
