/**
 * The doors of the engine: time, randomness and a channel to one server. The shell implements them
 * with Node and grpc-js, the simulator with its virtual clock and network.
 */
import type { TupletError } from '../error.ts';

/** Cancels what it was given for; calling it again does nothing. */
export type Cancel = () => void;

/** Time as the engine sees it. */
export interface EngineClock {
  /** Milliseconds with a fraction that never go back and also pass while the machine sleeps. */
  nowMs(): number;
  /** Calls `run` once after `delayMs` (0 or more). */
  after(delayMs: number, run: () => void): Cancel;
  /**
   * Calls `run` when the events already queued have been seen: the end of a turn. If `isUrgent` says so
   * as soon as what runs now is through, promises that it settles included, it may do so then.
   */
  soon(run: () => void, isUrgent?: () => boolean): void;
}

/** Randomness, for jitter alone. */
export interface EngineRandom {
  /** An integer in 0..2^32-1. */
  uint32(): number;
}

/** One Exchange stream. Carries whole messages in order, until it breaks. */
export interface Channel {
  /**
   * Queues one ExchangeRequest; the channel owns the bytes from then on. Returns false where the
   * receiver is slow: the message is queued all the same, and none follows until `drained`.
   */
  send(bytes: Uint8Array): boolean;
  /** Ends the stream. `closed` is not called for it. */
  close(): void;
}

/** What the engine hears of a channel. Called from the event loop, never from inside `send`. */
export interface ChannelEvents {
  /** One ExchangeResponse; the engine owns the bytes from then on. */
  message(bytes: Uint8Array): void;
  /** After a `send` that returned false: room again. */
  drained(): void;
  /** The stream is gone, or never came to be, and nothing follows; `error` says why. */
  closed(error: TupletError): void;
}

/**
 * Opens a channel to the node at `address`, without one to any server of the cluster. Messages may be sent
 * at once; failing to connect comes as `closed`.
 */
export type ConnectChannel = (events: ChannelEvents, address?: string) => Channel;

/** All doors. */
export interface EngineDoors {
  readonly clock: EngineClock;
  readonly random: EngineRandom;
  readonly connect: ConnectChannel;
  /** These nodes can be reached, as the cluster says: other servers to connect to. May come at any time. */
  readonly learned?: (addresses: readonly string[]) => void;
}
