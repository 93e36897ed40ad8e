/**
 * What happened to the tuples of a partition, in commit order (SPEC §8). Replicated state: every
 * replica cuts it at the same event.
 */
import { malformed, Reader, Writer } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { LogIndex, Slot, SpaceId, StampMs } from '../base/ids.ts';
import { ByteLog, type ByteLogCut } from './byte-log.ts';
import type { StoredTuple } from './outcome.ts';
import { readKept } from './result-codec.ts';
import type { Row } from './rows.ts';
import type { TupleStore } from './tuple-store.ts';
import {
  lengthTag,
  openField,
  positive,
  readFields,
  readNested,
  required,
  varintTag,
  writeNumber,
  writePresentNumber,
  writeRun,
} from './wire-fields.ts';

/** The kinds of events and their numbers on disk. */
export const HistoryKind = {
  written: 1,
  taken: 2,
  returned: 3,
  replaced: 4,
  expired: 5,
  cancelled: 6,
} as const;
/** What happened. A tuple of a dropped space is cancelled. */
export type HistoryKind = keyof typeof HistoryKind;

/** Where an event stands: the position of its entry, and its own among that entry's events, from 0. */
export interface EventPlace {
  readonly revision: LogIndex;
  readonly position: number;
}

/** One thing that happened to one tuple. */
export interface SpaceEvent {
  readonly place: EventPlace;
  readonly kind: HistoryKind;
  /** Whether it is the last of its revision. */
  readonly last: boolean;
  readonly stampMs: StampMs;
  readonly space: SpaceId;
  readonly slot: Slot;
  /** As it is after the event, or as it left. */
  readonly tuple: StoredTuple;
  /** The form before, where it was replaced. */
  readonly old: { readonly revision: LogIndex; readonly bytes: Uint8Array } | undefined;
}

/** How long events are kept: whichever bound comes first; 0 keeps none. */
export interface HistoryLimits {
  readonly historyBytesMax: number;
  readonly historyMs: number;
}

/** The place before every event. */
export const beforeAllEvents: EventPlace = { revision: 0 as LogIndex, position: 0 };

/** Below 0, 0 or above, as `a` stands before, at or after `b`. */
export function comparePlaces(a: EventPlace, b: EventPlace): number {
  return a.revision - b.revision || a.position - b.position;
}

const kindOf = new Map<number, HistoryKind>(
  (Object.keys(HistoryKind) as HistoryKind[]).map((kind) => [HistoryKind[kind], kind]),
);
/** An event begins with its `last` flag, so that it can be set once the entry is applied. */
const lastFlagAt = 1;

interface Head {
  readonly place: EventPlace;
  readonly stampMs: number;
}

const noEvent: Head = { place: beforeAllEvents, stampMs: Number.POSITIVE_INFINITY };

/** The event history of one partition. */
export class EventHistory {
  readonly #log = new ByteLog();
  readonly #limits: HistoryLimits;
  readonly #writer = new Writer(4_096);
  // Invariant: #cut is the place of the youngest event that is no longer kept.
  #cut = beforeAllEvents;
  #last = beforeAllEvents;
  /** The oldest event that is kept. */
  #oldest = noEvent;
  /** The last event of the entry that is being applied; -1: none. */
  #youngest = -1;

  constructor(limits: HistoryLimits) {
    this.#limits = limits;
  }

  /** The place of the youngest event ever: "now" for a new stream. */
  get lastPlace(): EventPlace {
    return this.#last;
  }

  /** The place of the youngest event that is no longer kept; a stream resumes from here or later. */
  get cutPlace(): EventPlace {
    return this.#cut;
  }

  /** Events kept. */
  get count(): number {
    return this.#log.count;
  }

  /** Bytes of the events kept. */
  get bytes(): number {
    return this.#log.payloadBytes;
  }

  /** Bytes of memory that they take. */
  get heldBytes(): number {
    return this.#log.heldBytes;
  }

  /**
   * Up to `eventsMax` events after a place, at most `bytesMax` of encoded events but at least one;
   * fewer at the end of the history. 'compacted' where an event after the place is gone.
   */
  read(
    after: EventPlace,
    eventsMax: number,
    bytesMax: number,
  ): readonly SpaceEvent[] | 'compacted' {
    if (comparePlaces(after, this.#cut) < 0) return 'compacted';
    if (comparePlaces(after, this.#last) >= 0) return [];
    const log = this.#log;
    let position = log.search((record) => comparePlaces(placeOf(record), after) > 0);
    const events: SpaceEvent[] = [];
    let bytes = 0;
    while (position < log.end && events.length < eventsMax) {
      const record = log.at(position);
      bytes += record.length;
      if (events.length > 0 && bytes > bytesMax) break;
      events.push(decodeEvent(record));
      position = log.next(position);
    }
    return events;
  }

  /** Adds an event about a row as it is now. `old` is the form before a replacement. */
  add(kind: HistoryKind, state: EventSource, row: Row, old?: StoredTuple): void {
    const { tuples, appliedIndex, stampMs } = state;
    const position = this.#last.revision === appliedIndex ? this.#last.position + 1 : 0;
    this.#last = { revision: appliedIndex, position };
    if (this.#limits.historyBytesMax === 0 || this.#limits.historyMs === 0) {
      this.#cut = this.#last;
      return;
    }
    const writer = this.#writer;
    writer.reset();
    writePresentNumber(writer, 1, 0);
    writeNumber(writer, 2, HistoryKind[kind]);
    writeNumber(writer, 3, appliedIndex);
    writeNumber(writer, 4, position);
    writePresentNumber(writer, 5, stampMs);
    writeNumber(writer, 6, tuples.rows.space(row));
    writeNumber(writer, 7, tuples.rows.slot(row));
    writeRow(writer, tuples, row);
    if (old !== undefined) {
      writer.uint32(lengthTag(9));
      writer.lengthDelimited(old.bytes);
      writeNumber(writer, 10, old.revision);
    }
    if (this.#log.count === 0) this.#oldest = { place: this.#last, stampMs };
    this.#youngest = this.#log.append(writer.bytes, writer.position);
  }

  /** An entry has been applied: its last event is marked, and the oldest events go. */
  endEntry(stampMs: StampMs): void {
    if (this.#youngest >= 0) {
      this.#log.patch(this.#youngest, lastFlagAt, 1);
      this.#youngest = -1;
    }
    const { historyBytesMax, historyMs } = this.#limits;
    while (
      this.#log.payloadBytes > historyBytesMax ||
      this.#oldest.stampMs + historyMs <= stampMs
    ) {
      this.#cutFirst();
    }
  }

  /** The encoded events as they are now, for a snapshot or a hash. */
  cut(): ByteLogCut {
    return this.#log.cut();
  }

  /** Loading: an encoded event, oldest first. Throws DecodeError where it is not one. */
  load(record: Uint8Array): void {
    const { place, stampMs } = decodeEvent(record);
    if (this.#log.count === 0) this.#oldest = { place, stampMs };
    this.#log.append(record);
  }

  /** Loading: where the history was cut, and where it ends. */
  loadPlaces(cut: EventPlace, last: EventPlace): void {
    this.#cut = cut;
    this.#last = last;
  }

  /** Costly check: places rise, revisions end with a marked event, bounds and counts hold. */
  verify(stampMs: StampMs): void {
    let previous = this.#cut;
    let ended = true;
    let count = 0;
    for (let at = this.#log.first; at < this.#log.end; at = this.#log.next(at)) {
      const event = decodeEvent(this.#log.at(at));
      const { place } = event;
      assert(comparePlaces(previous, place) < 0, 'events stand in commit order');
      if (count > 0)
        assert(ended === place.revision > previous.revision, 'the last event is marked');
      assert(event.stampMs + this.#limits.historyMs > stampMs, 'old events are cut');
      ended = event.last;
      previous = place;
      count += 1;
    }
    assert(ended, 'the last event of the last revision is marked');
    assert(count === this.#log.count, 'events are counted');
    assert(comparePlaces(previous, this.#last) === 0, 'the history ends at its last place');
    assert(this.#log.payloadBytes <= this.#limits.historyBytesMax, 'the history is bounded');
  }

  #cutFirst(): void {
    const { place } = this.#oldest;
    // A life with a history may be followed by one without, which has said `cut` of a younger event.
    if (comparePlaces(place, this.#cut) > 0) this.#cut = place;
    this.#log.cutFirst();
    const { first } = this.#log;
    this.#oldest = this.#log.count === 0 ? noEvent : decodeHead(this.#log.reader(first));
  }
}

/** The state that an entry is being applied to. */
export interface EventSource {
  /** The entry. */
  readonly appliedIndex: LogIndex;
  readonly stampMs: StampMs;
  readonly tuples: TupleStore;
}

/** The row's tuple as field 8, without making an object of it. */
function writeRow(writer: Writer, tuples: TupleStore, row: Row): void {
  const { rows } = tuples;
  const mark = openField(writer, 8);
  writeNumber(writer, 1, tuples.idOf(row));
  writeNumber(writer, 2, rows.revision(row));
  writeNumber(writer, 3, rows.writtenAtMs(row));
  const leaseEndMs = rows.leaseEndMs(row);
  if (leaseEndMs < Number.POSITIVE_INFINITY) writePresentNumber(writer, 4, leaseEndMs);
  writeNumber(writer, 5, rows.deliveries(row));
  writeRun(
    writer,
    6,
    tuples.slabs.chunkOf(rows.place(row)),
    tuples.slabs.startOf(rows.place(row)),
    rows.size(row),
  );
  writer.close(mark);
}

/** The fields before the tuple, which every event has in this order. */
function decodeHead(reader: Reader): Head {
  reader.advance(4);
  reader.tag();
  const revision = reader.uint64();
  let position = 0;
  let tag = reader.tag();
  if (tag === varintTag(4)) {
    position = reader.uint32();
    tag = reader.tag();
  }
  assert(tag === varintTag(5), 'an event carries its stamp');
  return { place: { revision: revision as LogIndex, position }, stampMs: reader.uint64() };
}

function placeOf(record: Uint8Array): EventPlace {
  return decodeHead(new Reader(record)).place;
}

/** An event from its message. Throws DecodeError. */
export function decodeEvent(record: Uint8Array): SpaceEvent {
  const reader = new Reader(record);
  const numbers = new Array<number>(11).fill(0);
  let tuple: StoredTuple | undefined;
  let oldBytes: Uint8Array | undefined;
  readFields(reader, [], (tag) => {
    if (tag === lengthTag(8)) tuple = readNested(reader, readKept);
    else if (tag === lengthTag(9)) oldBytes = reader.lengthDelimited().slice();
    else if (tag === varintTag(tag >>> 3) && tag >>> 3 <= 10) numbers[tag >>> 3] = reader.uint64();
    else return false;
    return true;
  });
  const [, last, number, revision, position, stampMs, space, slot, , , oldRevision] = numbers;
  const kind = kindOf.get(number ?? 0);
  if (kind === undefined) throw malformed('an event has a kind');
  const stored = required(tuple);
  const state = kind === 'taken' ? 'handed' : 'ready';
  return {
    place: { revision: positive(revision ?? 0) as LogIndex, position: present(position, 'set') },
    kind,
    last: last === 1,
    stampMs: stampMs as StampMs,
    space: positive(space ?? 0) as SpaceId,
    slot: slot as Slot,
    tuple: { ...stored, state },
    old: oldBytes && { revision: oldRevision as LogIndex, bytes: oldBytes },
  };
}
