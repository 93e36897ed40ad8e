import { Float, Timestamp, type Writable } from '@tuplet/client';
import { parseTuple } from './language.ts';

/** A tuple as the language writes it: `parseTuple` gives the same fields again. */
export function formatTuple(fields: readonly Writable[]): string {
  return fields.map(formatValue).join(',');
}

/** One value as the language writes it. */
export function formatValue(value: Writable): string {
  if (value === null || typeof value !== 'object') return formatPlain(value);
  if (value instanceof Float) return formatFloat(value.value);
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  if (value instanceof Timestamp) return formatInstant(value);
  if (value instanceof Date) return formatInstant(Timestamp.fromMilliseconds(value.getTime()));
  if (isList(value)) return `[${value.map(formatValue).join(',')}]`;
  const entries = Object.entries(value).map(
    ([key, entry]) => `${formatText(key)}: ${formatValue(entry)}`,
  );
  return `{${entries.join(', ')}}`;
}

function isList(value: object): value is readonly Writable[] {
  return Array.isArray(value);
}

/** A bare number is an int where it is safe, a float otherwise (see Writable). */
function formatPlain(value: null | boolean | number | bigint | string): string {
  if (typeof value === 'string') return formatText(value);
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return formatFloat(value);
  return String(value);
}

/** With a point or an exponent, so that it reads as a float. */
function formatFloat(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  return !Number.isFinite(value) || /[.e]/.test(text) ? text : `${text}.0`;
}

/** Bare where reading it again gives the same string, quoted otherwise. */
function formatText(text: string): string {
  if (!/^[\p{L}_][\p{L}\p{N}_./-]*$/u.test(text) || text.includes('..'))
    return JSON.stringify(text);
  return parseTuple(text)[0] === text ? text : JSON.stringify(text);
}

function formatInstant({ seconds, nanos }: Timestamp): string {
  const date = new Date(seconds * 1000).toISOString().slice(0, 19);
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
  return `@${date}${fraction}Z`;
}
