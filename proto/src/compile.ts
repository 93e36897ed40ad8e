import { compareBytes, equalBytes, type Run } from './bytes.ts';
import { isCanonicalValue, problemOf } from './check.ts';
import { decodeValue } from './decode.ts';
import { encodeValue } from './encode.ts';
import { keyOfStored } from './key.ts';
import { limits } from './limits.ts';
import { type DecodeError, type Problem, refuse, within } from './problem.ts';
import { type CompiledBound, compileRange } from './range.ts';
import { StoredTag } from './stored.ts';
import {
  type CompiledEntry,
  type CompiledMatcher,
  type CompiledPattern,
  Template,
} from './template.ts';
import { MatcherField } from './template-spec.ts';
import { isUtf8 } from './utf8.ts';
import { Kind } from './value.ts';
import { Reader } from './wire.ts';

const ANY: CompiledMatcher = { kind: 'any' };
const FORMALS: readonly CompiledMatcher[] = Object.values(Kind)
  .sort((a, b) => a - b)
  .map((formal) => ({ kind: 'formal', formal }));

/**
 * Holds the bytes of a template to everything that SPEC §2 says and makes them ready to match. Keeps
 * `bytes`: pass a copy where they are part of something larger. Errors are values.
 */
export function compileTemplate(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): Template | Problem {
  try {
    return new Compiler(new Reader(bytes, start, end)).template();
  } catch (error) {
    return problemOf(error);
  }
}

/** The matcher of most templates is its own run of bytes: a hundred thousand of them may wait. */
class Actual implements Run {
  readonly kind = 'actual';
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;

  constructor({ bytes, start, end }: Run) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  get value(): Run {
    return this;
  }
}

/** Reads one template. Recursion is bounded by `limits.matcherDepthMax`. */
class Compiler {
  readonly #reader: Reader;
  #matcherCount = 0;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  template(): Template {
    const reader = this.#reader;
    const { bytes, position: start, end } = reader;
    const size = end - start;
    if (size > limits.messageBytesMax) {
      const message = `template has ${size} bytes, limit ${limits.messageBytesMax}`;
      throw refuse('TEMPLATE_TOO_LARGE', message, limits.messageBytesMax);
    }
    const alternatives: CompiledPattern[] = [];
    while (reader.position < reader.end) {
      if (reader.tag() !== 0x0a) throw refuse('UNKNOWN_FIELD', 'template has an unknown field');
      if (alternatives.length === limits.alternativesMax) throw refuseAlternatives('more');
      const index = alternatives.length;
      const place = `alternatives[${index}]`;
      alternatives.push(
        this.#nested(place, () => {
          const pattern = this.#pattern(limits.arityMax, 0);
          if (pattern.matchers.length > 0 || pattern.rest) return pattern;
          throw refuse('PATTERN_EMPTY', 'pattern has neither matchers nor rest');
        }),
      );
    }
    if (alternatives.length === 0) throw refuseAlternatives('0');
    // Copies of their exact size: a template may wait for long, and what grew by `push` has room for 17.
    return new Template({ bytes, start, end }, alternatives.slice());
  }

  /** Reads a length and, bounded by it, what `read` reads; an error gets the place. */
  #nested<T>(place: string, read: () => T): T {
    const reader = this.#reader;
    try {
      const size = reader.length();
      const outer = reader.end;
      reader.end = reader.position + size;
      const result = read();
      reader.end = outer;
      return result;
    } catch (error) {
      throw within(error, place);
    }
  }

  #pattern(lengthMax: number, depth: number): CompiledPattern {
    const reader = this.#reader;
    const matchers: CompiledMatcher[] = [];
    let rest: boolean | undefined;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === 0x0a) {
        if (matchers.length === lengthMax) {
          const message = `pattern has more than ${lengthMax} matchers`;
          throw refuse('PATTERN_TOO_LONG', message, lengthMax);
        }
        const place = `.matchers[${matchers.length}]`;
        matchers.push(this.#nested(place, () => this.#matcher(depth)));
      } else if (tag === 0x10 && rest === undefined) rest = reader.bool();
      else throw unexpected(tag, tag === 0x10, 'pattern');
    }
    return { matchers: matchers.slice(), rest: rest === true };
  }

  #matcher(depth: number): CompiledMatcher {
    const reader = this.#reader;
    this.#count(1);
    if (depth > limits.matcherDepthMax) {
      const message = `matcher nests ${depth} deep, limit ${limits.matcherDepthMax}`;
      throw refuse('NESTED_TOO_DEEP', message, limits.matcherDepthMax);
    }
    if (reader.position >= reader.end) throw refuse('MATCHER_WITHOUT_KIND', 'matcher has no kind');
    const matcher = this.#kind(reader.tag(), depth);
    if (reader.position < reader.end) {
      throw refuse('FIELD_REPEATED', 'matcher has more than one kind');
    }
    return matcher;
  }

  #kind(tag: number, depth: number): CompiledMatcher {
    if (tag === ((MatcherField.FORMAL << 3) | 0)) {
      const formal = FORMALS[this.#reader.int32() - 1];
      if (formal === undefined) throw refuse('KIND_UNKNOWN', 'formal names no kind');
      return formal;
    }
    if ((tag & 7) !== 2) throw refuse('UNKNOWN_FIELD', 'matcher has an unknown field');
    switch (tag >>> 3) {
      case MatcherField.ANY:
        return this.#nested('.any', () => this.#any());
      case MatcherField.ACTUAL:
        return this.#nested('.actual', () => new Actual(this.#run()));
      case MatcherField.RANGE:
        return this.#nested('.range', () => this.#range());
      case MatcherField.PREFIX:
        return this.#nested('.prefix', () => this.#prefix());
      case MatcherField.ANY_OF:
        return this.#nested('.any_of', () => this.#anyOf());
      case MatcherField.NEGATION:
        return this.#nested('.negation', () => ({
          kind: 'negation',
          matcher: this.#matcher(depth + 1),
        }));
      case MatcherField.LIST:
        return this.#nested('.list', () => ({
          kind: 'list',
          pattern: this.#pattern(limits.listLengthMax, depth + 1),
        }));
      case MatcherField.RECORD:
        return this.#nested('.record', () => this.#record(depth + 1));
      default:
        throw refuse('UNKNOWN_FIELD', `matcher has the unknown field ${tag >>> 3}`);
    }
  }

  #any(): CompiledMatcher {
    const reader = this.#reader;
    if (reader.position < reader.end) throw refuse('UNKNOWN_FIELD', 'any has an unknown field');
    return ANY;
  }

  /** Reads a length and a value, made canonical where it is not. */
  #value(place: string): Run {
    return this.#nested(place, () => this.#run());
  }

  #run(): Run {
    const { bytes, position: start, end } = this.#reader;
    this.#reader.position = end;
    if (isCanonicalValue(bytes, start, end, 0)) return { bytes, start, end };
    return whole(encodeValue(decodeValue(bytes.subarray(start, end))));
  }

  #range(): CompiledMatcher {
    const reader = this.#reader;
    let family: number | undefined;
    let lower: CompiledBound | undefined;
    let upper: CompiledBound | undefined;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === 0x08 && family === undefined) family = reader.int32();
      else if (tag === 0x12 && lower === undefined) {
        lower = this.#nested('.lower', () => this.#bound());
      } else if (tag === 0x1a && upper === undefined) {
        upper = this.#nested('.upper', () => this.#bound());
      } else throw unexpected(tag, tag === 0x08 || tag === 0x12 || tag === 0x1a, 'range');
    }
    return compileRange(family ?? 0, lower ?? null, upper ?? null);
  }

  #bound(): CompiledBound {
    const reader = this.#reader;
    let value: Run | undefined;
    let exclusive: boolean | undefined;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === 0x0a && value === undefined) value = this.#value('.value');
      else if (tag === 0x10 && exclusive === undefined) exclusive = reader.bool();
      else throw unexpected(tag, tag === 0x0a || tag === 0x10, 'bound');
    }
    if (value === undefined) throw refuse('VALUE_WITHOUT_KIND', 'bound has no value');
    return { value, exclusive: exclusive === true };
  }

  #prefix(): CompiledMatcher {
    const reader = this.#reader;
    if (reader.position >= reader.end) {
      throw refuse('PREFIX_WITHOUT_KIND', 'prefix is neither a string nor bytes');
    }
    const tag = reader.tag();
    if (tag !== 0x0a && tag !== 0x12) throw unexpected(tag, false, 'prefix');
    const start = reader.advance(reader.length());
    const prefix = { bytes: reader.bytes, start, end: reader.position };
    if (reader.position < reader.end) throw unexpected(0, true, 'prefix');
    if (tag === 0x12) return { kind: 'prefix', tag: StoredTag.BYTES, prefix };
    if (!isUtf8(reader.bytes, start, prefix.end)) {
      throw refuse('STRING_NOT_UTF8', 'string is not well-formed UTF-8');
    }
    return { kind: 'prefix', tag: StoredTag.STRING, prefix };
  }

  #anyOf(): CompiledMatcher {
    const reader = this.#reader;
    const values: Run[] = [];
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag !== 0x0a) throw unexpected(tag, false, 'any_of');
      if (values.length === limits.anyOfValuesMax) throw refuseAnyOf('more');
      values.push(this.#value(`.values[${values.length}]`));
    }
    if (values.length === 0) throw refuseAnyOf('0');
    this.#count(values.length);
    return compileAnyOf(values);
  }

  #record(depth: number): CompiledMatcher {
    const reader = this.#reader;
    const entries: CompiledEntry[] = [];
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag !== 0x0a) throw unexpected(tag, false, 'record pattern');
      if (entries.length === limits.recordKeysMax) {
        const message = `record pattern has more than ${limits.recordKeysMax} keys`;
        throw refuse('RECORD_TOO_LARGE', message, limits.recordKeysMax);
      }
      entries.push(this.#nested(`.entries[${entries.length}]`, () => this.#entry(depth)));
    }
    return { kind: 'record', entries: sortEntries(entries) };
  }

  #entry(depth: number): CompiledEntry {
    const reader = this.#reader;
    let key: Run | undefined;
    let matcher: CompiledMatcher | undefined;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === 0x0a && key === undefined) {
        const size = reader.length();
        const start = reader.advance(size);
        key = { bytes: reader.bytes, start, end: start + size };
        if (!isUtf8(reader.bytes, start, start + size)) {
          throw refuse('STRING_NOT_UTF8', 'key is not well-formed UTF-8');
        }
      } else if (tag === 0x12 && matcher === undefined) {
        matcher = this.#nested('.value', () => this.#matcher(depth));
      } else throw unexpected(tag, tag === 0x0a || tag === 0x12, 'entry');
    }
    if (matcher === undefined) throw refuse('MATCHER_WITHOUT_KIND', 'entry has no matcher');
    return { key: key ?? whole(new Uint8Array(0)), matcher };
  }

  #count(more: number): void {
    this.#matcherCount += more;
    if (this.#matcherCount > limits.templateMatchersMax) {
      const message = `template has more than ${limits.templateMatchersMax} matchers and values`;
      throw refuse('TEMPLATE_TOO_LARGE', message, limits.templateMatchersMax);
    }
  }
}

function whole(bytes: Uint8Array): Run {
  return { bytes, start: 0, end: bytes.length };
}

function unexpected(tag: number, isKnown: boolean, what: string): DecodeError {
  if (isKnown) return refuse('FIELD_REPEATED', `${what} has a part twice`);
  return refuse('UNKNOWN_FIELD', `${what} has the unknown field ${tag >>> 3}`);
}

function refuseAlternatives(count: string): DecodeError {
  const message = `template has ${count} alternatives, limit 1 to ${limits.alternativesMax}`;
  return refuse('TEMPLATE_ALTERNATIVES', message, limits.alternativesMax);
}

function refuseAnyOf(count: string): DecodeError {
  const message = `any_of has ${count} values, limit 1 to ${limits.anyOfValuesMax}`;
  return refuse('ANY_OF_SIZE', message, limits.anyOfValuesMax);
}

/** The values as sorted keys, so that a look-up costs eight comparisons at most. */
function compileAnyOf(values: readonly Run[]): CompiledMatcher {
  const keys = values.map((run) => keyOfStored(run.bytes, run.start, run.end));
  keys.sort((a, b) => compareBytes(a, 0, a.length, b, 0, b.length));
  const first = keys[0] as Uint8Array;
  const last = keys[keys.length - 1] as Uint8Array;
  const isOne = equalBytes(first, 0, first.length, last, 0, last.length);
  return { kind: 'any-of', keys, only: isOne ? (values[0] as Run) : null };
}

function sortEntries(entries: CompiledEntry[]): readonly CompiledEntry[] {
  entries.sort((a, b) => compareRuns(a.key, b.key));
  for (let i = 1; i < entries.length; i += 1) {
    const entry = entries[i] as CompiledEntry;
    if (compareRuns((entries[i - 1] as CompiledEntry).key, entry.key) === 0) {
      throw refuse('DUPLICATE_KEY', 'key comes twice');
    }
  }
  return entries;
}

/** Orders two runs byte by byte. */
function compareRuns(a: Run, b: Run): number {
  return compareBytes(a.bytes, a.start, a.end, b.bytes, b.start, b.end);
}
