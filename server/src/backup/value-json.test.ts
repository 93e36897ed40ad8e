import { Timestamp } from '@tuplet/client';
import { Float, type Value } from '@tuplet/proto';
import test from 'ava';
import { parseLine, spaceLines } from './export-line.ts';
import { valueFromJson, valueToJson } from './value-json.ts';

/** A value as it is stored, from what the SDK takes: records are maps there. */
function stored(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stored);
  const isPlain = typeof value === 'object' && value !== null && !isSpecial(value);
  if (!isPlain) return value;
  return new Map(Object.entries(value).map(([key, inner]) => [key, stored(inner)]));
}

function isSpecial(value: object): boolean {
  return value instanceof Float || value instanceof Uint8Array || value instanceof Timestamp;
}

/** Such a float is a float as it is. */
function hasFraction(value: Value): value is Float {
  return value instanceof Float && Number.isFinite(value.value) && !Number.isInteger(value.value);
}

const values: readonly Value[] = [
  null,
  true,
  '',
  '$int',
  'two\nlines \u{1f600}',
  0,
  -1,
  Number.MAX_SAFE_INTEGER,
  2n ** 63n - 1n,
  -(2n ** 63n),
  new Float(1),
  new Float(-0),
  new Float(0.1),
  new Float(1e300),
  new Float(Number.MIN_VALUE),
  new Float(Number.POSITIVE_INFINITY),
  new Float(Number.NEGATIVE_INFINITY),
  new Uint8Array([0, 255, 7]),
  new Uint8Array(0),
  Timestamp.fromNanoseconds(-1n),
  Timestamp.fromNanoseconds(1_700_000_000_123_456_789n),
  [],
  [1, [new Float(2), ['x']]],
  new Map(),
  new Map<string, Value>([
    ['__proto__', 1],
    ['a', new Map([['b', new Float(3)]])],
  ]),
  new Map<string, Value>([['$int', '5']]),
  new Map<string, Value>([
    ['$', 1],
    ['plain', [null]],
  ]),
];

test('every kind of value comes back as it was, through text', (t) => {
  for (const value of values) {
    const text = JSON.stringify(valueToJson(value));
    const back = stored(valueFromJson(JSON.parse(text)));
    t.deepEqual(back, hasFraction(value) ? value.value : value, text);
  }
});

test('a float that is no number is kept too', (t) => {
  const json = valueToJson(new Float(Number.NaN));
  t.deepEqual(json, { $float: 'NaN' });
  const back = valueFromJson(json);
  t.true(back instanceof Float && Number.isNaN(back.value));
});

test('what is no value is refused with a sentence', (t) => {
  const wrong: [string, RegExp][] = [
    ['9007199254740993', /is written/],
    ['{"$int": 5}', /\$int has a string/],
    ['{"$int": "1.5"}', /no whole number/],
    ['{"$float": ""}', /no number/],
    ['{"$bytes": "0"}', /hex digits/],
    ['{"$date": "x"}', /no kind of value/],
    ['{"$int": "5", "b": 1}', /no other key/],
    ['{"$record": [["a"]]}', /pairs/],
    ['{"a": {"$record": 1}}', /list of keys/],
  ];
  for (const [text, message] of wrong)
    t.throws(() => valueFromJson(JSON.parse(text)), { instanceOf: TypeError, message }, text);
});

test('a line that is neither a space nor a tuple is refused with a sentence', (t) => {
  const wrong: [string, RegExp][] = [
    ['{', /no JSON/],
    ['7', /no object/],
    ['{"tuple": [1]}', /names no space/],
    ['{"space": "a", "tuple": 1}', /a tuple is a list/],
    ['{"space": "a", "tuple": [1], "leaseEnd": "soon"}', /instant/],
    ['{"space": "a", "rules": [{"tag": 1, "fields": [1]}]}', /spread/],
    ['{"space": "a", "like": 5}', /like is a name/],
  ];
  for (const [text, message] of wrong)
    t.throws(() => parseLine(text), { instanceOf: TypeError, message }, text);
});

test('a space like another one comes back as that, and with the rules where that is no more', (t) => {
  const rules = [{ tag: 'job', spread: 8, fields: [1] }];
  const common = { rules, routingName: 'one', createdAtMs: 0 } as const;
  const own = { rules, like: undefined, tupleBytesMax: 9 };
  const one = { ...common, id: 1, name: 'one', settings: own };
  const two = { ...common, id: 2, name: 'two', settings: { ...own, rules: [], like: 'one' } };
  const lines = (...spaces: readonly object[]): unknown =>
    spaceLines({ spaces: spaces as never }).map(parseLine);
  const created = { kind: 'space', settings: { rules, tupleBytesMax: 9 } };
  t.deepEqual(lines(one, two), [
    { ...created, space: 'one' },
    { kind: 'space', space: 'two', settings: { like: 'one', tupleBytesMax: 9 } },
  ]);
  t.deepEqual(lines(two), [{ ...created, space: 'two' }]);
});
