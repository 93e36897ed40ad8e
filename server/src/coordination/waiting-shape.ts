import {
  type CompiledMatcher,
  type CompiledPattern,
  type FieldOffsets,
  fixedValue,
  hash32,
  hashOfPattern,
  hashOfTuple,
  type Kind,
  numberAt,
  type Run,
  StoredTag,
  shapeOf,
} from '@tuplet/proto';

/** The kinds of values that a range orders; ranges of one family share a scale. */
export type Scale = 'number' | 'string' | 'bytes' | 'timestamp';

/** What the templates of one set of lines have in common. */
export interface LineShape {
  /** Its name among the shapes of a space. */
  readonly name: string;
  /** The fields that are hashed. */
  readonly fields: readonly number[];
  /** Fields that a tuple has at least, if it matches. */
  readonly arityMin: number;
  /** The field that lies in a range; -1: none. */
  readonly rangeField: number;
  readonly scale: Scale;
}

/** The line that holds everything: no field is fixed, none is ranged over. */
export const generalShape: LineShape = {
  name: '',
  fields: [],
  arityMin: 0,
  rangeField: -1,
  scale: 'number',
};

/** Where one alternative stands: its shape, the hashes of its lines, and its range. */
export interface LineKey {
  readonly shape: LineShape;
  /** One, or one for each value of an `any_of`. Of 31 bits: a small integer needs no box. */
  readonly hashes: readonly number[];
  /** Order keys of the range; -Infinity and Infinity where open. */
  readonly lower: number;
  readonly upper: number;
}

/** The line of one alternative; `anyOfMax` bounds the lines of one `any_of`. */
export function lineKeyOf(pattern: CompiledPattern, anyOfMax: number): LineKey {
  const fixed = shapeOf(pattern);
  const range = rangeOf(pattern);
  if (fixed.length > 0) {
    return { shape: shape(fixed, range), hashes: [hashOfPattern(pattern, fixed) >>> 1], ...range };
  }
  for (let i = 0; i < pattern.matchers.length; i += 1) {
    const matcher = pattern.matchers[i];
    if (matcher?.kind === 'any-of' && matcher.keys.length <= anyOfMax) {
      const hashes = new Set(matcher.keys.map((key) => hash32(key) >>> 1));
      return { shape: shape([i], range), hashes: [...hashes], ...range };
    }
  }
  return { shape: shape([], range), hashes: [0], ...range };
}

interface RangeKey {
  readonly field: number;
  readonly scale: Scale;
  readonly lower: number;
  readonly upper: number;
}

const noRange: RangeKey = {
  field: -1,
  scale: 'number',
  lower: Number.NEGATIVE_INFINITY,
  upper: Number.POSITIVE_INFINITY,
};

function shape(fields: readonly number[], { field, scale }: RangeKey): LineShape {
  const last = Math.max(field, fields[fields.length - 1] ?? -1);
  if (last < 0) return generalShape;
  const name = field < 0 ? fields.join() : `${fields.join()}|${field}${scale}`;
  return { name, fields, arityMin: last + 1, rangeField: field, scale };
}

/** The first range or prefix of an alternative. */
function rangeOf(pattern: CompiledPattern): RangeKey {
  for (let i = 0; i < pattern.matchers.length; i += 1) {
    const range = rangeOfMatcher(pattern.matchers[i], i);
    if (range !== undefined) return range;
  }
  return noRange;
}

function rangeOfMatcher(matcher: CompiledMatcher | undefined, field: number): RangeKey | undefined {
  if (matcher?.kind === 'number-range') {
    const lower = Number(matcher.lower);
    return { field, scale: 'number', lower, upper: Number(matcher.upper) };
  }
  if (matcher?.kind === 'octet-range') {
    const { tag } = matcher;
    return {
      field,
      scale: scaleOf(tag),
      lower: boundKey(matcher.lower, Number.NEGATIVE_INFINITY),
      upper: boundKey(matcher.upper, Number.POSITIVE_INFINITY),
    };
  }
  if (matcher?.kind === 'prefix') {
    const { bytes, start, end } = matcher.prefix;
    return {
      field,
      scale: scaleOf(matcher.tag),
      lower: octetsKey(bytes, start, end, 0),
      upper: octetsKey(bytes, start, end, 0xff),
    };
  }
  return undefined;
}

function boundKey(bound: Run | null, open: number): number {
  return bound === null ? open : storedKey(bound.bytes, bound.start, bound.end);
}

function scaleOf(tag: number): Scale {
  if (tag === StoredTag.STRING) return 'string';
  if (tag === StoredTag.BYTES) return 'bytes';
  return tag === StoredTag.TIMESTAMP ? 'timestamp' : 'number';
}

const keyOctets = 6;

/** The first six octets as a number; `fill` stands for those behind the end. */
function octetsKey(bytes: Uint8Array, start: number, end: number, fill: number): number {
  let key = 0;
  for (let i = start; i < start + keyOctets; i += 1) {
    key = key * 256 + (i < end ? (bytes[i] as number) : fill);
  }
  return key;
}

/**
 * A number for a stored value such that a value never has a lower one than a value before it (ties
 * are fine: a bin is looked through). NaN for NaN, which is in no range.
 */
function storedKey(bytes: Uint8Array, start: number, end: number): number {
  const tag = bytes[start] as number;
  if (tag === StoredTag.INT || tag === StoredTag.FLOAT) return Number(numberAt(bytes, start));
  if (tag === StoredTag.TIMESTAMP) return instantKey(bytes, start, end);
  let content = start + 1;
  while ((bytes[content] as number) > 0x7f) content += 1;
  return octetsKey(bytes, content + 1, end, 0);
}

/** Whole seconds of a stored timestamp: `3a size [08 varint] [10 varint]`. */
function instantKey(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 2;
  if (at >= end || bytes[at] !== 0x08) return 0;
  let low = 0;
  let high = 0;
  let byte = 0x80;
  for (let shift = 0; byte > 0x7f && shift < 70; shift += 7) {
    at += 1;
    byte = bytes[at] as number;
    const bits = byte & 0x7f;
    if (shift < 28) low += bits * 2 ** shift;
    else high += bits * 2 ** (shift - 28);
  }
  // Two's complement in 64 bits: 36 high bits above 28 low ones.
  if (high >= 2 ** 35) high -= 2 ** 36;
  return high * 2 ** 28 + low;
}

/** Where a tuple's ranged field lies on the scale of a shape; NaN where it cannot match. */
export function orderKeyAt(shape: LineShape, tuple: Uint8Array, offsets: FieldOffsets): number {
  const { rangeField } = shape;
  if (rangeField < 0) return 0;
  const start = offsets.start(rangeField);
  const tag = tuple[start] as number;
  const isNumber = tag === StoredTag.INT || tag === StoredTag.FLOAT;
  const fits = shape.scale === 'number' ? isNumber : !isNumber && scaleOf(tag) === shape.scale;
  return fits ? storedKey(tuple, start, offsets.end(rangeField)) : Number.NaN;
}

/** The hash that finds a tuple's line among those of a shape. */
export function hashOfFields(shape: LineShape, tuple: Uint8Array, offsets: FieldOffsets): number {
  return shape.fields.length === 0 ? 0 : hashOfTuple(tuple, offsets, shape.fields) >>> 1;
}

/** Whether a pattern fixes a field: what `lineKeyOf` goes by. */
export function isFixed(matcher: CompiledMatcher | undefined): boolean {
  return fixedValue(matcher) !== null;
}

/** The kinds of ranges, for exhaustive tests. */
export type RangeKind = Kind;
