import type { Alarm } from './alarm.ts';
import { writeCall, writeCancelTake, writeEndCall } from './envelope.ts';
import type { Lane } from './lane.ts';
import { bodyBytes, type Lanes } from './lanes.ts';
import { clientLimits } from './limits.ts';
import type { Link } from './link.ts';
import type { Links } from './links.ts';
import type { Operation } from './operation.ts';
import type { Sessions } from './sessions.ts';

/** What a sender works with. */
export interface SenderParts {
  readonly lanes: Lanes;
  readonly links: Links;
  readonly sessions: Sessions;
  readonly alarm: Alarm;
  /** Asks for a `flush` soon. */
  wantFlush(): void;
}

/** Brings operations from their lanes onto the links: each sending is a new attempt of a new call (K1). */
export class Sender {
  readonly #parts: SenderParts;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Whether something is to be sent now. */
  wantsToSend(nowMs: number): boolean {
    const { lanes, links, sessions } = this.#parts;
    if (links.wantsToSend || sessions.wantsToSend(nowMs)) return true;
    return lanes.all.some((lane) => lane.wantsToSend());
  }

  /** Sends all that can be sent. */
  flush(nowMs: number): void {
    if (!this.wantsToSend(nowMs)) return;
    const { lanes, links, sessions, alarm } = this.#parts;
    this.#sendEndCalls();
    sessions.send(nowMs);
    for (const lane of lanes.all) this.#sendLane(lane, nowMs);
    links.finish();
    if (links.isUp) alarm.by(nowMs + clientLimits.probeMs, nowMs);
    else if (links.retryAtMs > nowMs) alarm.by(links.retryAtMs, nowMs);
  }

  /** Sends the operation once more, under a new attempt. */
  again(operation: Operation): void {
    operation.stage = 'due';
    operation.lane?.due.push(operation);
    this.#parts.wantFlush();
  }

  /** Ends the call that carries the operation's newest attempt; it is answered all the same. */
  endCall(operation: Operation): void {
    operation.link?.endCalls.push(operation.callId);
    this.#parts.wantFlush();
  }

  #sendEndCalls(): void {
    for (const link of this.#parts.links) {
      while (link.endCalls.length > 0 && link.isWritable && link.outbox.room(0)) {
        const callId = link.endCalls.shift();
        if (callId !== undefined) writeEndCall(link.outbox.writer, link.silentCall(), callId);
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
      sessions.open(lane, nowMs);
      return false;
    }
    return true;
  }

  /** Sends the operation under a new attempt and call number (K1); false where there is no room. */
  #send(operation: Operation, nowMs: number): boolean {
    const { lane, kind } = operation;
    const link = this.#linkFor(operation, nowMs);
    if (link === undefined) return false;
    if (operation.stage === 'queued') {
      this.#parts.lanes.dequeued(operation);
      lane?.open.set(operation.number, operation);
      if (kind.mutates) lane?.session?.enter(operation);
    }
    operation.stage = 'sent';
    operation.attempt += 1;
    operation.link = link;
    operation.callId = link.register(operation, nowMs);
    const { session } = operation;
    if (operation.cancelError !== undefined && session !== undefined) {
      writeCancelTake(link.outbox.writer, operation, session);
    } else writeCall(link.outbox.writer, operation, nowMs);
    return true;
  }

  #linkFor(operation: Operation, nowMs: number): Link | undefined {
    const { links } = this.#parts;
    if (links.isSpread) {
      operation.partition ??= operation.space.partitionOf(operation.kind, operation.body);
    }
    return links.room(operation.partition ?? 0, bodyBytes(operation), nowMs);
  }
}
