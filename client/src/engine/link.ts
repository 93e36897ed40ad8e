import { DecodeError, NumberMap } from '@tuplet/proto';
import type { TupletError } from '../error.ts';
import { backOffMs } from './back-off.ts';
import type { Channel, EngineDoors } from './doors.ts';
import { Replies, type ReplyRun } from './envelope.ts';
import { Operation } from './operation.ts';
import { answerUnreadable } from './reasons.ts';

/** A call that the engine makes for itself. */
export interface ControlCall {
  /** Its reply has come: `bytes` from `reply.start` to `reply.end`. */
  answered(reply: ReplyRun, bytes: Uint8Array, nowMs: number): void;
  /** The connection that carried it is gone. */
  lost(nowMs: number): void;
}

/** What the link tells the engine. */
export interface LinkOwner {
  /** Before the replies of a message are looked at. */
  arriving(nowMs: number): void;
  /** The reply to an operation's newest call. */
  answered(operation: Operation, reply: ReplyRun, bytes: Uint8Array, nowMs: number): void;
  /** The connection that carried the operation's newest call is gone. */
  lost(operation: Operation, error: TupletError): void;
  /** The connection is gone; called after `lost` of everything on it. */
  broken(error: TupletError, nowMs: number): void;
  /** There may be room to send again. */
  writable(): void;
}

/**
 * The engine's one connection at a time: opened when there is something to send, again after a
 * back-off; numbers the calls on it and finds them again by their replies. What a former channel
 * still says is not heard.
 */
export class Link {
  readonly #doors: EngineDoors;
  readonly #owner: LinkOwner;
  readonly #halvedMin: number;
  #calls = new NumberMap<Operation | ControlCall>();
  #channel: Channel | undefined;
  /** Counts the channels; what an older one says is dropped. */
  #generation = 0;
  #paused = false;
  #nextCall = 1;
  #failures = 0;
  #retryAtMs = 0;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #isHeard = false;
  /** What of the last message is not heard yet. */
  #unheard: Replies | undefined;

  /** `halvedMin`: replies of one message from which it is heard in two turns. */
  constructor(doors: EngineDoors, owner: LinkOwner, halvedMin: number) {
    this.#doors = doors;
    this.#owner = owner;
    this.#halvedMin = halvedMin;
  }

  /** When the last message came. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** Whether a message has come since the last batch was due. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** A batch is done, sent or not: the next one that hurries has heard something again. */
  batchDone(): void {
    this.#isHeard = false;
  }

  /** When a connection may be tried next; in the past if now. */
  get retryAtMs(): number {
    return this.#retryAtMs;
  }

  /** Whether there is a channel. */
  get isUp(): boolean {
    return this.#channel !== undefined;
  }

  /** Whether something can be sent now; opens a channel where none is and the back-off is over. */
  ready(nowMs: number): boolean {
    if (this.#channel !== undefined) return !this.#paused;
    if (nowMs < this.#retryAtMs) return false;
    this.#generation += 1;
    const generation = this.#generation;
    this.#paused = false;
    const heard = (run: () => void): void => {
      if (generation === this.#generation) run();
    };
    const channel = this.#doors.connect({
      message: (bytes) => heard(() => this.#message(bytes)),
      drained: () =>
        heard(() => {
          this.#paused = false;
          this.#owner.writable();
        }),
      closed: (error) =>
        heard(() => {
          this.#hearRest();
          if (generation === this.#generation) this.#closed(error);
        }),
    });
    // A channel that closed while it was being opened has moved the generation on.
    if (generation !== this.#generation) return false;
    this.#channel = channel;
    return true;
  }

  /** The number for a call that is about to be sent. */
  register(callee: Operation | ControlCall): number {
    const callId = this.#nextCall;
    this.#nextCall += 1;
    this.#calls.set(callId, callee);
    return callId;
  }

  /** A number for a call that nothing answers. */
  silentCall(): number {
    this.#nextCall += 1;
    return this.#nextCall - 1;
  }

  /** Forgets a call: its reply is not heard. */
  forget(callId: number): void {
    this.#calls.delete(callId);
  }

  /** Sends a batch. Returns false where no more may follow now. */
  send(bytes: Uint8Array): boolean {
    if (this.#channel === undefined) return false;
    this.#isHeard = false;
    if (!this.#channel.send(bytes)) this.#paused = true;
    return !this.#paused;
  }

  /** Breaks the connection off, as if it had broken by itself. */
  drop(error: TupletError): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#closed(error);
    channel.close();
  }

  /** Ends the connection for good; nobody is told. */
  close(): void {
    this.#generation += 1;
    this.#unheard = undefined;
    this.#calls.clear();
    this.#channel?.close();
    this.#channel = undefined;
    this.#retryAtMs = Number.POSITIVE_INFINITY;
  }

  /**
   * Of many replies the first half is heard now, the other in a turn of its own: the server works on
   * what follows from the first meanwhile, and neither waits for the other.
   */
  #message(bytes: Uint8Array): void {
    this.#hearRest();
    // Damage in the rest of the last message has ended the connection.
    if (this.#channel === undefined) return;
    this.#heardAtMs = this.#doors.clock.nowMs();
    this.#failures = 0;
    const replies = new Replies(bytes);
    this.#unheard = replies;
    const count = replies.count();
    if (count < this.#halvedMin) this.#hearRest();
    else {
      this.#hear(replies, Math.ceil(count / 2));
      this.#doors.clock.soon(this.#hearRest);
    }
  }

  readonly #hearRest = (): void => {
    if (this.#unheard !== undefined) this.#hear(this.#unheard, Number.POSITIVE_INFINITY);
  };

  /** Hears so many replies; fewer where they end, or what they set off ends the connection. */
  #hear(replies: Replies, countMax: number): void {
    const nowMs = this.#doors.clock.nowMs();
    this.#isHeard = true;
    this.#owner.arriving(nowMs);
    try {
      for (let count = 0; count < countMax && replies === this.#unheard; count += 1) {
        const reply = replies.next();
        if (reply === undefined) this.#unheard = undefined;
        else this.#answer(reply, replies.bytes, nowMs);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.drop(answerUnreadable(error));
    }
  }

  #answer(reply: ReplyRun, bytes: Uint8Array, nowMs: number): void {
    const callee = this.#calls.get(reply.callId);
    if (callee === undefined) return;
    this.#calls.delete(reply.callId);
    if (!(callee instanceof Operation)) callee.answered(reply, bytes, nowMs);
    // K2: an answer counts if its call is the operation's newest sending, and no other.
    else if (callee.callId === reply.callId) this.#owner.answered(callee, reply, bytes, nowMs);
  }

  #closed(error: TupletError): void {
    const nowMs = this.#doors.clock.nowMs();
    this.#generation += 1;
    this.#unheard = undefined;
    this.#channel = undefined;
    this.#failures += 1;
    this.#retryAtMs = nowMs + backOffMs(this.#failures, this.#doors.random);
    const calls = this.#calls;
    this.#calls = new NumberMap();
    for (const callId of calls.keys()) {
      const callee = calls.get(callId);
      if (callee === undefined) continue;
      if (!(callee instanceof Operation)) callee.lost(nowMs);
      else if (callee.callId === callId) this.#owner.lost(callee, error);
    }
    this.#owner.broken(error, nowMs);
  }
}
