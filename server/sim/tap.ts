/**
 * The observer: it reads each partition's events after every turn and writes them down as the
 * committed history. After a restart it reads again what recovery has applied, and it must be the
 * same: an applied entry is durable, and replay is deterministic.
 */
import { present } from '../src/base/assert.ts';
import type { PartitionId, SpaceId } from '../src/base/ids.ts';
import { limits } from '../src/base/limits.ts';
import type { ClusterMap } from '../src/cluster/cluster-map.ts';
import type { PartitionHost } from '../src/partition/partition-host.ts';
import { comparePlaces, type EventPlace, type SpaceEvent } from '../src/space/history.ts';
import type { StoredTuple } from '../src/space/outcome.ts';
import type { EventJson, EventKindJson, Violation } from './check/history.ts';
import type { Recorder } from './check/recorder.ts';
import type { Seen } from './run-record.ts';
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
  readonly #names: Map<SpaceId, string> = new Map();
  readonly #listener: TapListener;
  readonly #historyBytesMax: number;

  constructor(recorder: Recorder, listener: TapListener, historyBytesMax: number) {
    this.#recorder = recorder;
    this.#listener = listener;
    this.#historyBytesMax = historyBytesMax;
  }

  /** The names of spaces, before a replica applies events of them whose own map is behind. */
  learn(map: ClusterMap): void {
    for (const { id, name } of map.spaces()) this.#names.set(id, name);
  }

  /** Observes a space of this name, from its first event on. */
  observe(space: string): void {
    const asked = { space, template: null, kinds: [], observer: true };
    this.#streams.set(space, this.#recorder.invoke('observer', 'notify', asked));
  }

  /** Follows a node that has just begun to serve. */
  attach(host: PartitionHost, seen: Seen): void {
    for (const partition of seen.partitions) {
      this.#replayed(host, partition);
      this.#read(host, partition, true);
      this.#compare(seen, partition);
      host.onApplied(partition, () => this.#read(host, partition, false));
    }
  }

  /**
   * Follows a replica of a partition, which may be behind others: what it applies is what they have applied,
   * or what none has before it.
   */
  attachReplica(host: PartitionHost, partition: PartitionId): void {
    let last = host.spaceOf(partition).history.cutPlace;
    const read = (atStart: boolean): void => {
      last = this.#readReplica(host, partition, { last, atStart });
    };
    read(true);
    host.onApplied(partition, () => read(false));
  }

  /** What stands ready is what the events left ready: nothing came, changed or went beside them. */
  compare(seen: Seen): void {
    for (const partition of seen.partitions) this.#compare(seen, partition);
  }

  #compare(seen: Seen, partition: PartitionId): void {
    const { ready } = this.#knownOf(partition);
    if (ready === undefined) return;
    const space = seen.spaceOf(partition);
    let count = 0;
    for (const name of this.#streams.keys()) {
      const id = seen.map.space(name)?.id;
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
      if (!atStart && this.#historyBytesMax >= limits.historyBytesMax) {
        this.#say(`partition ${partition} cut events before anybody could see them`);
      }
      this.#lost(known, history.cutPlace);
      return;
    }
    for (const event of events) this.#enter(host, partition, event);
  }

  /** Reads on from where this replica was; returns where it is now. */
  #readReplica(
    host: PartitionHost,
    partition: PartitionId,
    { last, atStart }: { readonly last: EventPlace; readonly atStart: boolean },
  ): EventPlace {
    const known = this.#knownOf(partition);
    const { history, sessionCounts } = host.spaceOf(partition);
    if (sessionCounts.ended > known.ended) this.#listener.sessionEnded();
    known.ended = Math.max(known.ended, sessionCounts.ended);
    const events = history.read(last, readMax, readBytesMax);
    if (events === 'compacted') {
      // A snapshot from the leader has led past events, or they were cut.
      if (comparePlaces(known.last, history.cutPlace) < 0) this.#lost(known, history.cutPlace);
      return this.#readReplica(host, partition, { last: history.cutPlace, atStart });
    }
    for (const event of events) {
      if (comparePlaces(event.place, known.last) > 0) this.#enter(host, partition, event);
      else {
        const key = keyOf(event.place);
        const before = known.events.get(key)?.text;
        if (before !== undefined && before !== this.#textOf(host, partition, event)) {
          this.#say(`partition ${partition} applied ${key} differently on two replicas`);
        }
      }
    }
    return events[events.length - 1]?.place ?? last;
  }

  /** Events went before anybody had seen them. */
  #lost(known: Known, cutPlace: EventPlace): void {
    this.isBlind = true;
    known.last = cutPlace;
    known.ready = undefined;
  }

  /** An event that nobody has seen before. */
  #enter(host: PartitionHost, partition: PartitionId, event: SpaceEvent): void {
    const known = this.#knownOf(partition);
    known.last = event.place;
    const space = this.#nameOf(host, event.space);
    const json = eventOf(partition, space, event);
    const text = JSON.stringify(json);
    known.events.set(keyOf(event.place), { atMs: event.stampMs, text });
    const { id } = event.tuple;
    if (readyAfter.has(event.kind)) known.ready?.set(id, formOf(event.tuple));
    else known.ready?.delete(id);
    const stream = this.#streams.get(space);
    if (stream === undefined) return;
    this.#recorder.event(stream, 'observer', json);
    this.#listener.event(json);
  }

  #textOf(host: PartitionHost, partition: PartitionId, event: SpaceEvent): string {
    return JSON.stringify(eventOf(partition, this.#nameOf(host, event.space), event));
  }

  #nameOf(host: PartitionHost, space: SpaceId): string {
    const name = host.map.cluster.spaceById(space)?.name ?? this.#names.get(space);
    return present(name, 'an event is of a space');
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
