/**
 * Tuples and templates as a history writes them, and a matcher of its own: the checkers must not
 * share code with what they check.
 */

/** One field (HISTORY.md, Values). */
export type FieldJson =
  | null
  | boolean
  | string
  | number
  | { readonly int: string }
  | { readonly float: number | string }
  | { readonly bytes: string }
  | { readonly timestamp: string }
  | { readonly list: readonly FieldJson[] }
  | { readonly record: { readonly [key: string]: FieldJson } };

/** A tuple. */
export type TupleJson = readonly FieldJson[];

/** One position of a template. */
export type MatcherJson =
  | { readonly any: true }
  | { readonly formal: string }
  | { readonly actual: FieldJson }
  | {
      readonly range: {
        readonly lower?: FieldJson;
        readonly lowerExclusive?: boolean;
        readonly upper?: FieldJson;
        readonly upperExclusive?: boolean;
      };
    }
  | { readonly prefix: string }
  | { readonly in: readonly FieldJson[] }
  | { readonly not: MatcherJson };

/** One alternative. */
export interface PatternJson {
  readonly matchers: readonly MatcherJson[];
  readonly rest: boolean;
}

/** A template: a tuple matches if one alternative does. */
export type TemplateJson = readonly PatternJson[];

/** Whether the template matches; `null` matches everything. */
export function matches(template: TemplateJson | null, tuple: TupleJson): boolean {
  if (template === null) return true;
  return template.some((pattern) => patternMatches(pattern, tuple));
}

function patternMatches(pattern: PatternJson, tuple: TupleJson): boolean {
  if (tuple.length < pattern.matchers.length) return false;
  if (tuple.length > pattern.matchers.length && !pattern.rest) return false;
  return pattern.matchers.every((matcher, at) => matcherMatches(matcher, tuple[at] ?? null));
}

function matcherMatches(matcher: MatcherJson, field: FieldJson): boolean {
  if ('any' in matcher) return true;
  if ('formal' in matcher) return isOfKind(field, matcher.formal);
  if ('actual' in matcher) return keyOf(field) === keyOf(matcher.actual);
  if ('in' in matcher) return matcher.in.some((each) => keyOf(each) === keyOf(field));
  if ('not' in matcher) return !matcherMatches(matcher.not, field);
  if ('prefix' in matcher) return typeof field === 'string' && field.startsWith(matcher.prefix);
  return isInRange(matcher.range, field);
}

function isOfKind(field: FieldJson, kind: string): boolean {
  const own = kindOf(field);
  return kind === own || (kind === 'number' && (own === 'int' || own === 'float'));
}

function kindOf(field: FieldJson): string {
  if (field === null) return 'null';
  if (typeof field === 'boolean') return 'bool';
  if (typeof field === 'string') return 'string';
  if (typeof field === 'number') return 'int';
  return Object.keys(field)[0] ?? 'record';
}

/** Equal for fields that are equal (SPEC §1). Floats that equal ints share their key. */
function keyOf(field: FieldJson): string {
  if (typeof field === 'number') return `n${field}`;
  if (field !== null && typeof field === 'object') {
    if ('int' in field) return `n${field.int}`;
    if ('float' in field) return `n${Number(field.float) + 0}`;
    if ('list' in field) return `[${field.list.map(keyOf).join()}]`;
    if ('record' in field) {
      const keys = Object.keys(field.record).sort();
      return `{${keys.map((key) => JSON.stringify(key) + keyOf(field.record[key] ?? null)).join()}}`;
    }
  }
  return JSON.stringify(field);
}

/** Ranges of numbers and of strings; histories use no others. */
function isInRange(
  range: Extract<MatcherJson, { range: unknown }>['range'],
  field: FieldJson,
): boolean {
  const value = comparable(field);
  const lower = range.lower === undefined ? undefined : comparable(range.lower);
  const upper = range.upper === undefined ? undefined : comparable(range.upper);
  const family = typeof (lower ?? upper);
  if (value === undefined || typeof value !== family) return false;
  if (lower !== undefined && (range.lowerExclusive ? value <= lower : value < lower)) return false;
  return upper === undefined || !(range.upperExclusive ? value >= upper : value > upper);
}

function comparable(field: FieldJson): number | string | undefined {
  if (typeof field === 'number' || typeof field === 'string') return field;
  if (field === null || typeof field !== 'object') return undefined;
  const number = 'int' in field ? Number(field.int) : 'float' in field ? Number(field.float) : NaN;
  return Number.isNaN(number) ? undefined : number;
}

/** The field that tells a written tuple from all others of its history. */
export function uniqueOf(tuple: TupleJson): string | undefined {
  const field = tuple.find((each) => typeof each === 'string' && each.startsWith('u:'));
  return field as string | undefined;
}
