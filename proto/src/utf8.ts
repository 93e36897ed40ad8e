import { byteAt } from './bytes.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Up to this many bytes a loop beats the call into the runtime (measured, Node 20). */
const shortBytesMax = 48;

/** Whether the run is well-formed UTF-8 (Unicode 15, table 3-7): no overlong form, no surrogate. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const lead = byteAt(bytes, at);
    if (lead < 0x80) {
      at += 1;
      continue;
    }
    const size = sequenceSize(lead);
    if (size === 0 || at + size > end) return false;
    const second = byteAt(bytes, at + 1);
    if (second < lowestSecond(lead) || second > highestSecond(lead)) return false;
    for (let i = 2; i < size; i += 1) if ((byteAt(bytes, at + i) & 0xc0) !== 0x80) return false;
    at += size;
  }
  return true;
}

function sequenceSize(lead: number): number {
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

function lowestSecond(lead: number): number {
  if (lead === 0xe0) return 0xa0;
  return lead === 0xf0 ? 0x90 : 0x80;
}

function highestSecond(lead: number): number {
  if (lead === 0xed) return 0x9f;
  return lead === 0xf4 ? 0x8f : 0xbf;
}

/**
 * Writes a string at `at` of `target`, which has room for three bytes a UTF-16 unit. Returns the
 * end, or -1 where the string has a lone surrogate.
 */
export function writeUtf8(text: string, target: Uint8Array, at: number): number {
  const length = text.length;
  if (length > shortBytesMax) return writeLong(text, target, at);
  let to = at;
  for (let i = 0; i < length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      target[to] = unit;
      to += 1;
    } else if (unit < 0x800) {
      target[to] = 0xc0 | (unit >> 6);
      target[to + 1] = 0x80 | (unit & 0x3f);
      to += 2;
    } else if (unit < 0xd800 || unit > 0xdfff) {
      target[to] = 0xe0 | (unit >> 12);
      target[to + 1] = 0x80 | ((unit >> 6) & 0x3f);
      target[to + 2] = 0x80 | (unit & 0x3f);
      to += 3;
    } else {
      const low = i + 1 < length ? text.charCodeAt(i + 1) : 0;
      if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) return -1;
      const point = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
      target[to] = 0xf0 | (point >> 18);
      target[to + 1] = 0x80 | ((point >> 12) & 0x3f);
      target[to + 2] = 0x80 | ((point >> 6) & 0x3f);
      target[to + 3] = 0x80 | (point & 0x3f);
      to += 4;
      i += 1;
    }
  }
  return to;
}

function writeLong(text: string, target: Uint8Array, at: number): number {
  if (!text.isWellFormed()) return -1;
  return at + encoder.encodeInto(text, target.subarray(at)).written;
}

/** The string of a run, or undefined where it is not well-formed UTF-8. */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start <= shortBytesMax) {
    const text = readShortAscii(bytes, start, end);
    if (text !== undefined) return text;
  }
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    // The decoder is fatal: it throws a TypeError for malformed bytes and for nothing else.
    return undefined;
  }
}

/** Eight at a time: one call of fromCharCode costs about as much as one character more. */
function readShortAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = '';
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const a = byteAt(bytes, at);
    const b = byteAt(bytes, at + 1);
    const c = byteAt(bytes, at + 2);
    const d = byteAt(bytes, at + 3);
    const e = byteAt(bytes, at + 4);
    const f = byteAt(bytes, at + 5);
    const g = byteAt(bytes, at + 6);
    const h = byteAt(bytes, at + 7);
    if ((a | b | c | d | e | f | g | h) > 0x7f) return undefined;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; at + 3 <= end; at += 3) {
    const a = byteAt(bytes, at);
    const b = byteAt(bytes, at + 1);
    const c = byteAt(bytes, at + 2);
    if ((a | b | c) > 0x7f) return undefined;
    text += String.fromCharCode(a, b, c);
  }
  for (; at < end; at += 1) {
    const a = byteAt(bytes, at);
    if (a > 0x7f) return undefined;
    text += String.fromCharCode(a);
  }
  return text;
}
