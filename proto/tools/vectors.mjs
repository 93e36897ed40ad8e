/**
 * Writes vectors/*.json, the golden cases for clients in any language (vectors/README.md).
 * What each file says is checked by another path in src/vectors.test.ts.
 *
 * tsc -b && node proto/tools/vectors.mjs           writes the files
 * tsc -b && node proto/tools/vectors.mjs --check   exits 1 where they are not what would be written
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as proto from '../dist/src/index.js';
import { templateToJson, tupleToJson, valueToJson } from '../dist/test/json.js';
import { compareValues } from '../dist/test/oracle.js';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../vectors');
const { Float, Kind, Timestamp } = proto;
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const unhex = (text) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const float = (value) => new Float(value);
const at = (nanoseconds) => Timestamp.fromNanoseconds(nanoseconds);
const bytes = (...octets) => Uint8Array.from(octets);
const record = (entries) => new Map(Object.entries(entries));

function nest(depth, inner) {
  let value = inner;
  for (let i = 0; i < depth; i += 1) value = i % 2 === 0 ? [value] : record({ k: value });
  return value;
}

/** In ascending order; values in one inner list are equal. */
const ordered = [
  [null],
  [false],
  [true],
  [Number.NaN],
  [Number.NEGATIVE_INFINITY],
  [-1.7976931348623157e308],
  [float(-(2 ** 63) - 2048)],
  [-(2n ** 63n), float(-(2 ** 63))],
  [-(2n ** 63n) + 1n],
  [-(2n ** 63n) + 1023n],
  [-(2n ** 63n) + 1024n, float(-(2 ** 63) + 1024)],
  [-(2n ** 53n) - 2n, float(-(2 ** 53) - 2)],
  [-(2n ** 53n) - 1n],
  [-(2n ** 53n), float(-(2 ** 53))],
  [-(2 ** 53) + 1, float(-(2 ** 53) + 1)],
  [-1.5],
  [-1, float(-1)],
  [-5e-324],
  [0, float(0), float(-0)],
  [5e-324],
  [0.1],
  [1, float(1)],
  [1.0000000000000002],
  [63],
  [64, float(64)],
  [8_191],
  [8_192],
  [2 ** 32 - 1],
  [2 ** 32, float(2 ** 32)],
  [2 ** 53 - 1, float(2 ** 53 - 1)],
  [2n ** 53n, float(2 ** 53)],
  [2n ** 53n + 1n],
  [2n ** 53n + 2n, float(2 ** 53 + 2)],
  [2n ** 62n, float(2 ** 62)],
  [2n ** 62n + 1n],
  [2n ** 62n + 1023n],
  [2n ** 62n + 1024n, float(2 ** 62 + 1024)],
  [2n ** 63n - 1024n, float(2 ** 63 - 1024)],
  [2n ** 63n - 1023n],
  [2n ** 63n - 1n],
  [float(2 ** 63)],
  [1e300],
  [1.7976931348623157e308],
  [Number.POSITIVE_INFINITY],
  [at(-(2n ** 63n))],
  [at(-1_000_000_001n)],
  [at(-1_000_000_000n)],
  [at(-1n)],
  [at(0n)],
  [at(1n)],
  [at(999_999_999n)],
  [at(1_000_000_000n)],
  [at(1_767_225_600_000_000_000n)],
  [at(2n ** 63n - 1n)],
  [''],
  ['\0'],
  ['\0\0'],
  ['\0a'],
  ['\u0001'],
  ['A'],
  ['a'],
  ['a\0'],
  ['a\u0001'],
  ['aa'],
  ['b'],
  ['\u007f'],
  ['\u0080'],
  ['e\u0301'],
  ['\u00e9'],
  ['\u07ff'],
  ['\u0800'],
  ['€'],
  ['\ud7ff'],
  ['\ue000'],
  ['\uffff'],
  ['\u{10000}'],
  ['😀'],
  ['\u{10ffff}'],
  [bytes()],
  [bytes(0)],
  [bytes(0, 0)],
  [bytes(0, 255)],
  [bytes(1)],
  [bytes(97)],
  [bytes(255)],
  [bytes(255, 0)],
  [bytes(255, 255)],
  [[]],
  [[null]],
  [[null, null]],
  [[1], [float(1)]],
  [[1, 'a']],
  [[1, []]],
  [[2]],
  [['']],
  [[bytes()]],
  [[[]]],
  [[[], null]],
  [[record({})]],
  [record({})],
  [record({ '': null })],
  [record({ a: null })],
  [record({ a: null, b: 1 }), record({ b: float(1), a: null })],
  [record({ a: 1 }), record({ a: float(1) })],
  [record({ a: 1, b: 1 })],
  [record({ a: 2 })],
  [record({ a: [] })],
  [record({ a: record({}) })],
  [record({ ab: null })],
  [record({ b: null })],
  [record({ '\uffff': 0 })],
  [record({ '😀': 0 })],
];

/** The groups in the order of the plain comparison, whatever order they are listed in. */
function inOrder(groups) {
  const sorted = groups.map((group, index) => ({ group, index }));
  sorted.sort((a, b) => compareValues(a.group[0], b.group[0]) || a.index - b.index);
  return sorted.map(({ group }) => group);
}

const groups = inOrder(ordered);
const values = groups.flat();
const deep = [nest(16, null), nest(15, 'deep'), Array.from({ length: 300 }, (_, i) => i)];
const manyKeys = new Map(
  Array.from({ length: 30 }, (_, i) => [`key ${String.fromCharCode(97 + i)}`, i]),
);

function stored() {
  const tuples = [
    ...values.map((value) => [value]),
    ...deep.map((value) => [value]),
    ['job', 42, 'two words', 2.5, true, null],
    ['x'.repeat(127)],
    ['x'.repeat(128)],
    ['x'.repeat(20_000)],
    [manyKeys],
    Array.from({ length: 64 }, (_, i) => i),
  ];
  return tuples.map((tuple) => ({ tuple: tupleToJson(tuple), hex: hex(proto.encodeTuple(tuple)) }));
}

function canonical() {
  const cases = [
    ['a field tag of two bytes', '8a00 02 0800'],
    ['a field length of two bytes', '0a8200 0800'],
    ['a field length of five bytes', '0a8280808000 0800'],
    ['a string length of two bytes', '0a04 2a8100 61'],
    ['an int of two bytes', '0a03 188200'],
    ['an int of ten bytes', '0a0b 1882808080808080808000'],
    ['true as 7', '0a02 1007'],
    ['true as 2^63', '0a0b 1080808080808080808001'],
    ['false of two bytes', '0a03 108000'],
    ['null of two bytes', '0a03 088000'],
    ['NaN with a payload', '0a09 21 010000000000f87f'],
    ['a signalling NaN', '0a09 21 010000000000f07f'],
    ['a negative NaN', '0a09 21 000000000000f8ff'],
    ['nanos before seconds', '0a06 3a04 1001 0802'],
    ['zero parts of a timestamp', '0a06 3a04 0800 1000'],
    ['seconds of ten bytes', '0a0d 3a0b 08 82808080808080808000'],
    ['record keys in descending order', '0a14 4a12 0a07 0a0162 12020800 0a07 0a0161 12020800'],
    ['the value before the key', '0a0b 4a09 0a07 12020800 0a0161'],
    ['an empty key left out', '0a08 4a06 0a04 12020800'],
    ['an element length of two bytes', '0a07 4205 0a8200 0800'],
    [
      'a record inside a list, its keys descending',
      '0a18 4216 0a14 4a12 0a07 0a0162 12020800 0a07 0a0161 12020800',
    ],
  ];
  return cases.map(([name, text]) => {
    const result = proto.canonicalTuple(unhex(text));
    if (!(result instanceof Uint8Array))
      throw new Error(`${name}: ${result.reason} ${result.message}`);
    if (proto.checkTuple(unhex(text)) !== 'valid') throw new Error(`${name} is canonical`);
    return { name, hex: hex(unhex(text)), canonical: hex(result) };
  });
}

/** Bytes that are no tuple. */
const badTuples = [
  ['TUPLE_ARITY', 'no field', ''],
  ['TUPLE_ARITY', '65 fields', '0a020800'.repeat(65)],
  ['STRING_NOT_UTF8', 'an overlong form', '0a04 2a02 c080'],
  ['STRING_NOT_UTF8', 'an encoded surrogate', '0a05 2a03 eda080'],
  ['STRING_NOT_UTF8', 'a pair of encoded surrogates', '0a08 2a06 eda0bdedb880'],
  ['STRING_NOT_UTF8', 'a code point above U+10FFFF', '0a06 2a04 f4908080'],
  ['STRING_NOT_UTF8', 'a sequence cut off', '0a03 2a01 e2'],
  ['STRING_NOT_UTF8', 'a lone continuation', '0a03 2a01 80'],
  ['STRING_NOT_UTF8', 'a key', '0a0b 4a09 0a07 0a0180 12020800'],
  ['VALUE_WITHOUT_KIND', 'an empty value', '0a00'],
  ['VALUE_WITHOUT_KIND', 'an empty element', '0a06 4204 0a00 0a00'],
  ['VALUE_WITHOUT_KIND', 'an entry without a value', '0a07 4a05 0a03 0a0161'],
  ['UNKNOWN_FIELD', 'an unknown kind', '0a02 5000'],
  ['UNKNOWN_FIELD', 'an int with the wire type of bytes', '0a03 1a0102'],
  ['UNKNOWN_FIELD', 'an unknown field of the tuple', '0a020800 1000'],
  ['UNKNOWN_FIELD', 'an unknown field of a timestamp', '0a06 3a04 0801 1801'],
  ['UNKNOWN_FIELD', 'an unknown field of a list', '0a05 4203 120108'],
  ['UNKNOWN_FIELD', 'an unknown field of an entry', '0a0d 4a0b 0a09 0a0161 12020800 1801'],
  ['FIELD_REPEATED', 'two kinds', '0a04 0800 1001'],
  ['FIELD_REPEATED', 'one kind twice', '0a04 1802 1804'],
  ['FIELD_REPEATED', 'seconds twice', '0a06 3a04 0801 0802'],
  ['FIELD_REPEATED', 'a key twice in one entry', '0a0e 4a0c 0a0a 0a0161 0a0161 12020800'],
  [
    'DUPLICATE_KEY',
    'one key in two entries',
    '0a14 4a12 0a07 0a0161 12020800 0a07 0a0161 12020800',
  ],
  ['TIMESTAMP_OUT_OF_RANGE', 'nanos of 1,000,000,000', '0a08 3a06 10 8094ebdc03'],
  ['TIMESTAMP_OUT_OF_RANGE', 'nanos of -1', '0a0d 3a0b 10 ffffffffffffffffff01'],
  [
    'TIMESTAMP_OUT_OF_RANGE',
    'one nanosecond beyond 2^63-1',
    '0a0e 3a0c 08 84c9b9ae22 10 80c4ce9703',
  ],
  ['MALFORMED_MESSAGE', 'a field cut off', '0a03 0800'],
  ['MALFORMED_MESSAGE', 'a length cut off', '0a'],
  ['MALFORMED_MESSAGE', 'null as 5', '0a02 0805'],
  ['MALFORMED_MESSAGE', 'a varint of 11 bytes', '0a0d 18 808080808080808080808001'],
  ['MALFORMED_MESSAGE', 'a varint of 65 bits', '0a0b 18 80808080808080808002'],
  ['MALFORMED_MESSAGE', 'a float of 7 bytes', '0a08 21 00000000000000'],
  ['MALFORMED_MESSAGE', 'field number 0', '0200'],
  ['NESTED_TOO_DEEP', '17 lists', nestedLists(17)],
  ['LIST_TOO_LONG', '1,025 elements', lengthOf(lengthOf('0a020800'.repeat(1_025), '42'), '0a')],
];
/** Bytes that are no template. */
const badTemplates = [
  ['TEMPLATE_ALTERNATIVES', 'no alternative', ''],
  ['TEMPLATE_ALTERNATIVES', '9 alternatives', '0a040a020a00'.repeat(9)],
  ['PATTERN_EMPTY', 'neither matchers nor rest', '0a00'],
  ['PATTERN_TOO_LONG', '65 matchers', lengthOf('0a020a00'.repeat(65), '0a')],
  ['MATCHER_WITHOUT_KIND', 'an empty matcher', '0a02 0a00'],
  ['FIELD_REPEATED', 'two kinds of matcher', '0a06 0a04 0a00 0a00'],
  ['KIND_UNKNOWN', 'a formal of kind 0', '0a04 0a02 1000'],
  ['KIND_UNKNOWN', 'a formal of kind 11', '0a04 0a02 100b'],
  ['ANY_OF_SIZE', 'a set without values', '0a04 0a02 3200'],
  ['RANGE_FAMILY', 'a range of nothing', '0a04 0a02 2200'],
  ['RANGE_FAMILY', 'bounds of two families', '0a12 0a10 220e 1204 0a02 1802 1a06 0a04 2a02 6161'],
  ['RANGE_FAMILY', 'a range over lists', '0a06 0a04 2202 0809'],
  ['RANGE_BOUND', 'a bound that is NaN', '0a11 0a0f 220d 120b 0a09 21 000000000000f87f'],
  ['RANGE_BOUND', 'a bound that is null', '0a0a 0a08 2206 1204 0a02 0800'],
  ['PREFIX_WITHOUT_KIND', 'an empty prefix', '0a04 0a02 2a00'],
  ['VALUE_WITHOUT_KIND', 'an actual value without a kind', '0a04 0a02 1a00'],
  ['UNKNOWN_FIELD', 'an unknown kind of matcher', '0a04 0a02 5200'],
  ['STRING_NOT_UTF8', 'a prefix', '0a07 0a05 2a03 0a0180'],
];

function rejected() {
  const all = [
    ...badTuples.map(([reason, name, text]) => ({
      message: 'Tuple',
      reason,
      name,
      text,
      result: proto.checkTuple(unhex(text)),
    })),
    ...badTemplates.map(([reason, name, text]) => ({
      message: 'Template',
      reason,
      name,
      text,
      result: proto.compileTemplate(unhex(text)),
    })),
  ];
  return all.map(({ message, reason, name, text, result }) => {
    if (result.reason !== reason)
      throw new Error(`${name}: ${result.reason ?? result} instead of ${reason}`);
    return { message, name, hex: hex(unhex(text)), reason };
  });
}

/** A field of the given tag around content, both in hex. */
function lengthOf(content, tag) {
  const writer = new proto.Writer();
  writer.lengthDelimited(unhex(content));
  return tag + hex(writer.finish());
}

function nestedLists(depth) {
  let inner = '4200';
  for (let i = 1; i < depth; i += 1) inner = lengthOf(lengthOf(inner, '0a'), '42');
  return lengthOf(inner, '0a');
}

function key() {
  return [...values, ...deep, manyKeys].map((value) => ({
    value: valueToJson(value),
    hex: hex(proto.keyOf(value)),
  }));
}

/** Each group against the next, and the members of a group against each other. */
function order() {
  const cases = [];
  const add = (a, b, result) => cases.push({ a: valueToJson(a), b: valueToJson(b), order: result });
  for (const [index, group] of groups.entries()) {
    for (const other of group.slice(1)) add(group[0], other, 'equal');
    const next = groups[index + 1];
    if (next !== undefined) add(group[group.length - 1], next[0], 'less');
  }
  return cases;
}

function hash() {
  const run = (size) => Uint8Array.from({ length: size }, (_, i) => (i * 37 + size) & 255);
  const texts = [
    '',
    'hello',
    'The quick brown fox jumps over the lazy dog',
    "I will not buy this tobacconist's, it is scratched.",
  ];
  const inputs = [
    ...texts.map((text) => new TextEncoder().encode(text)),
    ...Array.from({ length: 40 }, (_, size) => run(size)),
    ...[63, 64, 65, 1_000].map(run),
    new Uint8Array(16),
    new Uint8Array(17).fill(255),
  ];
  return inputs.map((input) => ({
    hex: hex(input),
    h: proto.hash64(input).toString(16).padStart(16, '0'),
  }));
}

const any = { kind: 'any' };
const actual = (value) => ({ kind: 'actual', value });
const formal = (kind) => ({ kind: 'formal', formal: kind });
const anyOf = (...list) => ({ kind: 'any-of', values: list });
const prefix = (text) => ({ kind: 'prefix', prefix: text });
const not = (matcher) => ({ kind: 'negation', matcher });
const from = (value, more = {}) => ({ kind: 'range', lower: { value }, ...more });
const between = (lower, upper) => ({
  kind: 'range',
  lower: { value: lower },
  upper: { value: upper },
});
const open = (lower, upper) => ({
  kind: 'range',
  lower: { value: lower, exclusive: true },
  upper: { value: upper, exclusive: true },
});
const list = (matchers, rest = false) => ({ kind: 'list', pattern: { matchers, rest } });
const fields = (entries) => ({ kind: 'record', entries: new Map(Object.entries(entries)) });
const pattern = (...matchers) => ({ matchers });
const atLeast = (...matchers) => ({ matchers, rest: true });

function match() {
  const cases = [];
  const add = (alternatives, ...tuples) => {
    const template = proto.compileTemplate(proto.encodeTemplate(alternatives));
    for (const tuple of tuples) {
      const stored = proto.encodeTuple(tuple);
      const matches = proto.matchTuple(template, stored, new proto.FieldOffsets().scan(stored));
      cases.push({ template: templateToJson(alternatives), tuple: tupleToJson(tuple), matches });
    }
  };
  const each = (matcher, ...list) => add([pattern(matcher)], ...list.map((value) => [value]));
  const zoo = [null, true, 1, 1.5, 'a', bytes(97), at(0n), [1], record({ a: 1 })];
  for (const kind of Object.values(Kind))
    each(formal(kind), ...zoo.slice(0, 4), zoo[kind > 5 ? kind - 2 : 4]);
  each(any, ...zoo);
  each(actual(1), 1, float(1), 2, '1', true, at(1n));
  each(actual(float(0)), 0, float(-0), 5e-324, false, null);
  each(actual(Number.NaN), Number.NaN, 0, Number.POSITIVE_INFINITY);
  each(actual(2n ** 53n + 1n), 2n ** 53n + 1n, float(2 ** 53), float(2 ** 53 + 2));
  each(actual(float(2 ** 63)), 2n ** 63n - 1n, float(2 ** 63));
  each(
    actual([1, record({ k: 0 })]),
    [1, record({ k: 0 })],
    [float(1), record({ k: float(-0) })],
    [1],
    [1, record({})],
  );
  each(actual('\u00e9'), '\u00e9', 'e\u0301');
  each(actual(null), null, '', 0);
  each(between(1, 2), 0, 1, float(1), 1.5, 2, float(2), 2.0000000000000004, Number.NaN, '1');
  each(open(1, 2), 1, float(1), 1.0000000000000002, 2);
  each(from(0, { family: Kind.INT }), 0, 1, float(1), -1);
  each(from(0, { family: Kind.FLOAT }), float(0), 1, 1.5);
  each({ kind: 'range', family: Kind.NUMBER }, Number.NaN, Number.NEGATIVE_INFINITY, 5, 'a');
  each(from(2n ** 53n + 1n), 2n ** 53n, 2n ** 53n + 1n, float(2 ** 53), float(2 ** 53 + 2));
  each(between('a', 'b'), '', 'a', 'a\0', 'azz', 'b', 'b\0', bytes(97));
  each(from('\uffff'), '\ue000', '\uffff', '😀');
  each(open(bytes(0), bytes(1)), bytes(0), bytes(0, 0), bytes(1), '\0');
  each(between(at(-1n), at(1n)), at(-2n), at(-1n), at(0n), at(1n), at(2n), 0);
  each(prefix('ab'), 'ab', 'abc', 'a', 'b', bytes(97, 98));
  each(prefix(''), '', 'a', bytes());
  each(prefix(bytes(0)), bytes(0), bytes(0, 1), bytes(), '\0');
  each(anyOf(1, 'a', null), float(1), 'a', null, 2, 'b', false);
  each(not(actual(1)), 1, float(1), 2, 'a');
  each(not(not(formal(Kind.INT))), 1, 1.5);
  each(not(from('a')), 'b', 'A', 1);
  each(list([actual(1), any]), [1, 2], [1], [1, 2, 3], [2, 2], 1);
  each(list([actual(1)], true), [1], [1, 2], []);
  each(list([]), [], [null], null);
  each(list([list([], true)]), [[]], [[1]], [1]);
  each(
    fields({ a: actual(1) }),
    record({ a: 1 }),
    record({ a: float(1), b: 2 }),
    record({ b: 1 }),
    record({}),
    [],
  );
  each(
    fields({ a: any, z: not(actual(null)) }),
    record({ a: 1, z: 2 }),
    record({ a: 1, z: null }),
    record({ a: 1 }),
    record({ a: 1, m: 0, z: 0 }),
  );
  each(fields({}), record({}), record({ a: 1 }), []);
  add([pattern(actual('job'), any)], ['job', 1], ['job'], ['job', 1, 2], ['jobs', 1]);
  add([atLeast(actual('job'))], ['job'], ['job', 1], ['x']);
  add([atLeast()], [null], ['a', 1]);
  add([pattern(actual('a')), pattern(actual('b'), any)], ['a'], ['b', 1], ['b'], ['a', 1]);
  return cases;
}

const routingRules = [
  { tag: 'job', spread: 16, fields: [1] },
  { tag: 1, spread: 4_096, fields: [2, 1] },
  { tag: 'pair', spread: 2, fields: [3] },
];
const plain = { routingName: 'default', rules: [] };
const ruled = { routingName: 'jobs/main', rules: routingRules };
const routedTuples = [
  ['job'],
  ['job', 0],
  ['job', float(-0)],
  ['job', 'a', 'b'],
  ['job', null],
  [1, 'x', 'y'],
  [float(1), 'x', 'y'],
  [1, 'y', 'x'],
  [1],
  ['pair', 0, 0, 'p'],
  ['other', 1],
  [null],
  [''],
  ['\0'],
  [Number.NaN],
  [2n ** 53n + 1n],
  [at(0n)],
  [bytes()],
  [[1, 2]],
  [record({ a: 1 })],
];
const routedTemplates = [
  [pattern(actual('job'), actual(0))],
  [atLeast(actual('job'), actual(float(0)))],
  [atLeast(actual('job'))],
  [pattern(actual('job'))],
  [pattern(actual('job'), any)],
  [pattern(actual('job'), anyOf(7, float(7)))],
  [pattern(actual('job'), anyOf(7, 8))],
  [pattern(anyOf('job'), actual(1))],
  [pattern(anyOf('other', 'another'))],
  [pattern(anyOf(2, float(2)), any)],
  [pattern(actual('job'), not(actual(1)))],
  [pattern(actual('job'), between(1, 1))],
  [pattern(actual('pair'), any, any, prefix('p'))],
  [pattern(actual('pair'), any)],
  [pattern(any)],
  [atLeast()],
  [pattern(formal(Kind.NULL))],
  [pattern(prefix('job'))],
  [pattern(not(not(actual('job'))))],
  [pattern(actual('job'), actual(0)), pattern(actual('job'), actual(float(-0)), any)],
  [pattern(actual('job'), actual(0)), pattern(actual('other'))],
  [pattern(actual('other')), pattern(any)],
  [atLeast(actual(1), actual('x'), actual('y'))],
  [atLeast(actual(1), actual('x'))],
];

function routing() {
  const cases = [];
  for (const { routingName, rules: own } of [plain, ruled]) {
    const router = new proto.Routing(routingName, own);
    const base = {
      routingName,
      rules: own.map((rule) => ({ ...rule, tag: valueToJson(rule.tag) })),
    };
    for (const tuple of routedTuples) {
      const encoded = proto.encodeTuple(tuple);
      const slot = router.slotOfTuple(encoded, new proto.FieldOffsets().scan(encoded));
      const partitions = Object.fromEntries(
        [16, 256].map((count) => [count, proto.partitionOfSlot(slot, count)]),
      );
      cases.push({ ...base, tuple: tupleToJson(tuple), slot, partitions });
    }
    for (const template of routedTemplates) {
      const result = router.slotsOfTemplate(proto.compileTemplate(proto.encodeTemplate(template)));
      const slots =
        result.kind === 'all' ? 'all' : result.kind === 'pinned' ? [result.slot] : result.slots;
      cases.push({
        ...base,
        template: templateToJson(template),
        pinned: result.kind === 'pinned',
        slots,
      });
    }
  }
  return cases;
}

let total = 0;
for (const [name, cases] of Object.entries({
  stored,
  canonical,
  rejected,
  key,
  order,
  hash,
  match,
  routing,
})) {
  const rows = cases();
  total += rows.length;
  const text = `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(',\n')}\n]\n`;
  const path = join(folder, `${name}.json`);
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    process.stderr.write(`vectors/${name}.json is not what would be written\n`);
    process.exitCode = 1;
  }
}
process.stdout.write(`${total} cases\n`);
