/**
 * The client's side of the contract, written for the simulator: requests without space, identity and
 * wait (the engine adds those), and answers as a history writes them. Field numbers are those of
 * `tuplet/v1/space.proto`.
 */
import {
  decodeTuple,
  Float,
  Kind,
  type MatcherSpec,
  Reader,
  type TemplateSpec,
  Timestamp,
  type Value,
  Writer,
  writeTemplate,
  writeTuple,
} from '@tuplet/proto';
import { assert } from '../src/base/assert.ts';
import type { FoundJson, OutcomeJson, ResultJson, WrittenJson } from './check/history.ts';
import type { FieldJson, MatcherJson, TemplateJson, TupleJson } from './check/values.ts';

const LENGTH = 2;
const VARINT = 0;

/** The field as the encoder takes it. Histories of the simulator hold no other kinds. */
function valueFrom(field: FieldJson): Value {
  if (field === null || typeof field !== 'object') return field;
  if ('float' in field) return new Float(Number(field.float));
  if ('list' in field) return field.list.map(valueFrom);
  if ('timestamp' in field) return Timestamp.fromNanoseconds(BigInt(field.timestamp));
  assert('int' in field, 'a simulated field is one of few kinds');
  return BigInt(field.int);
}

/** The value as a history writes it. */
export function jsonOf(value: Value): FieldJson {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : { float: value };
  if (typeof value === 'bigint') return { int: String(value) };
  if (value instanceof Float) return { float: value.value };
  if (value instanceof Timestamp) return { timestamp: String(value.toNanoseconds()) };
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  assert(Array.isArray(value), 'a simulated field is one of few kinds');
  return { list: value.map(jsonOf) };
}

const kinds: Readonly<Record<string, Kind>> = {
  int: Kind.INT,
  string: Kind.STRING,
  number: Kind.NUMBER,
  float: Kind.FLOAT,
};

function matcherOf(matcher: MatcherJson): MatcherSpec {
  if ('any' in matcher) return { kind: 'any' };
  if ('actual' in matcher) return { kind: 'actual', value: valueFrom(matcher.actual) };
  if ('prefix' in matcher) return { kind: 'prefix', prefix: matcher.prefix };
  if ('in' in matcher) return { kind: 'any-of', values: matcher.in.map(valueFrom) };
  if ('not' in matcher) return { kind: 'negation', matcher: matcherOf(matcher.not) };
  if ('formal' in matcher) {
    const formal = kinds[matcher.formal];
    assert(formal !== undefined, 'a simulated formal is one of few kinds');
    return { kind: 'formal', formal };
  }
  const { lower, lowerExclusive, upper, upperExclusive } = matcher.range;
  return {
    kind: 'range',
    ...(lower === undefined
      ? {}
      : { lower: { value: valueFrom(lower), exclusive: lowerExclusive ?? false } }),
    ...(upper === undefined
      ? {}
      : { upper: { value: valueFrom(upper), exclusive: upperExclusive ?? false } }),
  };
}

/** A template as the encoder takes it. */
export function specOf(template: TemplateJson): TemplateSpec {
  return template.map(({ matchers, rest }) => ({ matchers: matchers.map(matcherOf), rest }));
}

function nested(writer: Writer, field: number, write: () => void): void {
  writer.tag(field, LENGTH);
  const mark = writer.open();
  write();
  writer.close(mark);
}

function uint(writer: Writer, field: number, value: number): void {
  writer.tag(field, VARINT);
  writer.uint64(value);
}

function duration(writer: Writer, field: number, ms: number | undefined): void {
  if (ms === undefined) return;
  nested(writer, field, () => {
    if (ms >= 1000) uint(writer, 1, Math.floor(ms / 1000));
    if (ms % 1000 > 0) uint(writer, 2, Math.round((ms % 1000) * 1_000_000));
  });
}

/** Builds the bodies of requests; one buffer for each. */
export class Request {
  readonly #writer = new Writer(128);
  /** Where the template (field 3) ends: CancelTake sends what stands before. */
  templateEnd = 0;

  template(field: number, template: TemplateJson | null): this {
    if (template === null) return this;
    nested(this.#writer, field, () => writeTemplate(this.#writer, specOf(template)));
    this.templateEnd = this.#writer.position;
    return this;
  }

  tuple(field: number, tuple: TupleJson): this {
    nested(this.#writer, field, () => writeTuple(this.#writer, tuple.map(valueFrom)));
    return this;
  }

  items(tuples: readonly TupleJson[], leaseMs: number | undefined): this {
    for (const tuple of tuples) {
      nested(this.#writer, 3, () => {
        this.tuple(1, tuple);
        duration(this.#writer, 2, leaseMs);
      });
    }
    return this;
  }

  duration(field: number, ms: number | undefined): this {
    duration(this.#writer, field, ms);
    return this;
  }

  uint(field: number, value: number): this {
    if (value !== 0) uint(this.#writer, field, value);
    return this;
  }

  /** A Value that is an int. */
  int(field: number, value: number): this {
    nested(this.#writer, field, () => {
      this.#writer.tag(3, VARINT);
      this.#writer.sint64(value);
    });
    return this;
  }

  version(field: number, version: { readonly id: number; readonly revision: number }): this {
    nested(this.#writer, field, () => {
      uint(this.#writer, 1, version.id);
      uint(this.#writer, 2, version.revision);
    });
    return this;
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}

/** Field 1 of every request: which space. */
export function spaceReference(
  space: { readonly name: string } | { readonly id: number; readonly mapEpoch: number },
): Uint8Array {
  const writer = new Writer(32);
  nested(writer, 1, () => {
    if ('name' in space) {
      writer.tag(1, LENGTH);
      writer.string(space.name);
    } else {
      uint(writer, 2, space.id);
      uint(writer, 3, space.mapEpoch);
    }
  });
  return writer.finish();
}

type Field = number | Uint8Array;

/** A message's fields by number, in order. Numbers are varints, byte runs are views. */
export function fieldsOf(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  const reader = new Reader(bytes, start, end);
  while (reader.position < end) {
    const tag = reader.tag();
    const value = (tag & 7) === LENGTH ? reader.lengthDelimited() : reader.int64();
    const list = fields.get(tag >>> 3);
    if (list === undefined) fields.set(tag >>> 3, [value]);
    else list.push(value);
  }
  return fields;
}

function number(fields: ReadonlyMap<number, Field[]>, field: number): number {
  const value = fields.get(field)?.at(-1) ?? 0;
  assert(typeof value === 'number', 'a number is a varint');
  return value;
}

function message(fields: ReadonlyMap<number, Field[]>, field: number): Uint8Array | undefined {
  const value = fields.get(field)?.at(-1);
  assert(value === undefined || typeof value !== 'number', 'a message is a run of bytes');
  return value;
}

function messages(fields: ReadonlyMap<number, Field[]>, field: number): readonly Uint8Array[] {
  return (fields.get(field) ?? []).flatMap((each) => (typeof each === 'number' ? [] : [each]));
}

/** A Timestamp in whole milliseconds; null where there is none. */
export function stampOf(bytes: Uint8Array | undefined): number | null {
  if (bytes === undefined) return null;
  const fields = fieldsOf(bytes);
  return number(fields, 1) * 1000 + Math.round(number(fields, 2) / 1_000_000);
}

/** A decoded Timestamp in whole milliseconds; null where there is none. */
export function stampOfTimestamp(
  at: { readonly seconds: number; readonly nanos: number } | null,
): number | null {
  return at === null ? null : at.seconds * 1000 + Math.round(at.nanos / 1_000_000);
}

function writtenOf(bytes: Uint8Array | undefined): WrittenJson | undefined {
  if (bytes === undefined) return undefined;
  const fields = fieldsOf(bytes);
  return {
    id: number(fields, 1),
    partition: number(fields, 2),
    revision: number(fields, 3),
    leaseEndMs: stampOf(message(fields, 4)),
  };
}

/** A tuple's fields. */
export function tupleOf(bytes: Uint8Array | undefined): TupleJson {
  return bytes === undefined ? [] : decodeTuple(bytes).map(jsonOf);
}

/** A StoredTuple. */
export function foundOf(bytes: Uint8Array): FoundJson {
  const fields = fieldsOf(bytes);
  return {
    id: number(fields, 2),
    partition: number(fields, 3),
    revision: number(fields, 4),
    deliveries: number(fields, 5),
    leaseEndMs: stampOf(message(fields, 6)),
    state: number(fields, 8) === 2 ? 'handed' : 'ready',
    tuple: tupleOf(message(fields, 1)),
  };
}

/** What an answer says. */
export interface AnswerJson {
  readonly outcome: OutcomeJson;
  readonly result: ResultJson;
}

function waited(fields: ReadonlyMap<number, Field[]>): AnswerJson {
  const outcome = number(fields, 1);
  const found = messages(fields, 2).map(foundOf);
  if (outcome === 1) return { outcome: 'ok', result: { found } };
  assert(outcome === 2 || outcome === 3, 'an outcome is set');
  return { outcome: outcome === 2 ? 'nothing' : 'cancelled', result: {} };
}

function manyWritten(fields: ReadonlyMap<number, Field[]>): AnswerJson {
  const outcomes = messages(fields, 1).map((bytes) => {
    const outcome = fieldsOf(bytes);
    const written = writtenOf(message(outcome, 1));
    if (written !== undefined) return { written };
    const { reason, definite } = reasonOf(message(outcome, 2) ?? new Uint8Array());
    return definite ? { failed: reason } : { unknown: reason };
  });
  const ok = outcomes.some((each) => 'written' in each);
  const unknown = outcomes.some((each) => 'unknown' in each);
  return { outcome: ok ? 'ok' : unknown ? 'unknown' : 'failed', result: { outcomes } };
}

/** Reasons of proto/errors.json after which a part of a write-many may have been written. */
const indefinite = new Set(['OUTCOME_UNKNOWN', 'INTERNAL', 'TIMED_OUT']);

/** The reason in a google.rpc.Status: the ErrorInfo among its details. */
function reasonOf(status: Uint8Array): { reason: string; definite: boolean } {
  for (const detail of messages(fieldsOf(status), 3)) {
    const any = fieldsOf(detail);
    const type = Buffer.from(message(any, 1) ?? []).toString();
    if (!type.endsWith('google.rpc.ErrorInfo')) continue;
    const reason = Buffer.from(message(fieldsOf(message(any, 2) ?? new Uint8Array()), 1) ?? []);
    return { reason: reason.toString(), definite: !indefinite.has(reason.toString()) };
  }
  return { reason: 'UNKNOWN', definite: false };
}

/** Reads the answer of an operation by its name in a history. */
export function answerOf(
  operation: string,
  bytes: Uint8Array,
  start: number,
  end: number,
): AnswerJson {
  const fields = fieldsOf(bytes, start, end);
  switch (operation) {
    case 'write':
    case 'write-if-absent': {
      const written = writtenOf(message(fields, 1));
      return written === undefined
        ? { outcome: 'nothing', result: {} }
        : { outcome: 'ok', result: { written } };
    }
    case 'write-many':
      return manyWritten(fields);
    case 'replace': {
      const written = writtenOf(message(fields, 1));
      const replaced = message(fields, 2);
      if (written === undefined || replaced === undefined)
        return { outcome: 'nothing', result: {} };
      return { outcome: 'ok', result: { written, replaced: foundOf(replaced) } };
    }
    case 'increment': {
      const found = message(fields, 1);
      if (found === undefined) return { outcome: 'nothing', result: {} };
      return { outcome: 'ok', result: { found: [foundOf(found)] } };
    }
    case 'count':
      return { outcome: 'ok', result: { count: number(fields, 1) } };
    case 'renew':
      return {
        outcome: 'ok',
        result: { renewed: number(fields, 1) === 1, leaseEndMs: stampOf(message(fields, 2)) },
      };
    case 'cancel':
      return { outcome: 'ok', result: { cancelled: number(fields, 1) === 1 } };
    default:
      return waited(fields);
  }
}
