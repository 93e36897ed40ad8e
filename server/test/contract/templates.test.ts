/** SPEC §2 over a real node: which tuples each matcher finds. */
import { float, t as m, type Space, Timestamp, TupletError, type Writable } from '@tuplet/client';
import {
  compileTemplate,
  encodeTemplate,
  encodeTuple,
  FieldOffsets,
  isProblem,
  type MatcherSpec,
  matchTuple,
  type TemplateSpec,
  type Value,
} from '@tuplet/proto';
import test, { type ExecutionContext } from 'ava';
import { startHouse } from './house.ts';

type Field = Parameters<Space['take']>[0];

const values: readonly Writable[] = [
  null,
  true,
  -5,
  3,
  float(3),
  3.5,
  Number.NaN,
  'a',
  'ab',
  'b',
  new Uint8Array([1]),
  new Uint8Array([1, 2]),
  Timestamp.fromNanoseconds(3n),
  [],
  [1, 'x'],
  [1, 'x', 2],
  { k: 1 },
  { k: 1, l: 2 },
];

/** The positions among `values` of those that a matcher finds. */
type Finds = (matcher: unknown) => Promise<number[]>;

async function finder(t: ExecutionContext): Promise<Finds> {
  const { space } = await startHouse(t);
  await space.writeMany(values.map((value, at) => ['m', at, value]));
  return async (matcher) => {
    const template = ['m', m.int, matcher] as Field;
    const found = await space.readMany(template, { waitMs: 0 });
    return (found as unknown as [string, number][]).map(([, at]) => at);
  };
}

const everything = values.map((_, at) => at);

test('a template matches its own arity, or at least that with rest [2.1]', async (t) => {
  const { space } = await startHouse(t);
  for (const fields of [['a'], ['a', 1], ['a', 1, 2], ['a', 1, 2, 3]]) await space.write(fields);
  const arities = async (template: Field): Promise<number[]> =>
    (await space.readMany(template, { waitMs: 0 })).map((fields) => (fields as []).length);
  t.deepEqual(await arities(['a']), [1]);
  t.deepEqual(await arities(['a', m.any]), [2]);
  t.deepEqual(await arities(['a', m.any, m.any, m.any]), [4]);
  t.deepEqual(await arities(['a', m.any, m.rest]), [2, 3, 4]);
  t.deepEqual(await arities(['a', m.any, 2, m.rest]), [3, 4]);
  t.deepEqual((await arities([m.rest])).sort(), [1, 2, 3, 4]);
});

test('any matches every value [2.2]', async (t) => {
  const finds = await finder(t);
  t.deepEqual(await finds(m.any), everything);
});

test('a formal matches its kind; number is int or float [2.3]', async (t) => {
  const finds = await finder(t);
  t.deepEqual(await finds(m.null), [0]);
  t.deepEqual(await finds(m.bool), [1]);
  t.deepEqual(await finds(m.bigint), [2, 3]);
  t.deepEqual(await finds(m.float), [4, 5, 6]);
  t.deepEqual(await finds(m.number), [2, 3, 4, 5, 6]);
  t.deepEqual(await finds(m.string), [7, 8, 9]);
  t.deepEqual(await finds(m.bytes), [10, 11]);
  t.deepEqual(await finds(m.timestamp), [12]);
  t.deepEqual(await finds(m.list(m.rest)), [13, 14, 15]);
  t.deepEqual(await finds(m.record({})), [16, 17]);
});

test('an actual value matches an equal value, and null is no wildcard [2.4, 1.2]', async (t) => {
  const finds = await finder(t);
  const equal: [Writable, number[]][] = [
    [null, [0]],
    [3, [3, 4]],
    [Number.NaN, [6]],
    ['a', [7]],
    [[1, 'x'], [14]],
    [{ l: 2, k: 1 }, [17]],
    ['none', []],
  ];
  for (const [value, wanted] of equal) t.deepEqual(await finds(value), wanted);
});

test('a range has bounds in, out or absent, within one family [2.5]', async (t) => {
  const finds = await finder(t);
  t.deepEqual(await finds(m.between(3, 3.5)), [3, 4, 5]);
  t.deepEqual(await finds(m.greaterThan(3)), [5]);
  t.deepEqual(await finds(m.atLeast(3)), [3, 4, 5]);
  t.deepEqual(await finds(m.lessThan(3)), [2]);
  t.deepEqual(await finds(m.atMost(3)), [2, 3, 4]);
  t.deepEqual(await finds(m.atLeast(-5n)), [2, 3], 'only ints');
  t.deepEqual(await finds(m.atLeast(float(-5))), [4, 5], 'only floats');
  t.deepEqual(await finds(m.between('a', 'ab')), [7, 8]);
  t.deepEqual(await finds(m.greaterThan('a')), [8, 9]);
  t.deepEqual(await finds(m.atLeast(new Uint8Array([1, 0]))), [11]);
  t.deepEqual(await finds(m.atMost(Timestamp.fromNanoseconds(3n))), [12]);
  t.deepEqual(await finds(m.lessThan(Timestamp.fromNanoseconds(3n))), []);
  const mixed = await t.throwsAsync(finds(m.between(1 as unknown as string, 'a')), {
    instanceOf: TupletError,
  });
  t.is(mixed.code, 'INVALID_ARGUMENT');
});

test('NaN is in no range, whatever its bounds [2.6]', async (t) => {
  const finds = await finder(t);
  const wide = [
    m.between(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY),
    m.atLeast(Number.NEGATIVE_INFINITY),
    m.atMost(float(Number.POSITIVE_INFINITY)),
  ];
  for (const range of wide) t.false((await finds(range)).includes(6));
  t.true((await finds(m.not(m.atLeast(0)))).includes(6));
});

test('a prefix matches strings, or bytes, that begin so [2.7]', async (t) => {
  const finds = await finder(t);
  t.deepEqual(await finds(m.prefix('a')), [7, 8]);
  t.deepEqual(await finds(m.prefix('ab')), [8]);
  t.deepEqual(await finds(m.prefix('')), [7, 8, 9]);
  t.deepEqual(await finds(m.prefix(new Uint8Array([1]))), [10, 11]);
});

test('in matches any of up to 256 values [2.8]', async (t) => {
  const finds = await finder(t);
  t.deepEqual(await finds(m.oneOf(3, 'b', null, [1, 'x'])), [0, 3, 4, 9, 14]);
  const many = (count: number): Writable[] => Array.from({ length: count }, (_, at) => at + 3);
  t.deepEqual(await finds(m.oneOf(...many(256))), [3, 4]);
  const refused = await t.throwsAsync(finds(m.oneOf(...many(257))), { instanceOf: TupletError });
  t.is(refused.reason, 'ANY_OF_SIZE');
});

test('not matches what its matcher does not, of any kind [2.9]', async (t) => {
  const finds = await finder(t);
  const inners = [3, m.string, m.prefix('a'), m.between(0, 9), m.list(m.rest), m.not(m.null)];
  for (const inner of inners) {
    const matched = new Set(await finds(inner));
    t.deepEqual(
      await finds(m.not(inner)),
      everything.filter((at) => !matched.has(at)),
    );
  }
});

test('lists match element by element, records by the keys asked for [2.10]', async (t) => {
  const finds = await finder(t);
  t.deepEqual(await finds(m.list()), [13]);
  t.deepEqual(await finds(m.list(m.int, m.string)), [14]);
  t.deepEqual(await finds(m.list(m.int, m.rest)), [14, 15]);
  t.deepEqual(await finds(m.list(m.any, m.any, m.greaterThan(1))), [15]);
  t.deepEqual(await finds(m.record({ k: 1 })), [16, 17]);
  t.deepEqual(await finds(m.record({ l: m.any })), [17]);
  t.deepEqual(await finds(m.record({ k: m.string })), []);
});

test('a union of up to 8 alternatives matches what one of them does [2.11]', async (t) => {
  const { space } = await startHouse(t);
  await space.writeMany(Array.from({ length: 10 }, (_, at) => [`tag-${at}`, at]));
  const alternatives = (count: number): Writable[][] =>
    Array.from({ length: count }, (_, at) => [`tag-${at}`, at]);
  const found = await space.readMany(m.union(...alternatives(8)), { waitMs: 0 });
  t.deepEqual(found.map((fields) => (fields as unknown[])[1]).sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
  const refused = await t.throwsAsync(space.count(m.union(...alternatives(9))), {
    instanceOf: TupletError,
  });
  t.is(refused.reason, 'TEMPLATE_ALTERNATIVES');
});

/** Bytes of a tuple that a match looks at, each look counted. */
function looks(spec: TemplateSpec, fields: readonly Value[]): { looks: number; bytes: number } {
  const compiled = compileTemplate(encodeTemplate(spec));
  if (isProblem(compiled)) throw new Error(compiled.message);
  const bytes = encodeTuple(fields);
  let count = 0;
  const counting = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) count += 1;
      const found: unknown = Reflect.get(target, key, target);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
  matchTuple(compiled, counting, new FieldOffsets().scan(bytes));
  return { looks: count, bytes: bytes.length };
}

test('a match costs at most matchers times bytes, for the worst templates too [2.12]', (t) => {
  const text = 'a'.repeat(2_000);
  const deep = (depth: number, inner: MatcherSpec): MatcherSpec =>
    depth === 0 ? inner : { kind: 'negation', matcher: deep(depth - 1, inner) };
  const nested = (depth: number): Value => (depth === 0 ? text : [text, nested(depth - 1)]);
  const lists = (depth: number): MatcherSpec =>
    depth === 0
      ? { kind: 'prefix', prefix: text }
      : {
          kind: 'list',
          pattern: { matchers: [{ kind: 'prefix', prefix: text }, lists(depth - 1)] },
        };
  const ends: MatcherSpec = { kind: 'range', lower: { value: text }, upper: { value: `${text}b` } };
  const many = Array.from({ length: 256 }, (_, at) => `${text}${at}`);
  const worst: [number, TemplateSpec, Value[]][] = [
    [1, [{ matchers: [{ kind: 'actual', value: nested(10) }] }], [nested(10)]],
    [20, [{ matchers: [lists(10)] }], [nested(10)]],
    [33, [{ matchers: [deep(32, { kind: 'actual', value: text })] }], [text]],
    [256, [{ matchers: [{ kind: 'any-of', values: many }] }], [text]],
    [8, Array.from({ length: 8 }, () => ({ matchers: [ends] })), [`${text}c`]],
    [
      1_024,
      [{ matchers: [{ kind: 'list', pattern: { matchers: many.map(() => ends) } }] }],
      [many.map(() => 'ab')],
    ],
  ];
  for (const [matchers, spec, fields] of worst) {
    const { looks: seen, bytes } = looks(spec, fields);
    // A range looks at a value once for each bound, and heads of values are looked at besides.
    t.true(
      seen <= matchers * (2 * bytes + 10),
      `${seen} looks, ${matchers} matchers, ${bytes} bytes`,
    );
    t.true(seen > 0, 'looks are counted');
  }
});
