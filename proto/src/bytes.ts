/** The byte at `index`, which the caller has checked to be inside. */
export function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}

/** Up to this many bytes a loop beats the call into the runtime, which allocates a view (measured, Node 20). */
const shortRunMax = 32;

/** Copies a run of `source` to `at` of `target`, which has room for it. */
export function copyBytes(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  const size = end - start;
  if (size > shortRunMax) target.set(source.subarray(start, end), at);
  else for (let i = 0; i < size; i += 1) target[at + i] = source[start + i] as number;
}

/** A run of bytes: `start` to `end` (exclusive) of `bytes`. */
export interface Run {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Whether two runs hold the same bytes. */
export function equalBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  const size = aEnd - aStart;
  if (size !== bEnd - bStart) return false;
  for (let i = 0; i < size; i += 1) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}

/** Orders two runs byte by byte, a prefix first: below, equal to or above 0. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aSize = aEnd - aStart;
  const bSize = bEnd - bStart;
  const size = Math.min(aSize, bSize);
  for (let i = 0; i < size; i += 1) {
    const difference = byteAt(a, aStart + i) - byteAt(b, bStart + i);
    if (difference !== 0) return difference;
  }
  return aSize - bSize;
}

/** Whether `a` begins with `prefix`. */
export function startsWithBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  prefix: Uint8Array,
  prefixStart: number,
  prefixEnd: number,
): boolean {
  const size = prefixEnd - prefixStart;
  if (size > aEnd - aStart) return false;
  return equalBytes(a, aStart, aStart + size, prefix, prefixStart, prefixEnd);
}
