/** Tuples as they left a space: `StoredTuple` of coordination.proto. See coordination-codec.ts. */
import { malformed, type Reader, type Writer } from '@tuplet/proto';
import type { LogIndex, StampMs, TupleId } from '../base/ids.ts';
import { manyMax } from '../base/limits.ts';
import {
  lengthTag,
  nextTag,
  openField,
  positive,
  readNested,
  required,
  unknownField,
  varintTag,
  writeBytes,
  writeNumber,
  writePresentNumber,
} from '../base/wire-fields.ts';
import type { StoredTuple } from '../space/outcome.ts';
import { type State, stateNumber, stateOf } from './query-codec.ts';

/** Appends tuples as a repeated field. */
export function writeStoredTuples(
  writer: Writer,
  field: number,
  tuples: readonly StoredTuple[],
): void {
  for (const tuple of tuples) {
    const mark = openField(writer, field);
    writeNumber(writer, 1, tuple.id);
    writeNumber(writer, 2, tuple.revision);
    writeNumber(writer, 3, tuple.writtenAtMs);
    if (tuple.leaseEndMs !== undefined) writePresentNumber(writer, 4, tuple.leaseEndMs);
    writeNumber(writer, 5, tuple.deliveries);
    writeNumber(writer, 6, stateNumber(tuple.state));
    writeBytes(writer, 7, tuple.bytes);
    writer.close(mark);
  }
}

/** Reads one of a repeated field, with its length before it, and adds it to the others. Its bytes are a view. */
export function readStoredTuple(reader: Reader, tuples: StoredTuple[]): void {
  if (tuples.length === manyMax) throw malformed('an answer has too many tuples');
  tuples.push(readNested(reader, readOne));
}

function readOne(reader: Reader): StoredTuple {
  let id = 0;
  let revision = 0;
  let writtenAtMs = 0;
  let leaseEndMs: number | undefined;
  let deliveries = 0;
  let state: State | undefined;
  let bytes: Uint8Array | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) id = reader.uint64();
    else if (tag === varintTag(2)) revision = reader.uint64();
    else if (tag === varintTag(3)) writtenAtMs = reader.uint64();
    else if (tag === varintTag(4)) leaseEndMs = reader.uint64();
    else if (tag === varintTag(5)) deliveries = reader.uint32();
    else if (tag === varintTag(6)) state = stateOf(reader.uint32());
    else if (tag === lengthTag(7)) bytes = reader.lengthDelimited();
    else throw unknownField();
  }
  if (bytes === undefined || bytes.length === 0) throw malformed('a tuple has bytes');
  return {
    id: positive(id) as TupleId,
    revision: positive(revision) as LogIndex,
    bytes,
    deliveries,
    writtenAtMs: writtenAtMs as StampMs,
    leaseEndMs: leaseEndMs as StampMs | undefined,
    state: required(state),
  };
}
