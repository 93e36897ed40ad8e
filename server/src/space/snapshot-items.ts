/** The items of a snapshot, one writer each: `tuplet.internal.v1.SnapshotItem`. Read by snapshot-load.ts. */
import type { Writer } from '@tuplet/proto';
import type { SessionId, StampMs, TupleId } from '../base/ids.ts';
import { snapshotReturningMax } from '../base/limits.ts';
import {
  lengthTag,
  numberSize,
  openField,
  putNumber,
  writeFlag,
  writeNumber,
  writePacked,
  writeString,
} from '../base/wire-fields.ts';
import type { ByteRun } from './byte-log.ts';
import { copyBytes } from './copy-bytes.ts';
import { type ChangeResult, writeResult } from './result-codec.ts';
import type { RowContent } from './rows.ts';
import type { HomeRecord, KnownSession } from './sessions.ts';
import type { Slabs } from './slabs.ts';
import type { SpaceState } from './space-state.ts';
import { tupleTags } from './tuple-load.ts';

/** The format that is written, and the only one that is read. */
export const snapshotFormat = 4;

/** The fields of SnapshotItem. */
export const ItemField = {
  header: 1,
  tuple: 2,
  known: 3,
  operation: 4,
  home: 5,
  ended: 6,
  request: 7,
  events: 8,
  returning: 9,
  end: 10,
} as const;

/** What is kept of an operation while its session goes on. */
export interface SavedOperation {
  readonly sequence: number;
  readonly fence: number;
  readonly handed: readonly TupleId[];
  readonly change: ChangeResult | undefined;
}

/** How many items of each kind came. */
export interface ItemCounts {
  tuples: number;
  known: number;
  home: number;
  ended: number;
  requests: number;
  events: number;
  operations: number;
  returning: number;
}

/** Nothing counted. */
export function noItems(): ItemCounts {
  return {
    tuples: 0,
    known: 0,
    home: 0,
    ended: 0,
    requests: 0,
    events: 0,
    operations: 0,
    returning: 0,
  };
}

export function writeHeader(writer: Writer, state: SpaceState): void {
  const { cutPlace, lastPlace } = state.history;
  const mark = openField(writer, ItemField.header);
  writeNumber(writer, 1, snapshotFormat);
  writeNumber(writer, 2, state.partition);
  writeNumber(writer, 3, state.appliedIndex);
  writeNumber(writer, 4, state.stampMs);
  writeNumber(writer, 5, state.tupleCounter);
  writeNumber(writer, 6, state.sessionCounter);
  writeNumber(writer, 7, cutPlace.revision);
  writeNumber(writer, 8, cutPlace.position);
  writeNumber(writer, 9, lastPlace.revision);
  writeNumber(writer, 10, lastPlace.position);
  writePacked(writer, 11, [...state.slots.copy()]);
  writePacked(
    writer,
    12,
    [...state.dropped].sort((a, b) => a - b),
  );
  const { ready, handed } = state.tuples.counts();
  writeNumber(writer, 13, ready + handed);
  writer.close(mark);
}

/**
 * A tuple's item with its length before it. There may be a million in a snapshot: lengths are reckoned
 * first, because a length that is known only afterwards moves what was written.
 */
export function writeTuple(writer: Writer, id: TupleId, row: RowContent, slabs: Slabs): void {
  const { revision, space, slot, writtenAtMs, leaseEndMs, deliveries, size, place } = row;
  const leased = leaseEndMs < Number.POSITIVE_INFINITY;
  let length = 3 + numberSize(id) + numberSize(revision) + numberSize(space);
  if (slot > 0) length += 1 + numberSize(slot);
  if (writtenAtMs > 0) length += 1 + numberSize(writtenAtMs);
  if (leased) length += 1 + numberSize(leaseEndMs);
  if (deliveries > 0) length += 1 + numberSize(deliveries);
  if (row.handed) length += 2;
  if (size > 0) length += 1 + numberSize(size) + size;
  const itemLength = 1 + numberSize(length) + length;
  writer.uint32(itemLength);
  writer.reserve(itemLength);
  const target = writer.bytes;
  let at = putNumber(target, writer.position, lengthTag(ItemField.tuple), length);
  at = putNumber(target, at, tupleTags.id, id);
  at = putNumber(target, at, tupleTags.revision, revision);
  at = putNumber(target, at, tupleTags.space, space);
  if (slot > 0) at = putNumber(target, at, tupleTags.slot, slot);
  if (writtenAtMs > 0) at = putNumber(target, at, tupleTags.writtenAtMs, writtenAtMs);
  if (leased) at = putNumber(target, at, tupleTags.leaseEndMs, leaseEndMs);
  if (deliveries > 0) at = putNumber(target, at, tupleTags.deliveries, deliveries);
  if (row.handed) at = putNumber(target, at, tupleTags.handed, 1);
  if (size > 0) {
    at = putNumber(target, at, tupleTags.bytes, size);
    const from = slabs.startOf(place);
    copyBytes(slabs.chunkOf(place), from, from + size, target, at);
    at += size;
  }
  writer.position = at;
}

export function writeKnown(writer: Writer, session: Pick<KnownSession, 'id' | 'floor'>): void {
  const mark = openField(writer, ItemField.known);
  writeNumber(writer, 1, session.id);
  writeNumber(writer, 2, session.floor);
  writer.close(mark);
}

export function writeSavedOperation(writer: Writer, operation: SavedOperation): void {
  const mark = openField(writer, ItemField.operation);
  writeNumber(writer, 1, operation.sequence);
  writeNumber(writer, 2, operation.fence);
  writePacked(writer, 3, operation.handed);
  if (operation.change !== undefined) {
    const inner = openField(writer, 4);
    writeResult(writer, operation.change);
    writer.close(inner);
  }
  writer.close(mark);
}

export function writeHome(writer: Writer, home: Omit<HomeRecord, 'cut'>): void {
  const mark = openField(writer, ItemField.home);
  writeNumber(writer, 1, home.id);
  writeNumber(writer, 2, home.leaseMs);
  writeString(writer, 3, home.name);
  writeFlag(writer, 4, home.state === 'ended');
  writePacked(writer, 5, [...home.touched]);
  writer.close(mark);
}

export function writeEnded(writer: Writer, session: SessionId, endedMs: StampMs): void {
  const mark = openField(writer, ItemField.ended);
  writeNumber(writer, 1, session);
  writeNumber(writer, 2, endedMs);
  writer.close(mark);
}

/** A request's result, which is kept encoded. */
export function writeRequest(writer: Writer, record: Uint8Array): void {
  writer.uint32(lengthTag(ItemField.request));
  writer.lengthDelimited(record);
}

/** Events as they lie in memory. */
export function writeEvents(writer: Writer, { bytes, from, to }: ByteRun): void {
  writer.uint32(lengthTag(ItemField.events));
  writer.lengthDelimited(bytes.subarray(from, to));
}

/** What is to be given back, in its order: the lists of the items that say so. */
export function* returningItems(state: SpaceState): Generator<readonly TupleId[]> {
  let ids: TupleId[] = [];
  for (const row of state.returns.rows()) {
    ids.push(state.tuples.idOf(row));
    if (ids.length < snapshotReturningMax) continue;
    yield ids;
    ids = [];
  }
  if (ids.length > 0) yield ids;
}

export function writeReturning(writer: Writer, ids: readonly TupleId[]): void {
  const mark = openField(writer, ItemField.returning);
  writePacked(writer, 1, ids);
  writer.close(mark);
}

export function writeEnd(writer: Writer, counts: ItemCounts): void {
  const mark = openField(writer, ItemField.end);
  writeNumber(writer, 1, counts.tuples);
  writeNumber(writer, 2, counts.known);
  writeNumber(writer, 3, counts.home);
  writeNumber(writer, 4, counts.ended);
  writeNumber(writer, 5, counts.requests);
  writeNumber(writer, 6, counts.events);
  writeNumber(writer, 7, counts.operations);
  writeNumber(writer, 8, counts.returning);
  writer.close(mark);
}
