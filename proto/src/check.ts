import { byteAt, compareBytes } from './bytes.ts';
import { decodeTuple, decodeValue } from './decode.ts';
import { encodeTuple, encodeValue } from './encode.ts';
import { defaultTupleLimits, limits, type TupleLimits } from './limits.ts';
import { DecodeError, EncodeError, type Problem } from './problem.ts';
import { ELEMENT_TAG, KEY_TAG, lanes, readLanes, StoredTag, VALUE_TAG } from './stored.ts';
import { isUtf8 } from './utf8.ts';
import { isTimestamp, type TupleBytes } from './value.ts';

/**
 * What untrusted bytes are: a tuple in canonical form, a valid tuple in another form (`canonicalTuple`
 * converts it), or the problem with them.
 */
export type TupleCheck = 'canonical' | 'valid' | Problem;

/**
 * Holds untrusted bytes to everything that SPEC §1 says of a tuple. Canonical bytes, which is what
 * encoders produce, cost one pass without allocation; others are decoded to find out more.
 */
export function checkTuple(
  bytes: Uint8Array,
  bounds: TupleLimits = defaultTupleLimits,
): TupleCheck {
  if (isCanonicalTuple(bytes, bounds)) return 'canonical';
  const result = convert(bytes, bounds);
  return result instanceof Uint8Array ? 'valid' : result;
}

/** The canonical bytes of a tuple: the given ones where they are canonical already, else new ones. */
export function canonicalTuple(
  bytes: Uint8Array,
  bounds: TupleLimits = defaultTupleLimits,
): TupleBytes | Problem {
  if (isCanonicalTuple(bytes, bounds)) return bytes as TupleBytes;
  return convert(bytes, bounds);
}

function convert(bytes: Uint8Array, bounds: TupleLimits): TupleBytes | Problem {
  try {
    return encodeTuple(decodeTuple(bytes, bounds), bounds);
  } catch (error) {
    return problemOf(error);
  }
}

/** The canonical bytes of one value (a field of the contract of type Value), or its problem. */
export function canonicalValue(bytes: Uint8Array): Uint8Array | Problem {
  if (bytes.length <= limits.tupleBytesMax && isCanonicalValue(bytes, 0, bytes.length, 0)) {
    return bytes;
  }
  try {
    return encodeValue(decodeValue(bytes));
  } catch (error) {
    return problemOf(error);
  }
}

/** The problem that a codec threw; anything else goes on its way. */
export function problemOf(error: unknown): Problem {
  if (error instanceof DecodeError || error instanceof EncodeError) return error.problem;
  throw error;
}

/** Whether bytes are a tuple in canonical form and within all limits. */
export function isCanonicalTuple(
  bytes: Uint8Array,
  bounds: TupleLimits = defaultTupleLimits,
): boolean {
  const end = bytes.length;
  if (end === 0 || end > bounds.tupleBytesMax) return false;
  let at = 0;
  for (let arity = 0; arity < limits.arityMax; arity += 1) {
    if (byteAt(bytes, at) !== ELEMENT_TAG) return false;
    const start = contentOf(bytes, at + 1, end);
    if (start < 0) return false;
    at = start + contentSize;
    if (!isCanonicalValue(bytes, start, at, 0)) return false;
    if (at === end) return true;
  }
  return false;
}

/** The length that `contentOf` read. */
let contentSize = 0;

/** Reads a minimal length at `at`; returns where the content begins, or -1 where it does not fit. */
function contentOf(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  let start = at + 1;
  let size = byteAt(bytes, at);
  if (size > 0x7f) {
    const after = minimalVarint(bytes, at, end);
    if (after < 0 || after - at > 4) return -1;
    readLanes(bytes, at);
    size = lanes.low;
    start = after;
  }
  if (size > end - start) return -1;
  contentSize = size;
  return start;
}

/** The end of the varint at `at`, or -1 where it is cut off, not minimal or beyond 64 bits. */
function minimalVarint(bytes: Uint8Array, at: number, end: number): number {
  const most = Math.min(at + 10, end);
  for (let i = at; i < most; i += 1) {
    const byte = byteAt(bytes, i);
    if (byte > 0x7f) continue;
    if (byte === 0 && i > at) return -1;
    return i === at + 9 && byte > 1 ? -1 : i + 1;
  }
  return -1;
}

/** Whether `start` to `end` is one value in canonical form; `depth` lists and records are around it. */
export function isCanonicalValue(
  bytes: Uint8Array,
  start: number,
  end: number,
  depth: number,
): boolean {
  if (end - start < 2) return false;
  switch (byteAt(bytes, start)) {
    case StoredTag.STRING: {
      const content = contentOf(bytes, start + 1, end);
      return content >= 0 && content + contentSize === end && isUtf8(bytes, content, end);
    }
    case StoredTag.INT:
      return minimalVarint(bytes, start + 1, end) === end;
    case StoredTag.FLOAT:
      return end - start === 9 && !isOtherNaN(bytes, start + 1);
    case StoredTag.BOOL:
      return end - start === 2 && byteAt(bytes, start + 1) < 2;
    case StoredTag.NULL:
      return end - start === 2 && byteAt(bytes, start + 1) === 0;
    case StoredTag.BYTES: {
      const content = contentOf(bytes, start + 1, end);
      return content >= 0 && content + contentSize === end;
    }
    case StoredTag.TIMESTAMP: {
      const content = contentOf(bytes, start + 1, end);
      return (
        content >= 0 && content + contentSize === end && isCanonicalInstant(bytes, content, end)
      );
    }
    case StoredTag.LIST:
      return isCanonicalList(bytes, start, end, depth + 1);
    case StoredTag.RECORD:
      return isCanonicalRecord(bytes, start, end, depth + 1);
    default:
      return false;
  }
}

/** Whether the double at `at` is a NaN in another pattern than 7ff8000000000000. */
function isOtherNaN(bytes: Uint8Array, at: number): boolean {
  const top = byteAt(bytes, at + 7);
  const next = byteAt(bytes, at + 6);
  if ((top & 0x7f) !== 0x7f || (next & 0xf0) !== 0xf0) return false;
  let rest = 0;
  for (let i = at; i < at + 6; i += 1) rest |= byteAt(bytes, i);
  const isInfinity = (next & 0x0f) === 0 && rest === 0;
  const isOurs = top === 0x7f && next === 0xf8 && rest === 0;
  return !isInfinity && !isOurs;
}

function isCanonicalInstant(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  let seconds = 0;
  let nanos = 0;
  if (at < end && byteAt(bytes, at) === 0x08) {
    if (minimalVarint(bytes, at + 1, end) < 0) return false;
    readLanes(bytes, at + 1);
    seconds = (lanes.high | 0) * 4_294_967_296 + lanes.low;
    if (seconds === 0) return false;
    at = lanes.end;
  }
  if (at < end) {
    if (byteAt(bytes, at) !== 0x10 || minimalVarint(bytes, at + 1, end) !== end) return false;
    readLanes(bytes, at + 1);
    nanos = lanes.low;
    if (nanos === 0 || lanes.high !== 0) return false;
  }
  return isTimestamp(seconds, nanos);
}

/** Recursion is bounded by `limits.valueDepthMax`, here and in `isCanonicalRecord`. */
function isCanonicalList(bytes: Uint8Array, start: number, end: number, depth: number): boolean {
  if (depth > limits.valueDepthMax) return false;
  let at = contentOf(bytes, start + 1, end);
  if (at < 0 || at + contentSize !== end) return false;
  for (let length = 0; at < end; length += 1) {
    if (length === limits.listLengthMax || byteAt(bytes, at) !== ELEMENT_TAG) return false;
    const element = contentOf(bytes, at + 1, end);
    if (element < 0) return false;
    at = element + contentSize;
    if (!isCanonicalValue(bytes, element, at, depth)) return false;
  }
  return true;
}

function isCanonicalRecord(bytes: Uint8Array, start: number, end: number, depth: number): boolean {
  if (depth > limits.valueDepthMax) return false;
  let at = contentOf(bytes, start + 1, end);
  if (at < 0 || at + contentSize !== end) return false;
  let lastStart = 0;
  let lastEnd = -1;
  for (let keys = 0; at < end; keys += 1) {
    if (keys === limits.recordKeysMax || byteAt(bytes, at) !== ELEMENT_TAG) return false;
    const entry = contentOf(bytes, at + 1, end);
    if (entry < 0) return false;
    const entryEnd = entry + contentSize;
    if (entry === entryEnd || byteAt(bytes, entry) !== KEY_TAG) return false;
    const key = contentOf(bytes, entry + 1, entryEnd);
    if (key < 0) return false;
    const keyEnd = key + contentSize;
    if (lastEnd >= 0 && compareBytes(bytes, lastStart, lastEnd, bytes, key, keyEnd) >= 0)
      return false;
    if (!isUtf8(bytes, key, keyEnd) || !isEntryValue(bytes, keyEnd, entryEnd, depth)) return false;
    lastStart = key;
    lastEnd = keyEnd;
    at = entryEnd;
  }
  return true;
}

function isEntryValue(bytes: Uint8Array, start: number, end: number, depth: number): boolean {
  if (start >= end || byteAt(bytes, start) !== VALUE_TAG) return false;
  const content = contentOf(bytes, start + 1, end);
  return (
    content >= 0 && content + contentSize === end && isCanonicalValue(bytes, content, end, depth)
  );
}
