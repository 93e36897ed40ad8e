/** What is measured: a server with durable writes, driven through its usual client. */
export interface Target {
  readonly name: string;
  /** Opens one client connection. */
  connect(): Promise<TargetClient>;
  /** Empties it before a round. */
  clear(): Promise<void>;
  /** CPU microseconds that each process of the server has used. */
  serverCpuUs(): readonly number[];
  close(): Promise<void>;
}

/**
 * How Tuplet is reached: `exchange` is the SDK with its defaults, `unary` one gRPC call an operation,
 * without sessions.
 */
export type Door = 'exchange' | 'unary';

/** One connection. Tuples (or their counterparts) are 100 bytes. */
export interface TargetClient {
  /** Adds one tuple; resolves when it is durable. */
  write(): Promise<void>;
  /** Takes any one of the tuples that `write` adds. */
  takeAny(): Promise<void>;
  /** Adds a tuple that carries a stamp, to whoever is blocked in `receive`. */
  send(stamp: number): Promise<void>;
  /** Blocks until a tuple of `send` comes, and gives its stamp. */
  receive(): Promise<number>;
  /** Adds the tuple with this key; resolves when it is durable. */
  put(key: number): Promise<void>;
  /** Reads the tuple with this key. */
  readKey(key: number): Promise<void>;
  close(): Promise<void>;
}

/** 100-byte tuples: the text that fills them. */
export const filler: string = 'x'.repeat(84);
