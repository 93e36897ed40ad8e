/** The commands of `tuplet.internal.v1.Entry`, one by one. See entry-codec.ts. */
import { malformed, type Reader, type Writer } from '@tuplet/proto';
import { unreachable } from '../base/assert.ts';
import type {
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  TupleId,
} from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import {
  lengthTag,
  nextTag,
  nextTagAmong,
  openField,
  positive,
  readFields,
  readNested,
  readPacked,
  readPositive,
  required,
  unknownField,
  varintTag,
  writeBytes,
  writeNumber,
  writePacked,
  writePresentNumber,
  writeString,
} from '../base/wire-fields.ts';
import type {
  Command,
  NewTuple,
  OpenSessionCommand,
  Operation,
  ReceiptCommand,
  RenewCommand,
  ReplaceCommand,
  SessionOperation,
  WriteCommand,
} from './command.ts';
import {
  type Receipt,
  readNewTuple,
  readOperation,
  readReceipt,
  readSessionOperation,
  readSlot,
  writeNewTuple,
  writeOperation,
  writeReceipt,
  writeSessionOperation,
} from './operation-codec.ts';

/** The field of each command in Entry. */
export const commandFields: Readonly<Record<Command['kind'], number>> = {
  write: 3,
  hand: 4,
  fence: 5,
  receipt: 6,
  replace: 7,
  cancel: 8,
  renew: 9,
  expire: 10,
  'open-session': 11,
  touch: 12,
  know: 13,
  end: 14,
  'forget-session': 15,
  'drop-space': 16,
  lead: 17,
  'give-back': 18,
};

type HandOver = WriteCommand['handOvers'][number];

/** Appends a command's message. */
export function writeCommand(writer: Writer, command: Command): void {
  switch (command.kind) {
    case 'write':
      writeWrite(writer, command);
      return;
    case 'hand':
      writeSessionOperation(writer, 1, command.operation);
      writePacked(writer, 2, command.tuples);
      return;
    case 'fence':
      writeSessionOperation(writer, 1, command.operation);
      return;
    case 'receipt':
      writeReceipts(writer, command);
      return;
    case 'replace':
      writeReplace(writer, command);
      return;
    case 'cancel':
      writeOperation(writer, command.operation);
      writeNumber(writer, 2, command.tuple);
      return;
    case 'renew':
      writeOperation(writer, command.operation);
      writeNumber(writer, 2, command.tuple);
      if (command.leaseMs !== undefined) writePresentNumber(writer, 3, command.leaseMs);
      return;
    case 'expire':
      writePacked(writer, 1, command.tuples);
      return;
    case 'open-session':
      writeNumber(writer, 1, command.leaseMs);
      writeString(writer, 2, command.name);
      return;
    case 'touch':
      writeNumber(writer, 1, command.session);
      writeNumber(writer, 2, command.partition);
      return;
    case 'know':
    case 'end':
    case 'forget-session':
      writeNumber(writer, 1, command.session);
      return;
    case 'drop-space':
      writeNumber(writer, 1, command.space);
      return;
    case 'lead':
    case 'give-back':
      return;
    default:
      unreachable(command);
  }
}

/** Reads the field of Entry that has this tag: its length, and a command. */
export function readCommandField(reader: Reader, tag: number): Command {
  const size = reader.length();
  const { end } = reader;
  reader.end = reader.position + size;
  const command = readCommand(reader, tag);
  if (reader.position !== reader.end) throw malformed('a message has bytes left');
  reader.end = end;
  return command;
}

function readCommand(reader: Reader, tag: number): Command {
  switch (tag) {
    case lengthTag(3):
      return readWrite(reader);
    case lengthTag(4):
      return readHand(reader);
    case lengthTag(5):
      return { kind: 'fence', operation: readFence(reader) };
    case lengthTag(6):
      return readReceipts(reader);
    case lengthTag(7):
      return readReplace(reader);
    case lengthTag(8): {
      const { operation, tuple } = readRenewal(reader, false);
      return { kind: 'cancel', operation, tuple };
    }
    case lengthTag(9):
      return { kind: 'renew', ...readRenewal(reader, true) };
    case lengthTag(10):
      return { kind: 'expire', tuples: readExpired(reader) };
    case lengthTag(11):
      return readOpenSession(reader);
    case lengthTag(12):
      return { kind: 'touch', ...readTouch(reader) };
    case lengthTag(13):
      return { kind: 'know', session: readOne(reader) as SessionId };
    case lengthTag(14):
      return { kind: 'end', session: readOne(reader) as SessionId };
    case lengthTag(15):
      return { kind: 'forget-session', session: readOne(reader) as SessionId };
    case lengthTag(16):
      return { kind: 'drop-space', space: readOne(reader) as SpaceId };
    case lengthTag(17):
      readFields(reader, [], () => false);
      return { kind: 'lead' };
    case lengthTag(18):
      readFields(reader, [], () => false);
      return { kind: 'give-back' };
    default:
      throw malformed('the entry has an unknown command');
  }
}

function writeWrite(writer: Writer, command: WriteCommand): void {
  writeOperation(writer, command.operation);
  writeNumber(writer, 2, command.space);
  for (const tuple of command.tuples) writeNewTuple(writer, 3, tuple);
  if (command.absence !== undefined) {
    const mark = openField(writer, 4);
    writeNumber(writer, 1, command.absence.slot);
    writeNumber(writer, 2, command.absence.lastChange);
    writer.close(mark);
  }
  for (const handOver of command.handOvers) {
    const mark = openField(writer, 5);
    writeNumber(writer, 1, handOver.tuple);
    writeSessionOperation(writer, 2, handOver.to);
    writer.close(mark);
  }
}

function readWrite(reader: Reader): Command {
  let operation: Operation | undefined;
  let space = 0;
  const tuples: NewTuple[] = [];
  let absence: WriteCommand['absence'];
  const handOvers: HandOver[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(3), lengthTag(5));
    if (tag === lengthTag(1)) operation = readNested(reader, readOperation);
    else if (tag === varintTag(2)) space = reader.uint32();
    else if (tag === lengthTag(3)) tuples.push(readNested(reader, readNewTuple));
    else if (tag === lengthTag(4)) absence = readNested(reader, readAbsence);
    else if (tag === lengthTag(5)) handOvers.push(readNested(reader, readHandOver));
    else throw unknownField();
  }
  if (tuples.length < 1 || tuples.length > limits.batchTuplesMax)
    throw malformed('tuples of a write');
  checkHandOvers(handOvers, tuples.length);
  return {
    kind: 'write',
    operation,
    space: positive(space) as SpaceId,
    tuples,
    absence,
    handOvers,
  };
}

/** Each names a tuple of the write, none twice. */
function checkHandOvers(handOvers: readonly HandOver[], tuples: number): void {
  if (handOvers.length === 0) return;
  const used = new Set<number>();
  for (const { tuple } of handOvers) {
    if (tuple >= tuples || used.has(tuple)) throw malformed('a hand-over of a written tuple');
    used.add(tuple);
  }
}

function readAbsence(reader: Reader): NonNullable<WriteCommand['absence']> {
  let slot = 0;
  let lastChange = 0;
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) slot = readSlot(reader);
    else if (tag === varintTag(2)) lastChange = reader.uint64();
    else return false;
    return true;
  });
  return { slot: slot as Slot, lastChange: lastChange as LogIndex };
}

function readHandOver(reader: Reader): HandOver {
  let tuple = 0;
  let to: SessionOperation | undefined;
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) tuple = reader.uint32();
    else if (tag === lengthTag(2)) to = readNested(reader, readSessionOperation);
    else return false;
    return true;
  });
  return { tuple, to: required(to) };
}

function readHand(reader: Reader): Command {
  let operation: SessionOperation | undefined;
  let tuples: number[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) operation = readNested(reader, readSessionOperation);
    else if (tag === lengthTag(2)) tuples = readPacked(reader);
    else throw unknownField();
  }
  if (tuples.length === 0) throw malformed('a hand-over names tuples');
  return { kind: 'hand', operation: required(operation), tuples: readIds(tuples) };
}

/** Up to 1,000 ids, each once. */
function readIds(ids: readonly number[]): readonly TupleId[] {
  if (ids.length > limits.batchTuplesMax) throw malformed('too many tuples');
  if (new Set(ids).size !== ids.length) throw malformed('a tuple is named once');
  for (const id of ids) positive(id);
  return ids as readonly TupleId[];
}

function readFence(reader: Reader): SessionOperation {
  let operation: SessionOperation | undefined;
  readFields(reader, [], (tag) => {
    if (tag !== lengthTag(1)) return false;
    operation = readNested(reader, readSessionOperation);
    return true;
  });
  return required(operation);
}

function writeReceipts(writer: Writer, command: ReceiptCommand): void {
  writeNumber(writer, 1, command.session);
  writeNumber(writer, 2, command.floor);
  for (const receipt of command.receipts) writeReceipt(writer, 3, receipt);
}

function readReceipts(reader: Reader): ReceiptCommand {
  let session = 0;
  let floor = 0;
  const receipts: Receipt[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(3));
    if (tag === varintTag(1)) session = reader.uint64();
    else if (tag === varintTag(2)) floor = reader.uint64();
    else if (tag === lengthTag(3)) receipts.push(readNested(reader, readReceipt));
    else throw unknownField();
  }
  return {
    kind: 'receipt',
    session: positive(session) as SessionId,
    floor: positive(floor) as Sequence,
    receipts,
  };
}

function writeReplace(writer: Writer, command: ReplaceCommand): void {
  writeOperation(writer, command.operation);
  writeNumber(writer, 2, command.tuple);
  writeNumber(writer, 3, command.revision);
  writeBytes(writer, 4, command.bytes);
  if (command.leaseMs !== 'keep') writePresentNumber(writer, 5, command.leaseMs);
}

function readReplace(reader: Reader): ReplaceCommand {
  let operation: Operation | undefined;
  let tuple = 0;
  let revision = 0;
  let bytes: Uint8Array | undefined;
  let leaseMs: number | 'keep' = 'keep';
  readFields(reader, [], (tag) => {
    if (tag === lengthTag(1)) operation = readNested(reader, readOperation);
    else if (tag === varintTag(2)) tuple = reader.uint64();
    else if (tag === varintTag(3)) revision = reader.uint64();
    else if (tag === lengthTag(4)) bytes = reader.lengthDelimited();
    else if (tag === varintTag(5)) leaseMs = readPositive(reader);
    else return false;
    return true;
  });
  return {
    kind: 'replace',
    operation,
    tuple: positive(tuple) as TupleId,
    revision: positive(revision) as LogIndex,
    bytes: required(bytes),
    leaseMs,
  };
}

function readRenewal(reader: Reader, lease: boolean): Omit<RenewCommand, 'kind'> {
  let operation: Operation | undefined;
  let tuple = 0;
  let leaseMs: number | undefined;
  readFields(reader, [], (tag) => {
    if (tag === lengthTag(1)) operation = readNested(reader, readOperation);
    else if (tag === varintTag(2)) tuple = reader.uint64();
    else if (tag === varintTag(3) && lease) leaseMs = readPositive(reader);
    else return false;
    return true;
  });
  return { operation, tuple: positive(tuple) as TupleId, leaseMs };
}

function readExpired(reader: Reader): readonly TupleId[] {
  let tuples: number[] = [];
  readFields(reader, [], (tag) => {
    if (tag !== lengthTag(1)) return false;
    tuples = readPacked(reader);
    return true;
  });
  return readIds(tuples);
}

function readOpenSession(reader: Reader): OpenSessionCommand {
  let leaseMs = 0;
  let name = '';
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) leaseMs = reader.uint64();
    else if (tag === lengthTag(2)) name = reader.string();
    else return false;
    return true;
  });
  return { kind: 'open-session', leaseMs: positive(leaseMs), name };
}

function readTouch(reader: Reader): { session: SessionId; partition: PartitionId } {
  const [session, partition] = readPair(reader);
  return { session: session as SessionId, partition: partition as PartitionId };
}

function readPair(reader: Reader): readonly [number, number] {
  let first = 0;
  let second = 0;
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) first = reader.uint64();
    else if (tag === varintTag(2)) second = reader.uint64();
    else return false;
    return true;
  });
  return [positive(first), positive(second)];
}

function readOne(reader: Reader): number {
  let value = 0;
  readFields(reader, [], (tag) => {
    if (tag !== varintTag(1)) return false;
    value = reader.uint64();
    return true;
  });
  return positive(value);
}
