/** The SDK's way over grpc-js: the Exchange stream, unary calls and server streams as bytes. */
import {
  type ChannelCredentials,
  type ChannelOptions,
  type ClientReadableStream,
  Client as GrpcClient,
  Metadata,
} from '@grpc/grpc-js';
import { backOffMs } from '../engine/back-off.ts';
import type { Channel, ChannelEvents, EngineRandom } from '../engine/doors.ts';
import { TupletError } from '../error.ts';
import type { ServerStream } from '../notify.ts';
import { errorOfCall } from './errors.ts';
import { asBuffer, openExchange } from './exchange.ts';
import { pause } from './pause.ts';

/** What grpc-js is told; times in milliseconds. */
const channelOptions: ChannelOptions = {
  // A connection of its own for each `Connection`, instead of one shared by all in the process.
  'grpc.use_local_subchannel_pool': 1,
  // Counters that nobody reads.
  'grpc.enable_channelz': 0,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // Answers stop at 3.5 MiB (SPEC §1).
  'grpc.max_receive_message_length': 4_194_304,
};

function asIs(bytes: Buffer): Uint8Array {
  return bytes;
}

const connectionLost = 'CONNECTION_LOST';
/** Milliseconds for a first connection to a server, where there are others to try. */
const dialMs = 1_000;

/**
 * One HTTP/2 connection to one of some servers, which grpc-js makes and makes again; where it is lost, the
 * next server is tried, round and round: those that were named, then those that the cluster has told of.
 * Streams to certain nodes have connections of their own.
 */
export class Connection {
  readonly #seeds: readonly string[];
  /** Where to connect to: the seeds, and the nodes that are none of them. */
  #addresses: readonly string[];
  readonly #credentials: ChannelCredentials;
  readonly #random: EngineRandom;
  #at = 0;
  #client: GrpcClient;
  #isClosed = false;

  /** At least one address; the first is tried first. */
  constructor(addresses: readonly string[], credentials: ChannelCredentials, random: EngineRandom) {
    this.#seeds = addresses;
    this.#addresses = addresses;
    this.#credentials = credentials;
    this.#random = random;
    this.#client = this.#dial(this.#addresses[this.#at] ?? '');
  }

  #dial(address: string): GrpcClient {
    return new GrpcClient(address, this.#credentials, channelOptions);
  }

  /** These nodes can be reached as well, should the present server be lost. */
  readonly learned = (addresses: readonly string[]): void => {
    // In the same order, so that the present one keeps its place: the seeds are never left out.
    this.#addresses = [...new Set([...this.#seeds, ...addresses])];
    this.#at %= this.#addresses.length;
  };

  /** A client has lost its server: the next one is for whoever comes. */
  #lost(client: GrpcClient): void {
    if (client !== this.#client || this.#isClosed || this.#addresses.length === 1) return;
    this.#at = (this.#at + 1) % this.#addresses.length;
    this.#client = this.#dial(this.#addresses[this.#at] ?? '');
    client.close();
  }

  /** Resolves when a connection stands; rejects with CONNECTION_LOST after `timeoutMs`. */
  async ready(timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    for (;;) {
      const client = this.#client;
      const leftMs = untilMs - performance.now();
      const isLast = this.#addresses.length === 1 || leftMs <= dialMs;
      const error = await connected(client, isLast ? leftMs : dialMs);
      if (error === undefined) return;
      if (isLast) {
        throw new TupletError({
          reason: connectionLost,
          code: 'UNAVAILABLE',
          definite: true,
          retryable: true,
          message: `no connection within ${timeoutMs} ms`,
          cause: error,
        });
      }
      this.#lost(client);
    }
  }

  /** Opens an Exchange stream: the engine's channel to any server, or to the one at an address. */
  readonly exchange = (events: ChannelEvents, address?: string): Channel =>
    address === undefined ? this.#exchange(events) : this.#exchangeWith(address, events);

  /** A connection of its own for a stream to one node; it ends with the stream. */
  #exchangeWith(address: string, events: ChannelEvents): Channel {
    const client = this.#dial(address);
    const stream = openExchange(client.getChannel(), {
      ...events,
      closed: (error) => {
        client.close();
        events.closed(error);
      },
    });
    return {
      send: (bytes) => stream.send(bytes),
      close: () => {
        stream.close();
        client.close();
      },
    };
  }

  #exchange(events: ChannelEvents): Channel {
    const client = this.#client;
    const stream = openExchange(client.getChannel(), {
      ...events,
      closed: (error) => {
        this.#lost(client);
        events.closed(error);
      },
    });
    return {
      send: (bytes) => stream.send(bytes),
      // The engine gives it up, since nothing is heard of its server.
      close: () => {
        stream.close();
        this.#lost(client);
      },
    };
  }

  /** One unary call; retried while an error is retryable and `timeoutMs` is not over. */
  async unary(
    path: string,
    request: Uint8Array,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
  ): Promise<Uint8Array> {
    const untilMs = performance.now() + options.timeoutMs;
    for (let failures = 1; ; failures += 1) {
      const client = this.#client;
      try {
        return await once(client, {
          path,
          request,
          timeoutMs: untilMs - performance.now(),
          signal: options.signal,
        });
      } catch (error) {
        const failure = TupletError.from(error);
        if (failure.reason === connectionLost) this.#lost(client);
        const pauseMs = Math.max(failure.retryAfterMs ?? 0, backOffMs(failures, this.#random));
        if (!failure.retryable || performance.now() + pauseMs >= untilMs) throw failure;
        await pause(pauseMs, options.signal);
      }
    }
  }

  /**
   * Opens a server stream, from any server or from the one at an address, over a connection of its own. It reads no
   * faster than it is iterated over.
   */
  openStream(path: string, request: Uint8Array, address?: string): ServerStream {
    const client = address === undefined ? this.#client : this.#dial(address);
    const stream = this.#streamOf(client, path, request);
    return address === undefined ? stream : closing(stream, client);
  }

  #streamOf(client: GrpcClient, path: string, request: Uint8Array): ServerStream {
    const call = client.makeServerStreamRequest(path, asBuffer, asIs, request, new Metadata());
    let isCancelled = false;
    // An error outside of the iteration, as after `cancel`, is nobody's.
    call.on('error', (error) => {
      if (!isCancelled && errorOfCall(error).reason === connectionLost) this.#lost(client);
    });
    return {
      cancel: () => {
        isCancelled = true;
        call.cancel();
      },
      [Symbol.asyncIterator]: () => messagesOf(call, () => isCancelled),
    };
  }

  /** Closes the connection; calls still open fail. */
  close(): void {
    this.#isClosed = true;
    this.#client.close();
  }
}

/** A stream whose connection ends with it. */
function closing(stream: ServerStream, client: GrpcClient): ServerStream {
  return {
    cancel: () => {
      stream.cancel();
      client.close();
    },
    async *[Symbol.asyncIterator]() {
      try {
        yield* stream;
      } finally {
        client.close();
      }
    },
  };
}

/** Waits until a client is connected; resolves with the error where that takes too long. */
function connected(client: GrpcClient, timeoutMs: number): Promise<Error | undefined> {
  return new Promise((resolve) => client.waitForReady(Date.now() + timeoutMs, resolve));
}

/** One unary call. */
function once(
  client: GrpcClient,
  what: {
    readonly path: string;
    readonly request: Uint8Array;
    readonly timeoutMs: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Uint8Array> {
  const { path, request, timeoutMs, signal } = what;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(TupletError.cancelled(signal.reason));
      return;
    }
    const deadline = Number.isFinite(timeoutMs) ? { deadline: Date.now() + timeoutMs } : {};
    const abort = (): void => call.cancel();
    const call = client.makeUnaryRequest(
      path,
      asBuffer,
      asIs,
      request,
      new Metadata(),
      deadline,
      (error, answer) => {
        signal?.removeEventListener('abort', abort);
        if (signal?.aborted) reject(TupletError.cancelled(signal.reason).asIndefinite());
        else if (error !== null) reject(errorOfCall(error));
        else resolve(answer ?? new Uint8Array());
      },
    );
    signal?.addEventListener('abort', abort, { once: true });
  });
}

async function* messagesOf(
  call: ClientReadableStream<Uint8Array>,
  isCancelled: () => boolean,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of call) yield bytes as Uint8Array;
  } catch (error) {
    if (!isCancelled())
      throw errorOfCall(error instanceof Error ? error : new Error(String(error)));
  }
}
