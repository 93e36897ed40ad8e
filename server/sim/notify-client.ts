/** A client that follows a space (SPEC §8), over a simulated connection. */
import { encodeTemplate } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import type { Link, Net } from '../src/base/doors.ts';
import type { Prng } from '../src/base/prng.ts';
import type { EventJson, EventKindJson } from './check/history.ts';
import type { Recorder } from './check/recorder.ts';
import type { TemplateJson } from './check/values.ts';
import type { SimProcess } from './scheduler.ts';
import { specOf, stampOfTimestamp, tupleOf } from './wire.ts';

const kindNames = ['WRITTEN', 'TAKEN', 'RETURNED', 'REPLACED', 'EXPIRED', 'CANCELLED'] as const;

interface Place {
  readonly partition: number;
  readonly revision: number;
  readonly position: number;
}

/** What a follower is made of. */
export interface FollowerOptions {
  readonly process: SimProcess;
  readonly net: Net;
  readonly random: Prng;
  readonly recorder: Recorder;
  readonly address: () => string;
  readonly space: string;
  readonly template: TemplateJson | null;
  readonly kinds: readonly EventKindJson[];
  /** The stream went on from where it was. */
  readonly onResume: () => void;
  /** Its history was cut behind it: it ends, and begins anew as another. */
  readonly onCompacted: () => void;
}

/**
 * Follows by the letter of SPEC §8: resumes with the last cursor and the later events' places; hands a
 * revision out when its last event has come.
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #id: number;
  #link: Link | undefined;
  #cursor: Uint8Array | undefined;
  #seen = new Map<number, Place>();
  #begun = new Map<number, EventJson[]>();
  #failures = 0;
  #ended = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    const { recorder, process, space, template, kinds } = options;
    this.#id = recorder.invoke(process.name, 'notify', { space, template, kinds });
    this.#connect();
  }

  /** Breaks its connection, as its own kernel may. */
  reconnect(): void {
    const link = this.#link;
    if (link === undefined || this.#ended) return;
    this.#link = undefined;
    link.close();
    this.#again();
  }

  #connect(): void {
    const { net, address, process } = this.#options;
    if (this.#ended || !process.alive) return;
    if (this.#cursor !== undefined) this.#options.onResume();
    this.#begun.clear();
    const isCurrent = (): boolean => this.#link === link;
    const link: Link = net.connect(`${address()}/notify`, {
      message: (bytes) => {
        if (isCurrent()) this.#message(bytes);
      },
      drained: () => undefined,
      closed: () => {
        if (!isCurrent()) return;
        this.#link = undefined;
        this.#again();
      },
    });
    this.#link = link;
    link.send(this.#request());
  }

  #again(): void {
    this.#failures++;
    const pauseMs = Math.min(1000, 20 * 2 ** Math.min(6, this.#failures));
    this.#options.process.after(this.#options.random.between(1, pauseMs * 1000), () =>
      this.#connect(),
    );
  }

  #request(): Uint8Array {
    const { space, template, kinds } = this.#options;
    return contract.NotifyRequest.encode({
      space: { name: space },
      template: template === null ? null : encodeTemplate(specOf(template)),
      kinds: kinds.map((kind) => (kindNames.indexOf(kind) + 1) as contract.EventKind),
      from:
        this.#cursor === undefined
          ? { kind: 'now', value: {} }
          : { kind: 'cursor', value: this.#cursor },
      seen: [...this.#seen.values()],
    });
  }

  /** The first byte says what follows: an answer, or the reason why the stream ends. */
  #message(bytes: Uint8Array): void {
    if (bytes[0] === 1) {
      const reason = Buffer.from(bytes.subarray(1)).toString();
      if (reason.includes('CURSOR_COMPACTED')) {
        this.#ended = true;
        this.#options.recorder.complete(this.#id, 'failed', { reason: 'CURSOR_COMPACTED' });
        this.#options.onCompacted();
      }
      return;
    }
    this.#failures = 0;
    const { events, cursor } = contract.NotifyResponse.decode(bytes.subarray(1));
    for (const event of events) this.#event(event);
    if (cursor.length === 0) return;
    this.#cursor = cursor.slice();
    this.#seen.clear();
    this.#options.recorder.cursor(this.#id, this.#options.process.name);
  }

  #event(event: contract.Event): void {
    const { recorder, process } = this.#options;
    const json = jsonOfEvent(event, this.#options.space);
    const begun = this.#begun.get(json.partition) ?? [];
    begun.push(json);
    this.#begun.set(json.partition, begun);
    if (!event.last) return;
    this.#begun.delete(json.partition);
    for (const each of begun) {
      const { last: _, ...told } = each;
      recorder.event(this.#id, process.name, told as EventJson);
    }
    const { partition, revision, position } = json;
    this.#seen.set(partition, { partition, revision, position });
  }
}

function jsonOfEvent(event: contract.Event, space: string): EventJson {
  const { kind, place, tuple, old, last, at } = event;
  if (place === null || tuple === null) throw new TypeError('an event without place or tuple');
  return {
    kind: kindNames[kind - 1] ?? 'WRITTEN',
    space,
    partition: place.partition,
    revision: place.revision,
    position: place.position,
    last,
    atMs: stampOfTimestamp(at) ?? 0,
    id: tuple.tupleId,
    tupleRevision: tuple.revision,
    deliveries: tuple.deliveries,
    leaseEndMs: stampOfTimestamp(tuple.leaseEnd),
    tuple: tupleOf(tuple.tuple ?? undefined),
    old: old === null ? null : tupleOf(old),
  };
}
