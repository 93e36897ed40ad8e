/**
 * What the log says in several commands, and nodes say to each other as well: who asks, a tuple to be
 * written, a receipt. See command-codec.ts.
 */
import { malformed, type Reader, limits as sharedLimits, type Writer } from '@tuplet/proto';
import type { Attempt, Sequence, SessionId, Slot, SpaceId, TupleId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import {
  lengthTag,
  nextTag,
  openField,
  positive,
  readFields,
  readNested,
  readPositive,
  required,
  unknownField,
  varintTag,
  writeBytes,
  writeNumber,
  writePresentNumber,
  writeString,
} from '../base/wire-fields.ts';
import type { NewTuple, Operation, ReceiptCommand, SessionOperation } from './command.ts';

/** A tuple that its receiver has. */
export type Receipt = ReceiptCommand['receipts'][number];

/** Appends an operation of a session as a field. */
export function writeSessionOperation(
  writer: Writer,
  field: number,
  operation: SessionOperation,
): void {
  const mark = openField(writer, field);
  writeNumber(writer, 1, operation.session);
  writeNumber(writer, 2, operation.sequence);
  writeNumber(writer, 3, operation.attempt);
  writeNumber(writer, 4, operation.floor);
  writer.close(mark);
}

/** Reads an operation of a session up to the reader's end. */
export function readSessionOperation(reader: Reader): SessionOperation {
  let [session, sequence, attempt, floor] = [0, 0, 0, 0];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) session = reader.uint64();
    else if (tag === varintTag(2)) sequence = reader.uint64();
    else if (tag === varintTag(3)) attempt = reader.uint64();
    else if (tag === varintTag(4)) floor = reader.uint64();
    else throw unknownField();
  }
  return {
    kind: 'session',
    session: positive(session) as SessionId,
    sequence: positive(sequence) as Sequence,
    attempt: positive(attempt) as Attempt,
    floor: positive(floor) as Sequence,
  };
}

/** Appends who asks as field 1, which is left out where nothing is remembered. */
export function writeOperation(writer: Writer, operation: Operation | undefined): void {
  if (operation === undefined) return;
  const mark = openField(writer, 1);
  if (operation.kind === 'session') writeSessionOperation(writer, 1, operation);
  else {
    const inner = openField(writer, 2);
    writeString(writer, 1, operation.requestId);
    writeNumber(writer, 2, operation.space);
    writer.close(inner);
  }
  writer.close(mark);
}

/** Reads who asks up to the reader's end. */
export function readOperation(reader: Reader): Operation {
  let operation: Operation | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (operation !== undefined) throw malformed('an operation is of a session or a request');
    if (tag === lengthTag(1)) operation = readNested(reader, readSessionOperation);
    else if (tag === lengthTag(2)) operation = readNested(reader, readRequest);
    else throw unknownField();
  }
  return required(operation);
}

function readRequest(reader: Reader): Operation {
  let requestId = '';
  let space = 0;
  readFields(reader, [], (tag) => {
    if (tag === lengthTag(1)) requestId = reader.string();
    else if (tag === varintTag(2)) space = reader.uint32();
    else return false;
    return true;
  });
  const whole = /^(?:[0-9a-f]{2})+$/.test(requestId);
  if (!whole || requestId.length > limits.requestIdBytesMax * 2) throw malformed('a request id');
  return { kind: 'request', requestId, space: positive(space) as SpaceId };
}

/** Appends a tuple to be written as a field. */
export function writeNewTuple(writer: Writer, field: number, tuple: NewTuple): void {
  const mark = openField(writer, field);
  writeNumber(writer, 1, tuple.slot);
  writeBytes(writer, 2, tuple.bytes);
  if (tuple.leaseMs !== undefined) writePresentNumber(writer, 3, tuple.leaseMs);
  writer.close(mark);
}

/** Reads a tuple to be written up to the reader's end. Its bytes are a view, and not looked at. */
export function readNewTuple(reader: Reader): NewTuple {
  let slot = 0;
  let bytes: Uint8Array | undefined;
  let leaseMs: number | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) slot = readSlot(reader);
    else if (tag === lengthTag(2)) bytes = reader.lengthDelimited();
    else if (tag === varintTag(3)) leaseMs = readPositive(reader);
    else throw unknownField();
  }
  return { slot: slot as Slot, bytes: required(bytes), leaseMs };
}

/** A slot. */
export function readSlot(reader: Reader): number {
  const slot = reader.uint32();
  if (slot >= sharedLimits.slotCount) throw malformed('a slot is below 4,096');
  return slot;
}

/** Appends a receipt as a field. */
export function writeReceipt(writer: Writer, field: number, receipt: Receipt): void {
  const mark = openField(writer, field);
  writeNumber(writer, 1, receipt.sequence);
  writeNumber(writer, 2, receipt.tuple);
  writer.close(mark);
}

/** Reads a receipt up to the reader's end. */
export function readReceipt(reader: Reader): Receipt {
  let sequence = 0;
  let tuple = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) sequence = reader.uint64();
    else if (tag === varintTag(2)) tuple = reader.uint64();
    else throw unknownField();
  }
  return { sequence: positive(sequence) as Sequence, tuple: positive(tuple) as TupleId };
}
