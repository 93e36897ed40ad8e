import { DecodeError, NumberMap } from '@tuplet/proto';
import { Topology as TopologyMessage } from '@tuplet/proto/contract';
import type { TupletError } from '../error.ts';
import { backOffMs } from './back-off.ts';
import type { Channel, ChannelEvents, EngineClock, EngineRandom } from './doors.ts';
import { Replies, type ReplyRun } from './envelope.ts';
import { clientLimits } from './limits.ts';
import { Operation } from './operation.ts';
import { Outbox } from './outbox.ts';
import { answerUnreadable, silent } from './reasons.ts';

/** A call that the engine makes for itself. */
export interface ControlCall {
  /** Its reply has come: `bytes` from `reply.start` to `reply.end`. */
  answered(reply: ReplyRun, bytes: Uint8Array, nowMs: number): void;
  /** The connection that carried it is gone. */
  lost(nowMs: number): void;
}

/** What a link tells of itself. */
export interface LinkOwner {
  /** Before the replies of a message are looked at. */
  arriving(nowMs: number): void;
  /** The server tells of its cluster; before the replies of the message. */
  topology(link: Link, message: TopologyMessage, nowMs: number): void;
  /** The reply to an operation's newest call. */
  answered(operation: Operation, reply: ReplyRun, bytes: Uint8Array, nowMs: number): void;
  /** The connection that carried the operation's newest call is gone. */
  lost(operation: Operation, error: TupletError): void;
  /** The connection is gone; called after `lost` of everything on it. */
  broken(link: Link, error: TupletError, nowMs: number): void;
  /** There may be room to send again. */
  writable(): void;
}

/** What a link is made with. */
export interface LinkParts {
  readonly clock: EngineClock;
  readonly random: EngineRandom;
  readonly owner: LinkOwner;
  /** Replies of one message from which it is heard in two turns. */
  readonly halvedMin: number;
  /** The number of the next call; all links of an engine count together (K2). */
  readonly numbers: { next: number };
  connect(events: ChannelEvents): Channel;
}

/**
 * One connection at a time to one server: opened when there is something to send, again after a
 * back-off; finds calls again by their replies. What a former channel still says is not heard.
 */
export class Link {
  /** What goes with the next message. Written to where the link `isWritable`. */
  readonly outbox: Outbox;
  /** The node on the other side, as it says itself; 0 before that. */
  node = 0;
  /** Calls to be ended on the present connection. */
  endCalls: number[] = [];
  readonly #parts: LinkParts;
  #calls = new NumberMap<Operation | ControlCall>();
  /** How many of these are to be answered soon. */
  #prompt = 0;
  #channel: Channel | undefined;
  /** Counts the channels; what an older one says is dropped. */
  #generation = 0;
  #paused = false;
  #failures = 0;
  #retryAtMs = 0;
  #usedAtMs = 0;
  /** When the channel was opened, or something was heard last. */
  #heardAtMs = 0;
  /** When it is given up, unless something is heard before: it was asked. Infinity while it was not. */
  #dropAtMs = Number.POSITIVE_INFINITY;
  #isHeard = false;
  /** What of the last message is not heard yet. */
  #unheard: Replies | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.outbox = new Outbox((bytes) => this.#send(bytes), clientLimits.messageBytesMax);
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

  /** Whether there is a channel, which wants more. */
  get isWritable(): boolean {
    return this.#channel !== undefined && !this.#paused;
  }

  /** Whether calls wait for their answers here. */
  get isBusy(): boolean {
    return this.#calls.size > 0;
  }

  /** When the last call was made here. */
  get usedAtMs(): number {
    return this.#usedAtMs;
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
    const channel = this.#parts.connect({
      message: (bytes) => heard(() => this.#message(bytes)),
      drained: () =>
        heard(() => {
          this.#paused = false;
          this.#parts.owner.writable();
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
    this.#heardAtMs = nowMs;
    this.#usedAtMs = nowMs;
    this.#ask(nowMs, clientLimits.openMs);
    return true;
  }

  /** The number for a call that is about to be sent. */
  register(callee: Operation | ControlCall, nowMs: number): number {
    const callId = this.silentCall();
    this.#usedAtMs = nowMs;
    this.#calls.set(callId, callee);
    if (isPrompt(callee)) this.#prompt += 1;
    return callId;
  }

  /** A number for a call that nothing answers. */
  silentCall(): number {
    const { numbers } = this.#parts;
    numbers.next += 1;
    return numbers.next - 1;
  }

  /** Forgets a call: its reply is not heard. */
  forget(callId: number): void {
    const callee = this.#calls.get(callId);
    if (callee !== undefined) this.#remove(callId, callee);
  }

  #remove(callId: number, callee: Operation | ControlCall): void {
    this.#calls.delete(callId);
    if (isPrompt(callee)) this.#prompt -= 1;
  }

  // Whether the server is still there

  /** Asks a server that owes answers and is silent; breaks off with one that stays silent. */
  watch(nowMs: number): void {
    if (this.#channel === undefined || this.nextWatchMs() > nowMs) return;
    if (this.#dropAtMs === Number.POSITIVE_INFINITY) this.#ask(nowMs, clientLimits.silentMs);
    else if (nowMs - this.#dropAtMs <= clientLimits.lateMs) this.drop(silent());
    // This process stood still itself: what came meanwhile is not heard yet.
    else this.#dropAtMs = nowMs + clientLimits.suspectMs;
  }

  /** When `watch` has something to do. */
  nextWatchMs(): number {
    if (this.#channel === undefined) return Number.POSITIVE_INFINITY;
    // Nothing depends on what nobody has asked for; but who was never heard shall be.
    if (this.#calls.size === 0 && this.node !== 0) return Number.POSITIVE_INFINITY;
    const { probeMs, probeWaitingMs } = clientLimits;
    const askAtMs = this.#heardAtMs + (this.#prompt > 0 ? probeMs : probeWaitingMs);
    return this.#dropAtMs === Number.POSITIVE_INFINITY ? askAtMs : this.#dropAtMs;
  }

  /** Others say that this server has lost something: it may be dead, and is asked at once. */
  suspect(nowMs: number): void {
    if (this.#channel === undefined || this.#calls.size === 0) return;
    if (this.#dropAtMs === Number.POSITIVE_INFINITY) this.#ask(nowMs, clientLimits.suspectMs);
    else this.#dropAtMs = Math.min(this.#dropAtMs, nowMs + clientLimits.suspectMs);
  }

  #ask(nowMs: number, withinMs: number): void {
    this.outbox.wantTopology();
    this.#dropAtMs = nowMs + withinMs;
  }

  // Its end

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
    this.node = 0;
    this.#channel?.close();
    this.#channel = undefined;
    this.#retryAtMs = Number.POSITIVE_INFINITY;
  }

  /** Sends a batch. Returns false where no more may follow now. */
  #send(bytes: Uint8Array): boolean {
    if (this.#channel === undefined) return false;
    this.#isHeard = false;
    if (!this.#channel.send(bytes)) this.#paused = true;
    return !this.#paused;
  }

  // What comes

  /**
   * Of many replies the first half is heard now, the other in a turn of its own: the server works on
   * what follows from the first meanwhile, and neither waits for the other.
   */
  #message(bytes: Uint8Array): void {
    this.#hearRest();
    // Damage in the rest of the last message has ended the connection.
    if (this.#channel === undefined) return;
    const nowMs = this.#parts.clock.nowMs();
    this.#heardAtMs = nowMs;
    this.#dropAtMs = Number.POSITIVE_INFINITY;
    this.#failures = 0;
    const replies = new Replies(bytes);
    const count = replies.count();
    if (!this.#hearTopology(replies, nowMs)) return;
    this.#unheard = replies;
    if (count < this.#parts.halvedMin) this.#hearRest();
    else {
      this.#hear(replies, Math.ceil(count / 2));
      this.#parts.clock.soon(this.#hearRest);
    }
  }

  /** False where that has ended the connection. */
  #hearTopology({ bytes, topology }: Replies, nowMs: number): boolean {
    if (topology === undefined) return true;
    const { owner } = this.#parts;
    const generation = this.#generation;
    try {
      const message = TopologyMessage.decodeRun(bytes, topology.start, topology.end);
      owner.topology(this, message, nowMs);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.drop(answerUnreadable(error));
    }
    return generation === this.#generation;
  }

  readonly #hearRest = (): void => {
    if (this.#unheard !== undefined) this.#hear(this.#unheard, Number.POSITIVE_INFINITY);
  };

  /** Hears so many replies; fewer where they end, or what they set off ends the connection. */
  #hear(replies: Replies, countMax: number): void {
    const { clock, owner } = this.#parts;
    const nowMs = clock.nowMs();
    this.#isHeard = true;
    owner.arriving(nowMs);
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
    this.#remove(reply.callId, callee);
    if (!(callee instanceof Operation)) callee.answered(reply, bytes, nowMs);
    // K2: an answer counts if its call is the operation's newest sending, and no other.
    else if (callee.callId === reply.callId) {
      this.#parts.owner.answered(callee, reply, bytes, nowMs);
    }
  }

  #closed(error: TupletError): void {
    const { clock, owner, random } = this.#parts;
    const nowMs = clock.nowMs();
    this.#generation += 1;
    this.#unheard = undefined;
    this.#channel = undefined;
    this.#dropAtMs = Number.POSITIVE_INFINITY;
    this.endCalls = [];
    this.outbox.clear();
    this.#failures += 1;
    this.#retryAtMs = nowMs + backOffMs(this.#failures, random);
    const calls = this.#calls;
    this.#calls = new NumberMap();
    this.#prompt = 0;
    for (const callId of calls.keys()) {
      const callee = calls.get(callId);
      if (callee === undefined) continue;
      if (!(callee instanceof Operation)) callee.lost(nowMs);
      else if (callee.callId === callId) owner.lost(callee, error);
    }
    owner.broken(this, error, nowMs);
    this.node = 0;
  }
}

/** Whether an answer is owed soon: a call that waits for a match may stay silent for ever. */
function isPrompt(callee: Operation | ControlCall): boolean {
  return !(callee instanceof Operation) || callee.waitMs === 0;
}
