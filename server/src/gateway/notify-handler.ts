import type { ServerWritableStream } from '@grpc/grpc-js';
import { limits } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import { EventKind } from '@tuplet/proto/contract';
import { present } from '../base/assert.ts';
import type { Cancel, Clock } from '../base/doors.ts';
import type { LogIndex } from '../base/ids.ts';
import { isFailure } from '../router/failure.ts';
import type { Histories } from '../router/histories.ts';
import {
  type NotifyEvent,
  type NotifyMessage,
  type NotifyRequest,
  type NotifyStream,
  openNotify,
} from '../router/notify.ts';
import type { SpaceDirectory } from '../router/routing.ts';
import type { HistoryKind } from '../space/history.ts';
import { plainBytes, spaceOf } from './decode.ts';
import { instant, stored } from './encode.ts';
import { tooManyInFlight } from './exchange.ts';
import type { InFlight } from './in-flight.ts';
import { failureOf, grpcErrorOf, isRefusal } from './status.ts';

/** What notify streams need of their gateway. */
export interface NotifyPorts {
  readonly spaces: SpaceDirectory;
  readonly histories: Histories;
  readonly inFlight: InFlight;
  readonly clock: Clock;
  /** A mistake of ours, to be logged. */
  failed(error: unknown): void;
}

type Stream = ServerWritableStream<Buffer, Buffer>;

/** Handles Notify: pulls a message from the history whenever the connection has taken the last. */
export function notifyHandler(ports: NotifyPorts): (stream: Stream) => void {
  return (stream) => {
    const peer = stream.getPeer();
    if (!ports.inFlight.begin(peer)) {
      stream.emit('error', grpcErrorOf(tooManyInFlight(ports.inFlight.perConnectionMax)));
      return;
    }
    new Subscription(ports, stream, () => ports.inFlight.end(peer)).start();
  };
}

/** One stream to one client. */
class Subscription {
  readonly #ports: NotifyPorts;
  readonly #stream: Stream;
  readonly #ended: () => void;
  #source: NotifyStream | undefined;
  /** What is left of the last message, where it had no room in one. */
  #unsent: Buffer[] = [];
  #writing = false;
  #woken = false;
  #timer: Cancel | undefined;
  #unwatch: Cancel | undefined;
  #gone = false;

  constructor(ports: NotifyPorts, stream: Stream, ended: () => void) {
    this.#ports = ports;
    this.#stream = stream;
    this.#ended = ended;
  }

  start(): void {
    this.#stream.on('cancelled', () => this.#end());
    this.#stream.on('close', () => this.#end());
    this.#guard(() => {
      const request = contract.NotifyRequest.decode(plainBytes(this.#stream.request), 'refuse');
      const asked = requestOf(request);
      this.#ports.spaces.settle(asked.space, (failure) => {
        this.#guard(() => {
          if (failure === undefined) this.#open(asked);
          else this.#fail(grpcErrorOf(failure));
        });
      });
    });
  }

  #open(request: NotifyRequest): void {
    const { spaces, histories } = this.#ports;
    const wake = (): void => this.#wake();
    openNotify({ spaces, histories }, request, wake, (source) => {
      if (isFailure(source)) this.#guard(() => this.#fail(grpcErrorOf(source)));
      // Its client may have gone while other nodes were asked.
      else if (this.#gone) source.close();
      else this.#follow(source);
    });
  }

  #follow(source: NotifyStream): void {
    this.#source = source;
    this.#unwatch = this.#ports.spaces.onChange(() => this.#guard(() => this.#checkSpace()));
    this.#guard(() => this.#pump());
  }

  /** There may be more: looked for once, at the end of the turn. */
  #wake(): void {
    if (this.#woken || this.#writing || this.#gone) return;
    this.#woken = true;
    this.#ports.clock.soon(() => {
      this.#woken = false;
      this.#guard(() => this.#pump());
    });
  }

  /** Writes the next message, if the connection has taken the one before. */
  #pump(): void {
    if (this.#writing || this.#gone || this.#source === undefined) return;
    const rest = this.#unsent.shift();
    if (rest !== undefined) {
      this.#write(rest);
      return;
    }
    const message = this.#source.next();
    if (message === undefined) {
      if (this.#source.hasMore) this.#wake();
      else this.#watchClock();
      return;
    }
    if (isFailure(message)) {
      this.#fail(grpcErrorOf(message));
      return;
    }
    const [first, ...more] = encodeMessage(message);
    this.#unsent = more;
    this.#write(present(first, 'a message is something to write'));
  }

  #write(bytes: Buffer): void {
    this.#writing = true;
    this.#stream.write(bytes, () => {
      this.#writing = false;
      this.#guard(() => this.#pump());
    });
  }

  #watchClock(): void {
    if (this.#timer !== undefined || this.#source === undefined) return;
    const delayMs = this.#source.heartbeatMs - this.#ports.clock.monotonicMs();
    this.#timer = this.#ports.clock.after(Math.max(1, delayMs), () => {
      this.#timer = undefined;
      this.#guard(() => this.#pump());
    });
  }

  /** A dropped space has no more events: better said than kept waiting. */
  #checkSpace(): void {
    if (this.#source === undefined) return;
    const gone = this.#ports.spaces.dropped(this.#source.space);
    if (gone !== undefined) this.#fail(grpcErrorOf(gone));
  }

  #guard(run: () => void): void {
    if (this.#gone) return;
    try {
      run();
    } catch (error) {
      if (!isRefusal(error)) this.#ports.failed(error);
      this.#fail(grpcErrorOf(failureOf(error)));
    }
  }

  #fail(error: Error): void {
    this.#end();
    this.#stream.emit('error', error);
  }

  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#timer?.();
    this.#unwatch?.();
    this.#source?.close();
    this.#ended();
  }
}

function requestOf(request: contract.NotifyRequest): NotifyRequest {
  const { space, template, kinds, from, seen } = request;
  return {
    space: spaceOf(space),
    template: template ?? undefined,
    kinds: new Set(kinds.flatMap((kind) => kindOf.get(kind) ?? [])),
    cursor: from?.kind === 'cursor' ? from.value : undefined,
    seen: seen.map(({ partition, revision, position }) => ({
      partition,
      place: { revision: revision as LogIndex, position },
    })),
  };
}

/** The message as it travels: several, where both forms of a replaced tuple have no room in one. */
function encodeMessage({ events, cursor }: NotifyMessage): Buffer[] {
  const messages: Buffer[] = [];
  let ready: contract.EventInit[] = [];
  for (const each of events) {
    const event = eventOf(each);
    if (fitsMessage(each)) {
      ready.push(event);
      continue;
    }
    const { kind, place, at } = event;
    messages.push(
      encoded({ events: [...ready, { kind, place, old: event.old, last: false, at }] }),
    );
    ready = [{ ...event, old: undefined }];
  }
  messages.push(encoded({ events: ready, cursor }));
  return messages;
}

function encoded(message: contract.NotifyResponseInit): Buffer {
  const bytes = contract.NotifyResponse.encode(message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function eventOf({ event, partition, last }: NotifyEvent): contract.EventInit {
  const { revision, position } = event.place;
  return {
    kind: kindTo[event.kind],
    place: { partition, revision, position },
    tuple: stored(event.tuple),
    old: event.old?.bytes,
    last,
    at: instant(event.stampMs),
  };
}

/** Both forms, with what may stand before them in the message (SPEC §1: 3.5 MiB). */
function fitsMessage({ event: { tuple, old } }: NotifyEvent): boolean {
  return tuple.bytes.length + (old?.bytes.length ?? 0) <= limits.tupleBytesMax;
}

const kindTo: { readonly [kind in HistoryKind]: EventKind } = {
  written: EventKind.WRITTEN,
  taken: EventKind.TAKEN,
  returned: EventKind.RETURNED,
  replaced: EventKind.REPLACED,
  expired: EventKind.EXPIRED,
  cancelled: EventKind.CANCELLED,
};
const kindOf: ReadonlyMap<EventKind, HistoryKind> = new Map([
  [EventKind.WRITTEN, 'written'],
  [EventKind.TAKEN, 'taken'],
  [EventKind.RETURNED, 'returned'],
  [EventKind.REPLACED, 'replaced'],
  [EventKind.EXPIRED, 'expired'],
  [EventKind.CANCELLED, 'cancelled'],
]);
