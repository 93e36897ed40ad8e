/** Between the SDK and the history: templates, tuples, answers, events. */
import {
  type EventKind,
  type Matcher,
  metaOf,
  type Pattern,
  type Template,
  type TemplateField,
  type Timestamp,
  type TupleEvent,
  t,
  type WriteOutcome,
  type Written,
} from '@tuplet/client';
import type {
  EventJson,
  EventKindJson,
  FoundJson,
  ResultJson,
  WrittenJson,
} from '../sim/check/history.ts';
import type {
  FieldJson,
  MatcherJson,
  PatternJson,
  TemplateJson,
  TupleJson,
} from '../sim/check/values.ts';

const formals: Readonly<Record<string, Matcher<unknown>>> = {
  null: t.null,
  bool: t.bool,
  int: t.bigint,
  float: t.float,
  number: t.number,
  string: t.string,
  bytes: t.bytes,
  timestamp: t.timestamp,
};

/** A field of this workload: a string or a safe int. */
function plainOf(field: unknown): string | number {
  if (typeof field === 'bigint') return Number(field);
  if (typeof field === 'string' || typeof field === 'number') return field;
  throw new TypeError(`a field is neither a string nor a number: ${String(field)}`);
}

/** Values as the history writes them. */
export function tupleJson(values: readonly unknown[]): TupleJson {
  return values.map(plainOf);
}

/** A tuple for the SDK. */
export function tupleOf(tuple: TupleJson): (string | number)[] {
  return tuple.map(plainOf);
}

function matcherOf(matcher: MatcherJson): TemplateField {
  if ('any' in matcher) return t.any;
  if ('actual' in matcher) return plainOf(matcher.actual);
  if ('prefix' in matcher) return t.prefix(matcher.prefix);
  if ('in' in matcher) return t.oneOf(...matcher.in.map(plainOf));
  if ('not' in matcher) {
    const inner = matcherOf(matcher.not);
    if (inner === t.rest) throw new TypeError('rest is no matcher');
    return t.not(inner as Matcher<unknown>);
  }
  if ('range' in matcher) return rangeOf(matcher.range);
  const formal = formals[matcher.formal];
  if (formal === undefined) throw new TypeError(`there is no kind ${matcher.formal}`);
  return formal;
}

function rangeOf(range: Extract<MatcherJson, { range: unknown }>['range']): TemplateField {
  const bound = (field: FieldJson | undefined): number => {
    if (typeof field !== 'number') throw new TypeError('bounds are ints');
    return field;
  };
  if (range.lowerExclusive || range.upperExclusive) throw new TypeError('bounds are inclusive');
  if (range.upper === undefined) return t.atLeast(bound(range.lower));
  if (range.lower === undefined) return t.atMost(bound(range.upper));
  return t.between(bound(range.lower), bound(range.upper));
}

function patternOf(pattern: PatternJson): Pattern {
  const fields = pattern.matchers.map(matcherOf);
  return pattern.rest ? [...fields, t.rest] : fields;
}

/** A template for the SDK. */
export function templateOf(template: TemplateJson): Template {
  const [first, ...others] = template.map(patternOf);
  if (first === undefined) throw new TypeError('a template has an alternative');
  return others.length === 0 ? first : t.union(first, ...others);
}

function stampOf(timestamp: Timestamp | undefined): number | null {
  return timestamp === undefined ? null : timestamp.toMilliseconds();
}

/** What a write left behind. */
export function writtenJson({ id, partition, revision, leaseEnd }: Written): WrittenJson {
  return { id, partition, revision, leaseEndMs: stampOf(leaseEnd) };
}

/** A tuple that the SDK returned. */
export function foundJson(values: unknown): FoundJson {
  if (!Array.isArray(values)) throw new TypeError('a tuple is a list');
  const meta = metaOf(values);
  if (meta === undefined) throw new TypeError('a tuple of the SDK has its meta');
  const { id, partition, revision, deliveries, leaseEnd, state } = meta;
  const leaseEndMs = stampOf(leaseEnd);
  return { id, partition, revision, deliveries, leaseEndMs, state, tuple: tupleJson(values) };
}

/** The outcomes of `writeMany`. */
export function outcomesJson(outcomes: readonly WriteOutcome[]): ResultJson {
  return {
    outcomes: outcomes.map((outcome) => {
      if (outcome.kind === 'written') return { written: writtenJson(outcome.written) };
      const { definite, reason } = outcome.error;
      return definite ? { failed: reason } : { unknown: reason };
    }),
  };
}

/** The kinds of a history for those of the SDK. */
export function kindOf(kind: EventKindJson): EventKind {
  return kind.toLowerCase() as EventKind;
}

/** An event that the SDK gave; `last`: whether it is the last of its revision. */
export function eventJson(event: TupleEvent<unknown[]>, space: string, last: boolean): EventJson {
  const { kind, place, tuple, old, at } = event;
  const { revision: tupleRevision, ...found } = foundJson(tuple);
  return {
    kind: kind.toUpperCase() as EventKindJson,
    space,
    ...place,
    last,
    atMs: stampOf(at) ?? 0,
    id: found.id,
    tupleRevision,
    deliveries: found.deliveries,
    leaseEndMs: found.leaseEndMs,
    tuple: found.tuple,
    old: old === undefined ? null : tupleJson(old),
  };
}
