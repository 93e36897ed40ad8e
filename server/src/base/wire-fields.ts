/**
 * Strict protobuf messages, on top of the wire format: fields in ascending order, singular ones at
 * most once, none unknown. Zero scalars are left out, as proto3 says. Whatever else comes throws
 * DecodeError: such bytes are not ours.
 */
import {
  copyBytes,
  type DecodeError,
  malformed,
  type Reader,
  type Run,
  varintSize,
  WireType,
  type Writer,
} from '@tuplet/proto';
import { assert } from './assert.ts';

/** A field of a message: reads its content and returns true, or false where it knows no such field. */
export type FieldReader = (tag: number) => boolean;

/** The tag of a varint field. */
export function varintTag(field: number): number {
  return (field << 3) | WireType.VARINT;
}

/** The tag of a length-delimited field. */
export function lengthTag(field: number): number {
  return (field << 3) | WireType.LENGTH;
}

/** Tags of neighbouring fields are this far apart. */
const fieldStep = 8;

/** Reads all fields up to `reader.end`. `repeated` names the fields that may come again. */
export function readFields(reader: Reader, repeated: readonly number[], read: FieldReader): void {
  let last = 0;
  while (reader.position < reader.end) {
    const tag = reader.tag();
    const field = tag >>> 3;
    if (field < last) throw malformed('fields are out of order');
    if (field === last && !repeated.includes(field)) throw malformed('a field comes twice');
    last = field;
    if (!read(tag)) throw unknownField();
  }
}

/**
 * Reads the tag of a field that follows the one with the tag `before`; 0: it is the first. What comes
 * with each entry or tuple is read in a loop over this: `readFields` makes a closure each time.
 */
export function nextTag(reader: Reader, before: number): number {
  const tag = reader.tag();
  const field = tag >>> 3;
  const last = before >>> 3;
  if (field < last) throw malformed('fields are out of order');
  if (field === last) throw malformed('a field comes twice');
  return tag;
}

/** As `nextTag`, where the fields with these tags may come again. */
export function nextTagAmong(
  reader: Reader,
  before: number,
  repeated: number,
  alsoRepeated: number = repeated,
): number {
  const again = before === repeated || before === alsoRepeated;
  return nextTag(reader, again ? before - fieldStep : before);
}

/** The error for a field that a message does not have. */
export function unknownField(): DecodeError {
  return malformed('a field is unknown');
}

/** Reads a nested message with its length before it. */
export function readNested<T>(reader: Reader, read: (reader: Reader) => T): T {
  const size = reader.length();
  const { end } = reader;
  reader.end = reader.position + size;
  const value = read(reader);
  if (reader.position !== reader.end) throw malformed('a message has bytes left');
  reader.end = end;
  return value;
}

/** As `readNested`, for what needs more than the reader: with that no closure has to be made. */
export function readNestedWith<T, C>(
  reader: Reader,
  read: (reader: Reader, context: C) => T,
  context: C,
): T {
  const size = reader.length();
  const { end } = reader;
  reader.end = reader.position + size;
  const value = read(reader, context);
  if (reader.position !== reader.end) throw malformed('a message has bytes left');
  reader.end = end;
  return value;
}

/** A packed list of safe integers. */
export function readPacked(reader: Reader): number[] {
  return readNested(reader, (inner) => {
    const values: number[] = [];
    while (inner.position < inner.end) values.push(inner.uint64());
    return values;
  });
}

/** A flag that is written only where true. */
export function readFlag(reader: Reader): true {
  if (reader.uint64() !== 1) throw malformed('a flag is 1 where it is written');
  return true;
}

/** A number from 1. */
export function readPositive(reader: Reader): number {
  return positive(reader.uint64());
}

/** A number from 1 to `max`. */
export function readUpTo(reader: Reader, max: number): number {
  const value = readPositive(reader);
  if (value > max) throw malformed('a number is beyond its bound');
  return value;
}

/** The number, which must be set. */
export function positive(value: number): number {
  if (value < 1) throw malformed('a number from 1 is missing');
  return value;
}

/** The number, which is one of a list of names that begin at 1, as its name. */
export function nameOf<T>(names: readonly T[], number: number): T {
  const name = names[number - 1];
  if (name === undefined) throw malformed('an enumeration has no such number');
  return name;
}

/** The value, which must have come. */
export function required<T>(value: T | undefined): T {
  if (value === undefined) throw malformed('a field is missing');
  return value;
}

/** Writes an unsigned number, unless it is 0. */
export function writeNumber(writer: Writer, field: number, value: number): void {
  if (value === 0) return;
  writer.uint32(varintTag(field));
  writer.uint64(value);
}

/** Writes an unsigned number, 0 too. */
export function writePresentNumber(writer: Writer, field: number, value: number): void {
  writer.uint32(varintTag(field));
  writer.uint64(value);
}

/** Writes a flag where it is true. */
export function writeFlag(writer: Writer, field: number, value: boolean): void {
  if (value) writePresentNumber(writer, field, 1);
}

/** Writes bytes, unless there are none. */
export function writeBytes(writer: Writer, field: number, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  writer.uint32(lengthTag(field));
  writer.lengthDelimited(bytes);
}

/** Writes a string, unless it is empty. */
export function writeString(writer: Writer, field: number, text: string): void {
  if (text === '') return;
  writer.uint32(lengthTag(field));
  writer.string(text);
}

/** Writes a packed list of numbers, unless it is empty. */
export function writePacked(writer: Writer, field: number, values: readonly number[]): void {
  if (values.length === 0) return;
  writer.uint32(lengthTag(field));
  const mark = writer.open();
  for (const value of values) writer.uint64(value);
  writer.close(mark);
}

/** Writes a field that is a number, or a length, of up to 53 bits; its tag is one byte. Returns its end. */
export function putNumber(target: Uint8Array, start: number, tag: number, value: number): number {
  target[start] = tag;
  return putVarint(target, start + 1, value);
}

/** Writes a number of up to 53 bits; returns its end. */
export function putVarint(target: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value >>> 0;
  if (value > 0xffff_ffff) {
    // Storing keeps the lower eight bits alone.
    target[at] = rest | 0x80;
    target[at + 1] = (rest >>> 7) | 0x80;
    target[at + 2] = (rest >>> 14) | 0x80;
    target[at + 3] = (rest >>> 21) | 0x80;
    at += 4;
    rest = (((value / 2 ** 32) | 0) << 4) | (rest >>> 28);
  }
  while (rest > 0x7f) {
    target[at] = rest | 0x80;
    at += 1;
    rest >>>= 7;
  }
  target[at] = rest;
  return at + 1;
}

/** As `putNumber`, but a 0 is left out. */
export function putUnlessZero(
  target: Uint8Array,
  start: number,
  tag: number,
  value: number,
): number {
  return value === 0 ? start : putNumber(target, start, tag, value);
}

/** Bytes that `putUnlessZero` writes. Asserts that the number can be written at all. */
export function numberFieldSize(value: number): number {
  if (value === 0) return 0;
  assert(Number.isSafeInteger(value), 'a number on the wire is a safe integer');
  assert(value > 0, 'a number on the wire has no sign');
  return 1 + numberSize(value);
}

/** Bytes of a safe integer as a varint. */
export function numberSize(value: number): number {
  if (value < 2 ** 35) return varintSize(value);
  if (value < 2 ** 42) return 6;
  return value < 2 ** 49 ? 7 : 8;
}

/** Writes a part of an array, empty or not. */
export function writeRun(writer: Writer, field: number, { bytes, start, end }: Run): void {
  writer.uint32(lengthTag(field));
  writer.uint32(end - start);
  writer.reserve(end - start);
  copyBytes(writer.bytes, writer.position, bytes, start, end);
  writer.position += end - start;
}

/** Begins a nested message; ended by `writer.close`. */
export function openField(writer: Writer, field: number): number {
  writer.uint32(lengthTag(field));
  return writer.open();
}

/** The kinds of a `oneof` of messages by the numbers of their fields. */
export function kindsByField<K extends string>(
  fields: Readonly<Record<K, number>>,
): readonly (K | undefined)[] {
  const kinds: (K | undefined)[] = [];
  for (const [kind, field] of Object.entries<number>(fields)) {
    assert(kinds[field] === undefined, 'a field is of one kind');
    kinds[field] = kind as K;
  }
  return kinds;
}

/** The kind whose field has this tag. */
export function kindOfTag<K extends string>(kinds: readonly (K | undefined)[], tag: number): K {
  const kind = (tag & 7) === WireType.LENGTH ? kinds[tag >>> 3] : undefined;
  if (kind === undefined) throw unknownField();
  return kind;
}
