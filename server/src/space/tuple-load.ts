/** A snapshot's tuples: there may be a million of them, so nothing is made for each. */
import type { Reader } from '@tuplet/proto';
import type { LogIndex, Slot, SpaceId, StampMs } from '../base/ids.ts';
import {
  lengthTag,
  nextTag,
  positive,
  readFlag,
  unknownField,
  varintTag,
} from '../base/wire-fields.ts';
import type { TupleColumns } from './rows.ts';

type TupleField =
  | 'id'
  | 'revision'
  | 'space'
  | 'slot'
  | 'writtenAtMs'
  | 'leaseEndMs'
  | 'deliveries'
  | 'handed'
  | 'bytes';

/** The fields of a tuple in a snapshot, for those who read and who write it. */
export const tupleTags: Readonly<Record<TupleField, number>> = {
  id: varintTag(1),
  revision: varintTag(2),
  space: varintTag(3),
  slot: varintTag(4),
  writtenAtMs: varintTag(5),
  leaseEndMs: varintTag(6),
  deliveries: varintTag(7),
  handed: varintTag(8),
  bytes: lengthTag(9),
};

/** The tuple read last. One serves all tuples of a snapshot. */
export class LoadedTuple implements TupleColumns {
  /** Its id, not yet checked. */
  id = 0;
  /** The counter in it; set by who has checked it. */
  counter = 0;
  revision: LogIndex = 0 as LogIndex;
  space: SpaceId = 0 as SpaceId;
  slot: Slot = 0 as Slot;
  writtenAtMs: StampMs = 0 as StampMs;
  leaseEndMs: number = Number.POSITIVE_INFINITY;
  deliveries = 0;
  handed = false;
  /** Where its bytes begin in the reader's. */
  from = 0;
  /** Where they end. */
  to = 0;
}

/** Reads the tuple up to the reader's end. Throws DecodeError. */
export function readTuple(reader: Reader, tuple: LoadedTuple): void {
  let [id, revision, space, slot, writtenAtMs, deliveries] = [0, 0, 0, 0, 0, 0];
  tuple.leaseEndMs = Number.POSITIVE_INFINITY;
  tuple.handed = false;
  tuple.from = tuple.to = reader.end;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === tupleTags.id) id = reader.uint64();
    else if (tag === tupleTags.revision) revision = reader.uint64();
    else if (tag === tupleTags.space) space = reader.uint64();
    else if (tag === tupleTags.slot) slot = reader.uint64();
    else if (tag === tupleTags.writtenAtMs) writtenAtMs = reader.uint64();
    else if (tag === tupleTags.leaseEndMs) tuple.leaseEndMs = reader.uint64();
    else if (tag === tupleTags.deliveries) deliveries = reader.uint64();
    else if (tag === tupleTags.handed) tuple.handed = readFlag(reader);
    else if (tag === tupleTags.bytes) {
      const size = reader.length();
      tuple.from = reader.advance(size);
      tuple.to = tuple.from + size;
    } else throw unknownField();
  }
  tuple.id = id;
  tuple.revision = positive(revision) as LogIndex;
  tuple.space = positive(space) as SpaceId;
  tuple.slot = slot as Slot;
  tuple.writtenAtMs = writtenAtMs as StampMs;
  tuple.deliveries = deliveries;
}
