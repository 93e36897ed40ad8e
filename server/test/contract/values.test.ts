/** SPEC §1 over a real node: which values are equal, how large they may be, how the SDK reads them. */
import { float, t as m, Timestamp, TupletError, type Writable } from '@tuplet/client';
import * as contract from '@tuplet/proto/contract';
import test, { type ExecutionContext } from 'ava';
import { any, template, tuple } from '../router/bench.ts';
import { ifExists, jobs, startHouse } from './house.ts';

const { methods } = contract.TupleSpaceService;

/** One value of each class that comes up below: whatever is tested must differ from these. */
const others: readonly Writable[] = [
  null,
  false,
  3,
  'other',
  new Uint8Array([9]),
  Timestamp.fromNanoseconds(3n),
  [3],
  { other: 3 },
];

/** Within a class every value matches every other as an actual one, and none of another class. */
async function equality(
  t: ExecutionContext,
  ...classes: readonly (readonly Writable[])[]
): Promise<void> {
  const { space } = await startHouse(t);
  const apart = others.filter((other) => !classes.flat().includes(other));
  const all = [...classes, ...apart.map((other) => [other])];
  const written = all.flatMap((values, of) => values.map((value) => ({ of, value })));
  await space.writeMany(written.map(({ of, value }, at) => ['v', at, of, value]));
  for (const { of, value } of written) {
    const found = await space.readMany(['v', m.int, m.int, value], { waitMs: 0 });
    const wanted = written.flatMap((each, at) => (each.of === of ? [at] : []));
    t.deepEqual(
      found.map(([, at]) => at),
      wanted,
      `${String(value)} of class ${of}`,
    );
  }
}

test('null is a value and equals null alone [1.2]', (t) => equality(t, [null], [0], [''], [[]]));

test('a bool equals the same, and no number [1.3]', (t) => equality(t, [true], [false], [1], [0]));

test('numbers are equal by mathematical value, whatever their kind [1.4]', (t) =>
  equality(
    t,
    [1, 1n, float(1)],
    [2n ** 53n, float(2 ** 53)],
    [2n ** 53n + 1n],
    [2n ** 63n - 1n],
    [float(2 ** 63)],
    [-(2n ** 63n), float(-(2 ** 63))],
    [0.1],
    [Number.POSITIVE_INFINITY],
  ));

test('NaN equals NaN, and -0 equals 0 [1.5]', (t) =>
  equality(t, [Number.NaN, float(Number.NaN)], [0, float(0), float(-0)], [float(5e-324)]));

test('strings are equal by code points, without normalization [1.6]', (t) =>
  equality(t, ['é'], ['e\u0301'], ['E'], [''], ['😀'], ['1']));

test('bytes equal the same octets, and no string [1.7]', (t) =>
  equality(
    t,
    [new Uint8Array([0, 255]), Buffer.from([0, 255])],
    [new Uint8Array([0])],
    [new Uint8Array([255, 0])],
    [new Uint8Array(0)],
    ['a'],
    [new Uint8Array([97])],
  ));

test('a timestamp equals the same instant and never a number [1.8]', (t) =>
  equality(
    t,
    [new Date(5), Timestamp.fromMilliseconds(5), Timestamp.fromNanoseconds(5_000_000n)],
    [Timestamp.fromNanoseconds(5n)],
    [5_000_000],
    [5],
    [Timestamp.fromNanoseconds(-1n)],
    [Timestamp.fromNanoseconds(0n)],
    [0],
  ));

test('a list equals one of the same length with equal elements in order [1.9]', (t) =>
  equality(
    t,
    [
      [1, [2, 'x']],
      [float(1), [2n, 'x']],
    ],
    [[[2, 'x'], 1]],
    [[1]],
    [[1, 2]],
    [[2, 1]],
    [[]],
    [[[]]],
  ));

test('a record equals one with the same keys and equal values [1.10]', (t) =>
  equality(
    t,
    [
      { a: 1, b: [float(2)] },
      { b: [2], a: float(1) },
    ],
    [{ a: 1, b: [3] }],
    [{ a: 1 }],
    [{ a: 1, c: [2] }],
    [{}],
    [[1, 2]],
  ));

test('beyond each limit a write names field and limit, and nothing is written [1.1, 1.9, 1.10, 1.11, 1.19, 1.21]', async (t) => {
  const { space, bare } = await startHouse(t);
  let deep: Writable = 1;
  for (let depth = 0; depth < 16; depth += 1) deep = [deep];
  const keys = (count: number): Writable =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, at]));
  const nulls = (count: number): null[] => Array.from({ length: count }, () => null);
  const within: Writable[][] = [[1], nulls(64), [nulls(1_024)], [keys(256)], [deep], [[]], [{}]];
  for (const fields of within) await space.write(fields);
  const beyond: [string, Writable[], string][] = [
    ['TUPLE_ARITY', [], '64'],
    ['TUPLE_ARITY', nulls(65), '64'],
    ['LIST_TOO_LONG', ['x', nulls(1_025)], '1024'],
    ['RECORD_TOO_LARGE', ['x', keys(257)], '256'],
    ['NESTED_TOO_DEEP', ['x', [deep]], '16'],
    ['TUPLE_TOO_LARGE', ['x', 'x'.repeat(1_048_576)], '1048576'],
  ];
  for (const [reason, fields, limit] of beyond) {
    const error = await t.throwsAsync(space.write(fields), { instanceOf: TupletError });
    t.like(error, { reason, code: 'INVALID_ARGUMENT', definite: true });
    t.true(error.message.includes(limit), `${reason}: ${error.message}`);
    const isWhole = reason === 'TUPLE_ARITY' || reason === 'TUPLE_TOO_LARGE';
    if (!isWhole) t.regex(error.field ?? '', /fields\[1\]/);
  }
  t.is(await space.count(), within.length);
  // The server says the same to who does not check before.
  const fields = Buffer.from('0a020800'.repeat(65), 'hex');
  const failure = await bare.failure(methods.write, { space: jobs, tuple: fields });
  t.is(failure.reason, 'TUPLE_ARITY');
  t.like(Object.fromEntries(failure.metadata), { field: 'tuple', limit: '64' });
});

test('a tuple may have 1 MiB, or what its space allows up to 3 MiB [1.19]', async (t) => {
  const { space, client } = await startHouse(t);
  const text = (size: number): string => 'x'.repeat(size);
  await space.write([text(1_048_500)]);
  await client.admin.createSpace('large', { tupleBytesMax: 3_145_728 });
  const large = client.space('large');
  await large.write([text(3_145_700)]);
  t.is((await large.read([m.string]))[0].length, 3_145_700);
  const tooLarge = await t.throwsAsync(large.write([text(3_145_728)]), { instanceOf: TupletError });
  t.is(tooLarge.reason, 'TUPLE_TOO_LARGE');
  const settings = { tupleBytesMax: 3_145_729 };
  const refused = await t.throwsAsync(client.admin.createSpace('larger', settings), {
    instanceOf: TupletError,
  });
  t.is(refused.code, 'INVALID_ARGUMENT');
});

test('an answer of many tuples stops at 3.5 MiB, with at least one [1.20]', async (t) => {
  const { bare, client, space } = await startHouse(t);
  for (let at = 0; at < 6; at += 1) await space.write(['big', at, 'x'.repeat(1_000_000)]);
  const ask = { space: jobs, template: template('big', any, any), max: 6, wait: ifExists };
  const read = await bare.call(methods.readMany, ask);
  t.is(read.found.length, 3);
  t.true(contract.ReadManyResponse.encode(read).length <= 3_670_016);
  const taken = await bare.call(methods.takeMany, ask);
  t.is(taken.found.length, 3);
  t.is(await space.count(), 3, 'the others are still there');
  // Across partitions as well: each has one of them.
  for (let at = 0; at < 6; at += 1) await space.write([`tag-${at}`, at, 'x'.repeat(1_000_000)]);
  const across = await bare.call(methods.readMany, { ...ask, template: template(any, any, any) });
  t.is(across.found.length, 3);
  await client.admin.createSpace('large', { tupleBytesMax: 3_145_728 });
  const large = client.space('large');
  for (let at = 0; at < 2; at += 1) await large.write(['big', 'x'.repeat(3_145_000)]);
  const one = { space: { name: 'large' }, template: template('big', any), max: 2, wait: ifExists };
  t.is((await bare.call(methods.readMany, one)).found.length, 1);
});

test('what was written is stored: kind, sign of zero, and NaN in one pattern [1.13]', async (t) => {
  const { bare, space } = await startHouse(t);
  await space.write(['z', float(-0), float(1), 1, Number.NaN]);
  const [, zero, ...rest] = await space.read(['z', m.rest]);
  t.true(Object.is(zero, -0));
  t.deepEqual(rest, [1, 1, Number.NaN]);
  t.truthy(await space.readIfExists(['z', m.float, m.float, m.int, m.float]), 'kinds are kept');
  // NaN with a payload and a sign, as another language may send it.
  const odd = Buffer.from('0a032a01790a0921010000000000f8ff', 'hex');
  await bare.call(methods.write, { space: jobs, tuple: odd });
  const ask = { space: jobs, template: template('y', any), wait: ifExists };
  const { found } = await bare.call(methods.read, ask);
  t.is(Buffer.from(found?.tuple ?? []).toString('hex'), '0a032a01790a0921000000000000f87f');
  t.deepEqual(Buffer.from(found?.tuple ?? []), Buffer.from(tuple('y', Number.NaN)));
});

test('a safe integral number is an int, any other a float; float and bigint say which [1.16]', async (t) => {
  const { space } = await startHouse(t);
  const kinds: [Writable, 'int' | 'float'][] = [
    [5, 'int'],
    [-0, 'int'],
    [Number.MAX_SAFE_INTEGER, 'int'],
    [2 ** 53, 'float'],
    [2.5, 'float'],
    [float(5), 'float'],
    [5n, 'int'],
    [2n ** 53n, 'int'],
  ];
  for (const [at, [value]] of kinds.entries()) await space.write(['k', at, value]);
  for (const [at, [value, kind]] of kinds.entries()) {
    const isInt = (await space.readIfExists(['k', at, m.bigint])) !== undefined;
    const isFloat = (await space.readIfExists(['k', at, m.float])) !== undefined;
    t.deepEqual([isInt, isFloat], [kind === 'int', kind === 'float'], `${at}: ${String(value)}`);
  }
});

test('each matcher for ints reads the type it promises [1.17]', async (t) => {
  const { space } = await startHouse(t);
  const edge = BigInt(Number.MAX_SAFE_INTEGER);
  await space.writeMany([edge, -edge, edge + 1n, -edge - 1n].map((int, at) => ['i', at, int]));
  const read = async (at: number, matcher: typeof m.any): Promise<unknown> =>
    (await space.readIfExists(['i', at, matcher]))?.[2];
  const ints = await Promise.all([0, 1, 2, 3].map((at) => read(at, m.int)));
  t.deepEqual(ints, [Number(edge), -Number(edge), undefined, undefined]);
  const bigints = await Promise.all([0, 1, 2, 3].map((at) => read(at, m.bigint)));
  t.deepEqual(bigints, [edge, -edge, edge + 1n, -edge - 1n]);
  const numbers = await Promise.all([0, 1, 2, 3].map((at) => read(at, m.number)));
  t.deepEqual(numbers, [Number(edge), -Number(edge), 2 ** 53, -(2 ** 53)]);
  const anything = await Promise.all([0, 1, 2, 3].map((at) => read(at, m.any)));
  t.deepEqual(anything, [Number(edge), -Number(edge), edge + 1n, -edge - 1n]);
});

test('records with the names of an object’s own parts are read like any other [1.18]', async (t) => {
  const { space } = await startHouse(t);
  const odd: Writable = JSON.parse(
    '{"__proto__": 1, "constructor": 2, "toString": 3, "then": 4, "toJSON": 5}',
  );
  await space.write(['odd', odd]);
  const taken = await space.take(['odd', m.any]);
  const record = taken[1] as { readonly [key: string]: unknown };
  t.deepEqual(Object.entries(record).sort(), Object.entries(odd as object).sort());
  t.is(Object.getPrototypeOf(record), Object.prototype);
});
