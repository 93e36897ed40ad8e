import {
  Float,
  Kind,
  kindOf,
  type MatcherSpec,
  numberOf,
  type PatternSpec,
  type TemplateSpec,
  Timestamp,
  type Value,
} from '../src/index.ts';

/**
 * SPEC §1 and §2 said a second time, over decoded values and without a thought for speed: what the
 * encodings and the matcher are held against. Shares no code with them but the type of values.
 */

const rank: Readonly<Record<Kind, number>> = {
  [Kind.NULL]: 0,
  [Kind.BOOL]: 1,
  [Kind.INT]: 2,
  [Kind.FLOAT]: 2,
  [Kind.NUMBER]: 2,
  [Kind.TIMESTAMP]: 3,
  [Kind.STRING]: 4,
  [Kind.BYTES]: 5,
  [Kind.LIST]: 6,
  [Kind.RECORD]: 7,
};

/** The order of values. */
export function compareValues(a: Value, b: Value): number {
  const byKind = rank[kindOf(a)] - rank[kindOf(b)];
  if (byKind !== 0) return Math.sign(byKind);
  if (typeof a === 'boolean') return Number(a) - Number(b);
  if (typeof a === 'string') return compareLists([...a].map(point), [...(b as string)].map(point));
  if (a instanceof Uint8Array) return compareLists([...a], [...(b as Uint8Array)]);
  if (a instanceof Timestamp) return sign(a.toNanoseconds() - (b as Timestamp).toNanoseconds());
  if (Array.isArray(a)) return compareLists(a, b as readonly Value[]);
  if (a instanceof Map) return compareLists(pairs(a), pairs(b as ReadonlyMap<string, Value>));
  const x = numberOf(a);
  const y = numberOf(b);
  return x === undefined || y === undefined ? 0 : compareNumbers(x, y);
}

function point(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function sign(difference: bigint): number {
  if (difference === 0n) return 0;
  return difference < 0n ? -1 : 1;
}

/** NaN first; else exactly, both as fractions of 2^1074. */
function compareNumbers(a: number | bigint, b: number | bigint): number {
  const aLevel = level(a);
  const bLevel = level(b);
  if (aLevel !== bLevel) return Math.sign(aLevel - bLevel);
  return aLevel === 2 ? sign(scaled(a) - scaled(b)) : 0;
}

function level(value: number | bigint): number {
  if (typeof value === 'bigint' || Number.isFinite(value)) return 2;
  if (Number.isNaN(value)) return 0;
  return value < 0 ? 1 : 3;
}

function scaled(value: number | bigint): bigint {
  if (typeof value === 'bigint') return value * 2n ** 1074n;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const magnitude = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return bits >> 63n === 1n ? -magnitude : magnitude;
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
  for (const [index, x] of a.entries()) {
    const y = b[index];
    if (y === undefined) return 1;
    const order = compareValues(x, y);
    if (order !== 0) return order;
  }
  return a.length === b.length ? 0 : -1;
}

function pairs(record: ReadonlyMap<string, Value>): readonly Value[] {
  return [...record].sort(([a], [b]) => compareValues(a, b));
}

/** Equality of values: the same place in the order. */
export function equalValues(a: Value, b: Value): boolean {
  return compareValues(a, b) === 0;
}

/** Whether a template matches a tuple. */
export function templateMatches(template: TemplateSpec, tuple: readonly Value[]): boolean {
  return template.some((pattern) => patternMatches(pattern, tuple));
}

function patternMatches({ matchers, rest }: PatternSpec, values: readonly Value[]): boolean {
  if (values.length < matchers.length) return false;
  if (rest !== true && values.length > matchers.length) return false;
  return matchers.every((matcher, index) => matcherMatches(matcher, values[index] as Value));
}

/** Whether a matcher matches a value. */
export function matcherMatches(matcher: MatcherSpec, value: Value): boolean {
  switch (matcher.kind) {
    case 'any':
      return true;
    case 'formal':
      return isOf(matcher.formal, value);
    case 'actual':
      return equalValues(matcher.value, value);
    case 'range':
      return inRange(matcher, value);
    case 'prefix':
      return hasPrefix(matcher.prefix, value);
    case 'any-of':
      return matcher.values.some((one) => equalValues(one, value));
    case 'negation':
      return !matcherMatches(matcher.matcher, value);
    case 'list':
      return Array.isArray(value) && patternMatches(matcher.pattern, value);
    case 'record':
      return value instanceof Map && recordMatches(matcher.entries, value);
  }
}

function recordMatches(
  entries: ReadonlyMap<string, MatcherSpec>,
  record: ReadonlyMap<string, Value>,
): boolean {
  return [...entries].every(([key, matcher]) => {
    const value = record.get(key);
    return value !== undefined && matcherMatches(matcher, value);
  });
}

function hasPrefix(prefix: string | Uint8Array, value: Value): boolean {
  if (typeof prefix === 'string') return typeof value === 'string' && value.startsWith(prefix);
  if (!(value instanceof Uint8Array) || value.length < prefix.length) return false;
  return equalValues(value.slice(0, prefix.length), prefix);
}

function isOf(kind: Kind, value: Value): boolean {
  const own = kindOf(value);
  return own === kind || (kind === Kind.NUMBER && (own === Kind.INT || own === Kind.FLOAT));
}

function inRange(range: Extract<MatcherSpec, { kind: 'range' }>, value: Value): boolean {
  const { lower, upper } = range;
  const bound = lower ?? upper;
  const family = range.family ?? (bound === undefined ? Kind.NULL : kindOf(bound.value));
  const isNumber = range.family === undefined && (family === Kind.INT || family === Kind.FLOAT);
  if (!isOf(isNumber ? Kind.NUMBER : family, value)) return false;
  if (Number.isNaN(value instanceof Float ? value.value : value)) return false;
  if (lower !== undefined) {
    const order = compareValues(value, lower.value);
    if (order < 0 || (order === 0 && lower.exclusive === true)) return false;
  }
  if (upper === undefined) return true;
  const order = compareValues(value, upper.value);
  return order < 0 || (order === 0 && upper.exclusive !== true);
}
