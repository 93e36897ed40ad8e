/**
 * The envelope of Exchange, written by hand: what each sending puts around a body. Field numbers are
 * those of `tuplet/v1/space.proto`; the tests hold them against the contract.
 */
import { copyBytes, DecodeError, Reader, type Writer } from '@tuplet/proto';
import { controlCalls } from './calls.ts';
import type { Operation } from './operation.ts';
import type { Receipt } from './receipts.ts';
import type { Session } from './session.ts';

const CALLS = 0x0a; // ExchangeRequest.calls, and Call's like in ExchangeResponse
const TOPOLOGY_WANTED = 0x10; // ExchangeRequest.topology
const TOPOLOGY = 0x12; // ExchangeResponse.topology
const VARINT_1 = 0x08;
const VARINT_2 = 0x10;
const VARINT_3 = 0x18;
const VARINT_4 = 0x20;
const LENGTH_1 = 0x0a;
const LENGTH_2 = 0x12;
const LENGTH_3 = 0x1a;

/** More than what the envelope adds to a body of this client, in bytes. */
export const envelopeBytesMax = 256;

/** Bytes of a varint of a safe integer. */
function sizeOf(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 4;
  for (let rest = Math.floor(value / 0x1000_0000); rest > 0; rest = Math.floor(rest / 0x80)) {
    size += 1;
  }
  return size;
}

function lengthFieldSize(size: number): number {
  return 1 + sizeOf(size) + size;
}

/** Bytes of a SessionOperation's content. */
function identitySize(session: Session, operation: Operation): number {
  return (
    4 +
    sizeOf(session.id) +
    sizeOf(operation.sequence) +
    sizeOf(operation.attempt) +
    sizeOf(session.floor)
  );
}

function writeIdentity(writer: Writer, session: Session, operation: Operation): void {
  writer.byte(VARINT_1);
  writer.uint64(session.id);
  writer.byte(VARINT_2);
  writer.uint64(operation.sequence);
  writer.byte(VARINT_3);
  writer.uint64(operation.attempt);
  writer.byte(VARINT_4);
  writer.uint64(session.floor);
}

/** A Duration's content; nothing for zero. */
function durationSize(seconds: number, nanos: number): number {
  return (seconds === 0 ? 0 : 1 + sizeOf(seconds)) + (nanos === 0 ? 0 : 1 + sizeOf(nanos));
}

/** Writes a Duration as field `field`: `ms` milliseconds, rounded up to whole ones. */
export function writeDuration(writer: Writer, field: number, ms: number): void {
  const whole = Math.ceil(ms);
  const seconds = Math.floor(whole / 1_000);
  const nanos = (whole - seconds * 1_000) * 1_000_000;
  writer.uint32((field << 3) | 2);
  writer.uint32(durationSize(seconds, nanos));
  if (seconds > 0) {
    writer.byte(VARINT_1);
    writer.uint64(seconds);
  }
  if (nanos > 0) {
    writer.byte(VARINT_2);
    writer.uint32(nanos);
  }
}

function copy(writer: Writer, source: Uint8Array, start: number, end: number): void {
  const size = end - start;
  writer.reserve(size);
  copyBytes(writer.bytes, writer.position, source, start, end);
  writer.position += size;
}

/** A wait this long and longer is for ever: field left out. 100 years, in milliseconds. */
const waitMsMax = 3_155_760_000_000;

/** Adds the call of an operation's present attempt to a batch. */
export function writeCall(writer: Writer, operation: Operation, nowMs: number): void {
  const { body, kind, session } = operation;
  const space = operation.space.encoded;
  const waitMs = kind.waitField === 0 ? 0 : Math.max(0, operation.waitEndMs - nowMs);
  const waits = kind.waitField !== 0 && waitMs < waitMsMax;
  const wholeMs = waits ? Math.ceil(waitMs) : 0;
  const identity = session === undefined ? 0 : identitySize(session, operation);
  const operationSize = session === undefined ? 0 : lengthFieldSize(lengthFieldSize(identity));
  const seconds = Math.floor(wholeMs / 1_000);
  const waitSize = waits
    ? lengthFieldSize(durationSize(seconds, (wholeMs - seconds * 1_000) * 1_000_000))
    : 0;
  const size = space.length + operationSize + (body.end - body.start) + waitSize;
  writeHead(writer, operation.callId, kind.request, size);
  copy(writer, space, 0, space.length);
  if (session !== undefined) {
    writer.byte(LENGTH_2);
    writer.uint32(lengthFieldSize(identity));
    writer.byte(LENGTH_1);
    writer.uint32(identity);
    writeIdentity(writer, session, operation);
  }
  copy(writer, body.bytes, body.start, body.end);
  if (waits) writeDuration(writer, kind.waitField, wholeMs);
}

/** Adds the CancelTake of an operation's present attempt to a batch. */
export function writeCancelTake(writer: Writer, operation: Operation, session: Session): void {
  const { body } = operation;
  const space = operation.space.encoded;
  const identity = identitySize(session, operation);
  const size = space.length + lengthFieldSize(identity) + (body.templateEnd - body.start);
  writeHead(writer, operation.callId, controlCalls.cancelTake, size);
  copy(writer, space, 0, space.length);
  writer.byte(LENGTH_2);
  writer.uint32(identity);
  writeIdentity(writer, session, operation);
  copy(writer, body.bytes, body.start, body.templateEnd);
}

/** Adds to a batch that it asks for the topology. */
export function writeTopologyWanted(writer: Writer): void {
  writer.byte(TOPOLOGY_WANTED);
  writer.byte(1);
}

/** Opens a Call: its number, and the field of its request, of `size` bytes, which the caller writes. */
function writeHead(writer: Writer, callId: number, field: number, size: number): void {
  const tag = (field << 3) | 2;
  writer.byte(CALLS);
  writer.uint32(1 + sizeOf(callId) + sizeOf(tag) + sizeOf(size) + size);
  writer.byte(VARINT_1);
  writer.uint64(callId);
  writer.uint32(tag);
  writer.uint32(size);
}

/** Adds an EndCall. The Call's own number is new, though nothing answers it. */
export function writeEndCall(writer: Writer, callId: number, ended: number): void {
  writeHead(writer, callId, controlCalls.endCall, 1 + sizeOf(ended));
  writer.byte(VARINT_1);
  writer.uint64(ended);
}

/** Adds an OpenSession. */
export function writeOpenSession(
  writer: Writer,
  callId: number,
  request: { readonly leaseMs: number; readonly name: string },
): void {
  writer.byte(CALLS);
  const call = writer.open();
  writer.byte(VARINT_1);
  writer.uint64(callId);
  writer.uint32((controlCalls.openSession << 3) | 2);
  const open = writer.open();
  writeDuration(writer, 1, request.leaseMs);
  if (request.name !== '') {
    writer.byte(LENGTH_2);
    writer.string(request.name);
  }
  writer.close(open);
  writer.close(call);
}

/** Adds a KeepSession or a CloseSession. */
export function writeSessionCall(
  writer: Writer,
  callId: number,
  call: 'keepSession' | 'closeSession',
  session: Session,
): void {
  writeHead(writer, callId, controlCalls[call], 1 + sizeOf(session.id));
  writer.byte(VARINT_1);
  writer.uint64(session.id);
}

/** Adds an Acknowledge. */
export function writeAcknowledge(
  writer: Writer,
  callId: number,
  session: Session,
  receipts: readonly Receipt[],
): void {
  let size = 2 + sizeOf(session.id) + sizeOf(session.floor);
  for (const receipt of receipts) size += lengthFieldSize(receiptSize(receipt));
  writeHead(writer, callId, controlCalls.acknowledge, size);
  writer.byte(VARINT_1);
  writer.uint64(session.id);
  writer.byte(VARINT_2);
  writer.uint64(session.floor);
  for (const receipt of receipts) {
    writer.byte(LENGTH_3);
    writer.uint32(receiptSize(receipt));
    writer.byte(VARINT_1);
    writer.uint64(receipt.sequence);
    writer.byte(VARINT_2);
    writer.uint64(receipt.tupleId);
  }
}

function receiptSize(receipt: Receipt): number {
  return 2 + sizeOf(receipt.sequence) + sizeOf(receipt.tupleId);
}

/** Where one Reply lies in a message: its call, and the field that is set, with its content. */
export interface ReplyRun {
  callId: number;
  /** The field of Reply; 0 if none was set. */
  field: number;
  start: number;
  end: number;
}

/** The replies of one ExchangeResponse, one after the other. */
export class Replies {
  readonly bytes: Uint8Array;
  readonly #reader: Reader;
  readonly #reply: ReplyRun = { callId: 0, field: 0, start: 0, end: 0 };

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#reader = new Reader(bytes);
  }

  /** Where the topology lies, if it is there; known once they are counted. */
  topology: { readonly start: number; readonly end: number } | undefined;

  /** How many there are; of a damaged message those before the damage. */
  count(): number {
    const reader = new Reader(this.bytes);
    let count = 0;
    try {
      while (reader.position < reader.end) {
        const tag = reader.tag();
        if (tag === TOPOLOGY) {
          const size = reader.length();
          const start = reader.advance(size);
          this.topology = { start, end: start + size };
        } else {
          reader.skip(tag);
          count += 1;
        }
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
    }
    return count;
  }

  /** The next reply, in the same object every time; undefined after the last. Throws DecodeError. */
  next(): ReplyRun | undefined {
    const reader = this.#reader;
    const end = this.bytes.length;
    while (reader.position < end) {
      const tag = reader.tag();
      if (tag !== CALLS) {
        reader.skip(tag);
        continue;
      }
      const size = reader.length();
      const replyEnd = reader.position + size;
      reader.end = replyEnd;
      readReply(reader, this.#reply);
      reader.end = end;
      reader.position = replyEnd;
      return this.#reply;
    }
    return undefined;
  }
}

function readReply(reader: Reader, reply: ReplyRun): void {
  reply.callId = 0;
  reply.field = 0;
  while (reader.position < reader.end) {
    const tag = reader.tag();
    if (tag === VARINT_1) reply.callId = reader.uint64();
    else if ((tag & 7) === 2) {
      const size = reader.length();
      reply.field = tag >>> 3;
      reply.start = reader.advance(size);
      reply.end = reply.start + size;
    } else reader.skip(tag);
  }
}

/** Reads a Duration in milliseconds. Throws DecodeError. */
export function readDuration(bytes: Uint8Array, start: number, end: number): number {
  const reader = new Reader(bytes, start, end);
  let ms = 0;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === VARINT_1) ms += reader.int64() * 1_000;
    else if (tag === VARINT_2) ms += reader.int32() / 1_000_000;
    else reader.skip(tag);
  }
  return ms;
}

/** What OpenSession and KeepSession answer. */
export interface SessionAnswer {
  /** 0 in the answer of KeepSession. */
  readonly id: number;
  readonly leaseMs: number;
}

/** Reads the answer of OpenSession (id 1, lease 2). Throws DecodeError. */
export function readOpened(bytes: Uint8Array, start: number, end: number): SessionAnswer {
  const reader = new Reader(bytes, start, end);
  let id = 0;
  let leaseMs = 0;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === VARINT_1) id = reader.uint64();
    else if (tag === LENGTH_2) leaseMs = readNestedDuration(reader);
    else reader.skip(tag);
  }
  return { id, leaseMs };
}

/** Reads the answer of KeepSession (lease 1). Throws DecodeError. */
export function readKept(bytes: Uint8Array, start: number, end: number): SessionAnswer {
  const reader = new Reader(bytes, start, end);
  let leaseMs = 0;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) leaseMs = readNestedDuration(reader);
    else reader.skip(tag);
  }
  return { id: 0, leaseMs };
}

function readNestedDuration(reader: Reader): number {
  const size = reader.length();
  const start = reader.advance(size);
  return readDuration(reader.bytes, start, start + size);
}

/** Reads the receipts that Acknowledge's answer confirms. Throws DecodeError. */
export function readReceived(bytes: Uint8Array, start: number, end: number): Receipt[] {
  const reader = new Reader(bytes, start, end);
  const received: Receipt[] = [];
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag !== LENGTH_1) {
      reader.skip(tag);
      continue;
    }
    const receiptEnd = reader.length() + reader.position;
    let sequence = 0;
    let tupleId = 0;
    while (reader.position < receiptEnd) {
      const inner = reader.tag();
      if (inner === VARINT_1) sequence = reader.uint64();
      else if (inner === VARINT_2) tupleId = reader.uint64();
      else reader.skip(inner);
    }
    received.push({ sequence, tupleId });
  }
  return received;
}
