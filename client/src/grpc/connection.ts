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

/** One HTTP/2 connection to one server, which grpc-js makes and makes again. */
export class Connection {
  readonly #client: GrpcClient;
  readonly #random: EngineRandom;

  constructor(address: string, credentials: ChannelCredentials, random: EngineRandom) {
    this.#client = new GrpcClient(address, credentials, channelOptions);
    this.#random = random;
  }

  /** Resolves when the connection stands; rejects with CONNECTION_LOST after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + timeoutMs, (error) => {
        if (error === undefined) resolve();
        else {
          reject(
            new TupletError({
              reason: 'CONNECTION_LOST',
              code: 'UNAVAILABLE',
              definite: true,
              retryable: true,
              message: `no connection within ${timeoutMs} ms`,
              cause: error,
            }),
          );
        }
      });
    });
  }

  /** Opens the Exchange stream: the engine's channel. */
  readonly exchange = (events: ChannelEvents): Channel =>
    openExchange(this.#client.getChannel(), events);

  /** One unary call; retried while an error is retryable and `timeoutMs` is not over. */
  async unary(
    path: string,
    request: Uint8Array,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
  ): Promise<Uint8Array> {
    const untilMs = performance.now() + options.timeoutMs;
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#once(path, request, untilMs - performance.now(), options.signal);
      } catch (error) {
        const failure = TupletError.from(error);
        const pauseMs = Math.max(failure.retryAfterMs ?? 0, backOffMs(failures, this.#random));
        if (!failure.retryable || performance.now() + pauseMs >= untilMs) throw failure;
        await pause(pauseMs, options.signal);
      }
    }
  }

  #once(
    path: string,
    request: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(TupletError.cancelled(signal.reason));
        return;
      }
      const deadline = Number.isFinite(timeoutMs) ? { deadline: Date.now() + timeoutMs } : {};
      const abort = (): void => call.cancel();
      const call = this.#client.makeUnaryRequest(
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

  /** Opens a server stream. It reads no faster than it is iterated over. */
  openStream(path: string, request: Uint8Array): ServerStream {
    const call = this.#client.makeServerStreamRequest(
      path,
      asBuffer,
      asIs,
      request,
      new Metadata(),
    );
    // An error outside of the iteration, as after `cancel`, is nobody's.
    call.on('error', () => {});
    let isCancelled = false;
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
    this.#client.close();
  }
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
