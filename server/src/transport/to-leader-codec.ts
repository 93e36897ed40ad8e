/** What routers say to leaders: `ToLeader` of coordination.proto. See coordination-codec.ts. */
import { malformed, type Reader, type Template, type Writer } from '@tuplet/proto';
import { unreachable } from '../base/assert.ts';
import type { PartitionId, Sequence, SessionId, SpaceId } from '../base/ids.ts';
import { groupMax, receiptsMax, sessionLeaseMsMax, sessionNameBytesMax } from '../base/limits.ts';
import {
  kindOfTag,
  kindsByField,
  lengthTag,
  nextTag,
  nextTagAmong,
  openField,
  positive,
  readFlag,
  readNested,
  readNestedWith,
  readUpTo,
  required,
  unknownField,
  varintTag,
  writeFlag,
  writeNumber,
  writeRun,
  writeString,
} from '../base/wire-fields.ts';
import type {
  Acknowledge,
  CallId,
  CoordinatorId,
  Count,
  Query,
  Read,
  ToLeader,
} from '../coordination/messages.ts';
import type { SessionOperation } from '../space/command.ts';
import {
  type Receipt,
  readReceipt,
  readSessionOperation,
  writeReceipt,
  writeSessionOperation,
} from '../space/operation-codec.ts';
import { readMutate, writeMutate } from './change-codec.ts';
import type { CoordinationMemory } from './coordination-memory.ts';
import { readQuery, readStates, type States, writeQuery, writeStates } from './query-codec.ts';
import {
  readRegister,
  readReply,
  readTake,
  writeRegister,
  writeReply,
  writeTake,
} from './take-codec.ts';

/** A message with who says it, and to whom. */
export interface ToLeaderItem {
  readonly kind: 'to-leader';
  readonly partition: PartitionId;
  readonly router: CoordinatorId;
  readonly message: ToLeader;
}

/** The field of each message in ToLeader. */
const fields: Readonly<Record<ToLeader['kind'], number>> = {
  take: 4,
  mutate: 5,
  read: 6,
  register: 7,
  accept: 8,
  decline: 9,
  withdraw: 10,
  fence: 11,
  acknowledge: 12,
  'keep-session': 13,
  count: 14,
  'open-session': 15,
  'close-session': 16,
  'drop-space': 17,
};
const kinds = kindsByField(fields);

/** Appends the content of a message. */
export function writeToLeader(writer: Writer, item: ToLeaderItem): void {
  const { partition, router, message } = item;
  writeNumber(writer, 1, partition);
  writeNumber(writer, 2, router);
  writeNumber(writer, 3, message.call);
  const mark = openField(writer, fields[message.kind]);
  writeMessage(writer, message);
  writer.close(mark);
}

/** Reads a message up to the reader's end. */
export function readToLeader(reader: Reader, memory: CoordinationMemory): ToLeaderItem {
  let partition = 0;
  let router = 0;
  let call = 0;
  let message: ToLeader | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) partition = readUpTo(reader, groupMax);
    else if (tag === varintTag(2)) router = reader.uint64();
    else if (tag === varintTag(3)) call = reader.uint64();
    else if (message !== undefined) throw malformed('a message says one thing');
    else {
      const context = { kind: kindOfTag(kinds, tag), call: positive(call), memory };
      message = readNestedWith(reader, readMessage, context);
    }
  }
  return {
    kind: 'to-leader',
    partition: positive(partition) as PartitionId,
    router: positive(router),
    message: required(message),
  };
}

function writeMessage(writer: Writer, message: ToLeader): void {
  switch (message.kind) {
    case 'take':
      writeTake(writer, message);
      return;
    case 'mutate':
      writeMutate(writer, message);
      return;
    case 'read':
      writeRead(writer, message);
      return;
    case 'register':
      writeRegister(writer, message);
      return;
    case 'accept':
    case 'decline':
      writeReply(writer, message);
      return;
    case 'withdraw':
    case 'fence':
      writeSessionOperation(writer, 1, message.operation);
      return;
    case 'acknowledge':
      writeNumber(writer, 1, message.session);
      writeNumber(writer, 2, message.floor);
      for (const receipt of message.receipts) writeReceipt(writer, 3, receipt);
      return;
    case 'keep-session':
    case 'close-session':
      writeNumber(writer, 1, message.session);
      return;
    case 'count':
      writeNumber(writer, 1, message.space);
      if (message.template !== undefined) writeRun(writer, 2, message.template);
      writeStates(writer, 3, message.states);
      return;
    case 'open-session':
      writeNumber(writer, 1, message.leaseMs);
      writeString(writer, 2, message.name);
      return;
    case 'drop-space':
      writeNumber(writer, 1, message.space);
      return;
    default:
      unreachable(message);
  }
}

/** What a message is read with. */
interface MessageContext {
  readonly kind: ToLeader['kind'];
  readonly call: CallId;
  readonly memory: CoordinationMemory;
}

function readMessage(reader: Reader, { kind, call, memory }: MessageContext): ToLeader {
  switch (kind) {
    case 'take':
      return readTake(reader, call, memory);
    case 'mutate':
      return readMutate(memory.payloads.takeRest(reader), call);
    case 'read':
      return readRead(reader, call, memory);
    case 'register':
      return readRegister(reader, call, memory);
    case 'accept':
    case 'decline':
      return readReply(reader, call, kind);
    case 'withdraw':
    case 'fence':
      return { kind, call, operation: readOperationAlone(reader) };
    case 'acknowledge':
      return readAcknowledge(reader, call);
    case 'keep-session':
    case 'close-session':
      return { kind, call, session: readSession(reader) };
    case 'count':
      return readCount(reader, call, memory);
    case 'open-session':
      return readOpenSession(reader, call);
    case 'drop-space':
      return { kind, call, space: readSpace(reader) };
    default:
      return unreachable(kind);
  }
}

function writeRead(writer: Writer, message: Read): void {
  writeNumber(writer, 1, message.m);
  writeFlag(writer, 2, message.waitEnded);
  writeFlag(writer, 3, message.cancelled);
  writeQuery(writer, 4, message.query);
  writeStates(writer, 5, message.states);
}

function readRead(reader: Reader, call: CallId, memory: CoordinationMemory): Read {
  let m = 0;
  let waitEnded = false;
  let cancelled = false;
  let query: Query | undefined;
  let states: States | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) m = reader.uint64();
    else if (tag === varintTag(2)) waitEnded = readFlag(reader);
    else if (tag === varintTag(3)) cancelled = readFlag(reader);
    else if (tag === lengthTag(4)) {
      query = readNestedWith(reader, readQuery, memory.templates(!waitEnded && !cancelled));
    } else if (tag === lengthTag(5)) states = readStates(reader);
    else throw unknownField();
  }
  return {
    kind: 'read',
    call,
    m: positive(m),
    query: required(query),
    states: required(states),
    waitEnded,
    cancelled,
  };
}

function readOperationAlone(reader: Reader): SessionOperation {
  let operation: SessionOperation | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) operation = readNested(reader, readSessionOperation);
    else throw unknownField();
  }
  return required(operation);
}

function readAcknowledge(reader: Reader, call: CallId): Acknowledge {
  let session = 0;
  let floor = 0;
  const receipts: Receipt[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(3));
    if (tag === varintTag(1)) session = reader.uint64();
    else if (tag === varintTag(2)) floor = reader.uint64();
    else if (tag === lengthTag(3)) receipts.push(readNested(reader, readReceipt));
    else throw unknownField();
    if (receipts.length > receiptsMax) throw malformed('too many receipts');
  }
  return {
    kind: 'acknowledge',
    call,
    session: positive(session) as SessionId,
    floor: positive(floor) as Sequence,
    receipts,
  };
}

function readSession(reader: Reader): SessionId {
  let session = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) session = reader.uint64();
    else throw unknownField();
  }
  return positive(session) as SessionId;
}

function readSpace(reader: Reader): SpaceId {
  let space = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) space = reader.uint32();
    else throw unknownField();
  }
  return positive(space) as SpaceId;
}

function readCount(reader: Reader, call: CallId, memory: CoordinationMemory): Count {
  let space = 0;
  let template: Template | undefined;
  let states: States | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) space = reader.uint32();
    else if (tag === lengthTag(2)) template = memory.templates(false).template(reader);
    else if (tag === lengthTag(3)) states = readStates(reader);
    else throw unknownField();
  }
  return {
    kind: 'count',
    call,
    space: positive(space) as SpaceId,
    template,
    states: required(states),
  };
}

function readOpenSession(reader: Reader, call: CallId): ToLeader {
  let leaseMs = 0;
  let name = '';
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) leaseMs = readUpTo(reader, sessionLeaseMsMax);
    else if (tag === lengthTag(2)) name = readName(reader);
    else throw unknownField();
  }
  return { kind: 'open-session', call, leaseMs: positive(leaseMs), name };
}

function readName(reader: Reader): string {
  const start = reader.position;
  const name = reader.string();
  // Its length takes one byte or two.
  if (reader.position - start > sessionNameBytesMax + 2) throw malformed('a name is too long');
  return name;
}
