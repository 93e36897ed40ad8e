import { byteAt } from './bytes.ts';
import { DecodeError, EncodeError, type InvalidReason } from './problem.ts';
import { readUtf8, writeUtf8 } from './utf8.ts';

/** How a field's content is laid out (protobuf encoding, "message structure"). */
export const WireType = { VARINT: 0, FIXED64: 1, LENGTH: 2, FIXED32: 5 } as const;
/** One of `WireType`. */
export type WireType = (typeof WireType)[keyof typeof WireType];

const TWO_32 = 4_294_967_296;
/** The largest integer that V8 keeps without a box on every machine. */
const SMALL = 0x3fff_ffff;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

function refuseValue(message: string): EncodeError {
  return new EncodeError({ reason: 'VALUE_OUT_OF_RANGE', field: '', message });
}

/**
 * Writes protobuf's wire format into one buffer that grows and is used again. What `view` returned
 * is overwritten by the next use; what `finish` returned is the caller's.
 */
export class Writer {
  /** The buffer; valid below `position`. Replaced when it grows. */
  bytes: Uint8Array;
  /** Bytes written so far. */
  position = 0;

  constructor(capacity = 1_024) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Forgets what was written and keeps the buffer. */
  reset(): void {
    this.position = 0;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.position);
  }

  /** What was written, without a copy: valid until the next use. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.position);
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    if (this.position + size <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.position + size));
    grown.set(this.bytes.subarray(0, this.position));
    this.bytes = grown;
  }

  /** One byte. */
  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.position] = value;
    this.position += 1;
  }

  /** A field's tag. */
  tag(field: number, type: WireType): void {
    this.uint32((field << 3) | type);
  }

  /** An unsigned integer of up to 32 bits as a varint. */
  uint32(value: number): void {
    let rest = value >>> 0;
    if (rest !== value) throw refuseValue(`${value} is not an integer in 0..2^32-1`);
    this.reserve(5);
    const bytes = this.bytes;
    let at = this.position;
    while (rest > 0x7f) {
      bytes[at] = (rest & 0x7f) | 0x80;
      at += 1;
      rest >>>= 7;
    }
    bytes[at] = rest;
    this.position = at + 1;
  }

  /** A safe integer of 0 or more as a varint. */
  uint64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw refuseValue(`${value} is not an integer in 0..2^53-1`);
    }
    if (value < TWO_32) this.uint32(value);
    else this.lanes(value >>> 0, Math.floor(value / TWO_32));
  }

  /** An integer of 32 bits as a two's complement varint; a negative one has 10 bytes. */
  int32(value: number): void {
    if (value !== (value | 0)) throw refuseValue(`${value} is not an integer of 32 bits`);
    this.int64(value);
  }

  /** A safe integer as a two's complement varint (int32 and int64; a negative one has 10 bytes). */
  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw refuseValue(`${value} is not a safe integer`);
    if (value >= 0 && value < TWO_32) this.uint32(value);
    else this.lanes(value >>> 0, Math.floor(value / TWO_32) >>> 0);
  }

  /** A 64-bit signed integer in zigzag form: a safe number, or a bigint. */
  sint64(value: number | bigint): void {
    if (typeof value === 'number') {
      if (!Number.isSafeInteger(value)) throw refuseValue(`${value} is not a safe integer`);
      if (value === (value | 0)) this.uint32(((value << 1) ^ (value >> 31)) >>> 0);
      else this.#zigzag(value >>> 0, Math.floor(value / TWO_32) | 0);
      return;
    }
    if (value < INT64_MIN || value > INT64_MAX) throw refuseValue(`${value} exceeds 64 bits`);
    this.#zigzag(Number(BigInt.asUintN(32, value)), Number(value >> 32n));
  }

  #zigzag(low: number, high: number): void {
    const sign = high >> 31;
    this.lanes(((low << 1) ^ sign) >>> 0, (((high << 1) | (low >>> 31)) ^ sign) >>> 0);
  }

  /** 64 bits, given as two unsigned halves, as a varint. */
  lanes(low: number, high: number): void {
    this.reserve(10);
    const bytes = this.bytes;
    let lo = low;
    let hi = high;
    let at = this.position;
    while (hi !== 0 || lo > 0x7f) {
      bytes[at] = (lo & 0x7f) | 0x80;
      at += 1;
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    bytes[at] = lo;
    this.position = at + 1;
  }

  /** Four bytes, little-endian. */
  fixed32(value: number): void {
    this.reserve(4);
    const { bytes, position } = this;
    bytes[position] = value;
    bytes[position + 1] = value >>> 8;
    bytes[position + 2] = value >>> 16;
    bytes[position + 3] = value >>> 24;
    this.position = position + 4;
  }

  /** A safe integer of 0 or more in eight bytes, little-endian. */
  fixed64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw refuseValue(`${value} is not an integer in 0..2^53-1`);
    }
    this.fixed32(value >>> 0);
    this.fixed32(Math.floor(value / TWO_32));
  }

  /** An IEEE 754 double, little-endian. */
  double(value: number): void {
    scratch.setFloat64(0, value, true);
    this.fixed32(scratch.getUint32(0, true));
    this.fixed32(scratch.getUint32(4, true));
  }

  /** Bytes as they are. */
  raw(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.position);
    this.position += source.length;
  }

  /** Bytes with their length before them. */
  lengthDelimited(source: Uint8Array): void {
    this.uint32(source.length);
    this.raw(source);
  }

  /** A string with its length before it. Throws EncodeError for a lone surrogate. */
  string(text: string): void {
    const mark = this.open();
    this.utf8(text);
    const size = this.position - mark;
    if (size < 0x80) this.bytes[mark - 1] = size;
    else this.close(mark);
  }

  /** A string's bytes alone. Throws EncodeError for a lone surrogate. */
  utf8(text: string): void {
    this.reserve(text.length * 3);
    const end = writeUtf8(text, this.bytes, this.position);
    if (end < 0) {
      const message = 'string has a lone surrogate';
      throw new EncodeError({ reason: 'STRING_NOT_UTF8', field: '', message });
    }
    this.position = end;
  }

  /** Begins a nested message of a length not yet known; returns the mark that `close` wants. */
  open(): number {
    this.reserve(1);
    this.position += 1;
    return this.position;
  }

  /** Ends the nested message that began at `mark`, and writes its length before it. */
  close(mark: number): void {
    const size = this.position - mark;
    if (size < 0x80) {
      this.bytes[mark - 1] = size;
      return;
    }
    const extra = varintSize(size) - 1;
    this.reserve(extra);
    this.bytes.copyWithin(mark + extra, mark, this.position);
    this.position = mark - 1;
    this.uint32(size);
    this.position = mark + extra + size;
  }
}

/** Bytes of an unsigned integer of up to 32 bits as a minimal varint. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** The error for bytes that are not protobuf's wire format. */
export function malformed(
  message: string,
  reason: InvalidReason = 'MALFORMED_MESSAGE',
): DecodeError {
  return new DecodeError({ reason, field: '', message });
}

/**
 * Reads protobuf's wire format, strictly: whatever is cut off, longer than 64 bits, outside of what
 * we hold exactly, or not UTF-8, throws DecodeError. Byte runs are views of the source, not copies.
 */
export class Reader {
  /** What is read. */
  readonly bytes: Uint8Array;
  /** The next byte to read. */
  position: number;
  /** Where the present message ends: nothing at or after it is read. */
  end: number;
  /** The halves of what `lanes` read last, unsigned. */
  low = 0;
  /** See `low`. */
  high = 0;
  /** Whether `unknown` refuses fields instead of passing over them. */
  refusesUnknown = false;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  /** A varint of up to 64 bits into `low` and `high`. */
  lanes(): void {
    let low = 0;
    let high = 0;
    let at = this.position;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= this.end) throw malformed('message ends inside a varint');
      const byte = byteAt(this.bytes, at);
      const bits = byte & 0x7f;
      at += 1;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else if (byte > 1) throw malformed('varint exceeds 64 bits');
      else high |= bits << 31;
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        this.position = at;
        return;
      }
    }
  }

  /** An unsigned integer of up to 32 bits. */
  uint32(): number {
    if (this.position < this.end) {
      const byte = byteAt(this.bytes, this.position);
      if (byte < 0x80) {
        this.position += 1;
        return byte;
      }
    }
    this.lanes();
    if (this.high !== 0) throw malformed('unsigned integer exceeds 32 bits');
    return this.low;
  }

  /** A field's tag: number << 3 | wire type. Field number 0 is refused. */
  tag(): number {
    const tag = this.uint32();
    if (tag < 8) throw malformed('field number 0');
    return tag;
  }

  /** An unsigned integer; beyond 2^53-1 it is refused. */
  uint64(): number {
    this.lanes();
    if (this.high > 0x1f_ffff) throw malformed('unsigned integer exceeds 2^53-1');
    // Most are small, and small integers need no memory of their own where they are kept.
    if (this.high === 0 && this.low <= SMALL) return this.low | 0;
    return this.high * TWO_32 + this.low;
  }

  /** A two's complement integer within ±(2^53-1). */
  int64(): number {
    this.lanes();
    const value = (this.high | 0) * TWO_32 + this.low;
    if (!Number.isSafeInteger(value)) throw malformed('integer exceeds 2^53-1');
    return value;
  }

  /** A two's complement integer of 32 bits. */
  int32(): number {
    this.lanes();
    const value = this.low | 0;
    if ((this.high | 0) !== value >> 31) throw malformed('integer exceeds 32 bits');
    return value;
  }

  /** A zigzag integer of 64 bits: a number where safe, else a bigint. */
  sint64(): number | bigint {
    this.lanes();
    return unzigzag(this.low, this.high);
  }

  /** A zigzag integer within ±(2^53-1). */
  sint64Safe(): number {
    const value = this.sint64();
    if (typeof value === 'bigint') throw malformed('integer exceeds 2^53-1');
    return value;
  }

  /** A boolean; as protobuf says, every number but 0 is true. */
  bool(): boolean {
    this.lanes();
    return this.low !== 0 || this.high !== 0;
  }

  /** Four bytes, little-endian, unsigned. */
  fixed32(): number {
    const at = this.advance(4);
    const { bytes } = this;
    const upper = byteAt(bytes, at + 3) * 0x100_0000;
    return (
      upper + (byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16))
    );
  }

  /** Eight bytes, little-endian, unsigned; beyond 2^53-1 it is refused. */
  fixed64(): number {
    const low = this.fixed32();
    const high = this.fixed32();
    if (high > 0x1f_ffff) throw malformed('unsigned integer exceeds 2^53-1');
    return high * TWO_32 + low;
  }

  /** An IEEE 754 double. */
  double(): number {
    return doubleOf(this.fixed32(), this.fixed32());
  }

  /** The length of what follows, which is inside the message. */
  length(): number {
    const size = this.uint32();
    if (size > this.end - this.position) throw malformed('message ends inside a field');
    return size;
  }

  /** Bytes with their length before them: a view. */
  lengthDelimited(): Uint8Array {
    const size = this.length();
    const start = this.advance(size);
    return this.bytes.subarray(start, start + size);
  }

  /** A string with its length before it. */
  string(): string {
    const size = this.length();
    const start = this.advance(size);
    const text = readUtf8(this.bytes, start, start + size);
    if (text === undefined) throw malformed('string is not well-formed UTF-8', 'STRING_NOT_UTF8');
    return text;
  }

  /** Passes `size` bytes; returns where they begin. */
  advance(size: number): number {
    const start = this.position;
    if (size > this.end - start) throw malformed('message ends inside a field');
    this.position = start + size;
    return start;
  }

  /** Meets a field that the reading code does not know: refuses it or passes over it. */
  unknown(tag: number): void {
    if (this.refusesUnknown) throw malformed(`field ${tag >>> 3} is unknown`, 'UNKNOWN_FIELD');
    this.skip(tag);
  }

  /** Passes the content of an unknown field. Groups are refused. */
  skip(tag: number): void {
    const type = tag & 7;
    if (type === WireType.VARINT) this.lanes();
    else if (type === WireType.FIXED64) this.advance(8);
    else if (type === WireType.LENGTH) this.advance(this.length());
    else if (type === WireType.FIXED32) this.advance(4);
    else throw malformed(`wire type ${type} is not used`);
  }
}

/** The integer that a zigzag varint's halves stand for: a number where safe, else a bigint. */
export function unzigzag(low: number, high: number): number | bigint {
  if (high === 0) return low & 1 ? -(low >>> 1) - 1 : low >>> 1;
  const sign = -(low & 1);
  const lo = (((low >>> 1) | (high << 31)) ^ sign) >>> 0;
  const hi = (high >>> 1) ^ sign;
  const value = hi * TWO_32 + lo;
  return Number.isSafeInteger(value) ? value : (BigInt(hi) << 32n) | BigInt(lo);
}

const scratch = new DataView(new ArrayBuffer(8));

/** The double of two unsigned halves. */
export function doubleOf(low: number, high: number): number {
  scratch.setUint32(0, low, true);
  scratch.setUint32(4, high, true);
  return scratch.getFloat64(0, true);
}
