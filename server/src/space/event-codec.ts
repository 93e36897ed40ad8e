/**
 * Events as bytes, kept in memory and in snapshots (`tuplet.internal.v1`, snapshot.proto, has the
 * table). Each write and each take makes some, and each makes an old one go: so an event is written
 * straight from the tuple's row to where it stays, with everything but its bytes at a fixed place.
 */
import { malformed } from '@tuplet/proto';
import type { LogIndex, Slot, SpaceId, StampMs, TupleId } from '../base/ids.ts';
import { required } from '../base/wire-fields.ts';
import type { Room } from './byte-log.ts';
import type { EventPlace, HistoryKind, SpaceEvent } from './history.ts';
import type { StoredTuple } from './outcome.ts';
import type { Row } from './rows.ts';
import type { TupleStore } from './tuple-store.ts';

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

// Where a field begins in an event. Numbers beyond 32 bits have 16 more (`…High`), but for the id, which has 32.
/** An event's `last` flag, which is set once the entry is applied. */
export const lastFlagAt = 0;
const kindAt = 1;
const slotAt = 2;
const positionAt = 4;
const revisionAt = 8;
const stampAt = 12;
const revisionHighAt = 16;
const stampHighAt = 18;
const spaceAt = 20;
const idAt = 24;
const idHighAt = 28;
const tupleRevisionAt = 32;
const writtenAt = 36;
const leaseEndAt = 40;
const tupleRevisionHighAt = 44;
const writtenHighAt = 46;
const deliveriesAt = 48;
const sizeAt = 52;
const leaseEndHighAt = 56;
const oldRevisionHighAt = 58;
const oldRevisionAt = 60;

/** Bytes of an event before those of its tuple, which those of the form before a replacement follow. */
export const eventHeadBytes = 64;

/** What an event says before it says of which tuple. Changed in place: one serves all events. */
export interface EventHead {
  revision: number;
  position: number;
  stampMs: number;
}

/** Bytes of an event about a row as it is now, with the form before a replacement. */
export function eventBytes(tuples: TupleStore, row: Row, old: StoredTuple | undefined): number {
  return eventHeadBytes + tuples.rows.size(row) + (old === undefined ? 0 : old.bytes.length);
}

/** Writes an event about a row as it is now, and the form before a replacement. There is room for it. */
export function putEvent(
  { bytes, view }: Room,
  at: number,
  kind: HistoryKind,
  head: EventHead,
  tuples: TupleStore,
  row: Row,
  old: StoredTuple | undefined,
): void {
  const { rows, slabs } = tuples;
  view.setUint32(at, (historyKinds[kind] << 8) | (rows.slot(row) << 16), true);
  view.setUint32(at + positionAt, head.position, true);
  putWide(view, at + revisionAt, at + revisionHighAt, head.revision);
  putWide(view, at + stampAt, at + stampHighAt, head.stampMs);
  view.setUint32(at + spaceAt, rows.space(row), true);
  const id = tuples.idOf(row);
  view.setUint32(at + idAt, id, true);
  view.setUint32(at + idHighAt, id / two32, true);
  putWide(view, at + tupleRevisionAt, at + tupleRevisionHighAt, rows.revision(row));
  putWide(view, at + writtenAt, at + writtenHighAt, rows.writtenAtMs(row));
  const leaseEndMs = rows.leaseEndMs(row);
  const leased = leaseEndMs < Number.POSITIVE_INFINITY;
  putWide(view, at + leaseEndAt, at + leaseEndHighAt, leased ? leaseEndMs : 0);
  view.setUint32(at + deliveriesAt, rows.deliveries(row), true);
  const size = rows.size(row);
  view.setUint32(at + sizeAt, size, true);
  putWide(view, at + oldRevisionAt, at + oldRevisionHighAt, old === undefined ? 0 : old.revision);
  slabs.copyInto(rows.place(row), size, bytes, view, at + eventHeadBytes);
  if (old !== undefined) bytes.set(old.bytes, at + eventHeadBytes + size);
}

/** Reads where and when an event stands that begins at `at`. */
export function readHead(view: DataView, at: number, head: EventHead): void {
  head.revision = wide(view, at + revisionAt, at + revisionHighAt);
  head.position = view.getUint32(at + positionAt, true);
  head.stampMs = wide(view, at + stampAt, at + stampHighAt);
}

/** Where an event stands. */
export function placeOf(record: Uint8Array): EventPlace {
  const head = { revision: 0, position: 0, stampMs: 0 };
  readHead(viewOf(record), 0, head);
  return { revision: head.revision as LogIndex, position: head.position };
}

/** An event from its bytes, which `putEvent` has written. Throws DecodeError. */
export function decodeEvent(record: Uint8Array): SpaceEvent {
  const view = viewOf(record);
  const kind = required(kindOf.get(view.getUint8(kindAt)));
  const head = { revision: 0, position: 0, stampMs: 0 };
  readHead(view, 0, head);
  const oldAt = eventHeadBytes + view.getUint32(sizeAt, true);
  const replaced = kind === 'replaced';
  if (oldAt > record.length || (oldAt < record.length && !replaced))
    throw malformed('an event has the bytes that it says');
  const leaseEndMs = wide(view, leaseEndAt, leaseEndHighAt);
  return {
    place: { revision: head.revision as LogIndex, position: head.position },
    kind,
    last: view.getUint8(lastFlagAt) === 1,
    stampMs: head.stampMs as StampMs,
    space: view.getUint32(spaceAt, true) as SpaceId,
    slot: view.getUint16(slotAt, true) as Slot,
    tuple: {
      id: (view.getUint32(idHighAt, true) * two32 + view.getUint32(idAt, true)) as TupleId,
      revision: wide(view, tupleRevisionAt, tupleRevisionHighAt) as LogIndex,
      bytes: record.slice(eventHeadBytes, oldAt),
      deliveries: view.getUint32(deliveriesAt, true),
      writtenAtMs: wide(view, writtenAt, writtenHighAt) as StampMs,
      leaseEndMs: leaseEndMs === 0 ? undefined : (leaseEndMs as StampMs),
      state: kind === 'taken' ? 'handed' : 'ready',
    },
    old: replaced
      ? {
          revision: wide(view, oldRevisionAt, oldRevisionHighAt) as LogIndex,
          bytes: record.slice(oldAt),
        }
      : undefined,
  };
}

const two32 = 2 ** 32;

/** Storing keeps the lower bits alone. */
function putWide(view: DataView, lowAt: number, highAt: number, value: number): void {
  view.setUint32(lowAt, value, true);
  view.setUint16(highAt, value / two32, true);
}

function wide(view: DataView, lowAt: number, highAt: number): number {
  return view.getUint16(highAt, true) * two32 + view.getUint32(lowAt, true);
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}
