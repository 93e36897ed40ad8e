import fc from 'fast-check';
import {
  Float,
  floatOf,
  intOf,
  Kind,
  type MatcherSpec,
  type PatternSpec,
  type RangeFamily,
  type TemplateSpec,
  Timestamp,
  type Value,
} from '../src/index.ts';

/** Numbers where encodings and comparisons go wrong. */
const edgeInts: readonly bigint[] = [
  0n,
  1n,
  -1n,
  63n,
  64n,
  -64n,
  -65n,
  127n,
  128n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 53n + 2n,
  -(2n ** 53n),
  -(2n ** 53n) - 1n,
  2n ** 62n + 1n,
  2n ** 63n - 1n,
  2n ** 63n - 1024n,
  2n ** 63n - 1025n,
  -(2n ** 63n),
  -(2n ** 63n) + 1n,
];
const edgeDoubles: readonly number[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  2 ** 53,
  2 ** 53 + 2,
  -(2 ** 53),
  2 ** 63,
  -(2 ** 63),
  2 ** 63 - 1024,
  5e-324,
  1.7976931348623157e308,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];

/** Any int of 64 bits. */
export const int: fc.Arbitrary<Value> = fc
  .oneof(
    fc.constantFrom(...edgeInts),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt(-200n, 200n),
  )
  .map(intOf);

/** Any double. */
export const float: fc.Arbitrary<Value> = fc
  .oneof(fc.constantFrom(...edgeDoubles), fc.double(), fc.integer({ min: -5, max: 5 }))
  .map((value) => (Object.is(value, -0) ? new Float(-0) : floatOf(value)));

/** Any well-formed string, often with code points above the surrogates. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.string({
    unit: fc.constantFrom('a', '\0', '\u{1}', 'é', '\uffff', '\ue000', '😀', '\u{10ffff}'),
    maxLength: 4,
  }),
  fc.string({ unit: 'binary', maxLength: 60 }),
);

/** Any bytes, often with zeros. */
export const octets: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 8 }),
  fc.array(fc.constantFrom(0, 1, 255), { maxLength: 4 }).map((list) => Uint8Array.from(list)),
);

/** Any instant. */
export const timestamp: fc.Arbitrary<Timestamp> = fc
  .oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt(-3_000_000_000n, 3_000_000_000n),
    fc.constantFrom(0n, 1n, -1n, 1_000_000_000n, 2n ** 63n - 1n, -(2n ** 63n)),
  )
  .map((nanoseconds) => Timestamp.fromNanoseconds(nanoseconds));

/** Any value without elements. */
export const scalar: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  int,
  float,
  text,
  octets,
  timestamp,
);

/** Any value, a few levels deep. */
export const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'value' },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 3 }).map((entries) => new Map(entries)),
  ),
})).value;

/** Values from so small a set that templates often match. */
export const small: fc.Arbitrary<Value> = fc.letrec<{ small: Value }>((tie) => ({
  small: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'small' },
    fc.constantFrom<Value[]>(
      null,
      true,
      false,
      0,
      1,
      2,
      new Float(0),
      new Float(-0),
      new Float(1),
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2n ** 53n,
      2n ** 53n + 1n,
      new Float(2 ** 53),
      floatOf(2 ** 53),
      '',
      'a',
      'ab',
      'b',
      '\ue000',
      '😀',
      Uint8Array.of(),
      Uint8Array.of(97),
      Uint8Array.of(97, 0),
      new Timestamp(0),
      new Timestamp(1),
      new Timestamp(-1, 5),
    ),
    fc.array(tie('small'), { maxLength: 2 }),
    fc
      .array(fc.tuple(fc.constantFrom('', 'a', 'b', 'k'), tie('small')), { maxLength: 3 })
      .map((entries) => new Map(entries)),
  ),
})).small;

/** A tuple of small values. */
export const smallTuple: fc.Arbitrary<readonly Value[]> = fc.array(small, {
  minLength: 1,
  maxLength: 4,
});

/** A tuple of any values. */
export const tuple: fc.Arbitrary<readonly Value[]> = fc.array(value, {
  minLength: 1,
  maxLength: 6,
});

const families = {
  [Kind.NUMBER]: fc.constantFrom<Value[]>(
    0,
    1,
    2,
    new Float(1),
    1.5,
    Number.NEGATIVE_INFINITY,
    2n ** 53n + 1n,
  ),
  [Kind.INT]: fc.constantFrom<Value[]>(0, 1, 2, 1.5),
  [Kind.FLOAT]: fc.constantFrom<Value[]>(new Float(0), 1, 1.5),
  [Kind.STRING]: fc.constantFrom<Value[]>('', 'a', 'ab', '\ue000', '😀'),
  [Kind.BYTES]: fc.constantFrom<Value[]>(Uint8Array.of(), Uint8Array.of(97), Uint8Array.of(97, 0)),
  [Kind.TIMESTAMP]: fc.constantFrom<Value[]>(
    new Timestamp(0),
    new Timestamp(1),
    new Timestamp(-1, 5),
  ),
} as const;

function rangeOf(family: RangeFamily): fc.Arbitrary<MatcherSpec> {
  const bound = fc.option(fc.record({ value: families[family], exclusive: fc.boolean() }), {
    nil: undefined,
  });
  return fc.tuple(bound, bound).map(([lower, upper]) => ({
    kind: 'range',
    family,
    ...(lower === undefined ? {} : { lower }),
    ...(upper === undefined ? {} : { upper }),
  }));
}

const range: fc.Arbitrary<MatcherSpec> = fc
  .constantFrom(Kind.NUMBER, Kind.INT, Kind.FLOAT, Kind.STRING, Kind.BYTES, Kind.TIMESTAMP)
  .chain(rangeOf);

/** Any matcher over small values. */
export const matcher: fc.Arbitrary<MatcherSpec> = fc.letrec<{ matcher: MatcherSpec }>((tie) => ({
  matcher: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'matcher' },
    fc.constant<MatcherSpec>({ kind: 'any' }),
    fc
      .constantFrom(...Object.values(Kind))
      .map((formal): MatcherSpec => ({ kind: 'formal', formal })),
    small.map((value): MatcherSpec => ({ kind: 'actual', value })),
    range,
    fc
      .constantFrom('', 'a', 'ab', Uint8Array.of(), Uint8Array.of(97), '😀')
      .map((prefix): MatcherSpec => ({ kind: 'prefix', prefix })),
    fc
      .array(small, { minLength: 1, maxLength: 4 })
      .map((values): MatcherSpec => ({ kind: 'any-of', values })),
    tie('matcher').map((inner): MatcherSpec => ({ kind: 'negation', matcher: inner })),
    fc
      .record({ matchers: fc.array(tie('matcher'), { maxLength: 2 }), rest: fc.boolean() })
      .map((pattern): MatcherSpec => ({ kind: 'list', pattern })),
    fc
      .array(fc.tuple(fc.constantFrom('', 'a', 'b', 'k'), tie('matcher')), { maxLength: 2 })
      .map((entries): MatcherSpec => ({ kind: 'record', entries: new Map(entries) })),
  ),
})).matcher;

/** One alternative over small values. */
export const pattern: fc.Arbitrary<PatternSpec> = fc
  .record({ matchers: fc.array(matcher, { maxLength: 4 }), rest: fc.boolean() })
  .filter(({ matchers, rest }) => rest || matchers.length > 0);

/** Any template over small values. */
export const template: fc.Arbitrary<TemplateSpec> = fc.array(pattern, {
  minLength: 1,
  maxLength: 3,
});
