import {
  Float,
  floatOf,
  intOf,
  Kind,
  kindOf,
  type MatcherSpec,
  type PatternSpec,
  type RangeFamily,
  type TemplateSpec,
  Timestamp,
  type Value,
} from '../src/index.ts';

/**
 * Values and templates in the JSON mapping of protobuf (proto3 JSON), as the vectors hold them:
 * `intValue` is a decimal string, `bytesValue` base64, `timestampValue` RFC 3339, and a float that
 * JSON has no number for is "NaN", "Infinity", "-Infinity" or "-0".
 */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

type JsonObject = { readonly [key: string]: Json };

/** A value in JSON. */
export function valueToJson(value: Value): JsonObject {
  switch (kindOf(value)) {
    case Kind.NULL:
      return { nullValue: null };
    case Kind.BOOL:
      return { boolValue: value as boolean };
    case Kind.INT:
      return { intValue: String(value) };
    case Kind.FLOAT:
      return { floatValue: floatToJson(value instanceof Float ? value.value : (value as number)) };
    case Kind.STRING:
      return { stringValue: value as string };
    case Kind.BYTES:
      return { bytesValue: Buffer.from(value as Uint8Array).toString('base64') };
    case Kind.TIMESTAMP:
      return { timestampValue: instantToJson(value as Timestamp) };
    case Kind.LIST:
      return { listValue: { values: (value as readonly Value[]).map(valueToJson) } };
    default: {
      const entries = [...(value as ReadonlyMap<string, Value>)].map(([key, each]) => [
        key,
        valueToJson(each),
      ]);
      return { recordValue: { entries: Object.fromEntries(entries) } };
    }
  }
}

function floatToJson(value: number): Json {
  return Number.isFinite(value) && !Object.is(value, -0)
    ? value
    : Object.is(value, -0)
      ? '-0'
      : String(value);
}

function instantToJson({ seconds, nanos }: Timestamp): string {
  const whole = new Date(seconds * 1_000).toISOString().slice(0, 19);
  return nanos === 0 ? `${whole}Z` : `${whole}.${String(nanos).padStart(9, '0')}Z`;
}

function entriesOf(json: Json | undefined): readonly (readonly [string, Json])[] {
  return Object.entries((json ?? {}) as JsonObject);
}

function member(json: Json, name: string): Json | undefined {
  return (json as JsonObject)[name];
}

function listOf(json: Json | undefined): readonly Json[] {
  return (json ?? []) as readonly Json[];
}

/** The value that JSON stands for. */
export function valueFromJson(json: Json): Value {
  const [[kind, content] = ['', null]] = entriesOf(json);
  switch (kind) {
    case 'nullValue':
      return null;
    case 'boolValue':
      return content as boolean;
    case 'intValue':
      return intOf(BigInt(content as string));
    case 'floatValue':
      return content === '-0' ? new Float(-0) : floatOf(Number(content));
    case 'stringValue':
      return content as string;
    case 'bytesValue':
      return Uint8Array.from(Buffer.from(content as string, 'base64'));
    case 'timestampValue':
      return instantFromJson(content as string);
    case 'listValue':
      return listOf(member(content, 'values')).map(valueFromJson);
    default: {
      const entries = entriesOf(member(content, 'entries'));
      return new Map(entries.map(([key, each]) => [key, valueFromJson(each)]));
    }
  }
}

function instantFromJson(text: string): Timestamp {
  const [whole = '', fraction = ''] = text.slice(0, -1).split('.');
  return new Timestamp(Date.parse(`${whole}Z`) / 1_000, Number(fraction.padEnd(9, '0')));
}

/** A tuple in JSON. */
export function tupleToJson(fields: readonly Value[]): JsonObject {
  return { fields: fields.map(valueToJson) };
}

/** The tuple that JSON stands for. */
export function tupleFromJson(json: Json): readonly Value[] {
  return listOf(member(json, 'fields')).map(valueFromJson);
}

const kindNames: readonly string[] = [
  'KIND_UNSPECIFIED',
  'KIND_NULL',
  'KIND_BOOL',
  'KIND_INT',
  'KIND_FLOAT',
  'KIND_NUMBER',
  'KIND_STRING',
  'KIND_BYTES',
  'KIND_TIMESTAMP',
  'KIND_LIST',
  'KIND_RECORD',
];

/** A template in JSON. */
export function templateToJson(template: TemplateSpec): JsonObject {
  return { alternatives: template.map(patternToJson) };
}

function patternToJson({ matchers, rest }: PatternSpec): JsonObject {
  return { matchers: matchers.map(matcherToJson), ...(rest === true ? { rest: true } : {}) };
}

function matcherToJson(matcher: MatcherSpec): JsonObject {
  switch (matcher.kind) {
    case 'any':
      return { any: {} };
    case 'formal':
      return { formal: kindNames[matcher.formal] ?? '' };
    case 'actual':
      return { actual: valueToJson(matcher.value) };
    case 'range':
      return { range: rangeToJson(matcher) };
    case 'prefix': {
      const { prefix } = matcher;
      if (typeof prefix === 'string') return { prefix: { stringPrefix: prefix } };
      return { prefix: { bytesPrefix: Buffer.from(prefix).toString('base64') } };
    }
    case 'any-of':
      return { anyOf: { values: matcher.values.map(valueToJson) } };
    case 'negation':
      return { negation: matcherToJson(matcher.matcher) };
    case 'list':
      return { list: patternToJson(matcher.pattern) };
    case 'record': {
      const entries = [...matcher.entries].map(([key, each]) => [key, matcherToJson(each)]);
      return { record: { entries: Object.fromEntries(entries) } };
    }
  }
}

function rangeToJson({
  family,
  lower,
  upper,
}: Extract<MatcherSpec, { kind: 'range' }>): JsonObject {
  const bound = ({ value, exclusive }: { value: Value; exclusive?: boolean }): JsonObject => ({
    value: valueToJson(value),
    ...(exclusive === true ? { exclusive: true } : {}),
  });
  return {
    ...(family === undefined ? {} : { family: kindNames[family] ?? '' }),
    ...(lower === undefined ? {} : { lower: bound(lower) }),
    ...(upper === undefined ? {} : { upper: bound(upper) }),
  };
}

/** The template that JSON stands for. */
export function templateFromJson(json: Json): TemplateSpec {
  return listOf(member(json, 'alternatives')).map(patternFromJson);
}

function patternFromJson(json: Json): PatternSpec {
  const { matchers, rest } = json as JsonObject;
  return { matchers: listOf(matchers).map(matcherFromJson), rest: rest === true };
}

function matcherFromJson(json: Json): MatcherSpec {
  const [[kind, content] = ['', null]] = entriesOf(json);
  switch (kind) {
    case 'any':
      return { kind: 'any' };
    case 'formal':
      return { kind: 'formal', formal: kindNames.indexOf(content as string) as Kind };
    case 'actual':
      return { kind: 'actual', value: valueFromJson(content) };
    case 'range':
      return rangeFromJson(content as JsonObject);
    case 'prefix': {
      const text = member(content, 'stringPrefix');
      if (typeof text === 'string') return { kind: 'prefix', prefix: text };
      return {
        kind: 'prefix',
        prefix: Uint8Array.from(Buffer.from(member(content, 'bytesPrefix') as string, 'base64')),
      };
    }
    case 'anyOf':
      return { kind: 'any-of', values: listOf(member(content, 'values')).map(valueFromJson) };
    case 'negation':
      return { kind: 'negation', matcher: matcherFromJson(content) };
    case 'list':
      return { kind: 'list', pattern: patternFromJson(content) };
    default: {
      const entries = entriesOf(member(content, 'entries'));
      return {
        kind: 'record',
        entries: new Map(entries.map(([key, each]) => [key, matcherFromJson(each)])),
      };
    }
  }
}

function rangeFromJson({ family, lower, upper }: JsonObject): MatcherSpec {
  const bound = (json: Json): { value: Value; exclusive: boolean } => {
    const { value, exclusive } = json as JsonObject;
    return { value: valueFromJson(value ?? null), exclusive: exclusive === true };
  };
  return {
    kind: 'range',
    ...(family === undefined ? {} : { family: kindNames.indexOf(family as string) as RangeFamily }),
    ...(lower === undefined ? {} : { lower: bound(lower) }),
    ...(upper === undefined ? {} : { upper: bound(upper) }),
  };
}
