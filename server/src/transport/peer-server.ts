/** Where a node's peers reach it. */
import type { Socket } from 'node:net';
import { Server, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Cancel, Clock } from '../base/doors.ts';
import {
  keepaliveTimeoutMs,
  linkConnectionsMax,
  linkDialMs,
  linkFrameBytesMax,
  linkPingMs,
  linkSnapshotsAtOnce,
  messageBytesMargin,
} from '../base/limits.ts';
import { type IncomingCall, peerInterceptor } from './incoming-call.ts';
import { IncomingConnection } from './incoming-connection.ts';
import {
  type JoinAnswer,
  type JoinRequest,
  readJoinRequest,
  writeJoinAnswer,
} from './join-codec.ts';
import { lanes, snapshotLane } from './lane.ts';
import {
  type Hello,
  helloOf,
  readLinkHello,
  readSnapshotPart,
  type SnapshotPart,
  type Welcome,
  writeLinkWelcome,
} from './peer-codec.ts';
import { type PeerCredentials, serverCredentials } from './peer-credentials.ts';
import { peerService } from './peer-service.ts';
import { type Refusal, refusalOfError } from './refusal.ts';
import type { ListenOptions, SocketDoor, SocketListener } from './socket-door.ts';

/** What becomes of a node that asks to join; `unavailable`: why nobody can say now. */
export type JoinVerdict = JoinAnswer | Refusal | { readonly unavailable: string };

/** What a server is made with. */
export interface PeerServerOptions {
  readonly sockets: SocketDoor;
  readonly listen: Omit<ListenOptions, 'connectionsMax'>;
  readonly credentials: PeerCredentials;
  readonly clock: Clock;
  /** Whether the caller is one to speak to; undefined: it is. */
  admits(hello: Hello): Refusal | undefined;
  /** What such a caller is told. */
  welcome(): Welcome;
  /** A node wants to become one of the cluster. Never rejects. */
  join(request: JoinRequest): Promise<JoinVerdict>;
  /** A connection has all its lanes. */
  onConnection(connection: IncomingConnection): void;
  /** Somebody was refused. */
  onRefused(refusal: Refusal, hello: Hello | undefined): void;
}

/** A socket, and what runs over it. */
interface Seat {
  readonly socket: Socket;
  /** Stops waiting for its hello. */
  readonly cancelWait: Cancel;
  connection: IncomingConnection | undefined;
}

/** Takes the connections of peers, and says hello. */
export class PeerServer {
  readonly #options: PeerServerOptions;
  readonly #server: Server;
  /** By the caller's address, as its calls have it. */
  readonly #seats: Map<string, Seat> = new Map();
  #listener: SocketListener | undefined;

  private constructor(options: PeerServerOptions) {
    this.#options = options;
    this.#server = new Server({
      interceptors: [peerInterceptor((call) => this.#begin(call))],
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': linkFrameBytesMax + messageBytesMargin,
      // Those of a snapshot that was given up may still be closing.
      'grpc.max_concurrent_streams': lanes.length + 2 * linkSnapshotsAtOnce,
      'grpc.keepalive_time_ms': linkPingMs,
      'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    });
    this.#server.addService(peerService, notOffered);
  }

  /** Begins to listen. Rejects where the address cannot be had. */
  static async open(options: PeerServerOptions): Promise<PeerServer> {
    const server = new PeerServer(options);
    await server.#listen();
    return server;
  }

  /** The port it listens at. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Cuts all connections, without a word to their owners. */
  async close(): Promise<void> {
    for (const { socket } of this.#seats.values()) socket.destroy();
    this.#server.forceShutdown();
    await this.#listener?.close();
  }

  async #listen(): Promise<void> {
    const { sockets, listen, credentials } = this.#options;
    const injector = this.#server.createConnectionInjector(serverCredentials(credentials));
    const options = { ...listen, connectionsMax: linkConnectionsMax };
    this.#listener = await sockets.listen(options, (socket) => {
      this.#seat(socket);
      injector.injectConnection(socket);
    });
  }

  /** Notes a socket, which has a while to say hello. */
  #seat(socket: Socket): void {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const cancelWait = this.#options.clock.after(linkDialMs, () => socket.destroy());
    const seat: Seat = { socket, cancelWait, connection: undefined };
    this.#seats.set(peer, seat);
    socket.on('close', () => {
      cancelWait();
      if (this.#seats.get(peer) === seat) this.#seats.delete(peer);
    });
  }

  /** A new stream: its first message says whose it is. */
  #begin(call: IncomingCall): void {
    call.start({
      message: (bytes) => {
        let hello: Hello | undefined;
        let part: SnapshotPart = {};
        try {
          if (call.kind === 'join') {
            void this.#join(call, readJoinRequest(bytes));
            return;
          }
          if (call.kind === 'snapshot') part = readSnapshotPart(bytes);
          hello = call.kind === 'snapshot' ? helloOf(part) : readLinkHello(bytes);
        } catch (error) {
          this.#refuse(call, refusalOfError(error), undefined);
          return;
        }
        const refusal = this.#options.admits(hello) ?? this.#place(call, hello, part);
        if (refusal !== undefined) this.#refuse(call, refusal, hello);
      },
      ended: () => {},
      gone: () => {},
    });
  }

  async #join(call: IncomingCall, request: JoinRequest): Promise<void> {
    const outcome = await this.#options.join(request);
    if ('reason' in outcome) this.#refuse(call, outcome, undefined);
    else if ('unavailable' in outcome) call.end(status.UNAVAILABLE, outcome.unavailable);
    else {
      call.send(writeJoinAnswer(outcome));
      call.end(status.OK, 'OK');
    }
  }

  #refuse(call: IncomingCall, refusal: Refusal, hello: Hello | undefined): void {
    call.refuse(refusal);
    this.#options.onRefused(refusal, hello);
  }

  /** Puts a stream to its connection. Undefined: it has its place. */
  #place(call: IncomingCall, hello: Hello, part: SnapshotPart): Refusal | undefined {
    const seat = this.#seats.get(call.peer);
    // Gone meanwhile.
    if (seat === undefined) return undefined;
    if (hello.lane === snapshotLane) {
      const { connection } = seat;
      if (connection?.isWhole !== true || part.header === undefined) {
        return { reason: 'MALFORMED', message: 'a snapshot comes with a header, beside all lanes' };
      }
      connection.addSnapshot(call, part.header);
      return undefined;
    }
    seat.connection ??= new IncomingConnection(hello, () => seat.socket.destroy());
    const refusal = seat.connection.add(call, hello);
    if (refusal !== undefined) return refusal;
    call.send(writeLinkWelcome(this.#options.welcome()));
    if (seat.connection.isWhole) {
      seat.cancelWait();
      this.#options.onConnection(seat.connection);
    }
    call.read();
    return undefined;
  }
}

function refuseCall(): never {
  throw new Error('the calls of peers are taken before they come here');
}

const notOffered: UntypedServiceImplementation = {
  link: refuseCall,
  sendSnapshot: refuseCall,
  join: refuseCall,
};
