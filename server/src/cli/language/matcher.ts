import {
  type Matcher,
  type Orderable,
  type Pattern,
  type TemplateField,
  Timestamp,
  t,
  type Writable,
} from '@tuplet/client';
import { limits } from '@tuplet/proto';
import type { Scanner } from './scanner.ts';
import { parseKey, parseValue } from './value.ts';

/** What `?kind` asks for. */
const formals = new Map<string, Matcher<unknown>>([
  ['null', t.null],
  ['bool', t.bool],
  ['int', t.bigint],
  ['float', t.float],
  ['number', t.number],
  ['string', t.string],
  ['bytes', t.bytes],
  ['timestamp', t.timestamp],
  ['list', t.list(t.rest)],
  ['record', t.record({})],
]);

/** `t.list` for fields that are known only at run time: their types would nest without end. */
const listOf: (...fields: Pattern) => Matcher<unknown> = t.list;

/** Matchers up to `close` (or up to `;` and the end), `...` last where more may follow. */
export function parsePattern(scanner: Scanner, close: string, depth: number): Pattern {
  const fields: TemplateField[] = [];
  if (close !== '' && scanner.accept(close)) return fields;
  do {
    if (fields.at(-1) === t.rest) scanner.fail('... comes last');
    fields.push(scanner.accept('...') ? t.rest : parseMatcher(scanner, depth));
  } while (scanner.accept(','));
  if (close !== '') scanner.expect(close);
  return fields;
}

function parseMatcher(scanner: Scanner, depth: number): Matcher<unknown> | Writable {
  if (depth > limits.matcherDepthMax) {
    scanner.fail(`matchers nest ${limits.matcherDepthMax} deep at most`);
  }
  if (scanner.accept('*')) return t.any;
  if (scanner.accept('?')) return parseFormal(scanner);
  if (scanner.accept('!')) return t.not(parseMatcher(scanner, depth + 1));
  if (scanner.accept('^')) return parsePrefix(scanner);
  if (scanner.accept('>=')) return t.atLeast(parseBound(scanner));
  if (scanner.accept('<=')) return t.atMost(parseBound(scanner));
  if (scanner.accept('>')) return t.greaterThan(parseBound(scanner));
  if (scanner.accept('<')) return t.lessThan(parseBound(scanner));
  if (scanner.accept('..')) return t.atMost(parseBound(scanner));
  if (scanner.accept('[')) return listOf(...parsePattern(scanner, ']', depth + 1));
  if (scanner.accept('{')) return parseRecord(scanner, depth);
  return parseValues(scanner);
}

function parseFormal(scanner: Scanner): Matcher<unknown> {
  const { text, position } = scanner.atom();
  const formal = formals.get(text);
  if (formal !== undefined) return formal;
  const known = [...formals.keys()].join(', ');
  return scanner.fail(`?${text} is no kind; there are ${known}`, position);
}

function parsePrefix(scanner: Scanner): Matcher<unknown> {
  const position = scanner.position;
  const prefix = parseValue(scanner);
  if (typeof prefix === 'string' || prefix instanceof Uint8Array) return t.prefix(prefix);
  return scanner.fail('a prefix is a text or bytes; quote a number', position);
}

function parseBound(scanner: Scanner): Orderable {
  const position = scanner.position;
  return bound(scanner, parseValue(scanner), position);
}

function bound(scanner: Scanner, value: Writable, position: number): Orderable {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string') {
    return value;
  }
  if (value instanceof Uint8Array || value instanceof Timestamp) return value;
  // A float bounds every number, as an int does: `>=2.0` means `>=2`.
  if (value !== null && typeof value === 'object' && 'value' in value) return Number(value.value);
  return scanner.fail('a range goes between numbers, texts, bytes or instants', position);
}

/** One value, `lo..hi`, or `a|b|c`. */
function parseValues(scanner: Scanner): Matcher<unknown> | Writable {
  const position = scanner.position;
  const value = parseValue(scanner);
  if (scanner.accept('..')) {
    const lower = bound(scanner, value, position);
    const open = scanner.ended || [',', ']', '}', ';'].some((sign) => scanner.sees(sign));
    return open ? t.atLeast(lower) : t.between(lower, parseBound(scanner));
  }
  const values: Writable[] = [value];
  while (scanner.accept('|')) values.push(parseValue(scanner));
  return values.length === 1 ? value : t.oneOf(...values);
}

function parseRecord(scanner: Scanner, depth: number): Matcher<unknown> {
  const entries = new Map<string, Matcher<unknown> | Writable>();
  if (scanner.accept('}')) return t.record({});
  do {
    const key = parseKey(scanner, entries);
    entries.set(key, parseMatcher(scanner, depth + 1));
  } while (scanner.accept(','));
  scanner.expect('}');
  return t.record(Object.fromEntries(entries));
}
