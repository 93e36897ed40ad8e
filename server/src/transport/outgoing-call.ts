import { type ChannelInterface, Metadata, type StatusObject, status } from '@grpc/grpc-js';

/** A call as grpc-js's own client makes it, below interceptors and Node streams. */
type GrpcCall = ReturnType<ChannelInterface['createCall']>;

/** What who made a call hears of it. */
export interface OutgoingEvents {
  message(bytes: Buffer): void;
  /** The connection has taken what was sent last: the next message may be sent. */
  taken(): void;
  /** The call is over, by the other side or by the network. Nothing follows, and nothing after `cancel`. */
  ended(ended: StatusObject): void;
}

/** A stream to another node. One message at a time: the next when the one before it is taken. */
export class OutgoingCall {
  readonly #call: GrpcCall;
  readonly #events: OutgoingEvents;
  #isSending = false;
  #isOver = false;

  constructor(channel: ChannelInterface, path: string, events: OutgoingEvents) {
    this.#events = events;
    this.#call = channel.createCall(path, Number.POSITIVE_INFINITY, null, null, null);
    this.#call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: (bytes: Buffer) => {
        if (this.#isOver) return;
        events.message(bytes);
        this.#call.startRead();
      },
      onReceiveStatus: (ended) => {
        if (this.#isOver) return;
        this.#isOver = true;
        events.ended(ended);
      },
    });
    this.#call.startRead();
  }

  /** Whether a message is on its way into the connection. */
  get isSending(): boolean {
    return this.#isSending;
  }

  send(bytes: Buffer): void {
    this.#isSending = true;
    this.#call.sendMessageWithContext(this.#context, bytes);
  }

  /** Nothing more is sent. */
  halfClose(): void {
    this.#call.halfClose();
  }

  /** Ends it from here. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call.cancelWithStatus(status.CANCELLED, 'the link is over');
  }

  readonly #context = {
    callback: (): void => {
      this.#isSending = false;
      if (!this.#isOver) this.#events.taken();
    },
  };
}
