/**
 * Values as JSON that keeps their kinds. What JSON has is as it is: null, booleans, strings, lists, safe ints, and
 * floats with a fraction. The rest is an object with one key: `$int`, `$float`, `$bytes`, `$timestamp`; a record
 * with a key that begins with `$` is `{"$record": [[key, value], …]}`.
 */
import { Float, Timestamp, type Writable } from '@tuplet/client';
import type { Value } from '@tuplet/proto';

/** A value as JSON says it. */
export function valueToJson(value: Value): unknown {
  if (typeof value === 'bigint') return { $int: String(value) };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Float) return floatToJson(value.value);
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('hex') };
  if (value instanceof Timestamp) return { $timestamp: String(value.toNanoseconds()) };
  if (value instanceof Map) return recordToJson(value as ReadonlyMap<string, Value>);
  return (value as readonly Value[]).map(valueToJson);
}

/** A float without a fraction would come back as an int. */
function floatToJson(value: number): unknown {
  if (Number.isFinite(value) && !Number.isInteger(value)) return value;
  return { $float: Object.is(value, -0) ? '-0' : String(value) };
}

function recordToJson(record: ReadonlyMap<string, Value>): unknown {
  const entries = [...record].map(([key, value]) => [key, valueToJson(value)] as const);
  if (entries.some(([key]) => key.startsWith('$'))) return { $record: entries };
  return Object.fromEntries(entries);
}

/** What `valueToJson` said, as it is written. Throws TypeError with a sentence. */
export function valueFromJson(json: unknown): Writable {
  if (json === null || typeof json === 'boolean' || typeof json === 'string') return json;
  if (typeof json === 'number') {
    if (Number.isInteger(json) && !Number.isSafeInteger(json))
      throw new TypeError(`${json} is written {"$int": "…"} or {"$float": "…"}`);
    return json;
  }
  if (Array.isArray(json)) return json.map(valueFromJson);
  if (typeof json !== 'object') throw new TypeError('a value is missing');
  const entries = Object.entries(json);
  const [first] = entries;
  if (first === undefined || !entries.some(([key]) => key.startsWith('$')))
    return recordOf(entries.map(([key, value]) => [key, valueFromJson(value)]));
  const [key, content] = first;
  if (entries.length > 1) throw new TypeError(`an object with ${key} has no other key`);
  return taggedFromJson(key, content);
}

function taggedFromJson(key: string, content: unknown): Writable {
  if (key === '$record') {
    if (!Array.isArray(content)) throw new TypeError('$record has a list of keys and values');
    return recordOf(content.map(entryFromJson));
  }
  if (typeof content !== 'string') throw new TypeError(`${key} has a string`);
  switch (key) {
    case '$int':
      return BigInt(digits(content));
    case '$float':
      return new Float(floatOf(content));
    case '$bytes':
      if (!/^([0-9a-f]{2})*$/i.test(content)) throw new TypeError('$bytes has hex digits');
      return new Uint8Array(Buffer.from(content, 'hex'));
    case '$timestamp':
      return Timestamp.fromNanoseconds(BigInt(digits(content)));
    default:
      throw new TypeError(`${key} is no kind of value`);
  }
}

function entryFromJson(entry: unknown): [string, Writable] {
  if (Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string')
    return [entry[0], valueFromJson(entry[1])];
  throw new TypeError('$record has pairs of a key and a value');
}

function recordOf(entries: readonly (readonly [string, Writable])[]): Writable {
  return Object.fromEntries(entries);
}

function digits(text: string): string {
  if (/^-?\d+$/.test(text)) return text;
  throw new TypeError(`${text} is no whole number`);
}

function floatOf(text: string): number {
  if (text === 'NaN') return Number.NaN;
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new TypeError(`${text} is no number`);
  return value;
}
