/** Outcomes of changes as bytes: `tuplet.internal.v1.Result`, kept in memory and in snapshots. */
import { malformed, type Reader, type Writer } from '@tuplet/proto';
import { assert, unreachable } from '../base/assert.ts';
import type { LogIndex, StampMs, TupleId } from '../base/ids.ts';
import {
  lengthTag,
  openField,
  positive,
  readFields,
  readFlag,
  readNested,
  required,
  varintTag,
  writeBytes,
  writeFlag,
  writeNumber,
  writePresentNumber,
} from '../base/wire-fields.ts';
import type { Result, StoredTuple, WrittenTuple } from './outcome.ts';

/** What an operation remembers besides tuples handed over, which stay in their rows. */
export type ChangeResult = Exclude<Result, { readonly kind: 'handed' }>;

/** Bytes that a result counts for in its session's load: tuples' bytes and a flat share. */
export function resultBytes(result: ChangeResult): number {
  switch (result.kind) {
    case 'written':
      return result.tuples.length * 32;
    case 'replaced':
      return result.old.bytes.length + result.new.bytes.length + 64;
    case 'cancelled':
    case 'renewed':
      return 16;
    default:
      return unreachable(result);
  }
}

/** Appends a result's message. */
export function writeResult(writer: Writer, result: ChangeResult): void {
  switch (result.kind) {
    case 'written': {
      const mark = openField(writer, 1);
      for (const tuple of result.tuples) writeWritten(writer, tuple);
      writer.close(mark);
      return;
    }
    case 'replaced': {
      const mark = openField(writer, 2);
      writeKept(writer, 1, result.old);
      writeKept(writer, 2, result.new);
      writer.close(mark);
      return;
    }
    case 'cancelled': {
      const mark = openField(writer, 3);
      writeFlag(writer, 1, result.found);
      writer.close(mark);
      return;
    }
    case 'renewed': {
      const mark = openField(writer, 4);
      writeFlag(writer, 1, result.found);
      if (result.leaseEndMs !== undefined) writePresentNumber(writer, 2, result.leaseEndMs);
      writer.close(mark);
      return;
    }
    default:
      unreachable(result);
  }
}

/** Reads a result's message up to the reader's end. */
export function readResult(reader: Reader): ChangeResult {
  let result: ChangeResult | undefined;
  readFields(reader, [], (tag) => {
    if (result !== undefined) throw malformed('a result is of one kind');
    if (tag === lengthTag(1)) result = readNested(reader, readWrittenResult);
    else if (tag === lengthTag(2)) result = readNested(reader, readReplaced);
    else if (tag === lengthTag(3)) result = readNested(reader, readCancelled);
    else if (tag === lengthTag(4)) result = readNested(reader, readRenewed);
    else return false;
    return true;
  });
  return required(result);
}

function writeWritten(writer: Writer, tuple: WrittenTuple): void {
  const mark = openField(writer, 1);
  writeNumber(writer, 1, tuple.id);
  writeNumber(writer, 2, tuple.revision);
  if (tuple.leaseEndMs !== undefined) writePresentNumber(writer, 3, tuple.leaseEndMs);
  writer.close(mark);
}

function readWrittenResult(reader: Reader): ChangeResult {
  const tuples: WrittenTuple[] = [];
  readFields(reader, [1], (tag) => {
    if (tag !== lengthTag(1)) return false;
    tuples.push(readNested(reader, readWritten));
    return true;
  });
  return { kind: 'written', tuples };
}

function readWritten(reader: Reader): WrittenTuple {
  let id = 0;
  let revision = 0;
  let leaseEndMs: number | undefined;
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) id = reader.uint64();
    else if (tag === varintTag(2)) revision = reader.uint64();
    else if (tag === varintTag(3)) leaseEndMs = reader.uint64();
    else return false;
    return true;
  });
  return {
    id: positive(id) as TupleId,
    revision: positive(revision) as LogIndex,
    leaseEndMs: leaseEndMs as StampMs | undefined,
  };
}

function readReplaced(reader: Reader): ChangeResult {
  let before: StoredTuple | undefined;
  let after: StoredTuple | undefined;
  readFields(reader, [], (tag) => {
    if (tag === lengthTag(1)) before = readNested(reader, readKept);
    else if (tag === lengthTag(2)) after = readNested(reader, readKept);
    else return false;
    return true;
  });
  return replacedResult(required(before), required(after));
}

/** The result of a replacement, from the two forms. */
export function replacedResult(before: StoredTuple, after: StoredTuple): ChangeResult {
  const { id, revision, leaseEndMs } = after;
  return { kind: 'replaced', written: { id, revision, leaseEndMs }, old: before, new: after };
}

function readCancelled(reader: Reader): ChangeResult {
  let found = false;
  readFields(reader, [], (tag) => {
    if (tag !== varintTag(1)) return false;
    found = readFlag(reader);
    return true;
  });
  return { kind: 'cancelled', found };
}

function readRenewed(reader: Reader): ChangeResult {
  let found = false;
  let leaseEndMs: number | undefined;
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) found = readFlag(reader);
    else if (tag === varintTag(2)) leaseEndMs = reader.uint64();
    else return false;
    return true;
  });
  return { kind: 'renewed', found, leaseEndMs: leaseEndMs as StampMs | undefined };
}

/** Appends a ready tuple's message (`KeptTuple`) as a field. */
export function writeKept(writer: Writer, field: number, tuple: StoredTuple): void {
  assert(tuple.state === 'ready', 'a tuple that is replaced is ready');
  const mark = openField(writer, field);
  writeNumber(writer, 1, tuple.id);
  writeNumber(writer, 2, tuple.revision);
  writeNumber(writer, 3, tuple.writtenAtMs);
  if (tuple.leaseEndMs !== undefined) writePresentNumber(writer, 4, tuple.leaseEndMs);
  writeNumber(writer, 5, tuple.deliveries);
  writeBytes(writer, 6, tuple.bytes);
  writer.close(mark);
}

/** Reads a `KeptTuple` as a ready tuple, with a copy of its bytes. */
export function readKept(reader: Reader): StoredTuple {
  let [id, revision, writtenAtMs, deliveries] = [0, 0, 0, 0];
  let leaseEndMs: number | undefined;
  let bytes: Uint8Array | undefined;
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) id = reader.uint64();
    else if (tag === varintTag(2)) revision = reader.uint64();
    else if (tag === varintTag(3)) writtenAtMs = reader.uint64();
    else if (tag === varintTag(4)) leaseEndMs = reader.uint64();
    else if (tag === varintTag(5)) deliveries = reader.uint32();
    else if (tag === lengthTag(6)) bytes = reader.lengthDelimited().slice();
    else return false;
    return true;
  });
  return {
    id: positive(id) as TupleId,
    revision: positive(revision) as LogIndex,
    bytes: bytes ?? new Uint8Array(0),
    deliveries,
    writtenAtMs: writtenAtMs as StampMs,
    leaseEndMs: leaseEndMs as StampMs | undefined,
    state: 'ready',
  };
}
