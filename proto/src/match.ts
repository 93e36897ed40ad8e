import { byteAt, compareBytes, type Run, startsWithBytes } from './bytes.ts';
import { equalStored } from './equal.ts';
import type { FieldOffsets } from './fields.ts';
import { writeKey } from './key.ts';
import { contentStart, instant, lengthAt, numberAt, readInstant, StoredTag } from './stored.ts';
import type { CompiledEntry, CompiledMatcher, CompiledPattern, Template } from './template.ts';
import { Kind } from './value.ts';
import { varintSize, Writer } from './wire.ts';

/**
 * Whether a template matches a canonical tuple whose fields `offsets` found. Looks only at the fields
 * that the template asks about; costs at most (matchers) × (bytes of the tuple).
 */
export function matchTuple(template: Template, tuple: Uint8Array, offsets: FieldOffsets): boolean {
  const { alternatives } = template;
  for (let i = 0; i < alternatives.length; i += 1) {
    if (missOf(alternatives[i] as CompiledPattern, tuple, offsets) === MATCHES) return true;
  }
  return false;
}

/** What `missOf` says where everything matches. */
export const MATCHES = -1;
/** What `missOf` says where the number of fields does not fit. */
export const MISSES_ARITY = -2;

/** Why one alternative does not match: the first field that fails, `MISSES_ARITY`, or `MATCHES`. */
export function missOf(pattern: CompiledPattern, tuple: Uint8Array, offsets: FieldOffsets): number {
  const { matchers } = pattern;
  const { arity } = offsets;
  if (arity !== matchers.length && (!pattern.rest || arity < matchers.length)) return MISSES_ARITY;
  for (let i = 0; i < matchers.length; i += 1) {
    const matcher = matchers[i] as CompiledMatcher;
    if (!matchValue(matcher, tuple, offsets.start(i), offsets.end(i))) return i;
  }
  return MATCHES;
}

/** Whether a matcher matches the canonical stored value in `start` to `end`. */
export function matchValue(
  matcher: CompiledMatcher,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  switch (matcher.kind) {
    case 'any':
      return true;
    case 'actual': {
      const { value } = matcher;
      return equalStored(value.bytes, value.start, value.end, bytes, start, end);
    }
    case 'formal':
      return isOfKind(matcher.formal, byteAt(bytes, start));
    case 'number-range':
      return matchNumberRange(matcher, bytes, start);
    case 'octet-range':
      return matchOctetRange(matcher, bytes, start, end);
    case 'prefix': {
      if (byteAt(bytes, start) !== matcher.tag) return false;
      const { prefix } = matcher;
      const content = contentStart(bytes, start);
      return startsWithBytes(bytes, content, end, prefix.bytes, prefix.start, prefix.end);
    }
    case 'any-of':
      return matchAnyOf(matcher.keys, bytes, start, end);
    case 'negation':
      return !matchValue(matcher.matcher, bytes, start, end);
    case 'list':
      return (
        byteAt(bytes, start) === StoredTag.LIST && matchList(matcher.pattern, bytes, start, end)
      );
    case 'record':
      return (
        byteAt(bytes, start) === StoredTag.RECORD && matchRecord(matcher.entries, bytes, start, end)
      );
  }
}

function isOfKind(kind: Kind, tag: number): boolean {
  if (kind === Kind.NUMBER) return tag === StoredTag.INT || tag === StoredTag.FLOAT;
  return kindOfTag.get(tag) === kind;
}

const kindOfTag: ReadonlyMap<number, Kind> = new Map([
  [StoredTag.NULL, Kind.NULL],
  [StoredTag.BOOL, Kind.BOOL],
  [StoredTag.INT, Kind.INT],
  [StoredTag.FLOAT, Kind.FLOAT],
  [StoredTag.STRING, Kind.STRING],
  [StoredTag.BYTES, Kind.BYTES],
  [StoredTag.TIMESTAMP, Kind.TIMESTAMP],
  [StoredTag.LIST, Kind.LIST],
  [StoredTag.RECORD, Kind.RECORD],
] as const);

type NumberRange = Extract<CompiledMatcher, { readonly kind: 'number-range' }>;
type OctetRange = Extract<CompiledMatcher, { readonly kind: 'octet-range' }>;

/** NaN is in no range: every comparison with it is false. */
function matchNumberRange(range: NumberRange, bytes: Uint8Array, start: number): boolean {
  if (!isOfKind(range.family, byteAt(bytes, start))) return false;
  const value = numberAt(bytes, start);
  const isAbove = range.lowerExclusive ? value > range.lower : value >= range.lower;
  return isAbove && (range.upperExclusive ? value < range.upper : value <= range.upper);
}

function matchOctetRange(
  range: OctetRange,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (byteAt(bytes, start) !== range.tag) return false;
  if (range.lower !== null) {
    const order = compareContent(range.tag, bytes, start, end, range.lower);
    if (order < 0 || (order === 0 && range.lowerExclusive)) return false;
  }
  if (range.upper === null) return true;
  const order = compareContent(range.tag, bytes, start, end, range.upper);
  return order < 0 || (order === 0 && !range.upperExclusive);
}

/** Orders a value and a bound of the same kind. */
function compareContent(
  tag: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  bound: Run,
): number {
  if (tag === StoredTag.TIMESTAMP) {
    readInstant(bytes, start, end);
    const { seconds, nanos } = instant;
    readInstant(bound.bytes, bound.start, bound.end);
    return seconds - instant.seconds || nanos - instant.nanos;
  }
  const content = contentStart(bytes, start);
  const boundContent = contentStart(bound.bytes, bound.start);
  return compareBytes(bytes, content, end, bound.bytes, boundContent, bound.end);
}

const shared = new Writer(1_024);

/** Looks the value's key up among sorted keys by halving. */
function matchAnyOf(
  keys: readonly Uint8Array[],
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  shared.reset();
  writeKey(shared, bytes, start, end);
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const key = keys[middle] as Uint8Array;
    const order = compareBytes(key, 0, key.length, shared.bytes, 0, shared.position);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

/** Recursion is bounded by `limits.matcherDepthMax`, here and in `matchRecord`. */
function matchList(
  pattern: CompiledPattern,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const { matchers } = pattern;
  let at = contentStart(bytes, start);
  for (let i = 0; i < matchers.length; i += 1) {
    if (at >= end) return false;
    const size = lengthAt(bytes, at + 1);
    const element = at + 1 + varintSize(size);
    at = element + size;
    if (!matchValue(matchers[i] as CompiledMatcher, bytes, element, at)) return false;
  }
  return pattern.rest || at === end;
}

/** Both sides are in key order: one walk. */
function matchRecord(
  entries: readonly CompiledEntry[],
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  let at = contentStart(bytes, start);
  let next = 0;
  while (next < entries.length && at < end) {
    const { key, matcher } = entries[next] as CompiledEntry;
    const size = lengthAt(bytes, at + 1);
    const entry = at + 1 + varintSize(size);
    at = entry + size;
    const keySize = lengthAt(bytes, entry + 1);
    const keyStart = entry + 1 + varintSize(keySize);
    const keyEnd = keyStart + keySize;
    const order = compareBytes(bytes, keyStart, keyEnd, key.bytes, key.start, key.end);
    if (order > 0) return false;
    if (order < 0) continue;
    const value = keyEnd + 1 + varintSize(lengthAt(bytes, keyEnd + 1));
    if (!matchValue(matcher, bytes, value, at)) return false;
    next += 1;
  }
  return next === entries.length;
}
