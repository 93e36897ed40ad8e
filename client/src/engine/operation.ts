import type { TupletError } from '../error.ts';
import type { CallKind } from './calls.ts';
import type { Lane } from './lane.ts';
import type { Link } from './link.ts';
import type { Session } from './session.ts';

/** Which space an operation is for. One object for each space, shared by its operations. */
export interface SpaceReference {
  /** Field 1 of every request: tag, length and SpaceRef. Replaced by `refresh`. */
  readonly encoded: Uint8Array;
  /**
   * Called where the server says that the map's epoch is stale: learn it anew, replace `encoded` and
   * call `done`, once; with an error if the space is gone. The operation waits meanwhile.
   */
  refresh(done: (error: TupletError | undefined) => void): void;
  /**
   * The partition that a request goes to, 0 where it may be several or is not known. Where it is wrong,
   * the call takes a way more. Asked only where a cluster has several nodes.
   */
  partitionOf(kind: CallKind, body: Body): number;
}

/** A request without space, identity and wait: `start` to `end` of `bytes`, which nobody changes. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Where the template (field 3) ends, for a take: CancelTake sends it alone. */
  readonly templateEnd: number;
}

/** What decoding an answer told: the call was cancelled, or the ids of the tuples handed over. */
export type Decoded = 'cancelled' | readonly number[];

/** For answers that hand nothing over. */
export const nothingHanded: readonly number[] = [];

/**
 * Where an operation is: `queued` before its first sending in a session; `sent`; `due` to be sent again;
 * `backing-off` until `retryAtMs`; `refreshing` its space; `unconfirmed`: handed out, its receipt
 * not yet confirmed; `settled`.
 */
export type Stage =
  | 'new'
  | 'queued'
  | 'sent'
  | 'due'
  | 'backing-off'
  | 'refreshing'
  | 'unconfirmed'
  | 'settled';

/** What an operation is made of. */
export interface OperationInput {
  /** What is called. */
  readonly kind: CallKind;
  /** For which space. */
  readonly space: SpaceReference;
  /** The encoded request, but for what changes with each sending. */
  readonly body: Body;
  /** Milliseconds to wait for a match, 0: if exists, Infinity: for ever. Ignored by calls that never wait. */
  readonly waitMs: number;
  /** Milliseconds until the call is given up, retries included; Infinity: never. */
  readonly timeoutMs: number;
}

/**
 * One call of a user. A subclass decodes its answer and hands it out; the engine settles it exactly
 * once, through `succeed` or `fail`.
 */
export abstract class Operation {
  readonly kind: CallKind;
  readonly space: SpaceReference;
  readonly body: Body;
  readonly waitMs: number;
  readonly timeoutMs: number;

  // The rest is the engine's.
  stage: Stage = 'new';
  lane: Lane | undefined;
  /** Its number in its engine, in order of `start`. */
  number = 0;
  /** The session it belongs to since its first sending there; none for reads. */
  session: Session | undefined;
  /** Invariant: never used for another operation of the session. */
  sequence = 0;
  /** Invariant: grows by one with each sending, cancels included (K1). */
  attempt = 0;
  /** The call that carries the newest attempt; 0 while none does (K2). */
  callId = 0;
  /** The link that it went over. */
  link: Link | undefined;
  /** The partition that it is for, 0 where that is not one; undefined until it is asked for. */
  partition: number | undefined;
  waitEndMs: number = Number.POSITIVE_INFINITY;
  deadlineMs: number = Number.POSITIVE_INFINITY;
  retryAtMs = 0;
  failures = 0;
  /** Whether a sending in this session went without an answer that says it did not act. */
  mayHaveActed = false;
  /**
   * Whether a sending in a session that is over may have acted: what it took comes back, but others
   * may see it gone until then.
   */
  actedBefore = false;
  /** What its newest sending was refused for. */
  lastError: TupletError | undefined;
  /** Why it is being cancelled. */
  cancelError: TupletError | undefined;
  /** Whether the user has been told already; then a tuple that still comes is not acknowledged. */
  abandoned = false;
  /** Tuples handed out whose receipt is not confirmed. */
  unreceived: readonly number[] = nothingHanded;

  constructor(input: OperationInput) {
    this.kind = input.kind;
    this.space = input.space;
    this.body = input.body;
    this.waitMs = input.kind.waitField === 0 ? 0 : input.waitMs;
    this.timeoutMs = input.timeoutMs;
  }

  /**
   * Decodes the answer and keeps it for `succeed`. Called before receipt is acknowledged; throws
   * DecodeError where the bytes are not what they should be, and then nothing is acknowledged.
   */
  abstract decode(bytes: Uint8Array, start: number, end: number): Decoded;

  /** Hands out what `decode` kept. Must not throw. */
  abstract succeed(): void;

  /**
   * Its session is over, and the receipt of these tuples, which were handed out, was not confirmed: they
   * may come back. Must not throw.
   */
  unconfirmed(_tupleIds: readonly number[]): void {}

  /** Ends the call with an error. Must not throw. */
  abstract fail(error: TupletError): void;
}
