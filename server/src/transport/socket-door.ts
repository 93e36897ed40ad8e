import type { Socket } from 'node:net';

/** Where to listen. */
export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Connections at once. */
  readonly connectionsMax: number;
}

/** Who listens. */
export interface SocketListener {
  /** The port it has. */
  readonly port: number;
  /** Takes no more; resolves when all sockets that it took are closed. */
  close(): Promise<void>;
}

/** The way in for connections, which grpc-js takes as sockets of Node. `host/` has the real one. */
export interface SocketDoor {
  /** Gives each connection to `accept`. Rejects where the address cannot be had. */
  listen(options: ListenOptions, accept: (socket: Socket) => void): Promise<SocketListener>;
}
