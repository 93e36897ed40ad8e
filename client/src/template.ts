/**
 * Templates and the types they give: `['job', t.int, t.any]` matches tuples of three fields and is
 * read as `['job', number, unknown]`.
 */
import {
  type Template as CompiledTemplate,
  compileTemplate,
  EncodeError,
  encodeTemplate,
  FieldOffsets,
  Float,
  isProblem,
  Kind,
  type MatcherSpec,
  matchTuple,
  type PatternSpec,
  type RangeFamily,
  type Timestamp,
} from '@tuplet/proto';
import { toStored, type Value, type Writable } from './value.ts';

/** Turns a value as decoded into what the matcher's type promises. */
export type Convert = (value: Value) => Value;

/** What one position asks for; reads as `Type`. Made by `t`. */
export class Matcher<Type> {
  /** Only a type: what a matching value is read as. */
  declare readonly matched: Type;
  /** What is sent. */
  readonly spec: MatcherSpec;
  /** What a matching value goes through, if anything. */
  readonly convert: Convert | undefined;
  constructor(spec: MatcherSpec, convert?: Convert) {
    this.spec = spec;
    this.convert = convert;
  }
}

/** Says that further fields may follow. Made by `t.rest`. */
export class Rest {
  readonly kind = 'rest';
}

/** One position of a template: a matcher, or an actual value. */
export type TemplateField = Matcher<unknown> | Rest | Writable;
/** One matcher a position; the last may be `t.rest`. */
export type Pattern = readonly TemplateField[];

/** A template of several alternatives. Made by `t.union`. */
export class Union<Tuple> {
  /** Only a type: what a matching tuple is read as. */
  declare readonly matched: Tuple;
  readonly patterns: readonly Pattern[];
  constructor(patterns: readonly Pattern[]) {
    this.patterns = patterns;
  }
}

/** What `read`, `take` and the others match with. */
export type Template = Pattern | Union<unknown>;

/** What a value that was written, or an actual value that matched, is read as. */
export type ReadBack<Written> = Writable extends Written
  ? unknown
  : Written extends Date
    ? Timestamp
    : Written extends Float
      ? number
      : Written extends null | boolean | number | bigint | string | Uint8Array | Timestamp
        ? Written
        : Written extends readonly unknown[]
          ? { -readonly [Key in keyof Written]: ReadBack<Written[Key]> }
          : { -readonly [Key in keyof Written]: ReadBack<Written[Key]> };

/** What one position is read as; `unknown` where the field is known only at run time. */
export type MatchedField<Field> = Writable extends Field
  ? unknown
  : Field extends Matcher<infer Type>
    ? Type
    : ReadBack<Field>;

type MatchedFields<Fields extends readonly unknown[]> = {
  -readonly [Index in keyof Fields]: MatchedField<Fields[Index]>;
};

/** What a tuple that matches the template is read as. */
export type MatchedTuple<From> =
  From extends Union<infer Tuple>
    ? Tuple
    : From extends readonly [...infer Fields, Rest]
      ? [...MatchedFields<Fields>, ...unknown[]]
      : From extends readonly unknown[]
        ? MatchedFields<From>
        : never;

/** What a range can be bounded by. */
export type Orderable = number | bigint | Float | string | Uint8Array | Timestamp | Date;

/** What the other end of a range can be. */
export type SameFamily<Bound> = Bound extends number
  ? number
  : Bound extends string
    ? string
    : Bound extends bigint
      ? bigint
      : Bound;

/** What a value in a range is read as. */
export type Ordered<Bound> = Bound extends number | Float
  ? number
  : Bound extends bigint
    ? bigint
    : Bound extends string
      ? string
      : Bound extends Uint8Array
        ? Uint8Array
        : Timestamp;

const toNumber: Convert = (value) => (typeof value === 'bigint' ? Number(value) : value);
const toBigInt: Convert = (value) => (typeof value === 'number' ? BigInt(value) : value);

function formal<Type>(kind: Kind, convert?: Convert): Matcher<Type> {
  return new Matcher({ kind: 'formal', formal: kind }, convert);
}

interface RangeEnd {
  readonly value: Orderable;
  readonly exclusive?: boolean;
}

/** An int, and a float, for a bound that says no more than that it is a number. */
function range<Bound extends Orderable>(
  lower: RangeEnd | undefined,
  upper: RangeEnd | undefined,
): Matcher<Ordered<Bound>> {
  const sample = lower?.value ?? upper?.value;
  const family: RangeFamily | undefined =
    typeof sample === 'bigint' ? Kind.INT : sample instanceof Float ? Kind.FLOAT : undefined;
  const convert =
    typeof sample === 'bigint' ? toBigInt : typeof sample === 'number' ? toNumber : undefined;
  const spec: MatcherSpec = {
    kind: 'range',
    ...(family === undefined ? {} : { family }),
    ...(lower === undefined ? {} : { lower: { ...lower, value: toStored(lower.value) } }),
    ...(upper === undefined ? {} : { upper: { ...upper, value: toStored(upper.value) } }),
  };
  return new Matcher(spec, convert);
}

/** The matcher of one position. */
function matcherOf(field: Matcher<unknown> | Writable): Matcher<unknown> {
  if (field instanceof Matcher) return field;
  if (typeof field === 'string') return new Matcher({ kind: 'actual', value: field });
  const convert =
    typeof field === 'bigint'
      ? toBigInt
      : typeof field === 'number' && Number.isInteger(field) && !Number.isSafeInteger(field)
        ? toNumber
        : undefined;
  return new Matcher({ kind: 'actual', value: toStored(field) }, convert);
}

interface CompiledPattern {
  readonly spec: PatternSpec;
  /** One for each matcher; undefined where none converts. */
  readonly converts: readonly (Convert | undefined)[] | undefined;
}

function patternOf(fields: Pattern): CompiledPattern {
  const matchers: MatcherSpec[] = [];
  let converts: (Convert | undefined)[] | undefined;
  let rest = false;
  for (let index = 0; index < fields.length; index += 1) {
    const field = fields[index] as TemplateField;
    if (field instanceof Rest) {
      if (index !== fields.length - 1) {
        const message = 't.rest stands at the end';
        throw new EncodeError({ reason: 'PATTERN_EMPTY', field: `matchers[${index}]`, message });
      }
      rest = true;
      continue;
    }
    const matcher = matcherOf(field);
    matchers.push(matcher.spec);
    if (matcher.convert === undefined) continue;
    converts ??= [];
    converts[index] = matcher.convert;
  }
  return { spec: rest ? { matchers, rest } : { matchers }, converts };
}

function convertAll(values: Value[], converts: readonly (Convert | undefined)[]): void {
  for (let i = 0; i < converts.length && i < values.length; i += 1) {
    const convert = converts[i];
    if (convert !== undefined) values[i] = convert(values[i] as Value);
  }
}

/** A template ready to be sent, and to give what it finds the type that it promises. */
export class PreparedTemplate {
  readonly specs: readonly PatternSpec[];
  readonly #converts: readonly (readonly (Convert | undefined)[] | undefined)[];
  readonly #anyConverts: boolean;
  #compiled: readonly CompiledTemplate[] | undefined;

  /** Throws EncodeError for what is no template. */
  constructor(template: Template) {
    if (template instanceof Union) {
      const compiled = template.patterns.map(patternOf);
      this.specs = compiled.map((pattern) => pattern.spec);
      this.#converts = compiled.map((pattern) => pattern.converts);
      this.#anyConverts = this.#converts.some((converts) => converts !== undefined);
    } else {
      const { spec, converts } = patternOf(template);
      this.specs = [spec];
      this.#converts = [converts];
      this.#anyConverts = converts !== undefined;
    }
  }

  /** Converts the values of a matching tuple, in place. */
  convert(values: Value[], tuple: Uint8Array): void {
    if (!this.#anyConverts) return;
    const index = this.#converts.length === 1 ? 0 : this.#alternativeOf(tuple);
    const converts = this.#converts[index];
    if (converts !== undefined) convertAll(values, converts);
  }

  /** The first alternative that matches; only asked where alternatives read differently. */
  #alternativeOf(tuple: Uint8Array): number {
    this.#compiled ??= this.specs.map((spec) => {
      const compiled = compileTemplate(encodeTemplate([spec]));
      if (isProblem(compiled)) throw new EncodeError(compiled);
      return compiled;
    });
    const offsets = new FieldOffsets().scan(tuple);
    return this.#compiled.findIndex((template) => matchTuple(template, tuple, offsets));
  }
}

/** The matchers of templates. Any plain value in a template is an *actual*: it matches its equal. */
export const t: Matchers = {
  any: new Matcher<unknown>({ kind: 'any' }),
  null: formal<null>(Kind.NULL),
  bool: formal<boolean>(Kind.BOOL),
  int: new Matcher<number>({
    kind: 'range',
    family: Kind.INT,
    lower: { value: Number.MIN_SAFE_INTEGER },
    upper: { value: Number.MAX_SAFE_INTEGER },
  }),
  bigint: formal<bigint>(Kind.INT, toBigInt),
  float: formal<number>(Kind.FLOAT),
  number: formal<number>(Kind.NUMBER, toNumber),
  string: formal<string>(Kind.STRING),
  bytes: formal<Uint8Array>(Kind.BYTES),
  timestamp: formal<Timestamp>(Kind.TIMESTAMP),
  rest: new Rest(),
  list: (...fields) => {
    const { spec, converts } = patternOf(fields);
    if (converts === undefined) return new Matcher({ kind: 'list', pattern: spec });
    return new Matcher({ kind: 'list', pattern: spec }, (value) => {
      if (!Array.isArray(value)) return value;
      const copy: Value[] = [...value];
      convertAll(copy, converts);
      return copy;
    });
  },
  record: (fields) => {
    const matchers = Object.entries(fields).map(([key, field]) => [key, matcherOf(field)] as const);
    const entries = new Map(matchers.map(([key, matcher]) => [key, matcher.spec]));
    const converts = matchers.filter(([, matcher]) => matcher.convert !== undefined);
    if (converts.length === 0) return new Matcher({ kind: 'record', entries });
    return new Matcher({ kind: 'record', entries }, (value) => {
      const copy: Record<string, Value> = { ...(value as Record<string, Value>) };
      for (const [key, matcher] of converts) {
        const inner = copy[key];
        if (inner !== undefined && matcher.convert) copy[key] = matcher.convert(inner);
      }
      return copy;
    });
  },
  between: (lower, upper) => range({ value: lower }, { value: upper }),
  atLeast: (bound) => range({ value: bound }, undefined),
  atMost: (bound) => range(undefined, { value: bound }),
  greaterThan: (bound) => range({ value: bound, exclusive: true }, undefined),
  lessThan: (bound) => range(undefined, { value: bound, exclusive: true }),
  prefix: (start) => new Matcher({ kind: 'prefix', prefix: start }),
  oneOf: (...values) =>
    new Matcher({ kind: 'any-of', values: values.map((value) => toStored(value)) }),
  not: (field) => new Matcher({ kind: 'negation', matcher: matcherOf(field).spec }),
  union: (...patterns) => new Union(patterns),
};

/** See `t`. */
export interface Matchers {
  /** Every value. */
  readonly any: Matcher<unknown>;
  /** Null alone. */
  readonly null: Matcher<null>;
  /** True or false. */
  readonly bool: Matcher<boolean>;
  /** Ints within ±(2^53−1). */
  readonly int: Matcher<number>;
  /** Every int of 64 bits, read as a bigint. */
  readonly bigint: Matcher<bigint>;
  /** Floats. */
  readonly float: Matcher<number>;
  /** Ints and floats; an int beyond ±(2^53−1) is read as the nearest number. */
  readonly number: Matcher<number>;
  /** Strings. */
  readonly string: Matcher<string>;
  /** Bytes. */
  readonly bytes: Matcher<Uint8Array>;
  /** Timestamps. */
  readonly timestamp: Matcher<Timestamp>;
  /** At the end of a template or a list: further fields may follow. */
  readonly rest: Rest;
  /** Lists, matched element by element; `t.list(t.rest)` is every list. */
  list<const Fields extends Pattern>(...fields: Fields): Matcher<MatchedTuple<Fields>>;
  /** Records that have at least these keys; `t.record({})` is every record. */
  record<const Fields extends { readonly [key: string]: Matcher<unknown> | Writable }>(
    fields: Fields,
  ): Matcher<
    { -readonly [Key in keyof Fields]: MatchedField<Fields[Key]> } & Record<string, unknown>
  >;
  /** From `lower` to `upper`, both included. Bigint bounds match ints alone, `float(x)` floats alone. */
  between<Bound extends Orderable>(
    lower: Bound,
    upper: SameFamily<NoInfer<Bound>>,
  ): Matcher<Ordered<Bound>>;
  /** `bound` and above. */
  atLeast<Bound extends Orderable>(bound: Bound): Matcher<Ordered<Bound>>;
  /** `bound` and below. */
  atMost<Bound extends Orderable>(bound: Bound): Matcher<Ordered<Bound>>;
  /** Above `bound`. */
  greaterThan<Bound extends Orderable>(bound: Bound): Matcher<Ordered<Bound>>;
  /** Below `bound`. */
  lessThan<Bound extends Orderable>(bound: Bound): Matcher<Ordered<Bound>>;
  /** Strings, or bytes, that begin so. */
  prefix<Start extends string | Uint8Array>(
    start: Start,
  ): Matcher<Start extends string ? string : Uint8Array>;
  /** Values equal to one of 1 to 256. */
  oneOf<const Values extends readonly Writable[]>(
    ...values: Values
  ): Matcher<ReadBack<Values[number]>>;
  /** What the matcher, or the value, does not match. */
  not(field: Matcher<unknown> | Writable): Matcher<unknown>;
  /** Tuples that one of 1 to 8 patterns matches. */
  union<const Patterns extends readonly Pattern[]>(
    ...patterns: Patterns
  ): Union<MatchedTuple<Patterns[number]>>;
}
