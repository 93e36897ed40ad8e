/**
 * What happened to the tuples of a partition, in commit order (SPEC §8). Replicated state: every
 * replica cuts it at the same event.
 */
import { malformed, type Reader } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type { LogIndex, Slot, SpaceId, StampMs } from '../base/ids.ts';
import { ByteLog, type ByteLogCut } from './byte-log.ts';
import {
  decodeEvent,
  type EventHead,
  eventBytes,
  eventHeadBytes,
  type historyKinds,
  lastFlagAt,
  placeOf,
  putEvent,
  readHead,
} from './event-codec.ts';
import type { StoredTuple } from './outcome.ts';
import type { Row } from './rows.ts';
import { slackBytes } from './slabs.ts';
import type { TupleStore } from './tuple-store.ts';

/** What happened. A tuple of a dropped space is cancelled. */
export type HistoryKind = keyof typeof historyKinds;

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

/** The event history of one partition. */
export class EventHistory {
  readonly #log = new ByteLog();
  readonly #limits: HistoryLimits;
  readonly #keepsNone: boolean;
  // Invariant: #cut is the place of the youngest event that is no longer kept.
  readonly #cut: EventHead = noEvent();
  readonly #last: EventHead = noEvent();
  /** The oldest event that is kept; its stamp is Infinity where there is none. */
  readonly #oldest: EventHead = noEvent();
  /** The first event of what was loaded last. */
  readonly #loaded: EventHead = noEvent();
  /** The last event of the entry that is being applied; -1: none. */
  #youngest = -1;

  constructor(limits: HistoryLimits) {
    this.#limits = limits;
    this.#keepsNone = limits.historyBytesMax === 0 || limits.historyMs === 0;
  }

  /** The place of the youngest event ever: "now" for a new stream. */
  get lastPlace(): EventPlace {
    return placeIn(this.#last);
  }

  /** The place of the youngest event that is no longer kept; a stream resumes from here or later. */
  get cutPlace(): EventPlace {
    return placeIn(this.#cut);
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
    const records = this.records(after, eventsMax, bytesMax);
    return records === 'compacted' ? records : records.map(decodeEvent);
  }

  /** The same, encoded: views of what the history holds, until the next entry is applied. */
  records(
    after: EventPlace,
    eventsMax: number,
    bytesMax: number,
  ): readonly Uint8Array[] | 'compacted' {
    if (comparePlaces(after, this.cutPlace) < 0) return 'compacted';
    if (comparePlaces(after, this.lastPlace) >= 0) return [];
    const log = this.#log;
    let position = log.search((record) => comparePlaces(placeOf(record), after) > 0);
    const records: Uint8Array[] = [];
    let bytes = 0;
    while (position < log.end && records.length < eventsMax) {
      const record = log.at(position);
      bytes += record.length;
      if (records.length > 0 && bytes > bytesMax) break;
      records.push(record);
      position = log.next(position);
    }
    return records;
  }

  /** Adds an event about a row as it is now. `old` is the form before a replacement. */
  add(kind: HistoryKind, state: EventSource, row: Row, old?: StoredTuple): void {
    const { tuples, appliedIndex, stampMs } = state;
    const last = this.#last;
    last.position = last.revision === appliedIndex ? last.position + 1 : 0;
    last.revision = appliedIndex;
    last.stampMs = stampMs;
    if (this.#keepsNone) {
      copyHead(last, this.#cut);
      return;
    }
    const log = this.#log;
    if (log.count === 0) copyHead(last, this.#oldest);
    const length = eventBytes(tuples, row, old);
    const room = log.room(length + slackBytes);
    putEvent(room, log.writeAt, kind, last, tuples, row, old);
    this.#youngest = log.commit(length);
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

  /**
   * Loading: the encoded events up to the reader's end, oldest first; returns how many. Throws
   * DecodeError where they are not framed as events are, or do not begin after those before. What
   * else they say was written by `putEvent`, and is read when somebody asks for it.
   */
  load(reader: Reader): number {
    const log = this.#log;
    const begin = log.end;
    const count = log.appendRun(reader, eventHeadBytes);
    if (count === 0) throw malformed('an item has events');
    const { revision, position } = this.#loaded;
    readHead(log.viewOf(begin), log.startOf(begin), this.#loaded);
    const later = this.#loaded.revision - revision || this.#loaded.position - position;
    if (later <= 0) throw malformed('events are out of order');
    if (begin === log.first) copyHead(this.#loaded, this.#oldest);
    return count;
  }

  /** Loading: where the history was cut, and where it ends. */
  loadPlaces(cut: EventPlace, last: EventPlace): void {
    copyHead({ ...cut, stampMs: 0 }, this.#cut);
    copyHead({ ...last, stampMs: 0 }, this.#last);
  }

  /** Costly check: places rise, revisions end with a marked event, bounds and counts hold. */
  verify(stampMs: StampMs): void {
    let previous = this.cutPlace;
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
    assert(comparePlaces(previous, this.lastPlace) === 0, 'the history ends at its last place');
    assert(this.#log.payloadBytes <= this.#limits.historyBytesMax, 'the history is bounded');
  }

  #cutFirst(): void {
    const log = this.#log;
    const oldest = this.#oldest;
    const cut = this.#cut;
    // A life with a history may be followed by one without, which has said `cut` of a younger event.
    const later = oldest.revision - cut.revision || oldest.position - cut.position;
    if (later > 0) copyHead(oldest, cut);
    log.cutFirst();
    if (log.count === 0) oldest.stampMs = Number.POSITIVE_INFINITY;
    else readHead(log.viewOf(log.first), log.startOf(log.first), oldest);
  }
}

/** The state that an entry is being applied to. */
export interface EventSource {
  /** The entry. */
  readonly appliedIndex: LogIndex;
  readonly stampMs: StampMs;
  readonly tuples: TupleStore;
}

function noEvent(): EventHead {
  return { revision: 0, position: 0, stampMs: Number.POSITIVE_INFINITY };
}

function copyHead(from: EventHead, to: EventHead): void {
  to.revision = from.revision;
  to.position = from.position;
  to.stampMs = from.stampMs;
}

function placeIn({ revision, position }: EventHead): EventPlace {
  return { revision: revision as LogIndex, position };
}
