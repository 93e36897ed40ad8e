import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type protobuf from 'protobufjs';
import {
  type Json,
  templateFromJson,
  tupleFromJson,
  tupleToJson,
  valueFromJson,
  valueToJson,
} from '../test/json.ts';
import { naiveHash, naiveKey, naiveSlot, naiveSlots } from '../test/naive.ts';
import { compareValues, templateMatches } from '../test/oracle.ts';
import { home, runtime } from '../test/runtime.ts';
import {
  canonicalTuple,
  checkTuple,
  compileTemplate,
  decodeTuple,
  encodeTuple,
  errorRows,
  isProblem,
  type RoutingRule,
  Timestamp,
} from './index.ts';

type Case = { readonly [key: string]: Json };

function casesOf(name: string): readonly Case[] {
  const rows: unknown = JSON.parse(readFileSync(join(home, 'vectors', `${name}.json`), 'utf8'));
  if (!Array.isArray(rows) || rows.length === 0) throw new Error(`${name} has no cases`);
  return rows;
}

const names = ['stored', 'canonical', 'rejected', 'key', 'order', 'hash', 'match', 'routing'];
const hex = (bytes: Uint8Array | readonly number[]): string => Buffer.from(bytes).toString('hex');
const unhex = (text: Json | undefined): Uint8Array =>
  Uint8Array.from(Buffer.from(String(text), 'hex'));
const part = (row: Case, name: string): Json => row[name] ?? null;
const text = (row: Case, name: string): string => String(row[name]);

test('the vectors have at least 400 cases and are what the tool writes [1.15]', (t) => {
  t.true(names.flatMap(casesOf).length >= 400);
  t.notThrows(() =>
    execFileSync('node', ['tools/vectors.mjs', '--check'], { cwd: home, stdio: 'pipe' }),
  );
});

const Tuple: protobuf.Type = runtime.lookupType('tuplet.v1.Tuple');

/** The JSON of the vectors as the runtime's fromObject wants it: it knows no RFC 3339 and no -0. */
function forRuntime(json: Json): Json {
  if (Array.isArray(json)) return json.map(forRuntime);
  if (typeof json !== 'object' || json === null) return json;
  const entries = Object.entries(json).map(([key, content]): [string, Json] => {
    if (key === 'nullValue') return [key, 'NULL_VALUE'];
    if (key === 'floatValue') return [key, Number(content)];
    if (key === 'entries') return [key, forRuntime(sorted(content))];
    if (key !== 'timestampValue') return [key, forRuntime(content)];
    const nanoseconds = nanosecondsOf(String(content));
    const nanos = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    return [key, { seconds: String((nanoseconds - nanos) / 1_000_000_000n), nanos: Number(nanos) }];
  });
  return Object.fromEntries(entries);
}

/** The runtime writes a map as it comes; the canonical form wants keys in order. */
function sorted(entries: Json): Json {
  const pairs = Object.entries(entries ?? {});
  return Object.fromEntries(pairs.sort(([a], [b]) => compareValues(a, b)));
}

function nanosecondsOf(text: string): bigint {
  const [whole = '', fraction = ''] = text.slice(0, -1).split('.');
  return BigInt(Date.parse(`${whole}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

test('§1 stored encodings are what the protobuf runtime writes [1.13]', (t) => {
  for (const row of casesOf('stored')) {
    const message = Tuple.fromObject(forRuntime(part(row, 'tuple')) as object);
    t.is(hex(Tuple.encode(message).finish()), text(row, 'hex'));
    t.is(hex(encodeTuple(tupleFromJson(part(row, 'tuple')))), text(row, 'hex'));
    t.deepEqual(
      tupleToJson(decodeTuple(unhex(text(row, 'hex')), { tupleBytesMax: 100_000 })),
      part(row, 'tuple'),
    );
  }
});

test('§1 other valid encodings hold the same tuple for the protobuf runtime', (t) => {
  for (const row of casesOf('canonical')) {
    const given = Tuple.decode(unhex(text(row, 'hex')));
    const canonical = Tuple.decode(unhex(text(row, 'canonical')));
    t.deepEqual(
      Tuple.toObject(given, { longs: String }),
      Tuple.toObject(canonical, { longs: String }),
      text(row, 'name'),
    );
    const result = canonicalTuple(unhex(text(row, 'hex')));
    t.is(isProblem(result) ? result.reason : hex(result), text(row, 'canonical'));
  }
});

test('rejected encodings are refused with a reason of errors.json', (t) => {
  for (const row of casesOf('rejected')) {
    const bytes = unhex(text(row, 'hex'));
    const result = part(row, 'message') === 'Tuple' ? checkTuple(bytes) : compileTemplate(bytes);
    t.is(isProblem(result) ? result.reason : 'accepted', text(row, 'reason'), text(row, 'name'));
    t.true(text(row, 'reason') in errorRows);
  }
});

test('§1 key encodings are what the words of the page say [1.14]', (t) => {
  for (const row of casesOf('key'))
    t.is(hex(naiveKey(valueFromJson(part(row, 'value')))), text(row, 'hex'));
});

test('§1 the order of the cases is the order of values and of their keys [1.12]', (t) => {
  const sign = { less: -1, equal: 0 };
  for (const row of casesOf('order')) {
    const a = valueFromJson(part(row, 'a'));
    const b = valueFromJson(part(row, 'b'));
    const wanted = part(row, 'order') === 'less' ? sign.less : sign.equal;
    t.is(compareValues(a, b), wanted, JSON.stringify(row));
    t.is(Math.sign(Buffer.compare(Buffer.from(naiveKey(a)), Buffer.from(naiveKey(b)))), wanted);
  }
});

test('§6 hashes are those of a second implementation [6.4]', (t) => {
  for (const row of casesOf('hash')) {
    const h = naiveHash([...unhex(text(row, 'hex'))]);
    t.is(h.toString(16).padStart(16, '0'), text(row, 'h'));
  }
});

test('§2 matches are those of the plain matcher', (t) => {
  let matches = 0;
  const rows = casesOf('match');
  for (const row of rows) {
    const template = templateFromJson(part(row, 'template'));
    const isMatch = templateMatches(template, tupleFromJson(part(row, 'tuple')));
    t.is(isMatch, part(row, 'matches') === true, JSON.stringify(row));
    if (isMatch) matches += 1;
  }
  t.true(matches > rows.length / 4 && matches < (rows.length * 3) / 4);
});

function rulesOf(row: Case): readonly RoutingRule[] {
  return (part(row, 'rules') as readonly Case[]).map((rule) => ({
    tag: valueFromJson(part(rule, 'tag')),
    spread: part(rule, 'spread') as number,
    fields: part(rule, 'fields') as readonly number[],
  }));
}

test('§6 slots and pinning are those of a second implementation [6.4, 6.8]', (t) => {
  for (const row of casesOf('routing')) {
    const name = text(row, 'routingName');
    if ('tuple' in row) {
      const slot = naiveSlot(name, rulesOf(row), tupleFromJson(part(row, 'tuple')));
      t.is(slot, part(row, 'slot') as number);
      t.deepEqual(part(row, 'partitions'), { 16: slot >> 8, 256: slot >> 4 });
      continue;
    }
    const template = templateFromJson(part(row, 'template'));
    const { pinned, slots } = naiveSlots(name, rulesOf(row), template);
    t.deepEqual(
      { pinned, slots },
      { pinned: part(row, 'pinned') === true, slots: part(row, 'slots') as number[] | 'all' },
    );
  }
});

test('the JSON of the vectors keeps every kind of value', (t) => {
  for (const row of casesOf('key'))
    t.deepEqual(valueToJson(valueFromJson(part(row, 'value'))), part(row, 'value') as object);
  t.is(
    nanosecondsOf('1677-09-21T00:12:43.145224192Z'),
    new Timestamp(-9_223_372_037, 145_224_192).toNanoseconds(),
  );
});
