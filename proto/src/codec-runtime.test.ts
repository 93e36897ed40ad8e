import test from 'ava';
import type protobuf from 'protobufjs';
import { randomTuple } from '../test/random-value.ts';
import { randomOf, runtime } from '../test/runtime.ts';
import {
  canonicalTuple,
  checkTuple,
  decodeTuple,
  encodeTuple,
  Float,
  Kind,
  kindOf,
  type Problem,
  Timestamp,
  type TupleBytes,
  type Value,
} from './index.ts';

const Tuple: protobuf.Type = runtime.lookupType('tuplet.v1.Tuple');

/** The plain object that the protobufjs runtime makes a `tuplet.v1.Value` of. */
function toRuntime(value: Value): object {
  switch (kindOf(value)) {
    case Kind.NULL:
      return { nullValue: 0 };
    case Kind.INT:
      return { intValue: String(value) };
    case Kind.FLOAT:
      return { floatValue: value instanceof Float ? value.value : value };
    case Kind.BOOL:
      return { boolValue: value };
    case Kind.STRING:
      return { stringValue: value };
    case Kind.BYTES:
      return { bytesValue: value };
    default:
      return toRuntimeObject(value);
  }
}

function toRuntimeObject(value: Value): object {
  if (value instanceof Timestamp) {
    return { timestampValue: { seconds: String(value.seconds), nanos: value.nanos } };
  }
  if (value instanceof Map) {
    const entries = [...value].map(([key, each]) => [key, toRuntime(each)]);
    return { recordValue: { entries: Object.fromEntries(entries) } };
  }
  return { listValue: { values: (value as readonly Value[]).map(toRuntime) } };
}

function byRuntime(fields: readonly Value[]): Uint8Array {
  return Tuple.encode(Tuple.fromObject({ fields: fields.map(toRuntime) })).finish();
}

function isSame(a: Uint8Array, b: TupleBytes | Problem): boolean {
  return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
}

test('§1 the stored encoding is what the protobuf runtime writes, for 100,000 random values', (t) => {
  const random = randomOf(20);
  let values = 0;
  let alike = 0;
  let tuples = 0;
  while (values < 100_000) {
    const fields = randomTuple(random);
    const ours = encodeTuple(fields);
    const theirs = byRuntime(fields);
    if (!isSame(ours, canonicalTuple(theirs))) t.fail(`tuple ${tuples} differs`);
    if (Buffer.compare(ours, theirs) === 0) alike += 1;
    values += fields.length;
    tuples += 1;
  }
  t.true(alike > tuples * 0.8, `${alike} of ${tuples} were canonical as the runtime wrote them`);
});

test('§1 the protobuf runtime reads what we wrote, and we read what it wrote', (t) => {
  const random = randomOf(21);
  for (let run = 0; run < 5_000; run += 1) {
    const fields = randomTuple(random);
    const ours = encodeTuple(fields);
    const seen = Tuple.decode(ours);
    if (!isSame(ours, canonicalTuple(Tuple.encode(seen).finish()))) t.fail(`run ${run}`);
    if (!isSame(ours, encodeTuple(decodeTuple(byRuntime(fields))))) t.fail(`run ${run}`);
  }
  t.pass();
});

test('random bytes are refused or valid, never thrown on, and canonical only as we would write them', (t) => {
  const random = randomOf(22);
  const seen = { canonical: 0, valid: 0, refused: 0 };
  for (let run = 0; run < 60_000; run += 1) {
    const bytes = mutate(encodeTuple(randomTuple(random)), random);
    const check = checkTuple(bytes);
    if (typeof check === 'object') {
      seen.refused += 1;
      const error = t.throws(() => decodeTuple(bytes), { name: 'DecodeError' });
      t.truthy(error);
      continue;
    }
    seen[check] += 1;
    const again = encodeTuple(decodeTuple(bytes));
    t.is(isSame(bytes, again), check === 'canonical');
    if (check === 'canonical') continue;
    const theirs = Tuple.encode(Tuple.decode(bytes)).finish();
    t.true(isSame(again, canonicalTuple(theirs)), Buffer.from(bytes).toString('hex'));
  }
  t.true(seen.canonical > 5_000 && seen.valid > 80 && seen.refused > 5_000, JSON.stringify(seen));
});

/** Flips, cuts, doubles or moves a few bytes. */
function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  const below = (limit: number): number => Math.floor(random() * limit);
  const copy = [...bytes];
  const times = below(3);
  for (let i = 0; i < times; i += 1) {
    const at = below(copy.length);
    const how = below(5);
    if (how === 0) copy[at] = below(256);
    else if (how === 1) copy[at] = (copy[at] ?? 0) ^ (1 << below(8));
    else if (how === 2) copy.splice(at, 1 + below(3));
    else if (how === 3) copy.splice(at, 0, below(256));
    else copy.push(...copy.slice(at));
  }
  return Uint8Array.from(copy);
}
