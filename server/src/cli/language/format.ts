import { Float, Timestamp, type Value } from '@tuplet/proto';
import { parseTuple } from './language.ts';

/** A tuple as the language writes it: `parseTuple` gives the same fields again. */
export function formatTuple(fields: readonly Value[]): string {
  return fields.map(formatValue).join(',');
}

/** One value as the language writes it. */
export function formatValue(value: Value): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  if (typeof value === 'number') return formatNumber(value);
  if (value instanceof Float) return Object.is(value.value, -0) ? '-0.0' : `${value.value}.0`;
  if (typeof value === 'string') return formatText(value);
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  if (value instanceof Timestamp) return formatInstant(value);
  if (value instanceof Map) {
    return `{${[...value].map(([key, entry]) => `${formatText(key)}: ${formatValue(entry)}`).join(', ')}}`;
  }
  return `[${(value as readonly Value[]).map(formatValue).join(',')}]`;
}

/** A bare number is an int where it is safe, a float otherwise (see Value). */
function formatNumber(value: number): string {
  const text = String(value);
  return Number.isSafeInteger(value) || !Number.isFinite(value) || /[.e]/.test(text)
    ? text
    : `${text}.0`;
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
