/**
 * Notify streams (SPEC §8): each reads the history of the partitions it addresses, at the speed of
 * its consumer. It holds a place for each partition and no events but one message's.
 */
import { FieldOffsets, matchTuple, type Template } from '@tuplet/proto';
import { present } from '../base/assert.ts';
import type { PartitionId, SpaceId } from '../base/ids.ts';
import {
  cursorEventsMax,
  heartbeatMs,
  notifyEventsMax,
  notifyLooksMax,
  notifyMessageBytes,
} from '../base/limits.ts';
import type { HistoryKind, SpaceEvent } from '../space/history.ts';
import { decodeCursor, encodeCursor, type Place } from './cursor.ts';
import { type Failure, invalid, isFailure } from './failure.ts';
import type { Histories, HistoryBounds, HistoryReader } from './histories.ts';
import type { SpaceRef } from './request.ts';
import type { SpaceDirectory } from './routing.ts';

/** What a client asks of a stream. */
export interface NotifyRequest {
  readonly space: SpaceRef;
  /** undefined: all tuples. */
  readonly template: Uint8Array | undefined;
  /** Empty: all kinds. */
  readonly kinds: ReadonlySet<HistoryKind>;
  /** undefined: from now. */
  readonly cursor: Uint8Array | undefined;
  /** Places of events received after the cursor, the latest of each partition. */
  readonly seen: readonly { readonly partition: number; readonly place: Place }[];
}

/** An event as the stream hands it out. */
export interface NotifyEvent {
  readonly event: SpaceEvent;
  readonly partition: PartitionId;
  /** Whether no further event of its revision follows on this stream. */
  readonly last: boolean;
}

/** One message: events, a cursor that lies after them, or both. */
export interface NotifyMessage {
  readonly events: readonly NotifyEvent[];
  readonly cursor: Uint8Array | undefined;
}

/** Where one partition's reading stands. */
interface Reading {
  readonly partition: PartitionId;
  readonly history: HistoryReader;
  /** The last event read. */
  place: Place;
  /** A matching event that is not handed out yet: whether it is the last of its revision is not known. */
  held: SpaceEvent | undefined;
  /** Whether that is known, and it only had no room in the last message. */
  heldIsLast: boolean;
  /** Whether every event handed out belongs to a revision that was handed out whole. */
  atBoundary: boolean;
}

/** Opens a stream, or says why not: once, perhaps at once. `wake`: there may be more to pull, until it is closed. */
export function openNotify(
  sources: { readonly spaces: SpaceDirectory; readonly histories: Histories },
  request: NotifyRequest,
  wake: () => void,
  opened: (outcome: NotifyStream | Failure) => void,
): void {
  const { spaces, histories } = sources;
  const space = spaces.resolve(request.space);
  if (isFailure(space)) {
    opened(space);
    return;
  }
  const target =
    request.template === undefined
      ? { template: undefined, partitions: space.everywhere() }
      : space.lastingTarget(request.template, 'template');
  if (isFailure(target)) {
    opened(target);
    return;
  }
  openReaders(histories, { partitions: target.partitions, wake }, (readers) => {
    const { template } = target;
    const { kinds } = request;
    if (isFailure(readers)) opened(readers);
    else opened(streamOver(histories, request, { space: space.id, template, kinds, readers }));
  });
}

/** The stream over histories that are open; closes them where it cannot begin. */
function streamOver(
  histories: Histories,
  request: NotifyRequest,
  parts: {
    readonly space: SpaceId;
    readonly template: Template | undefined;
    readonly kinds: ReadonlySet<HistoryKind>;
    readonly readers: ReadonlyMap<PartitionId, OpenHistory>;
  },
): NotifyStream | Failure {
  const { readers, ...rest } = parts;
  const starts = startOf(histories, request, parts.space, readers);
  if (isFailure(starts)) {
    for (const { reader } of readers.values()) reader.close();
    return starts;
  }
  const places = [...starts].map(([partition, place]) => ({
    partition,
    place,
    history: present(readers.get(partition), 'each has a reader').reader,
  }));
  return new NotifyStream(histories, { ...rest, places });
}

/** A history that is open, and where it begins and ends. */
interface OpenHistory {
  readonly reader: HistoryReader;
  readonly bounds: HistoryBounds;
}

/** Opens all of them; fails with the first that nobody has. */
function openReaders(
  histories: Histories,
  { partitions, wake }: { readonly partitions: readonly PartitionId[]; readonly wake: () => void },
  opened: (readers: ReadonlyMap<PartitionId, OpenHistory> | Failure) => void,
): void {
  const readers = partitions.map((each) => [each, histories.open(each, wake)] as const);
  const open = new Map<PartitionId, OpenHistory>();
  let isOver = false;
  for (const [partition, reader] of readers) {
    reader.bounds((bounds) => {
      if (isOver) return;
      if (bounds !== undefined) open.set(partition, { reader, bounds });
      if (bounds !== undefined && open.size < readers.length) return;
      isOver = true;
      if (bounds !== undefined) return opened(open);
      for (const [, each] of readers) each.close();
      opened(historyUnavailable(partition));
    });
  }
}

function startOf(
  histories: Histories,
  request: NotifyRequest,
  space: SpaceId,
  readers: ReadonlyMap<PartitionId, OpenHistory>,
): ReadonlyMap<PartitionId, Place> | Failure {
  const places = new Map<PartitionId, Place>();
  if (request.cursor === undefined) {
    for (const [each, { bounds }] of readers) places.set(each, bounds.last);
  } else {
    const cursor = decodeCursor(request.cursor);
    if (
      cursor === undefined ||
      cursor.clusterId !== histories.clusterId ||
      cursor.space !== space
    ) {
      const message = 'the cursor was not given out by this cluster for this space';
      return invalid('CURSOR_INVALID', 'cursor', message);
    }
    for (const each of readers.keys()) {
      const place = cursor.places.get(each);
      if (place === undefined) {
        const message = `the cursor says nothing of partition ${each}: it is of another template`;
        return invalid('CURSOR_INVALID', 'cursor', message);
      }
      places.set(each, place);
    }
  }
  return withSeen(request, places) ?? compacted(readers, places) ?? places;
}

/** Moves places on to what was received after the cursor. */
function withSeen(request: NotifyRequest, places: Map<PartitionId, Place>): Failure | undefined {
  for (const [position, { partition, place }] of request.seen.entries()) {
    const at = places.get(partition as PartitionId);
    if (at === undefined) {
      const message = `partition ${partition} is none of those that this stream addresses`;
      return invalid('REQUEST_INVALID', `seen[${position}].partition`, message);
    }
    if (isBefore(at, place)) places.set(partition as PartitionId, place);
  }
  return undefined;
}

function compacted(
  readers: ReadonlyMap<PartitionId, OpenHistory>,
  places: ReadonlyMap<PartitionId, Place>,
): Failure | undefined {
  for (const [partition, place] of places) {
    const cut = readers.get(partition)?.bounds.cut;
    if (cut !== undefined && isBefore(place, cut)) return cursorCompacted(partition);
  }
  return undefined;
}

function isBefore(a: Place, b: Place): boolean {
  return a.revision < b.revision || (a.revision === b.revision && a.position < b.position);
}

function cursorCompacted(partition: PartitionId): Failure {
  const message = `partition ${partition} no longer keeps the events after the cursor`;
  return { reason: 'CURSOR_COMPACTED', message, partition };
}

function historyUnavailable(partition: PartitionId): Failure {
  const message = `no node could say for long what happened in partition ${partition}`;
  return { reason: 'NO_LEADER', message, partition };
}

/** One stream. Its owner pulls messages and is told when there may be more. */
export class NotifyStream {
  readonly #histories: Histories;
  readonly #space: SpaceId;
  readonly #template: Template | undefined;
  readonly #kinds: ReadonlySet<HistoryKind>;
  readonly #readings: readonly Reading[];
  readonly #offsets: FieldOffsets = new FieldOffsets();
  /** The reading that goes first in the next message: none starves. */
  #turn = 0;
  /** Events handed out since the last cursor. */
  #sinceCursor = 0;
  #cursorMs = Number.NEGATIVE_INFINITY;
  #cursorWanted = false;
  /** Events that the present pull has looked at. */
  #looks = 0;

  constructor(
    histories: Histories,
    options: {
      readonly space: SpaceId;
      readonly template: Template | undefined;
      readonly kinds: ReadonlySet<HistoryKind>;
      readonly places: readonly Pick<Reading, 'partition' | 'place' | 'history'>[];
    },
  ) {
    this.#histories = histories;
    this.#space = options.space;
    this.#template = options.template;
    this.#kinds = options.kinds;
    this.#readings = options.places.map((each) => ({
      ...each,
      held: undefined,
      heldIsLast: false,
      atBoundary: true,
    }));
  }

  /** The space it follows. */
  get space(): SpaceId {
    return this.#space;
  }

  /** Lets go of the partitions. */
  close(): void {
    for (const { history } of this.#readings) history.close();
  }

  /** Whether the last pull ended before the histories did: to be pulled again, a little later. */
  get hasMore(): boolean {
    return this.#looks >= notifyLooksMax;
  }

  /**
   * The next message; undefined where there is nothing to say, now or yet (`hasMore`). Pull again
   * until then. It looks at a bounded number of events: few of a long history may match.
   */
  next(): NotifyMessage | undefined | Failure {
    const events: NotifyEvent[] = [];
    let bytes = 0;
    // The first message is a cursor alone: the stream's beginning.
    if (this.#cursorMs === Number.NEGATIVE_INFINITY) return { events, cursor: this.#cursor() };
    this.#cursorWanted = false;
    this.#looks = 0;
    // Who stands inside a revision goes on first, so that at most one does.
    const inside = this.#readings.findIndex((each) => !isAtBoundary(each));
    const first = inside < 0 ? this.#turn : inside;
    for (let count = 0; count < this.#readings.length && !this.#cursorWanted; count += 1) {
      if (this.hasMore) break;
      const at = (first + count) % this.#readings.length;
      const reading = present(this.#readings[at], 'a reading lies inside the list');
      const room = { events: notifyEventsMax - events.length, bytes: notifyMessageBytes - bytes };
      if (room.events <= 0 || room.bytes <= 0) break;
      const more = this.#read(reading, room, events);
      if (more === 'compacted') return cursorCompacted(reading.partition);
      if (more === 'unavailable') return historyUnavailable(reading.partition);
      bytes += more;
      if (!isAtBoundary(reading)) break;
    }
    this.#turn = (this.#turn + 1) % this.#readings.length;
    this.#sinceCursor += events.length;
    const cursor = this.#cursor();
    return events.length === 0 && cursor === undefined ? undefined : { events, cursor };
  }

  /** When a heartbeat is due, on the clock of `Histories`. */
  get heartbeatMs(): number {
    return this.#cursorMs + heartbeatMs;
  }

  /** Reads on in one partition; returns about how many bytes it added. */
  #read(
    reading: Reading,
    room: { readonly events: number; readonly bytes: number },
    events: NotifyEvent[],
  ): number | 'compacted' | 'unavailable' {
    const begin = events.length;
    let bytes = reading.heldIsLast ? this.#endRevision(reading, events) : 0;
    while (!this.hasMore) {
      const read = reading.history.read(reading.place, room.events, room.bytes);
      if (read === 'compacted' || read === 'unavailable') return read;
      if (read.length === 0) return bytes;
      this.#looks += read.length;
      for (const [at, event] of read.entries()) {
        if (events.length - begin >= room.events || bytes >= room.bytes) return bytes;
        if (this.#cursorComesBefore(reading, read, at, events.length)) return bytes;
        bytes += this.#pass(reading, event, events);
        if (reading.heldIsLast) return bytes;
      }
    }
    return bytes;
  }

  /**
   * Whether a cursor must come before the revision that begins at `at`, because the next chance
   * comes after it: no cursor lies inside a revision, and one comes at least every 1,000 events.
   */
  #cursorComesBefore(
    reading: Reading,
    read: readonly SpaceEvent[],
    at: number,
    events: number,
  ): boolean {
    if (!isAtBoundary(reading)) return false;
    const since = this.#sinceCursor + events;
    if (since === 0) return false;
    const last = read.findIndex((event, position) => position >= at && event.last);
    const revisionEvents = last < 0 ? cursorEventsMax : last - at + 1;
    if (since + revisionEvents <= cursorEventsMax) return false;
    this.#cursorWanted = true;
    return true;
  }

  /** Moves on past one event; returns the bytes that it handed out. */
  #pass(reading: Reading, event: SpaceEvent, events: NotifyEvent[]): number {
    const { partition } = reading;
    let bytes = 0;
    reading.place = event.place;
    if (this.#wants(event)) {
      if (reading.held !== undefined) {
        events.push({ event: reading.held, partition, last: false });
        reading.atBoundary = false;
        bytes += bytesOf(reading.held);
      }
      reading.held = event;
    }
    if (!event.last) return bytes;
    // Two of the largest tuples do not fit one message.
    reading.heldIsLast =
      bytes > 0 && reading.held !== undefined && bytes + bytesOf(reading.held) > notifyMessageBytes;
    return reading.heldIsLast ? bytes : bytes + this.#endRevision(reading, events);
  }

  /** The last event of a revision goes out, if one was held; returns its bytes. */
  #endRevision(reading: Reading, events: NotifyEvent[]): number {
    const { partition, held } = reading;
    reading.held = undefined;
    reading.heldIsLast = false;
    reading.atBoundary = true;
    if (held === undefined) return 0;
    events.push({ event: held, partition, last: true });
    return bytesOf(held);
  }

  #wants(event: SpaceEvent): boolean {
    if (event.space !== this.#space) return false;
    if (this.#kinds.size > 0 && !this.#kinds.has(event.kind)) return false;
    if (this.#matches(event.tuple.bytes)) return true;
    return event.old !== undefined && this.#matches(event.old.bytes);
  }

  #matches(bytes: Uint8Array): boolean {
    if (this.#template === undefined) return true;
    return matchTuple(this.#template, bytes, this.#offsets.scan(bytes));
  }

  /** A cursor, if one is due and no reading stands inside a revision. */
  #cursor(): Uint8Array | undefined {
    const now = this.#histories.nowMs();
    if (!this.#cursorWanted && now < this.heartbeatMs) return undefined;
    if (!this.#readings.every(isAtBoundary)) return undefined;
    this.#sinceCursor = 0;
    this.#cursorMs = now;
    const places = new Map(this.#readings.map(({ partition, place }) => [partition, place]));
    return encodeCursor({ clusterId: this.#histories.clusterId, space: this.#space, places });
  }
}

/** Whether no revision is handed out in part, or about to be. */
function isAtBoundary({ atBoundary, held }: Reading): boolean {
  return atBoundary && held === undefined;
}

function bytesOf({ tuple, old }: SpaceEvent): number {
  return tuple.bytes.length + (old === undefined ? 0 : old.bytes.length) + eventOverheadBytes;
}

/** Bytes of an event besides its tuples. */
const eventOverheadBytes = 96;
