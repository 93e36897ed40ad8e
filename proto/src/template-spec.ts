import { inKeyOrder, writeValue } from './encode.ts';
import type { Kind, Value } from './value.ts';
import { WireType, Writer } from './wire.ts';

/** The families that a range can be in. */
export type RangeFamily =
  | typeof Kind.INT
  | typeof Kind.FLOAT
  | typeof Kind.NUMBER
  | typeof Kind.STRING
  | typeof Kind.BYTES
  | typeof Kind.TIMESTAMP;

/** One end of a range. */
export interface BoundSpec {
  readonly value: Value;
  /** Whether the value itself is outside. */
  readonly exclusive?: boolean;
}

/** What one position asks for (SPEC §2), as users' code builds it. */
export type MatcherSpec =
  | { readonly kind: 'any' }
  | { readonly kind: 'formal'; readonly formal: Kind }
  | { readonly kind: 'actual'; readonly value: Value }
  | {
      readonly kind: 'range';
      /** Absent: the family of the bounds, where a number means `Kind.NUMBER`. */
      readonly family?: RangeFamily;
      readonly lower?: BoundSpec;
      readonly upper?: BoundSpec;
    }
  | { readonly kind: 'prefix'; readonly prefix: string | Uint8Array }
  | { readonly kind: 'any-of'; readonly values: readonly Value[] }
  | { readonly kind: 'negation'; readonly matcher: MatcherSpec }
  | { readonly kind: 'list'; readonly pattern: PatternSpec }
  | { readonly kind: 'record'; readonly entries: ReadonlyMap<string, MatcherSpec> };

/** One matcher a position, and whether more fields may follow. */
export interface PatternSpec {
  readonly matchers: readonly MatcherSpec[];
  readonly rest?: boolean;
}

/** Matches what at least one alternative matches. */
export type TemplateSpec = readonly PatternSpec[];

/** Field numbers of `tuplet.v1.Matcher`. */
export const MatcherField = {
  ANY: 1,
  FORMAL: 2,
  ACTUAL: 3,
  RANGE: 4,
  PREFIX: 5,
  ANY_OF: 6,
  NEGATION: 7,
  LIST: 8,
  RECORD: 9,
} as const;

const shared = new Writer(1_024);

/**
 * The encoding of a template. It holds no limit but those of values (EncodeError): the server refuses
 * what is too large, and `compileTemplate` says beforehand what it will say.
 */
export function encodeTemplate(template: TemplateSpec): Uint8Array {
  shared.reset();
  writeTemplate(shared, template);
  return shared.finish();
}

/** Writes a template where the writer stands, without tag or length. Throws EncodeError. */
export function writeTemplate(writer: Writer, template: TemplateSpec): void {
  for (const pattern of template) {
    const mark = begin(writer, 1);
    writePattern(writer, pattern);
    writer.close(mark);
  }
}

function begin(writer: Writer, field: number): number {
  writer.tag(field, WireType.LENGTH);
  return writer.open();
}

function writePattern(writer: Writer, pattern: PatternSpec): void {
  for (const matcher of pattern.matchers) {
    const mark = begin(writer, 1);
    writeMatcher(writer, matcher);
    writer.close(mark);
  }
  if (pattern.rest === true) {
    writer.tag(2, WireType.VARINT);
    writer.byte(1);
  }
}

/** Recursion follows the caller's own objects; what nests too deep is refused by `compileTemplate`. */
function writeMatcher(writer: Writer, matcher: MatcherSpec): void {
  if (matcher.kind === 'formal') {
    writer.tag(MatcherField.FORMAL, WireType.VARINT);
    writer.uint32(matcher.formal);
    return;
  }
  if (matcher.kind === 'actual') {
    writer.tag(MatcherField.ACTUAL, WireType.LENGTH);
    writeActual(writer, matcher.value);
    return;
  }
  const mark = begin(writer, fieldOf[matcher.kind]);
  writeContent(writer, matcher);
  writer.close(mark);
}

/** A value with its length before it. */
function writeActual(writer: Writer, value: Value): void {
  const mark = writer.open();
  writeValue(writer, value);
  writer.close(mark);
}

const fieldOf = {
  any: MatcherField.ANY,
  range: MatcherField.RANGE,
  prefix: MatcherField.PREFIX,
  'any-of': MatcherField.ANY_OF,
  negation: MatcherField.NEGATION,
  list: MatcherField.LIST,
  record: MatcherField.RECORD,
} as const;

function writeContent(
  writer: Writer,
  matcher: Exclude<MatcherSpec, { readonly kind: 'formal' | 'actual' }>,
): void {
  switch (matcher.kind) {
    case 'any':
      return;
    case 'range':
      writeRange(writer, matcher);
      return;
    case 'prefix':
      if (typeof matcher.prefix === 'string') {
        writer.tag(1, WireType.LENGTH);
        writer.string(matcher.prefix);
      } else {
        writer.tag(2, WireType.LENGTH);
        writer.lengthDelimited(matcher.prefix);
      }
      return;
    case 'any-of':
      for (const value of matcher.values) {
        writer.tag(1, WireType.LENGTH);
        writeActual(writer, value);
      }
      return;
    case 'negation':
      writeMatcher(writer, matcher.matcher);
      return;
    case 'list':
      writePattern(writer, matcher.pattern);
      return;
    case 'record':
      writeEntries(writer, matcher.entries);
  }
}

function writeRange(writer: Writer, range: Extract<MatcherSpec, { readonly kind: 'range' }>): void {
  if (range.family !== undefined) {
    writer.tag(1, WireType.VARINT);
    writer.uint32(range.family);
  }
  if (range.lower !== undefined) writeBound(writer, 2, range.lower);
  if (range.upper !== undefined) writeBound(writer, 3, range.upper);
}

function writeBound(writer: Writer, field: number, bound: BoundSpec): void {
  const mark = begin(writer, field);
  writer.tag(1, WireType.LENGTH);
  writeActual(writer, bound.value);
  if (bound.exclusive === true) {
    writer.tag(2, WireType.VARINT);
    writer.byte(1);
  }
  writer.close(mark);
}

function writeEntries(writer: Writer, entries: ReadonlyMap<string, MatcherSpec>): void {
  for (const [key, matcher] of inKeyOrder(entries)) {
    const entry = begin(writer, 1);
    writer.tag(1, WireType.LENGTH);
    writer.string(key);
    const mark = begin(writer, 2);
    writeMatcher(writer, matcher);
    writer.close(mark);
    writer.close(entry);
  }
}
