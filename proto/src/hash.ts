import { byteAt } from './bytes.ts';

/**
 * MurmurHash3_x86_128 (Austin Appleby, public domain), seed 0. H is the first eight bytes of its
 * result as a little-endian number, so `low` is the first lane and `high` the second.
 */
export interface Hash64 {
  /** Bits 0 to 31, unsigned. */
  low: number;
  /** Bits 32 to 63, unsigned. */
  high: number;
}

// Signed, as all that follows: unsigned halves would be held as doubles, at twice the time.
const C1 = 0x239b_961b;
const C2 = 0xab0e_9789 | 0;
const C3 = 0x38b3_4ae5;
const C4 = 0xa1e3_8b93 | 0;

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function avalanche(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85eb_ca6b | 0);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35 | 0);
  return h ^ (h >>> 16);
}

/** The four bytes at `at`, little-endian, signed. */
function word(bytes: Uint8Array, at: number): number {
  return (
    byteAt(bytes, at) |
    (byteAt(bytes, at + 1) << 8) |
    (byteAt(bytes, at + 2) << 16) |
    (byteAt(bytes, at + 3) << 24)
  );
}

/** Up to four bytes from `at`, little-endian; those at or after `end` count as 0. */
function partial(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) return word(bytes, at);
  let value = 0;
  for (let i = end - 1; i >= at; i -= 1) value = (value << 8) | byteAt(bytes, i);
  return value;
}

/** H of `start` to `end`, into `out`. */
export function hashInto(bytes: Uint8Array, start: number, end: number, out: Hash64): void {
  const size = end - start;
  const blocksEnd = start + (size & ~15);
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  let at = start;
  for (; at < blocksEnd; at += 16) {
    h1 ^= Math.imul(rotate(Math.imul(word(bytes, at), C1), 15), C2);
    h1 = (Math.imul(rotate(h1, 19) + h2, 5) + 0x561c_cd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(word(bytes, at + 4), C2), 16), C3);
    h2 = (Math.imul(rotate(h2, 17) + h3, 5) + 0x0bca_a747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(word(bytes, at + 8), C3), 17), C4);
    h3 = (Math.imul(rotate(h3, 15) + h4, 5) + (0x96cd_1c35 | 0)) | 0;
    h4 ^= Math.imul(rotate(Math.imul(word(bytes, at + 12), C4), 18), C1);
    h4 = (Math.imul(rotate(h4, 13) + h1, 5) + 0x32ac_3b17) | 0;
  }
  // The tail is mixed in as if filled up with zeros: mixing a zero changes nothing.
  h4 ^= Math.imul(rotate(Math.imul(partial(bytes, at + 12, end), C4), 18), C1);
  h3 ^= Math.imul(rotate(Math.imul(partial(bytes, at + 8, end), C3), 17), C4);
  h2 ^= Math.imul(rotate(Math.imul(partial(bytes, at + 4, end), C2), 16), C3);
  h1 ^= Math.imul(rotate(Math.imul(partial(bytes, at, end), C1), 15), C2);
  h1 ^= size;
  h2 ^= size;
  h3 ^= size;
  h4 ^= size;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = avalanche((h2 + h1) | 0);
  h3 = avalanche((h3 + h1) | 0);
  h4 = avalanche((h4 + h1) | 0);
  h1 = avalanche(h1);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out.low = h1 >>> 0;
  out.high = (h2 + h1) >>> 0;
}

const shared: Hash64 = { low: 0, high: 0 };

/** H of a run of bytes. */
export function hash64(bytes: Uint8Array, start = 0, end: number = bytes.length): bigint {
  hashInto(bytes, start, end, shared);
  return (BigInt(shared.high) << 32n) | BigInt(shared.low);
}

/** The low 32 bits of H: what indexes use. */
export function hash32(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  hashInto(bytes, start, end, shared);
  return shared.low;
}

/** H mod n, for n up to 2^21: exact in doubles. */
export function hashModulo(bytes: Uint8Array, start: number, end: number, n: number): number {
  hashInto(bytes, start, end, shared);
  return ((shared.high % n) * (4_294_967_296 % n) + (shared.low % n)) % n;
}
