import test from 'ava';
import {
  canonicalTuple,
  canonicalValue,
  checkTuple,
  DecodeError,
  decodeTuple,
  EncodeError,
  encodeTuple,
  Float,
  type InvalidReason,
  isProblem,
  limits,
  type Problem,
  ProblemError,
  Timestamp,
  type TupleLimits,
  type Value,
} from './index.ts';

const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A field of a tuple, an element of a list or an entry of a record: tag, length, content. */
function field(tag: number, content: Uint8Array): Uint8Array {
  const size: number[] = [];
  let rest = content.length;
  while (rest > 0x7f) {
    size.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return Uint8Array.from([tag, ...size, rest, ...content]);
}

const join = (parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
const times = (count: number, part: Uint8Array): Uint8Array =>
  join(Array.from({ length: count }, () => part));
const NULL = hex('0800');

function problemOfBytes(bytes: Uint8Array, bounds?: TupleLimits): Problem {
  const result = checkTuple(bytes, bounds);
  if (isProblem(result)) return result;
  throw new Error(`accepted: ${result}`);
}

function problemOfValue(fields: readonly Value[], bounds?: TupleLimits): Problem {
  try {
    encodeTuple(fields, bounds);
  } catch (error) {
    if (error instanceof EncodeError) return error.problem;
    throw error;
  }
  throw new Error('accepted');
}

function nestedList(depth: number): Value {
  let value: Value = [];
  for (let i = 1; i < depth; i += 1) value = [value];
  return value;
}

function nestedListBytes(depth: number): Uint8Array {
  let bytes = hex('4200');
  for (let i = 1; i < depth; i += 1) bytes = field(0x42, field(0x0a, bytes));
  return field(0x0a, bytes);
}

const recordOf = (keys: number): Value =>
  new Map(Array.from({ length: keys }, (_, i) => [`k${i}`, null]));
const entryOf = (index: number): Uint8Array => {
  const key = Buffer.from(`k${String(index).padStart(4, '0')}`);
  return field(0x0a, join([field(0x0a, key), field(0x12, NULL)]));
};
const recordBytes = (keys: number): Uint8Array =>
  field(0x0a, field(0x4a, join(Array.from({ length: keys }, (_, i) => entryOf(i)))));

/** Each limit: at it both ways are fine, beyond it both name the reason, the field and the limit. */
interface LimitCase {
  readonly reason: InvalidReason;
  readonly limit: number;
  readonly field: string;
  readonly atValue: readonly Value[];
  readonly beyondValue: readonly Value[];
  readonly atBytes: Uint8Array;
  readonly beyondBytes: Uint8Array;
}

const nulls = (count: number): readonly Value[] => Array.from({ length: count }, () => null);
const cases: readonly LimitCase[] = [
  {
    reason: 'TUPLE_ARITY',
    limit: 64,
    field: '',
    atValue: nulls(64),
    beyondValue: nulls(65),
    atBytes: times(64, field(0x0a, NULL)),
    beyondBytes: times(65, field(0x0a, NULL)),
  },
  {
    reason: 'LIST_TOO_LONG',
    limit: 1_024,
    field: 'fields[1]',
    atValue: [null, nulls(1_024)],
    beyondValue: [null, nulls(1_025)],
    atBytes: join([field(0x0a, NULL), field(0x0a, field(0x42, times(1_024, field(0x0a, NULL))))]),
    beyondBytes: join([
      field(0x0a, NULL),
      field(0x0a, field(0x42, times(1_025, field(0x0a, NULL)))),
    ]),
  },
  {
    reason: 'RECORD_TOO_LARGE',
    limit: 256,
    field: 'fields[0]',
    atValue: [recordOf(256)],
    beyondValue: [recordOf(257)],
    atBytes: recordBytes(256),
    beyondBytes: recordBytes(257),
  },
  {
    reason: 'NESTED_TOO_DEEP',
    limit: 16,
    field: `fields[0]${'.list_value.values[0]'.repeat(16)}`,
    atValue: [nestedList(16)],
    beyondValue: [nestedList(17)],
    atBytes: nestedListBytes(16),
    beyondBytes: nestedListBytes(17),
  },
];

for (const one of cases) {
  test(`§1 at the limit of ${one.limit} all is well, beyond it ${one.reason} [1.1, 1.9, 1.10, 1.11, 1.21]`, (t) => {
    t.is(checkTuple(encodeTuple(one.atValue)), 'canonical');
    t.is(checkTuple(one.atBytes), 'canonical');
    t.like(problemOfValue(one.beyondValue), { reason: one.reason, limit: one.limit });
    const { reason, limit, field: place, message } = problemOfBytes(one.beyondBytes);
    t.deepEqual(
      { reason, limit, field: place },
      { reason: one.reason, limit: one.limit, field: one.field },
    );
    t.true(message.includes(String(one.limit)), message);
  });
}

test('§1 a tuple without fields is refused [1.1]', (t) => {
  t.is(problemOfBytes(new Uint8Array(0)).reason, 'TUPLE_ARITY');
  t.is(problemOfValue([]).reason, 'TUPLE_ARITY');
});

test('§1 a tuple is as large as its space allows, and not a byte more [1.19]', (t) => {
  const bounds = { tupleBytesMax: 200 };
  const fit = encodeTuple(['x'.repeat(194)], bounds);
  t.is(fit.length, 200);
  t.is(checkTuple(fit, bounds), 'canonical');
  t.like(problemOfValue(['x'.repeat(195)], bounds), { reason: 'TUPLE_TOO_LARGE', limit: 200 });
  t.like(problemOfBytes(encodeTuple(['x'.repeat(195)]), bounds), {
    reason: 'TUPLE_TOO_LARGE',
    limit: 200,
  });
  t.is(problemOfValue([new Uint8Array(limits.tupleBytesDefault)]).reason, 'TUPLE_TOO_LARGE');
  t.is(problemOfValue([new Uint8Array(limits.tupleBytesMax + 1)]).reason, 'TUPLE_TOO_LARGE');
  const grows = join([field(0x0a, hex('4a 04 0a 02 12 00')), hex('0a 02 08 00')]);
  t.is(problemOfBytes(grows).reason, 'VALUE_WITHOUT_KIND');
});

test('§1 a tuple that grows beyond its limit when it is made canonical is refused', (t) => {
  const withoutKey = join([field(0x0a, field(0x4a, field(0x0a, field(0x12, NULL))))]);
  t.is(checkTuple(withoutKey, { tupleBytesMax: withoutKey.length + 2 }), 'valid');
  t.is(
    problemOfBytes(withoutKey, { tupleBytesMax: withoutKey.length + 1 }).reason,
    'TUPLE_TOO_LARGE',
  );
});

test('§1 timestamps reach from the first to the last 64-bit nanosecond [1.8]', (t) => {
  for (const nanoseconds of [2n ** 63n - 1n, -(2n ** 63n), -1n, 0n]) {
    const bytes = encodeTuple([Timestamp.fromNanoseconds(nanoseconds)]);
    t.is(checkTuple(bytes), 'canonical');
    const [value] = decodeTuple(bytes);
    t.is(value instanceof Timestamp ? value.toNanoseconds() : 'none', nanoseconds);
  }
  for (const nanoseconds of [2n ** 63n, -(2n ** 63n) - 1n]) {
    t.is(problemOfValue([Timestamp.fromNanoseconds(nanoseconds)]).reason, 'TIMESTAMP_OUT_OF_RANGE');
  }
  t.is(problemOfValue([new Timestamp(0, -1)]).reason, 'TIMESTAMP_OUT_OF_RANGE');
  t.is(problemOfValue([new Timestamp(0, 1_000_000_000)]).reason, 'TIMESTAMP_OUT_OF_RANGE');
  t.is(problemOfValue([new Timestamp(0.5)]).reason, 'TIMESTAMP_OUT_OF_RANGE');
});

test('§1 ints reach from -2^63 to 2^63-1 [1.4]', (t) => {
  for (const int of [2n ** 63n - 1n, -(2n ** 63n)])
    t.deepEqual(decodeTuple(encodeTuple([int])), [int]);
  t.is(problemOfValue([2n ** 63n]).reason, 'VALUE_OUT_OF_RANGE');
  t.is(problemOfValue([-(2n ** 63n) - 1n]).reason, 'VALUE_OUT_OF_RANGE');
});

test('§1 lone surrogates are refused, short and long, in values and in keys [1.6]', (t) => {
  for (const text of ['\ud800', 'a\udc00', '\udc00\ud800', `${'x'.repeat(100)}\ud800`]) {
    t.like(problemOfValue([0, text]), { reason: 'STRING_NOT_UTF8', field: 'fields[1]' });
    t.is(problemOfValue([new Map([[text, 1]])]).reason, 'STRING_NOT_UTF8');
  }
  t.deepEqual(decodeTuple(encodeTuple([`${'x'.repeat(100)}😀`])), [`${'x'.repeat(100)}😀`]);
});

const refused: readonly (readonly [InvalidReason, string, string])[] = [
  ['STRING_NOT_UTF8', '0a04 2a02 c080', 'overlong'],
  ['STRING_NOT_UTF8', '0a05 2a03 eda080', 'surrogate'],
  ['STRING_NOT_UTF8', '0a06 2a04 f4908080', 'above U+10FFFF'],
  ['STRING_NOT_UTF8', '0a03 2a01 e2', 'cut sequence'],
  ['VALUE_WITHOUT_KIND', '0a00', 'no kind'],
  ['VALUE_WITHOUT_KIND', '0a06 4204 0a00 0a00', 'element without kind'],
  ['UNKNOWN_FIELD', '0a02 5000', 'unknown kind'],
  ['UNKNOWN_FIELD', '0a02 0800 1000', 'unknown field of the tuple'],
  ['UNKNOWN_FIELD', '0a06 3a04 0801 1801', 'unknown field of a timestamp'],
  ['UNKNOWN_FIELD', '0a05 4203 120108', 'unknown field of a list'],
  ['FIELD_REPEATED', '0a04 0800 1001', 'two kinds'],
  ['FIELD_REPEATED', '0a06 3a04 0801 0802', 'seconds twice'],
  ['DUPLICATE_KEY', '0a14 4a12 0a07 0a0161 12020800 0a07 0a0161 12020800', 'key twice'],
  ['TIMESTAMP_OUT_OF_RANGE', '0a08 3a06 10 8094ebdc03', 'nanos 1e9'],
  ['MALFORMED_MESSAGE', '0a03 0800', 'cut field'],
  ['MALFORMED_MESSAGE', '0a', 'cut length'],
  ['MALFORMED_MESSAGE', '0a02 1880', 'int of one byte, cut off'],
  ['MALFORMED_MESSAGE', '0a03 1880 80', 'int of two bytes, cut off'],
  ['MALFORMED_MESSAGE', '0a03 2a05 61 0a02 0800', 'string beyond its value'],
  ['FIELD_REPEATED', '0a05 2a01 61 1802', 'string and int'],
  ['MALFORMED_MESSAGE', '0a02 0805', 'null that is 5'],
  ['MALFORMED_MESSAGE', '0a0c 18 8080808080808080808001', 'varint of 11 bytes'],
  ['MALFORMED_MESSAGE', '0a0b 18 80808080808080808002', 'varint of 65 bits'],
];

test('§1 what is no tuple is refused with its reason', (t) => {
  for (const [reason, bytes, what] of refused) {
    t.is(problemOfBytes(hex(bytes)).reason, reason, what);
    t.throws(() => decodeTuple(hex(bytes)), { instanceOf: DecodeError }, what);
  }
  const place = problemOfBytes(hex('0a020800 0a06 4204 0a00 0a00')).field;
  t.is(place, 'fields[1].list_value.values[0]');
});

const converted: readonly (readonly [string, string, string])[] = [
  ['8a00 02 0800', '0a02 0800', 'tag of two bytes'],
  ['0a8200 0800', '0a02 0800', 'length of two bytes'],
  ['0a03 188200', '0a02 1802', 'varint of two bytes'],
  ['0a02 1007', '0a02 1001', 'true as 7'],
  ['0a09 21 010000000000f87f', '0a09 21 000000000000f87f', 'NaN with a payload'],
  ['0a09 21 000000000000f8ff', '0a09 21 000000000000f87f', 'negative NaN'],
  ['0a06 3a04 1001 0802', '0a06 3a04 0802 1001', 'nanos first'],
  ['0a06 3a04 0800 1000', '0a02 3a00', 'zero parts'],
  [
    '0a14 4a12 0a07 0a0162 12020800 0a07 0a0161 12020800',
    '0a14 4a12 0a07 0a0161 12020800 0a07 0a0162 12020800',
    'keys',
  ],
  ['0a0b 4a09 0a07 12020800 0a0161', '0a0b 4a09 0a07 0a0161 12020800', 'value before key'],
  ['0a08 4a06 0a04 12020800', '0a0a 4a08 0a06 0a00 12020800', 'empty key left out'],
];

test('§1 every valid encoding is stored in the canonical form [1.13]', (t) => {
  for (const [bytes, canonical, what] of converted) {
    t.is(checkTuple(hex(bytes)), 'valid', what);
    const result = canonicalTuple(hex(bytes));
    t.is(
      result instanceof Uint8Array ? toHex(result) : result.message,
      canonical.replaceAll(' ', ''),
      what,
    );
    t.is(checkTuple(hex(canonical)), 'canonical', what);
  }
});

test('canonical bytes are taken as they are, without a copy', (t) => {
  const bytes = encodeTuple(['a', 1, new Float(1), null, [1], new Map([['k', 1]])]);
  t.is(canonicalTuple(bytes), bytes);
});

test('a single value is held to the same rules', (t) => {
  t.deepEqual(canonicalValue(hex('188200')), hex('1802'));
  t.deepEqual(canonicalValue(hex('1802')), hex('1802'));
  t.like(canonicalValue(hex('')), { reason: 'VALUE_WITHOUT_KIND' });
});

test('what is no value at all is refused with its place', (t) => {
  const strange: unknown[] = [undefined, Symbol.iterator, () => 1, new Date(0), {}];
  for (const value of strange) {
    const error = t.throws(() => encodeTuple(['a', [value as Value]]), {
      instanceOf: ProblemError,
    });
    t.is(error?.problem.field, 'fields[1].list_value.values[0]');
    t.is(error?.problem.reason, 'VALUE_WITHOUT_KIND');
  }
});
