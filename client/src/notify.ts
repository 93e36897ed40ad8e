/** Notification (SPEC §8): a stream of events that resumes by itself. */
import { encodeTemplate, type Timestamp } from '@tuplet/proto';
import {
  type Event as EventMessage,
  NotifyRequest,
  NotifyResponse,
  type SpaceRefInit,
} from '@tuplet/proto/contract';
import { timestampOf, tupleOf, valuesOf } from './answers.ts';
import { backOffMs } from './engine/back-off.ts';
import type { EngineRandom } from './engine/doors.ts';
import { TupletError } from './error.ts';
import type { PreparedTemplate } from './template.ts';

/** What happened to a tuple, with its number in the contract. */
const kindNumbers = {
  written: 1,
  taken: 2,
  returned: 3,
  replaced: 4,
  expired: 5,
  cancelled: 6,
} as const;

/** What happened to a tuple. */
export type EventKind = keyof typeof kindNumbers;

/** The place of an event. */
export interface EventPlace {
  readonly partition: number;
  /** The position in the partition's log. */
  readonly revision: number;
  /** The position among the events of that revision, from 0. */
  readonly position: number;
}

/** One thing that happened to one tuple. */
export interface TupleEvent<Tuple> {
  readonly kind: EventKind;
  readonly place: EventPlace;
  /** The tuple in its new form; `metaOf` knows more of it. */
  readonly tuple: Tuple;
  /** The old form of a replaced tuple, which may not match the template, or not be matched alone. */
  readonly old: unknown[] | undefined;
  /** When it happened, on the partition's clock. */
  readonly at: Timestamp | undefined;
}

/** From where a notification goes on, in this process or another. */
export interface NotifyPosition {
  /** The server's last cursor. */
  readonly cursor: Uint8Array;
  /** The latest event of each partition since. */
  readonly seen: readonly EventPlace[];
}

/** What `notify` takes. */
export interface NotifyOptions {
  /** Which kinds of events; default all. */
  readonly kinds?: readonly EventKind[];
  /** Where to begin; default now. */
  readonly from?: NotifyPosition;
  /** Ends the notification: the loop is rejected with CANCELLED. */
  readonly signal?: AbortSignal;
}

/** One stream of a server: messages until it ends or rejects with TupletError. */
export interface ServerStream extends AsyncIterable<Uint8Array> {
  /** Ends it; the iteration ends too. */
  cancel(): void;
}

/** What notification needs of the shell. */
export interface NotifyHost {
  openStream(path: string, request: Uint8Array): ServerStream;
  /** Resolves after `ms`, at once if the signal aborts. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
  /** Learns the space's reference; anew if it is stale. */
  spaceRef(name: string, isStale: boolean): Promise<SpaceRefInit>;
  readonly random: EngineRandom;
}

const kindNames = Object.keys(kindNumbers) as EventKind[];
const path = '/tuplet.v1.TupleSpaceService/Notify';

/**
 * A running notification: iterate over it. It has begun when `ready` resolves: no event after that is
 * missed. It reads no faster than the loop does, and resumes broken connections by itself, without gap
 * or repetition.
 */
export class Subscription<Tuple> implements AsyncIterableIterator<TupleEvent<Tuple>> {
  /** Resolves when the server has begun; rejects with what ended the notification before. */
  readonly ready: Promise<void>;
  readonly #host: NotifyHost;
  readonly #space: string;
  readonly #template: PreparedTemplate | undefined;
  readonly #options: NotifyOptions;
  readonly #stop = new AbortController();
  readonly #events: AsyncGenerator<TupleEvent<Tuple>, undefined>;
  /** The first event, asked for at once so that the server begins. */
  #first: Promise<IteratorResult<TupleEvent<Tuple>>> | undefined;
  #stream: ServerStream | undefined;
  #cursor: Uint8Array | undefined;
  /** The latest whole revision of each partition since the cursor. */
  readonly #seen = new Map<number, EventPlace>();
  /** Events of revisions whose last event has not come: no resume point lies inside (SPEC §8). */
  readonly #begun = new Map<number, TupleEvent<Tuple>[]>();
  /** Old forms that came in an event of their own: they belong to the next one of their partition. */
  readonly #old = new Map<number, unknown[]>();
  #began: () => void = () => {};
  #isStale = false;

  /** Made by `Space.notify`. */
  constructor(
    host: NotifyHost,
    space: string,
    template: PreparedTemplate | undefined,
    options: NotifyOptions,
  ) {
    this.#host = host;
    this.#space = space;
    this.#template = template;
    this.#options = options;
    this.#cursor = options.from?.cursor;
    for (const place of options.from?.seen ?? []) this.#seen.set(place.partition, place);
    let failed: (error: unknown) => void = () => {};
    this.ready = new Promise((resolve, reject) => {
      this.#began = resolve;
      failed = reject;
    });
    // Who never asks for `ready` learns of a failure from the loop.
    this.ready.catch(() => {});
    this.#events = this.#run();
    this.#first = this.#events.next();
    this.#first.catch(failed);
  }

  /** From where another notification would go on; undefined before the first cursor came. */
  get position(): NotifyPosition | undefined {
    if (this.#cursor === undefined) return undefined;
    return { cursor: this.#cursor, seen: [...this.#seen.values()] };
  }

  async next(): Promise<IteratorResult<TupleEvent<Tuple>>> {
    const first = this.#first;
    this.#first = undefined;
    return first ?? this.#events.next();
  }

  /** Ends the notification; leaving a `for await` loop does so. */
  async return(): Promise<IteratorResult<TupleEvent<Tuple>>> {
    this.#stop.abort();
    this.#stream?.cancel();
    // It ends by itself now; nobody hears how.
    this.#events.return(undefined).catch(() => {});
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async *#run(): AsyncGenerator<TupleEvent<Tuple>, undefined> {
    const { signal } = this.#options;
    const abort = (): void => {
      this.#stop.abort(signal?.reason);
      this.#stream?.cancel();
    };
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    let failures = 0;
    try {
      while (!this.#stop.signal.aborted) {
        try {
          for await (const event of this.#connect()) {
            failures = 0;
            yield event;
          }
          // The server ended the stream, as it does when it shuts down.
          failures += 1;
          await this.#host.pause(backOffMs(failures, this.#host.random), this.#stop.signal);
        } catch (error) {
          failures += 1;
          await this.#afterError(TupletError.from(error), failures);
        }
      }
      if (signal?.aborted) throw TupletError.cancelled(signal.reason);
      return undefined;
    } finally {
      this.#stream?.cancel();
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Waits before the next connection, or throws what no connection would mend. */
  async #afterError(error: TupletError, failures: number): Promise<void> {
    if (this.#stop.signal.aborted) return;
    if (!error.retryable) throw error;
    this.#isStale = error.reason === 'STALE_MAP';
    const pauseMs = Math.max(error.retryAfterMs ?? 0, backOffMs(failures, this.#host.random));
    await this.#host.pause(pauseMs, this.#stop.signal);
  }

  async *#connect(): AsyncGenerator<TupleEvent<Tuple>> {
    const space = await this.#host.spaceRef(this.#space, this.#isStale);
    if (this.#stop.signal.aborted) return;
    this.#isStale = false;
    this.#begun.clear();
    this.#old.clear();
    const request = NotifyRequest.encode({
      space,
      template: this.#template === undefined ? null : encodeTemplate(this.#template.specs),
      kinds: (this.#options.kinds ?? []).map((kind) => kindNumbers[kind]),
      from:
        this.#cursor === undefined
          ? { kind: 'now', value: {} }
          : { kind: 'cursor', value: this.#cursor },
      seen: [...this.#seen.values()],
    });
    this.#stream = this.#host.openStream(path, request);
    for await (const bytes of this.#stream) {
      const { events, cursor } = NotifyResponse.decode(bytes);
      for (const message of events) {
        const whole = this.#whole(message);
        for (const [index, event] of whole.entries()) {
          if (index === whole.length - 1) this.#seen.set(event.place.partition, event.place);
          yield event;
        }
      }
      if (cursor.length === 0) continue;
      this.#cursor = new Uint8Array(cursor);
      this.#seen.clear();
      this.#began();
    }
  }

  /** Nothing, or all events of a revision whose last one this is. */
  #whole(message: EventMessage): TupleEvent<Tuple>[] {
    if (message.tuple === null && message.old !== null && message.place !== null) {
      this.#old.set(message.place.partition, valuesOf(message.old, undefined));
      return [];
    }
    const event = this.#eventOf(message);
    const { partition } = event.place;
    const begun = this.#begun.get(partition);
    if (!message.last) {
      if (begun === undefined) this.#begun.set(partition, [event]);
      else begun.push(event);
      return [];
    }
    this.#begun.delete(partition);
    return begun === undefined ? [event] : [...begun, event];
  }

  #eventOf(message: EventMessage): TupleEvent<Tuple> {
    const { kind, place, tuple, old, at } = message;
    const name = kindNames[kind - 1];
    if (name === undefined || place === null || tuple === null) {
      throw TupletError.from(new TypeError('an event without kind, place or tuple'));
    }
    const before = this.#old.get(place.partition);
    this.#old.delete(place.partition);
    return {
      kind: name,
      place,
      tuple: tupleOf(tuple, this.#template) as Tuple,
      old: old === null ? before : valuesOf(old, undefined),
      at: timestampOf(at),
    };
  }
}
