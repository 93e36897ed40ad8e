import { EventEmitter } from 'node:events';
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import type { ExchangeStream } from './exchange.ts';

/** A call as grpc-js has it below the Node streams that it makes of it. */
type GrpcCall = ConstructorParameters<typeof ServerInterceptingCall>[0];

/**
 * The stream of an Exchange over grpc-js's own call: for a batch the Duplex between them costs more
 * than all else that gRPC does with it. The same events and methods, but nothing is buffered: a
 * message is read when the one before it was taken.
 */
class ExchangeCall extends EventEmitter implements ExchangeStream {
  readonly #call: GrpcCall;
  #held: Buffer | undefined;
  #paused = false;
  #ended = false;

  constructor(call: GrpcCall) {
    super();
    this.#call = call;
    this.on('error', (error: Partial<StatusObject>) => {
      const { code = status.UNKNOWN, details = '', metadata = new Metadata() } = error;
      this.#end({ code, details, metadata });
    });
  }

  /** Begins to read; whoever listens does so already. */
  start(): void {
    this.#call.start({
      onReceiveMetadata: () => this.#call.startRead(),
      onReceiveMessage: (bytes: Buffer) => {
        if (this.#paused) this.#held = bytes;
        else this.#take(bytes);
      },
      onReceiveHalfClose: () => void this.emit('end'),
      onCancel: () => {
        this.#ended = true;
        this.emit('cancelled');
      },
    });
  }

  getPeer(): string {
    return this.#call.getPeer();
  }

  /** `taken` is called when the connection has the message, and not at all where it is gone. */
  write(message: Buffer, taken: () => void): void {
    this.#call.sendMessage(message, taken);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#take(held);
  }

  isPaused(): boolean {
    return this.#paused;
  }

  end(): void {
    this.#end({ code: status.OK, details: 'OK', metadata: new Metadata() });
  }

  #take(bytes: Buffer): void {
    this.emit('data', bytes);
    if (!this.#ended) this.#call.startRead();
  }

  #end(ended: StatusObject): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#call.sendStatus(ended);
  }
}

/** Takes calls of `path` before grpc-js makes Node streams of them; `begin` listens to what it is given. */
export function exchangeInterceptor(
  path: string,
  begin: (stream: ExchangeStream) => void,
): ServerInterceptor {
  class TakenCall extends ServerInterceptingCall {
    readonly #call: GrpcCall;

    constructor(call: GrpcCall) {
      super(call);
      this.#call = call;
    }

    override start(): void {
      const stream = new ExchangeCall(this.#call);
      begin(stream);
      stream.start();
    }
  }
  // grpc-js takes any call here, and says so for its own class alone.
  return (method, call) =>
    method.path === path ? new TakenCall(call) : (call as unknown as ServerInterceptingCall);
}
