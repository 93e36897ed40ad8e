import { Buffer } from 'node:buffer';
import { type ChannelInterface, Metadata, status } from '@grpc/grpc-js';
import type { Channel, ChannelEvents } from '../engine/doors.ts';
import { clientLimits } from '../engine/limits.ts';
import { Queue } from '../engine/queue.ts';
import { errorOfStatus, streamEnded } from './errors.ts';

const exchangePath = '/tuplet.v1.TupleSpaceService/Exchange';

/** A call as grpc-js's own client makes it, below interceptors and Node streams. */
type GrpcCall = ReturnType<ChannelInterface['createCall']>;

/** What makes calls: a channel of grpc-js. */
export type CallMaker = Pick<ChannelInterface, 'createCall'>;

/** Bytes as grpc-js takes them, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes as the engine reads them: one class of arrays keeps its loops fast. */
function plainBytes(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The Exchange stream: the engine's channel. It drives the call that grpc-js makes instead of the
 * Duplex around it, which costs a batch more than the engine does.
 */
class ExchangeStream implements Channel {
  readonly #call: GrpcCall;
  readonly #events: ChannelEvents;
  /** Behind the message that gRPC is taking: it wants them one after the other. */
  readonly #waiting: Queue<Uint8Array> = new Queue();
  #isSending = false;
  #isFull = false;
  #isOver = false;

  constructor(channel: CallMaker, events: ChannelEvents) {
    this.#events = events;
    this.#call = channel.createCall(exchangePath, Number.POSITIVE_INFINITY, null, null, null);
    this.#call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: (bytes: Buffer) => {
        if (this.#isOver) return;
        this.#events.message(plainBytes(bytes));
        this.#call.startRead();
      },
      onReceiveStatus: (ended) => {
        if (this.#isOver) return;
        this.#isOver = true;
        this.#events.closed(ended.code === status.OK ? streamEnded() : errorOfStatus(ended));
      },
    });
    this.#call.startRead();
  }

  send(bytes: Uint8Array): boolean {
    if (this.#isOver) return false;
    this.#waiting.push(bytes);
    if (!this.#isSending) this.#sendNext();
    this.#isFull = this.#waiting.size >= clientLimits.messagesWaitingMax;
    return !this.#isFull;
  }

  close(): void {
    this.#isOver = true;
    this.#call.cancelWithStatus(status.CANCELLED, 'closed by the client');
  }

  #sendNext(): void {
    const bytes = this.#waiting.shift();
    this.#isSending = bytes !== undefined;
    if (bytes !== undefined) this.#call.sendMessageWithContext(this.#context, asBuffer(bytes));
    else if (this.#isFull) {
      this.#isFull = false;
      this.#events.drained();
    }
  }

  readonly #context = {
    callback: (): void => {
      if (!this.#isOver) this.#sendNext();
    },
  };
}

/** Opens the Exchange stream on a channel of grpc-js. */
export function openExchange(channel: CallMaker, events: ChannelEvents): Channel {
  return new ExchangeStream(channel, events);
}
