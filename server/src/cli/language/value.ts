import { float, Timestamp, type Writable } from '@tuplet/client';
import { limits } from '@tuplet/proto';
import type { Atom, Scanner } from './scanner.ts';

const keywords = new Map<string, Writable>([
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

const intPattern = /^[+-]?\d+$/;
const floatPattern = /^[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?$/;
const bytesPattern = /^0x((?:[0-9a-fA-F]{2})*)$/;
/** Instants keep their colons: `@2026-01-31T12:00:00.5Z`. */
const instantPattern = /^@\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z/;

/** One value: a word, a number, a quoted text, `0x…` bytes, `@…` an instant, a list or a record. */
export function parseValue(scanner: Scanner, depth = 0): Writable {
  if (depth > limits.valueDepthMax)
    scanner.fail(`lists and records nest ${limits.valueDepthMax} deep at most`);
  if (scanner.accept('[')) return parseList(scanner, depth);
  if (scanner.accept('{')) return parseRecord(scanner, depth);
  if (scanner.sees('@')) return parseInstant(scanner);
  return readAtom(scanner, scanner.atom());
}

/** What an atom stands for: quoted, always a string. */
export function readAtom(scanner: Scanner, atom: Atom): Writable {
  const { text, quoted, position } = atom;
  if (quoted) return text;
  const keyword = keywords.get(text);
  if (keyword !== undefined) return keyword;
  if (intPattern.test(text)) {
    const int = BigInt(text.replace(/^\+/, ''));
    if (BigInt.asIntN(64, int) !== int)
      scanner.fail('an int has 64 bits; write a float as 1e20', position);
    return Number.isSafeInteger(Number(int)) ? Number(int) : int;
  }
  if (floatPattern.test(text)) return floatIn(Number(text));
  const hex = bytesPattern.exec(text)?.[1];
  if (hex !== undefined)
    return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  if (/^[*?<>^!]/.test(text) || text.startsWith('=')) {
    scanner.fail(
      `${text.charAt(0)} begins a matcher, which only a template has; quote the text otherwise`,
      position,
    );
  }
  return text;
}

/** A number that would read as an int is said to be a float. */
function floatIn(value: number): Writable {
  return Number.isSafeInteger(value) ? float(value) : value;
}

function parseInstant(scanner: Scanner): Timestamp {
  const from = scanner.position;
  const match = instantPattern.exec(scanner.text.slice(from));
  const at = match === null ? Number.NaN : Date.parse(`${match[0].slice(1, 20)}Z`);
  if (match === null || Number.isNaN(at))
    return scanner.fail('an instant looks like @2026-01-31T12:00:00.5Z');
  scanner.expect(match[0]);
  const nanos = Number((match[1] ?? '.0').slice(1).padEnd(9, '0'));
  return new Timestamp(at / 1000, nanos);
}

function parseList(scanner: Scanner, depth: number): Writable {
  const values: Writable[] = [];
  if (scanner.accept(']')) return values;
  do values.push(parseValue(scanner, depth + 1));
  while (scanner.accept(','));
  scanner.expect(']');
  return values;
}

function parseRecord(scanner: Scanner, depth: number): Writable {
  const entries = new Map<string, Writable>();
  if (scanner.accept('}')) return {};
  do {
    const key = parseKey(scanner, entries);
    entries.set(key, parseValue(scanner, depth + 1));
  } while (scanner.accept(','));
  scanner.expect('}');
  return Object.fromEntries(entries);
}

/** A record's key with its colon; each key once. */
export function parseKey(scanner: Scanner, taken: ReadonlyMap<string, unknown>): string {
  const { text, position } = scanner.atom();
  if (taken.has(text)) scanner.fail(`the key ${text} comes twice`, position);
  scanner.expect(':');
  return text;
}
