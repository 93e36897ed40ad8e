import type { Alarm } from './alarm.ts';
import { writeCall, writeCancelTake, writeEndCall } from './envelope.ts';
import type { Lane } from './lane.ts';
import { bodyBytes, type Lanes } from './lanes.ts';
import { clientLimits } from './limits.ts';
import type { Link } from './link.ts';
import type { Operation } from './operation.ts';
import { Outbox } from './outbox.ts';
import type { Sessions } from './sessions.ts';

/** What a sender works with. */
export interface SenderParts {
  readonly lanes: Lanes;
  readonly link: Link;
  readonly sessions: Sessions;
  readonly alarm: Alarm;
  /** Asks for a `flush` soon. */
  wantFlush(): void;
}

/** Brings operations from their lanes onto the link: each sending is a new attempt of a new call (K1). */
export class Sender {
  readonly #parts: SenderParts;
  readonly #outbox: Outbox;
  /** Calls to be ended on the present connection. */
  #endCalls: number[] = [];

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.#outbox = new Outbox(parts.link, clientLimits.messageBytesMax);
  }

  /** Whether something is to be sent now. */
  wantsToSend(nowMs: number): boolean {
    const { lanes, sessions } = this.#parts;
    if (this.#endCalls.length > 0 || sessions.wantsToSend(nowMs)) return true;
    return lanes.all.some((lane) => lane.wantsToSend());
  }

  /** Sends all that can be sent. */
  flush(nowMs: number): void {
    if (!this.wantsToSend(nowMs)) return;
    const { lanes, link, sessions, alarm } = this.#parts;
    if (!link.ready(nowMs)) {
      if (!link.isUp) alarm.by(link.retryAtMs, nowMs);
      return;
    }
    this.#outbox.begin();
    this.#sendEndCalls();
    sessions.send(this.#outbox, nowMs);
    for (const lane of lanes.all) this.#sendLane(lane, nowMs);
    this.#outbox.finish();
  }

  /** Sends the operation once more, under a new attempt. */
  again(operation: Operation): void {
    operation.stage = 'due';
    operation.lane?.due.push(operation);
    this.#parts.wantFlush();
  }

  /** Ends the call that carries the operation's newest attempt; it is answered all the same. */
  endCall(operation: Operation): void {
    this.#endCalls.push(operation.callId);
    this.#parts.wantFlush();
  }

  /** The connection broke: its calls need no end. */
  broken(): void {
    this.#endCalls = [];
  }

  #sendEndCalls(): void {
    while (this.#endCalls.length > 0 && this.#outbox.room(0)) {
      const callId = this.#endCalls.shift();
      if (callId !== undefined) {
        writeEndCall(this.#outbox.writer, this.#parts.link.silentCall(), callId);
      }
    }
  }

  #sendLane(lane: Lane, nowMs: number): void {
    for (let next = lane.due.peek(); next !== undefined; next = lane.due.peek()) {
      if (next.stage === 'due' && !this.#send(next, nowMs)) return;
      lane.due.shift();
    }
    for (let next = lane.queue.peek(); next !== undefined; next = lane.queue.peek()) {
      if (next.stage === 'queued') {
        if (!lane.hasRoom() || !this.#enter(lane, next, nowMs)) return;
        if (!this.#send(next, nowMs)) return;
      }
      lane.queue.shift();
    }
  }

  /** Readies an operation for its first sending: false where it has to wait for a session. */
  #enter(lane: Lane, operation: Operation, nowMs: number): boolean {
    if (!lane.mutates || operation.session !== undefined) return true;
    const { session } = lane;
    const { sessions } = this.#parts;
    if (session?.isSpent && !session.retiring) sessions.retire(session);
    if (session === undefined || session.retiring || session.isOver(nowMs)) {
      sessions.open(lane, this.#outbox, nowMs);
      return false;
    }
    return this.#outbox.room(bodyBytes(operation));
  }

  /** Sends the operation under a new attempt and call number (K1); false where there is no room. */
  #send(operation: Operation, nowMs: number): boolean {
    const { lane, kind } = operation;
    if (!this.#outbox.room(bodyBytes(operation))) return false;
    if (operation.stage === 'queued') {
      this.#parts.lanes.dequeued(operation);
      lane?.open.set(operation.number, operation);
      if (kind.mutates) lane?.session?.enter(operation);
    }
    operation.stage = 'sent';
    operation.attempt += 1;
    operation.callId = this.#parts.link.register(operation);
    const { session } = operation;
    if (operation.cancelError !== undefined && session !== undefined) {
      writeCancelTake(this.#outbox.writer, operation, session);
    } else writeCall(this.#outbox.writer, operation, nowMs);
    return true;
  }
}
