/** Takes, pinned and unpinned, on their way to leaders. See coordination-codec.ts. */
import type { Reader, Writer } from '@tuplet/proto';
import type { Term } from '../base/ids.ts';
import {
  lengthTag,
  nextTag,
  positive,
  readFlag,
  readNested,
  readNestedWith,
  required,
  unknownField,
  varintTag,
  writeFlag,
  writeNumber,
} from '../base/wire-fields.ts';
import type { Accept, CallId, Decline, Query, Register, Take } from '../coordination/messages.ts';
import type { SessionOperation } from '../space/command.ts';
import { readSessionOperation, writeSessionOperation } from '../space/operation-codec.ts';
import type { CoordinationMemory } from './coordination-memory.ts';
import { readQuery, writeQuery } from './query-codec.ts';

/** Appends the content of a pinned take, but for its call. */
export function writeTake(writer: Writer, message: Take): void {
  writeSessionOperation(writer, 1, message.operation);
  writeNumber(writer, 2, message.epoch);
  writeNumber(writer, 3, message.m);
  writeFlag(writer, 4, message.waitEnded);
  writeFlag(writer, 5, message.cancelled);
  writeQuery(writer, 6, message.query);
}

/** Reads a pinned take up to the reader's end. */
export function readTake(reader: Reader, call: CallId, memory: CoordinationMemory): Take {
  let operation: SessionOperation | undefined;
  let epoch = 0;
  let m = 0;
  let waitEnded = false;
  let cancelled = false;
  let query: Query | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) operation = readNested(reader, readSessionOperation);
    else if (tag === varintTag(2)) epoch = reader.uint64();
    else if (tag === varintTag(3)) m = reader.uint64();
    else if (tag === varintTag(4)) waitEnded = readFlag(reader);
    else if (tag === varintTag(5)) cancelled = readFlag(reader);
    else if (tag === lengthTag(6)) {
      query = readNestedWith(reader, readQuery, memory.templates(!waitEnded && !cancelled));
    } else throw unknownField();
  }
  return {
    kind: 'take',
    call,
    operation: required(operation),
    epoch: positive(epoch) as Term,
    m: positive(m),
    query: required(query),
    waitEnded,
    cancelled,
  };
}

/** Appends the content of a registration, but for its call. */
export function writeRegister(writer: Writer, { operation, r, query }: Register): void {
  writeSessionOperation(writer, 1, operation);
  writeNumber(writer, 2, r);
  writeQuery(writer, 3, query);
}

/** Reads a registration up to the reader's end. */
export function readRegister(reader: Reader, call: CallId, memory: CoordinationMemory): Register {
  let operation: SessionOperation | undefined;
  let r = 0;
  let query: Query | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) operation = readNested(reader, readSessionOperation);
    else if (tag === varintTag(2)) r = reader.uint64();
    else if (tag === lengthTag(3)) {
      query = readNestedWith(reader, readQuery, memory.templates(true));
    } else throw unknownField();
  }
  return {
    kind: 'register',
    call,
    operation: required(operation),
    r: positive(r),
    query: required(query),
  };
}

/** Appends the content of what a coordinator says to an offer, but for its call. */
export function writeReply(writer: Writer, reply: Accept | Decline): void {
  writeSessionOperation(writer, 1, reply.operation);
  writeNumber(writer, 2, reply.epoch);
  writeNumber(writer, 3, reply.offer);
  if (reply.kind === 'decline') writeNumber(writer, 4, reply.r);
}

/** Reads what a coordinator says to an offer up to the reader's end. */
export function readReply(
  reader: Reader,
  call: CallId,
  kind: 'accept' | 'decline',
): Accept | Decline {
  let operation: SessionOperation | undefined;
  let epoch = 0;
  let offer = 0;
  let r = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) operation = readNested(reader, readSessionOperation);
    else if (tag === varintTag(2)) epoch = reader.uint64();
    else if (tag === varintTag(3)) offer = reader.uint64();
    else if (tag === varintTag(4) && kind === 'decline') r = reader.uint64();
    else throw unknownField();
  }
  const head = {
    call,
    operation: required(operation),
    epoch: positive(epoch) as Term,
    offer: positive(offer),
  };
  return kind === 'accept' ? { kind, ...head } : { kind, ...head, r: positive(r) };
}
