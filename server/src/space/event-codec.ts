/**
 * Events as bytes: `tuplet.internal.v1.HistoryEvent`, kept in memory and in snapshots. Each write and
 * each take makes some, so they are written straight from the tuple's row to where they stay.
 */
import { malformed, Reader, varintSize } from '@tuplet/proto';
import type { LogIndex, Slot, SpaceId, StampMs } from '../base/ids.ts';
import { copyBytes } from './copy-bytes.ts';
import type { EventPlace, HistoryKind, SpaceEvent } from './history.ts';
import type { StoredTuple } from './outcome.ts';
import { readKept } from './result-codec.ts';
import type { Row } from './rows.ts';
import type { TupleStore } from './tuple-store.ts';
import {
  lengthTag,
  nextTag,
  numberSize,
  putNumber,
  readNested,
  required,
  varintTag,
} from './wire-fields.ts';

/** The numbers of the kinds of events on disk. */
export const historyKinds = {
  written: 1,
  taken: 2,
  returned: 3,
  replaced: 4,
  expired: 5,
  cancelled: 6,
} as const;

const kindOf = new Map<number, HistoryKind>(
  (Object.keys(historyKinds) as HistoryKind[]).map((kind) => [historyKinds[kind], kind]),
);

/** An event begins with its `last` flag, so that it can be set once the entry is applied. */
export const lastFlagAt = 1;

/** Bytes of an event besides those of its tuple's two forms, at most: eleven fields and two lengths. */
export const eventHeadBytesMax: number = 11 * 9 + 2 * 6;

const tags = {
  last: varintTag(1),
  kind: varintTag(2),
  revision: varintTag(3),
  position: varintTag(4),
  stampMs: varintTag(5),
  space: varintTag(6),
  slot: varintTag(7),
  tuple: lengthTag(8),
  oldBytes: lengthTag(9),
  oldRevision: varintTag(10),
} as const;

const keptTags = {
  id: varintTag(1),
  revision: varintTag(2),
  writtenAtMs: varintTag(3),
  leaseEndMs: varintTag(4),
  deliveries: varintTag(5),
  bytes: lengthTag(6),
} as const;

/** What an event says before it says of which tuple. Changed in place: one serves all events. */
export interface EventHead {
  revision: number;
  position: number;
  stampMs: number;
}

/** Writes an event about a row as it is now, and returns where it ends. There is room for it. */
export function putEvent(
  target: Uint8Array,
  start: number,
  kind: HistoryKind,
  head: EventHead,
  tuples: TupleStore,
  row: Row,
): number {
  const { rows } = tuples;
  let at = putNumber(target, start, tags.last, 0);
  at = putNumber(target, at, tags.kind, historyKinds[kind]);
  at = putNumber(target, at, tags.revision, head.revision);
  if (head.position > 0) at = putNumber(target, at, tags.position, head.position);
  at = putNumber(target, at, tags.stampMs, head.stampMs);
  at = putNumber(target, at, tags.space, rows.space(row));
  const slot = rows.slot(row);
  if (slot > 0) at = putNumber(target, at, tags.slot, slot);
  return putRow(target, at, tuples, row);
}

/** Writes the form before a replacement behind its event; returns where it ends. */
export function putOldForm(target: Uint8Array, start: number, old: StoredTuple): number {
  const { bytes, revision } = old;
  const at = putNumber(target, start, tags.oldBytes, bytes.length);
  copyBytes(bytes, 0, bytes.length, target, at);
  return putNumber(target, at + bytes.length, tags.oldRevision, revision);
}

/** The row's tuple as field 8, without making an object of it. */
function putRow(target: Uint8Array, start: number, tuples: TupleStore, row: Row): number {
  const { rows, slabs } = tuples;
  const id = tuples.idOf(row);
  const revision = rows.revision(row);
  const writtenAtMs = rows.writtenAtMs(row);
  const leaseEndMs = rows.leaseEndMs(row);
  const deliveries = rows.deliveries(row);
  const size = rows.size(row);
  const leased = leaseEndMs < Number.POSITIVE_INFINITY;
  let length = 2 + numberSize(id) + numberSize(revision);
  if (writtenAtMs > 0) length += 1 + numberSize(writtenAtMs);
  if (leased) length += 1 + numberSize(leaseEndMs);
  if (deliveries > 0) length += 1 + varintSize(deliveries);
  if (size > 0) length += 1 + varintSize(size) + size;
  let at = putNumber(target, start, tags.tuple, length);
  at = putNumber(target, at, keptTags.id, id);
  at = putNumber(target, at, keptTags.revision, revision);
  if (writtenAtMs > 0) at = putNumber(target, at, keptTags.writtenAtMs, writtenAtMs);
  if (leased) at = putNumber(target, at, keptTags.leaseEndMs, leaseEndMs);
  if (deliveries > 0) at = putNumber(target, at, keptTags.deliveries, deliveries);
  if (size === 0) return at;
  at = putNumber(target, at, keptTags.bytes, size);
  const from = slabs.startOf(rows.place(row));
  copyBytes(slabs.chunkOf(rows.place(row)), from, from + size, target, at);
  return at + size;
}

/** Reads the fields before the space, which every event has in this order. Throws DecodeError. */
export function readHead(reader: Reader, head: EventHead): void {
  const flagged = reader.tag() === tags.last && reader.uint32() <= 1;
  if (!flagged || reader.tag() !== tags.kind || !kindOf.has(reader.uint32()))
    throw malformed('an event has a flag and a kind');
  if (reader.tag() !== tags.revision) throw malformed('an event has a revision');
  head.revision = reader.uint64();
  head.position = 0;
  let tag = reader.tag();
  if (tag === tags.position) {
    head.position = reader.uint32();
    tag = reader.tag();
  }
  if (tag !== tags.stampMs) throw malformed('an event has a stamp');
  head.stampMs = reader.uint64();
}

/** Where an event stands. */
export function placeOf(record: Uint8Array): EventPlace {
  const head = { revision: 0, position: 0, stampMs: 0 };
  readHead(new Reader(record), head);
  return { revision: head.revision as LogIndex, position: head.position };
}

/** An event from its message, which `putEvent` has written. Throws DecodeError. */
export function decodeEvent(record: Uint8Array): SpaceEvent {
  const reader = new Reader(record);
  const numbers = new Array<number>(11).fill(0);
  let tuple: StoredTuple | undefined;
  let oldBytes: Uint8Array | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === tags.tuple) tuple = readNested(reader, readKept);
    else if (tag === tags.oldBytes) oldBytes = reader.lengthDelimited().slice();
    else numbers[tag >>> 3] = reader.uint64();
  }
  const [, last, number, revision, position, stampMs, space, slot, , , oldRevision] = numbers;
  const kind = required(kindOf.get(number ?? 0));
  return {
    place: { revision: revision as LogIndex, position: position ?? 0 },
    kind,
    last: last === 1,
    stampMs: stampMs as StampMs,
    space: space as SpaceId,
    slot: slot as Slot,
    tuple: { ...required(tuple), state: kind === 'taken' ? 'handed' : 'ready' },
    old: oldBytes && { revision: oldRevision as LogIndex, bytes: oldBytes },
  };
}
