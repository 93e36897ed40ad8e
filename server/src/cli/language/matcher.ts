import {
  type BoundSpec,
  Kind,
  limits,
  type MatcherSpec,
  type PatternSpec,
  type Value,
} from '@tuplet/proto';
import type { Scanner } from './scanner.ts';
import { parseKey, parseValue } from './value.ts';

const kinds = new Map<string, Kind>(
  Object.entries(Kind).map(([name, kind]) => [name.toLowerCase(), kind]),
);

/** Matchers up to `close` (or up to `;` and the end), `...` last where more may follow. */
export function parsePattern(scanner: Scanner, close: string, depth: number): PatternSpec {
  const matchers: MatcherSpec[] = [];
  if (close !== '' && scanner.accept(close)) return { matchers };
  let rest = false;
  do {
    if (rest) scanner.fail('... comes last');
    if (scanner.accept('...')) rest = true;
    else matchers.push(parseMatcher(scanner, depth));
  } while (scanner.accept(','));
  if (close !== '') scanner.expect(close);
  return rest ? { matchers, rest } : { matchers };
}

function parseMatcher(scanner: Scanner, depth: number): MatcherSpec {
  if (depth > limits.matcherDepthMax)
    scanner.fail(`matchers nest ${limits.matcherDepthMax} deep at most`);
  if (scanner.accept('*')) return { kind: 'any' };
  if (scanner.accept('?')) return parseFormal(scanner);
  if (scanner.accept('!')) return { kind: 'negation', matcher: parseMatcher(scanner, depth + 1) };
  if (scanner.accept('^')) return parsePrefix(scanner);
  if (scanner.accept('>=')) return { kind: 'range', lower: parseBound(scanner, false) };
  if (scanner.accept('<=')) return { kind: 'range', upper: parseBound(scanner, false) };
  if (scanner.accept('>')) return { kind: 'range', lower: parseBound(scanner, true) };
  if (scanner.accept('<')) return { kind: 'range', upper: parseBound(scanner, true) };
  if (scanner.accept('..')) return { kind: 'range', upper: parseBound(scanner, false) };
  if (scanner.accept('[')) return { kind: 'list', pattern: parsePattern(scanner, ']', depth + 1) };
  if (scanner.accept('{')) return parseRecord(scanner, depth);
  return parseValues(scanner);
}

function parseFormal(scanner: Scanner): MatcherSpec {
  const { text, position } = scanner.atom();
  const formal = kinds.get(text);
  if (formal === undefined) {
    return scanner.fail(`?${text} is no kind; there are ${[...kinds.keys()].join(', ')}`, position);
  }
  return { kind: 'formal', formal };
}

function parsePrefix(scanner: Scanner): MatcherSpec {
  const position = scanner.position;
  const prefix = parseValue(scanner);
  if (typeof prefix === 'string' || prefix instanceof Uint8Array) return { kind: 'prefix', prefix };
  return scanner.fail('a prefix is a text or bytes; quote a number', position);
}

function parseBound(scanner: Scanner, exclusive: boolean): BoundSpec {
  return { value: parseValue(scanner), exclusive };
}

/** One value, `lo..hi`, or `a|b|c`. */
function parseValues(scanner: Scanner): MatcherSpec {
  const value = parseValue(scanner);
  if (scanner.accept('..')) {
    const lower: BoundSpec = { value, exclusive: false };
    const open = scanner.ended || [',', ']', '}', ';'].some((sign) => scanner.sees(sign));
    return open
      ? { kind: 'range', lower }
      : { kind: 'range', lower, upper: parseBound(scanner, false) };
  }
  const values: Value[] = [value];
  while (scanner.accept('|')) values.push(parseValue(scanner));
  return values.length === 1 ? { kind: 'actual', value } : { kind: 'any-of', values };
}

function parseRecord(scanner: Scanner, depth: number): MatcherSpec {
  const entries = new Map<string, MatcherSpec>();
  if (scanner.accept('}')) return { kind: 'record', entries };
  do {
    const key = parseKey(scanner, entries);
    entries.set(key, parseMatcher(scanner, depth + 1));
  } while (scanner.accept(','));
  scanner.expect('}');
  return { kind: 'record', entries };
}
