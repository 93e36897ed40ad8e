import { metaOf, Timestamp, type Writable } from '@tuplet/client';
import { formatTuple } from './language/format.ts';

/** How results are shown: `table` for people, `json` (one object a line) for programs. */
export type Format = 'table' | 'json';

/** A record as JSON shows it: kinds that JSON lacks as `{"$bytes": hex}`, `{"$int": …}`, `{"$timestamp": …}`. */
export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return { $int: String(value) };
  if (typeof value === 'number' && !Number.isFinite(value)) return { $float: String(value) };
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('hex') };
  if (value instanceof Timestamp) return { $timestamp: String(value.toNanoseconds()) };
  if (Array.isArray(value)) return value.map(toJson);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toJson(inner)]));
}

/** A tuple with what the server knows of it, as one JSON object. */
export function tupleJson(tuple: readonly unknown[]): object {
  const meta = metaOf(tuple);
  return {
    tuple: toJson(tuple),
    ...(meta === undefined
      ? {}
      : {
          id: meta.id,
          partition: meta.partition,
          revision: meta.revision,
          deliveries: meta.deliveries,
          leaseEnd: instant(meta.leaseEnd),
        }),
  };
}

/** Tuples in the chosen form, one a line. */
export function showTuples(tuples: readonly (readonly unknown[])[], format: Format): string {
  return tuples
    .map((tuple) =>
      format === 'json'
        ? JSON.stringify(tupleJson(tuple))
        : formatTuple(tuple as readonly Writable[]),
    )
    .join('\n');
}

/** An instant in ISO 8601; null for none. */
export function instant(time: Timestamp | undefined): string | null {
  return time === undefined ? null : new Date(time.toMilliseconds()).toISOString();
}

/** Rows under their heads, columns aligned. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(heads), ...rows.map(line)].join('\n');
}
