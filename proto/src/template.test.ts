import test from 'ava';
import fc from 'fast-check';
import { template } from '../test/arbitrary.ts';
import { templateMatches } from '../test/oracle.ts';
import { randomOf, runtime } from '../test/runtime.ts';
import {
  compileTemplate,
  encodeTemplate,
  encodeTuple,
  FieldOffsets,
  Float,
  type InvalidReason,
  isProblem,
  Kind,
  limits,
  type MatcherSpec,
  matchTuple,
  type PatternSpec,
  type Problem,
  Template,
  type TemplateSpec,
  Timestamp,
  type Value,
} from './index.ts';

const any: MatcherSpec = { kind: 'any' };
const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const repeat = <T>(count: number, item: T): readonly T[] =>
  Array.from({ length: count }, () => item);

function problemOf(bytes: Uint8Array): Problem {
  const result = compileTemplate(bytes);
  if (isProblem(result)) return result;
  throw new Error('accepted');
}

const one = (matcher: MatcherSpec): TemplateSpec => [{ matchers: [matcher] }];
const list = (pattern: PatternSpec): MatcherSpec => ({ kind: 'list', pattern });

function negated(times: number): MatcherSpec {
  let matcher = any;
  for (let i = 0; i < times; i += 1) matcher = { kind: 'negation', matcher };
  return matcher;
}

const anyOf = (count: number): MatcherSpec => ({
  kind: 'any-of',
  values: Array.from({ length: count }, (_, i) => i),
});
const recordOf = (keys: number): MatcherSpec => ({
  kind: 'record',
  entries: new Map(Array.from({ length: keys }, (_, i) => [`k${i}`, any])),
});

/** Each limit: a template at it, one beyond it, the reason, and the limit named. */
const bounds: readonly (readonly [InvalidReason, number, TemplateSpec, TemplateSpec])[] = [
  ['TEMPLATE_ALTERNATIVES', 8, repeat(8, { matchers: [any] }), repeat(9, { matchers: [any] })],
  ['PATTERN_TOO_LONG', 64, [{ matchers: repeat(64, any) }], [{ matchers: repeat(65, any) }]],
  [
    'PATTERN_TOO_LONG',
    1_024,
    one(list({ matchers: repeat(1_024, any) })),
    one(list({ matchers: repeat(1_025, any) })),
  ],
  ['ANY_OF_SIZE', 256, one(anyOf(256)), one(anyOf(257))],
  ['RECORD_TOO_LARGE', 256, one(recordOf(256)), one(recordOf(257))],
  ['NESTED_TOO_DEEP', 32, one(negated(32)), one(negated(33))],
  [
    'TEMPLATE_TOO_LARGE',
    16_384,
    [{ matchers: repeat(15, list({ matchers: repeat(1_024, any) })) }],
    [{ matchers: repeat(16, list({ matchers: repeat(1_024, any) })) }],
  ],
];

test('§2 at each limit a template is taken, beyond it refused with the limit [2.8, 2.11]', (t) => {
  for (const [reason, limit, at, beyond] of bounds) {
    t.true(compileTemplate(encodeTemplate(at)) instanceof Template, `${reason} ${limit}`);
    t.like(problemOf(encodeTemplate(beyond)), { reason, limit });
  }
  t.is(problemOf(new Uint8Array(0)).reason, 'TEMPLATE_ALTERNATIVES');
  t.is(problemOf(encodeTemplate(one({ kind: 'any-of', values: [] }))).reason, 'ANY_OF_SIZE');
  const large = encodeTemplate(
    one({ kind: 'prefix', prefix: new Uint8Array(limits.messageBytesMax) }),
  );
  t.like(problemOf(large), { reason: 'TEMPLATE_TOO_LARGE', limit: limits.messageBytesMax });
});

test('§2 a pattern without matchers needs rest, but not inside a list', (t) => {
  t.is(problemOf(encodeTemplate([{ matchers: [] }])).reason, 'PATTERN_EMPTY');
  t.true(compileTemplate(encodeTemplate([{ matchers: [], rest: true }])) instanceof Template);
  t.true(compileTemplate(encodeTemplate(one(list({ matchers: [] })))) instanceof Template);
});

test('§2 the bounds of a range are of one family, and never NaN [2.5]', (t) => {
  type Range = Omit<Extract<MatcherSpec, { kind: 'range' }>, 'kind'>;
  const reason = (range: Range): string => {
    const result = compileTemplate(encodeTemplate(one({ kind: 'range', ...range })));
    return isProblem(result) ? result.reason : 'taken';
  };
  const bound = (value: Value): { value: Value } => ({ value });
  t.is(reason({}), 'RANGE_FAMILY');
  t.is(reason({ family: Kind.STRING }), 'taken');
  t.is(reason({ lower: bound(1), upper: bound(1.5) }), 'taken');
  t.is(reason({ lower: bound(1), upper: bound('a') }), 'RANGE_FAMILY');
  t.is(reason({ lower: bound(1), upper: bound(new Timestamp(1)) }), 'RANGE_FAMILY');
  t.is(reason({ lower: bound('a'), upper: bound(Uint8Array.of(1)) }), 'RANGE_FAMILY');
  t.is(reason({ family: Kind.STRING, lower: bound(1) }), 'RANGE_FAMILY');
  t.is(reason({ family: Kind.INT, upper: bound(1.5) }), 'taken');
  for (const value of [Number.NaN, null, true, [], new Map()]) {
    t.is(reason({ lower: bound(value) }), 'RANGE_BOUND');
    t.is(reason({ upper: bound(value) }), 'RANGE_BOUND');
  }
  for (const family of [1, 2, 9, 10, 11]) {
    const result = problemOf(hex(`0a06 0a04 2202 08${family.toString(16).padStart(2, '0')}`));
    t.is(result.reason, 'RANGE_FAMILY');
  }
});

test('§2 NaN is in no range, and -0 and 0 are one bound [2.6]', (t) => {
  const range: MatcherSpec = { kind: 'range', family: Kind.NUMBER };
  t.false(matches(one(range), [Number.NaN]));
  t.true(matches(one(range), [Number.NEGATIVE_INFINITY]));
  t.true(
    matches(one({ kind: 'range', lower: { value: 0 }, upper: { value: 0 } }), [new Float(-0)]),
  );
  t.false(matches(one({ kind: 'range', lower: { value: 2n ** 53n, exclusive: true } }), [2 ** 53]));
  t.true(
    matches(one({ kind: 'range', lower: { value: 2n ** 53n, exclusive: true } }), [2n ** 53n + 1n]),
  );
});

function matches(source: TemplateSpec, fields: readonly Value[]): boolean {
  const ready = compileTemplate(encodeTemplate(source));
  if (isProblem(ready)) throw new Error(ready.message);
  const bytes = encodeTuple(fields);
  return matchTuple(ready, bytes, new FieldOffsets().scan(bytes));
}

const refused: readonly (readonly [InvalidReason, string, string])[] = [
  ['MATCHER_WITHOUT_KIND', '0a02 0a00', 'no kind'],
  ['FIELD_REPEATED', '0a06 0a04 0a00 0a00', 'two kinds'],
  ['FIELD_REPEATED', '0a08 0a02 0a00 1001 1001', 'rest twice'],
  ['KIND_UNKNOWN', '0a04 0a02 1000', 'formal of no kind'],
  ['KIND_UNKNOWN', '0a04 0a02 100b', 'formal of kind 11'],
  ['UNKNOWN_FIELD', '0a04 0a02 5200', 'unknown matcher'],
  ['UNKNOWN_FIELD', '0a06 0a04 0a02 0801', 'any with content'],
  ['UNKNOWN_FIELD', '0a06 0a02 0a00 1801', 'unknown field of a pattern'],
  ['UNKNOWN_FIELD', '1000', 'unknown field of a template'],
  ['VALUE_WITHOUT_KIND', '0a04 0a02 1a00', 'actual without kind'],
  ['VALUE_WITHOUT_KIND', '0a08 0a06 2204 1202 1001', 'bound without value'],
  ['PREFIX_WITHOUT_KIND', '0a04 0a02 2a00', 'prefix without kind'],
  ['FIELD_REPEATED', '0a08 0a06 2a04 0a00 0a00', 'prefix twice'],
  ['STRING_NOT_UTF8', '0a07 0a05 2a03 0a01 80', 'prefix not UTF-8'],
  ['STRING_NOT_UTF8', '0a0d 0a0b 4a09 0a07 0a0180 1202 0a00', 'key not UTF-8'],
  ['DUPLICATE_KEY', '0a16 0a14 4a12 0a07 0a0161 12020a00 0a07 0a0161 12020a00', 'key twice'],
  ['MATCHER_WITHOUT_KIND', '0a09 0a07 4a05 0a03 0a0161', 'entry without matcher'],
  ['MALFORMED_MESSAGE', '0a04 0a05 0a00', 'cut off'],
];

test('§2 what is no template is refused with its reason', (t) => {
  for (const [reason, bytes, what] of refused) t.is(problemOf(hex(bytes)).reason, reason, what);
  const nested = encodeTemplate([
    { matchers: [any] },
    { matchers: [any, { kind: 'negation', matcher: anyOf(257) }] },
  ]);
  t.is(problemOf(nested).field, 'alternatives[1].matchers[1].negation.any_of');
});

test('§2 a template in another valid encoding matches the same', (t) => {
  const Message = runtime.lookupType('tuplet.v1.Template');
  const offsets = new FieldOffsets();
  const tuples: readonly (readonly Value[])[] = [
    [1],
    ['a'],
    [
      new Map([
        ['b', 1],
        ['a', 2],
      ]),
    ],
    [[1]],
    ['a', 1],
  ];
  const property = fc.property(template, (source) => {
    const seen = Message.decode(encodeTemplate(source));
    const again = compileTemplate(Message.encode(seen).finish());
    if (isProblem(again)) return false;
    return tuples.every((fields) => {
      const bytes = encodeTuple(fields);
      return matchTuple(again, bytes, offsets.scan(bytes)) === templateMatches(source, fields);
    });
  });
  fc.assert(property, { numRuns: 2_000 });
  const inActual = '0a18 0a16 1a14 4a12 0a07 0a0162 12021802 0a07 0a0161 12021800';
  const inPattern = '0a16 0a14 4a12 0a07 0a0162 12020a00 0a07 0a0161 12020a00';
  const record = encodeTuple([
    new Map([
      ['a', 0],
      ['b', 1],
    ]),
  ]);
  for (const unsorted of [inActual, inPattern]) {
    const ready = compileTemplate(hex(unsorted));
    t.true(!isProblem(ready) && matchTuple(ready, record, offsets.scan(record)), unsorted);
  }
});

test('a compiled template is the run of the bytes it was compiled from, and compiles again', (t) => {
  const property = fc.property(template, fc.nat({ max: 9 }), (spec, before) => {
    const source = encodeTemplate(spec);
    const whole = new Uint8Array(before + source.length + 3);
    whole.set(source, before);
    const compiled = compileTemplate(whole, before, before + source.length);
    if (isProblem(compiled)) return t.fail(compiled.message);
    const { bytes, start, end } = compiled;
    t.deepEqual(bytes.slice(start, end), source);
    const again = compileTemplate(bytes.slice(start, end));
    const direct = compileTemplate(source);
    t.deepEqual(again, direct);
  });
  fc.assert(property, { numRuns: 200 });
});

test('mutated templates are compiled or refused, and never break the matcher', (t) => {
  const random = randomOf(5);
  const samples = fc.sample(template, { numRuns: 500, seed: 9 });
  const bytes = encodeTuple(['a', 1, [1, 'b'], new Map([['k', 2]])]);
  const offsets = new FieldOffsets().scan(bytes);
  let refusals = 0;
  for (let run = 0; run < 30_000; run += 1) {
    const copy = encodeTemplate(samples[run % samples.length] ?? []);
    for (let hit = 0; hit < 2; hit += 1) copy[Math.floor(random() * copy.length)] = random() * 256;
    const ready = compileTemplate(copy);
    if (isProblem(ready)) refusals += 1;
    else matchTuple(ready, bytes, offsets);
  }
  t.true(refusals > 5_000 && refusals < 30_000, `${refusals} refusals`);
});
