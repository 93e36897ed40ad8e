/**
 * The observer: it reads each partition's events after every turn and writes them down as the
 * committed history. After a restart it reads again what recovery has applied, and it must be the
 * same: an applied entry is durable, and replay is deterministic.
 */
import { present } from '../src/base/assert.ts';
import type { PartitionId, SpaceId } from '../src/base/ids.ts';
import { limits } from '../src/base/limits.ts';
import type { PartitionHost } from '../src/partition/partition-host.ts';
import { comparePlaces, type EventPlace, type SpaceEvent } from '../src/space/history.ts';
import type { StoredTuple } from '../src/space/outcome.ts';
import type { EventJson, EventKindJson, Violation } from './check/history.ts';
import type { Recorder } from './check/recorder.ts';
import { tupleOf } from './wire.ts';

/** Reads so many events at once. */
const readMax = 4096;
const readBytesMax = 2 ** 30;

/** A leader's event as a history writes it. */
function eventOf(partition: PartitionId, space: string, event: SpaceEvent): EventJson {
  const { place, tuple, old } = event;
  return {
    kind: event.kind.toUpperCase() as EventKindJson,
    space,
    partition,
    revision: place.revision,
    position: place.position,
    last: event.last,
    atMs: event.stampMs,
    ...whatIs(tuple),
    old: old === undefined ? null : tupleOf(old.bytes),
  };
}

function whatIs(
  tuple: StoredTuple,
): Pick<EventJson, 'id' | 'tupleRevision' | 'deliveries' | 'leaseEndMs' | 'tuple'> {
  return {
    id: tuple.id,
    tupleRevision: tuple.revision,
    deliveries: tuple.deliveries,
    leaseEndMs: tuple.leaseEndMs ?? null,
    tuple: tupleOf(tuple.bytes),
  };
}

/** Events after which a tuple stands ready. */
const readyAfter: ReadonlySet<SpaceEvent['kind']> = new Set(['written', 'returned', 'replaced']);

interface Known {
  last: EventPlace;
  /** By place: what was seen there. */
  readonly events: Map<string, { readonly atMs: number; readonly text: string }>;
  /** By tuple: the form in which the events left it ready; undefined where some were not seen. */
  ready: Map<number, string> | undefined;
  /** Sessions whose end was applied here. */
  ended: number;
}

/** Who hears of what the tap sees for the first time. */
export interface TapListener {
  event(event: EventJson): void;
  /** A partition has applied the end of a session. */
  sessionEnded(): void;
}

/** One for a run; attached to each life of the node. */
export class Tap {
  readonly violations: Violation[] = [];
  /**
   * Events were cut that nobody had seen yet: at a restart whose wall clock had jumped past the time
   * that history is kept, or by many bytes in one turn where little is kept. What was observed is then
   * not the whole committed history.
   */
  isBlind = false;
  readonly #recorder: Recorder;
  readonly #streams: Map<string, number> = new Map();
  readonly #known: Map<PartitionId, Known> = new Map();
  readonly #listener: TapListener;
  readonly #historyBytesMax: number;

  constructor(recorder: Recorder, listener: TapListener, historyBytesMax: number) {
    this.#recorder = recorder;
    this.#listener = listener;
    this.#historyBytesMax = historyBytesMax;
  }

  /** Observes a space of this name, from its first event on. */
  observe(space: string): void {
    const asked = { space, template: null, kinds: [], observer: true };
    this.#streams.set(space, this.#recorder.invoke('observer', 'notify', asked));
  }

  /** Follows a node that has just begun to serve. */
  attach(host: PartitionHost, partitions: readonly PartitionId[]): void {
    for (const partition of partitions) {
      this.#replayed(host, partition);
      this.#read(host, partition, true);
      this.#compare(host, partition);
      host.onApplied(partition, () => this.#read(host, partition, false));
    }
  }

  /** What stands ready is what the events left ready: nothing came, changed or went beside them. */
  compare(host: PartitionHost, partitions: readonly PartitionId[]): void {
    for (const partition of partitions) this.#compare(host, partition);
  }

  #compare(host: PartitionHost, partition: PartitionId): void {
    const { ready } = this.#knownOf(partition);
    if (ready === undefined) return;
    const space = host.spaceOf(partition);
    let count = 0;
    for (const name of this.#streams.keys()) {
      const id = host.map.cluster.space(name)?.id;
      if (id === undefined) continue;
      for (let row = space.oldestReady(id); row >= 0; row = space.nextReady(row)) {
        count += 1;
        const stored = space.stored(row);
        const left = ready.get(stored.id);
        if (left === formOf(stored)) continue;
        const was = left === undefined ? 'not ready' : `ready as ${left}`;
        this.#say(
          `partition ${partition}: tuple ${stored.id} is ready as ${formOf(stored)}, and its events left it ${was}`,
        );
      }
    }
    if (count >= ready.size) return;
    this.#say(`partition ${partition}: ${ready.size} tuples were left ready, and ${count} are`);
  }

  #knownOf(partition: PartitionId): Known {
    const known = this.#known.get(partition);
    if (known !== undefined) return known;
    const last = { revision: 0 as never, position: 0 };
    const fresh: Known = { last, events: new Map(), ready: new Map(), ended: 0 };
    this.#known.set(partition, fresh);
    return fresh;
  }

  /** What was seen before the restart must be there again, and be the same. */
  #replayed(host: PartitionHost, partition: PartitionId): void {
    const known = this.#knownOf(partition);
    const { history, stampMs } = host.spaceOf(partition);
    if (comparePlaces(history.lastPlace, known.last) < 0) {
      this.#say(`partition ${partition} lost what it had applied at ${known.last.revision}`);
    }
    const kept = history.read(history.cutPlace, readMax, readBytesMax);
    const there = new Set<string>();
    for (const event of kept === 'compacted' ? [] : kept) {
      const key = keyOf(event.place);
      there.add(key);
      const before = known.events.get(key)?.text;
      if (before === undefined || before === this.#textOf(host, partition, event)) continue;
      this.#say(`partition ${partition} applied ${key} differently after a restart`);
    }
    if (this.#historyBytesMax < limits.historyBytesMax) return;
    // So much is kept here that only age cuts.
    for (const [key, { atMs }] of known.events) {
      if (there.has(key) || atMs + limits.historyMs <= stampMs) continue;
      this.#say(`partition ${partition} forgot the event ${key} in a restart`);
      return;
    }
  }

  #read(host: PartitionHost, partition: PartitionId, atStart: boolean): void {
    const known = this.#knownOf(partition);
    const { history, sessionCounts } = host.spaceOf(partition);
    if (sessionCounts.ended > known.ended) this.#listener.sessionEnded();
    known.ended = sessionCounts.ended;
    const events = history.read(known.last, readMax, readBytesMax);
    if (events === 'compacted') {
      if (atStart || this.#historyBytesMax < limits.historyBytesMax) this.isBlind = true;
      else this.#say(`partition ${partition} cut events before anybody could see them`);
      known.last = history.cutPlace;
      known.ready = undefined;
      return;
    }
    for (const event of events) {
      known.last = event.place;
      const space = nameOf(host, event.space);
      const json = eventOf(partition, space, event);
      const text = JSON.stringify(json);
      known.events.set(keyOf(event.place), { atMs: event.stampMs, text });
      const { id } = event.tuple;
      if (readyAfter.has(event.kind)) known.ready?.set(id, formOf(event.tuple));
      else known.ready?.delete(id);
      const stream = this.#streams.get(space);
      if (stream === undefined) continue;
      this.#recorder.event(stream, 'observer', json);
      this.#listener.event(json);
    }
  }

  #textOf(host: PartitionHost, partition: PartitionId, event: SpaceEvent): string {
    return JSON.stringify(eventOf(partition, nameOf(host, event.space), event));
  }

  #say(message: string): void {
    this.violations.push({ checker: 'replay', message, operations: [] });
  }
}

/** A tuple's form, as two that are the same share it. */
function formOf({ revision, deliveries }: StoredTuple): string {
  return `${revision}/${deliveries}`;
}

function keyOf(place: EventPlace): string {
  return `${place.revision}.${place.position}`;
}

function nameOf(host: PartitionHost, space: SpaceId): string {
  return present(host.map.cluster.spaceById(space), 'an event is of a space').name;
}
