import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { joinPath, linkPath, refusalTrailer, sendSnapshotPath } from './peer-service.ts';
import type { Refusal } from './refusal.ts';

/** A call as grpc-js has it below the Node streams that it makes of it. */
type GrpcCall = ConstructorParameters<typeof ServerInterceptingCall>[0];

/** What the owner of a call hears. */
export interface IncomingEvents {
  /** A message that was asked for by `read`. */
  message(bytes: Buffer): void;
  /** The caller sends no more; or it has given up, which looks the same. */
  ended(): void;
  /** The call is over. Nothing follows, and nothing after `end` or `refuse`. */
  gone(): void;
}

/** What the calls of each path are. */
const kinds: ReadonlyMap<string, IncomingCall['kind']> = new Map([
  [linkPath, 'lane'],
  [sendSnapshotPath, 'snapshot'],
  [joinPath, 'join'],
]);

/** A call of another node. Nothing is read that was not asked for. */
export class IncomingCall {
  readonly kind: 'lane' | 'snapshot' | 'join';
  /** The caller's address: the same for all calls of a connection, and only for them. */
  readonly peer: string;
  readonly #call: GrpcCall;
  #events: IncomingEvents | undefined;
  #isOver = false;

  constructor(call: GrpcCall, path: string) {
    this.#call = call;
    this.kind = kinds.get(path) ?? 'lane';
    this.peer = call.getPeer();
  }

  /** Whether nothing more can be said. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Begins, and asks for the first message. */
  start(events: IncomingEvents): void {
    this.#events = events;
    this.#call.start({
      onReceiveMetadata: () => this.#call.startRead(),
      onReceiveMessage: (bytes: Buffer) => {
        if (!this.#isOver) this.#events?.message(bytes);
      },
      onReceiveHalfClose: () => {
        if (!this.#isOver) this.#events?.ended();
      },
      onCancel: () => {
        if (this.#isOver) return;
        this.#isOver = true;
        this.#events?.gone();
      },
    });
  }

  /** From now on somebody else hears of it. */
  handTo(events: IncomingEvents): void {
    this.#events = events;
  }

  /** Asks for the next message. */
  read(): void {
    if (!this.#isOver) this.#call.startRead();
  }

  send(bytes: Buffer): void {
    if (!this.#isOver) this.#call.sendMessage(bytes, () => {});
  }

  /** Ends it, well or because of what is said. */
  end(code: status, details: string): void {
    this.#end({ code, details, metadata: new Metadata() });
  }

  /** Ends it because the caller is not one to speak to. */
  refuse({ reason, message }: Refusal): void {
    const metadata = new Metadata();
    metadata.set(refusalTrailer, reason);
    this.#end({ code: status.FAILED_PRECONDITION, details: message, metadata });
  }

  #end(ended: StatusObject): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call.sendStatus(ended);
  }
}

/** Takes the calls of `PeerService` before grpc-js makes Node streams of them. */
export function peerInterceptor(begin: (call: IncomingCall) => void): ServerInterceptor {
  class TakenCall extends ServerInterceptingCall {
    readonly #call: GrpcCall;
    readonly #path: string;

    constructor(call: GrpcCall, path: string) {
      super(call);
      this.#call = call;
      this.#path = path;
    }

    override start(): void {
      begin(new IncomingCall(this.#call, this.#path));
    }
  }
  // grpc-js takes any call here, and says so for its own class alone.
  return ({ path }, call) =>
    kinds.has(path) ? new TakenCall(call, path) : (call as unknown as ServerInterceptingCall);
}
