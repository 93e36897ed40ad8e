import { byteAt, equalBytes } from './bytes.ts';
import { contentStart, lengthAt, numberAt, StoredTag } from './stored.ts';
import { varintSize } from './wire.ts';

/** Whether two numbers, of either form, are the same mathematical value; NaN equals NaN. */
export function sameNumber(a: number | bigint, b: number | bigint): boolean {
  if (a <= b) return a >= b;
  return Number.isNaN(a) && Number.isNaN(b);
}

/**
 * Whether two canonical stored values are equal (SPEC §1), straight from their bytes. Most kinds have
 * one encoding a value; numbers are compared as numbers, also inside lists and records. Recursion is
 * bounded by `limits.valueDepthMax`.
 */
export function equalStored(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  if (equalBytes(a, aStart, aEnd, b, bStart, bEnd)) return true;
  const kind = byteAt(a, aStart);
  const other = byteAt(b, bStart);
  if (kind === StoredTag.INT || kind === StoredTag.FLOAT) {
    if (other !== StoredTag.INT && other !== StoredTag.FLOAT) return false;
    if (kind === StoredTag.INT && other === StoredTag.INT) return false;
    return sameNumber(numberAt(a, aStart), numberAt(b, bStart));
  }
  if (kind !== other || (kind !== StoredTag.LIST && kind !== StoredTag.RECORD)) return false;
  const aContent = contentStart(a, aStart);
  const bContent = contentStart(b, bStart);
  const equal = kind === StoredTag.LIST ? equalStored : equalEntries;
  return equalRuns(a, aContent, aEnd, b, bContent, bEnd, equal);
}

type Equal = typeof equalStored;

/** Walks two runs of elements or entries in step. */
function equalRuns(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
  equal: Equal,
): boolean {
  let aAt = aStart;
  let bAt = bStart;
  while (aAt < aEnd && bAt < bEnd) {
    const aSize = lengthAt(a, aAt + 1);
    const bSize = lengthAt(b, bAt + 1);
    const aItem = aAt + 1 + varintSize(aSize);
    const bItem = bAt + 1 + varintSize(bSize);
    aAt = aItem + aSize;
    bAt = bItem + bSize;
    if (!equal(a, aItem, aAt, b, bItem, bAt)) return false;
  }
  return aAt === aEnd && bAt === bEnd;
}

/** One entry of two records: same key, equal values. */
function equalEntries(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  const aKeySize = lengthAt(a, aStart + 1);
  const bKeySize = lengthAt(b, bStart + 1);
  const aKey = aStart + 1 + varintSize(aKeySize);
  const bKey = bStart + 1 + varintSize(bKeySize);
  const aKeyEnd = aKey + aKeySize;
  const bKeyEnd = bKey + bKeySize;
  if (!equalBytes(a, aKey, aKeyEnd, b, bKey, bKeyEnd)) return false;
  const aValue = aKeyEnd + 1 + varintSize(lengthAt(a, aKeyEnd + 1));
  const bValue = bKeyEnd + 1 + varintSize(lengthAt(b, bKeyEnd + 1));
  return equalStored(a, aValue, aEnd, b, bValue, bEnd);
}
