import { Float, t as m, Timestamp, type Writable } from '@tuplet/client';
import test from 'ava';
import fc from 'fast-check';
import { formatTuple } from './format.ts';
import { LanguageError, parseTemplate, parseTuple } from './language.ts';

test('a tuple has words, numbers, quoted texts, keywords, bytes, instants, lists and records', (t) => {
  t.deepEqual(parseTuple('job,42,"two words",2.5,true,null'), [
    'job',
    42,
    'two words',
    2.5,
    true,
    null,
  ]);
  t.deepEqual(parseTuple('1.0, -9223372036854775808 ,1e3,NaN'), [
    new Float(1),
    -(2n ** 63n),
    new Float(1000),
    Number.NaN,
  ]);
  t.deepEqual(parseTuple('0x00ff,0x'), [Uint8Array.of(0, 255), new Uint8Array()]);
  t.deepEqual(parseTuple('@2026-01-31T12:00:00.5Z'), [new Timestamp(1769860800, 500_000_000)]);
  t.deepEqual(parseTuple('[1,[2, x]],[],{k: v, "a b": [1]},{}'), [
    [1, [2, 'x']],
    [],
    { k: 'v', 'a b': [1] },
    {},
  ]);
  t.deepEqual(parseTuple('"42","true",a-b/c.d'), ['42', 'true', 'a-b/c.d']);
});

test('a template has a matcher for each position', (t) => {
  const value = parseTemplate('job,?int,*,>=2,^pre,a|b');
  t.deepEqual(value, ['job', m.bigint, m.any, m.atLeast(2), m.prefix('pre'), m.oneOf('a', 'b')]);
  t.deepEqual(parseTemplate('1..5,..5,1..,<3,>2.5,!done,...'), [
    m.between(1, 5),
    m.atMost(5),
    m.atLeast(1),
    m.lessThan(3),
    m.greaterThan(2.5),
    m.not('done'),
    m.rest,
  ]);
  t.deepEqual(parseTemplate('a..f,@2026-01-01T00:00:00Z..,0x00..0xff'), [
    m.between('a', 'f'),
    m.atLeast(new Timestamp(1_767_225_600)),
    m.between(Uint8Array.of(0), Uint8Array.of(255)),
  ]);
  t.deepEqual(
    parseTemplate('[*,...],{k: ?string};...'),
    m.union([m.list(m.any, m.rest), m.record({ k: m.string })], [m.rest]),
  );
});

test('an error shows the place and what to write instead', (t) => {
  const fails = (text: string, parse: (text: string) => unknown): string =>
    t.throws(() => parse(text), { instanceOf: LanguageError })?.message ?? '';
  t.is(
    fails('job,two words', parseTuple),
    'a text with blanks needs double quotes\n  job,two words\n      ^',
  );
  t.regex(fails('job,?int', parseTuple), /\? begins a matcher, which only a template has/);
  t.regex(fails('job,?colour', parseTemplate), /\?colour is no kind; there are null, bool, int/);
  t.regex(fails('', parseTuple), /expected a value/);
  t.regex(fails('a,', parseTuple), /expected a value/);
  t.regex(fails('[1', parseTuple), /expected \]/);
  t.regex(fails('"open', parseTuple), /the quote is not closed/);
  t.regex(fails('9223372036854775808', parseTuple), /an int has 64 bits/);
  t.regex(fails('{a: 1, a: 2}', parseTuple), /the key a comes twice/);
  t.regex(fails('...,a', parseTemplate), /\.\.\. comes last/);
  t.regex(fails('['.repeat(40), parseTuple), /nest 16 deep/);
  t.regex(fails('@2026-13-01T00:00:00Z', parseTuple), /an instant looks like/);
});

const { tree: values } = fc.letrec<{ tree: Writable }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .map((int) => (Number.isSafeInteger(Number(int)) ? Number(int) : int)),
    fc.double().map((double) => (Number.isSafeInteger(double) ? new Float(double) : double)),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('null', '0x00', '12', '-1.5', 'a..b', '*', '?int', 'NaN'),
    fc.uint8Array(),
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 }).map((seconds) => new Timestamp(seconds, 120_000)),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.string({ unit: 'binary' }), tie('tree')), { maxLength: 4 })
      .map((entries) => Object.fromEntries(entries)),
  ),
}));

test('what is formatted reads as the same tuple', (t) => {
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 5 }), (fields) => {
      t.deepEqual(parseTuple(formatTuple(fields)), fields);
    }),
    { numRuns: 2000 },
  );
});
