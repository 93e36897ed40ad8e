import { DecodeError } from '@tuplet/proto';
import type { TupletError } from '../error.ts';
import { Alarm } from './alarm.ts';
import { backOffMs } from './back-off.ts';
import { controlCalls, errorReply } from './calls.ts';
import { canGoOn, isSurelyUndone, mayAct } from './certainty.ts';
import type { EngineDoors } from './doors.ts';
import { type ReplyRun, writeCall, writeCancelTake, writeEndCall } from './envelope.ts';
import { Lane } from './lane.ts';
import { clientLimits } from './limits.ts';
import { Link } from './link.ts';
import type { Decoded, Operation } from './operation.ts';
import { Outbox } from './outbox.ts';
import * as reasons from './reasons.ts';
import { isSessionOver, Sessions } from './sessions.ts';
import { errorIn } from './status.ts';

/** What an engine may be told. */
export interface EngineOptions {
  /** The lease of its sessions, in milliseconds, 1,000 to 3,600,000; default 10,000. */
  readonly leaseMs?: number;
  /** A name for people, up to 128 bytes; default none. */
  readonly name?: string;
  /** Operations that may wait to be sent; default 65,536. */
  readonly queuedMax?: number;
}

/** The server's reason for a request that was routed by an old epoch of the map. */
const staleReason = 'STALE_MAP';

/**
 * One client of one server: see DESIGN.md. Synchronous; `start`, `cancel` and `close` may be called
 * from anywhere, `succeed` and `fail` of an operation too.
 */
export class Engine {
  readonly #doors: EngineDoors;
  readonly #queuedMax: number;
  readonly #link: Link;
  readonly #sessions: Sessions;
  readonly #outbox: Outbox;
  readonly #alarm: Alarm;
  readonly #promptReads = new Lane(false);
  readonly #waitingReads = new Lane(false);
  readonly #changes = new Lane(true);
  readonly #waitingTakes = new Lane(true);
  readonly #lanes: readonly Lane[];
  /** Operations that were started. */
  #operations = 0;
  #queued = 0;
  #queuedBytes = 0;
  /** Calls to be ended on the present connection. */
  #endCalls: number[] = [];
  #flushAsked = false;
  #state: 'open' | 'draining' | 'closed' = 'open';
  #closeByMs = Number.POSITIVE_INFINITY;
  #closed: (() => void)[] = [];

  constructor(doors: EngineDoors, options: EngineOptions = {}) {
    this.#doors = doors;
    this.#queuedMax = options.queuedMax ?? clientLimits.queuedMax;
    this.#lanes = [this.#promptReads, this.#changes, this.#waitingReads, this.#waitingTakes];
    this.#alarm = new Alarm(doors.clock, () => this.#ring());
    this.#link = new Link(doors, {
      arriving: (nowMs) => this.#sessions.giveUpOver(nowMs),
      answered: (operation, reply, bytes, nowMs) => this.#answered(operation, reply, bytes, nowMs),
      lost: (operation, error) => this.#lost(operation, error),
      broken: (error, nowMs) => this.#broken(error, nowMs),
      writable: () => this.#wantFlush(),
    });
    const { leaseMs = clientLimits.leaseDefaultMs, name = '' } = options;
    this.#sessions = new Sessions(
      this.#link,
      doors.random,
      { leaseMs, name },
      {
        ended: (operations, cause) => this.#ended(operations, cause),
        received: (operation) => this.#settle(operation),
        refused: (lane, error) => this.#refuse(lane, error),
        wantFlush: () => this.#wantFlush(),
        wakeBy: (atMs) => this.#alarm.by(atMs, this.#doors.clock.nowMs()),
      },
    );
    this.#outbox = new Outbox(this.#link, clientLimits.messageBytesMax);
  }

  /** How many operations are under way: waiting to be sent, sent, or waiting for their receipts. */
  get underWay(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.open.size, this.#queued);
  }

  /** Starts an operation. It is settled later, or at once where it is refused. */
  start(operation: Operation): void {
    const bytes = operation.body.end - operation.body.start;
    if (this.#state !== 'open') {
      operation.fail(reasons.clientClosed(true));
      return;
    }
    const { messageBytesMax, queuedBytesMax } = clientLimits;
    if (bytes + 256 > messageBytesMax) {
      operation.fail(reasons.requestTooLarge(bytes, messageBytesMax - 256));
      return;
    }
    if (this.#queued >= this.#queuedMax || this.#queuedBytes + bytes > queuedBytesMax) {
      const message = `${this.#queued} calls of ${this.#queuedBytes} bytes wait to be sent`;
      operation.fail(reasons.clientBusy(message));
      return;
    }
    const nowMs = this.#doors.clock.nowMs();
    operation.waitEndMs = nowMs + operation.waitMs;
    operation.deadlineMs = nowMs + operation.timeoutMs;
    this.#operations += 1;
    operation.number = this.#operations;
    operation.stage = 'queued';
    operation.lane = this.#laneOf(operation);
    operation.lane.queue.push(operation);
    this.#queued += 1;
    this.#queuedBytes += bytes;
    this.#alarm.by(operation.deadlineMs, nowMs);
    this.#wantFlush();
  }

  /**
   * Cancels an operation, for `cause`. A take that was sent is settled when the server has answered
   * "cancelled" or the tuple; anything else fails at once.
   */
  cancel(operation: Operation, cause?: unknown): void {
    const { stage } = operation;
    if (operation.lane === undefined || operation.cancelError !== undefined) return;
    if (stage === 'settled' || stage === 'unconfirmed') return;
    if (operation.kind.handsOver && mayAct(operation)) {
      this.#beginCancel(operation, reasons.cancelled(!operation.actedBefore, cause));
      return;
    }
    if (stage === 'sent' && operation.kind.waitField > 0) this.#endCall(operation);
    this.#fail(operation, reasons.cancelled(isSurelyUndone(operation), cause));
  }

  /**
   * Ends everything: cancels blocked calls, lets the others finish, confirms receipts, closes the
   * sessions, for at most 2 s; then calls `done`.
   */
  close(done: () => void): void {
    if (this.#state === 'closed') {
      done();
      return;
    }
    this.#closed.push(done);
    if (this.#state === 'draining') return;
    this.#state = 'draining';
    const nowMs = this.#doors.clock.nowMs();
    this.#closeByMs = nowMs + clientLimits.closeTimeoutMs;
    this.#alarm.by(this.#closeByMs, nowMs);
    for (const lane of this.#lanes) {
      for (const operation of [...lane.queue]) {
        if (operation.stage !== 'queued') continue;
        this.#fail(operation, reasons.clientClosed(isSurelyUndone(operation)));
      }
      for (const operation of lane.open.values()) {
        if (operation.kind.waitField > 0) this.cancel(operation, reasons.clientClosed(true));
      }
    }
    this.#wantFlush();
  }

  #laneOf(operation: Operation): Lane {
    const waits = operation.kind.waitField > 0 && operation.waitMs > 0;
    if (operation.kind.mutates) return waits ? this.#waitingTakes : this.#changes;
    return waits ? this.#waitingReads : this.#promptReads;
  }

  // Sending

  #wantFlush(): void {
    if (this.#flushAsked || this.#state === 'closed') return;
    this.#flushAsked = true;
    this.#doors.clock.soon(() => {
      this.#flushAsked = false;
      this.#flush(this.#doors.clock.nowMs());
    });
  }

  #flush(nowMs: number): void {
    if (this.#state === 'closed') return;
    this.#sessions.giveUpOver(nowMs);
    if (this.#state === 'draining') {
      for (const session of this.#sessions) session.retiring = true;
      if (this.#isDrained(nowMs)) {
        this.#finish();
        return;
      }
    }
    if (!this.#wantsToSend(nowMs)) return;
    if (!this.#link.ready(nowMs)) {
      if (!this.#link.isUp) this.#alarm.by(this.#link.retryAtMs, nowMs);
      return;
    }
    this.#outbox.begin();
    this.#sendEndCalls();
    this.#sessions.send(this.#outbox, nowMs);
    for (const lane of this.#lanes) this.#sendLane(lane, nowMs);
    this.#outbox.finish();
  }

  #wantsToSend(nowMs: number): boolean {
    if (this.#endCalls.length > 0 || this.#sessions.wantsToSend(nowMs)) return true;
    return this.#lanes.some((lane) => lane.wantsToSend());
  }

  #sendEndCalls(): void {
    while (this.#endCalls.length > 0 && this.#outbox.room(0)) {
      const callId = this.#endCalls.shift();
      if (callId !== undefined) {
        writeEndCall(this.#outbox.writer, this.#link.silentCall(), callId);
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
    if (session?.isSpent) this.#sessions.retire(session);
    if (session === undefined || session.retiring || session.isOver(nowMs)) {
      this.#sessions.open(lane, this.#outbox, nowMs);
      return false;
    }
    return this.#outbox.room(operation.body.end - operation.body.start);
  }

  /** Sends the operation under a new attempt and call number (K1); false where there is no room. */
  #send(operation: Operation, nowMs: number): boolean {
    const { body, lane, kind } = operation;
    if (!this.#outbox.room(body.end - body.start)) return false;
    if (operation.stage === 'queued') {
      this.#leaveQueue(operation);
      lane?.open.set(operation.number, operation);
      if (kind.mutates) lane?.session?.enter(operation);
    }
    operation.stage = 'sent';
    operation.attempt += 1;
    operation.callId = this.#link.register(operation);
    const { session } = operation;
    if (operation.cancelError !== undefined && session !== undefined) {
      writeCancelTake(this.#outbox.writer, operation, session);
    } else writeCall(this.#outbox.writer, operation, nowMs);
    return true;
  }

  #leaveQueue(operation: Operation): void {
    this.#queued -= 1;
    this.#queuedBytes -= operation.body.end - operation.body.start;
  }

  #endCall(operation: Operation): void {
    this.#endCalls.push(operation.callId);
    this.#wantFlush();
  }

  #sendAgain(operation: Operation): void {
    operation.stage = 'due';
    operation.lane?.due.push(operation);
    this.#wantFlush();
  }

  // Answers

  #answered(operation: Operation, reply: ReplyRun, bytes: Uint8Array, nowMs: number): void {
    if (operation.stage !== 'sent') return;
    operation.callId = 0;
    if (reply.field === errorReply) {
      this.#refused(operation, errorIn(bytes, reply.start, reply.end), nowMs);
      return;
    }
    const decoded = this.#decode(operation, reply, bytes);
    if (decoded === undefined) return;
    const handed = decoded === 'cancelled' ? [] : decoded;
    if (handed.length > 0 && operation.kind.handsOver) this.#handOut(operation, handed);
    else if (decoded === 'cancelled' || operation.cancelError !== undefined) {
      this.#fail(operation, operation.cancelError ?? reasons.cancelled(true, undefined));
    } else {
      this.#settle(operation);
      operation.succeed();
    }
  }

  /** The whole answer, before anything is acknowledged; undefined where it ended the operation. */
  #decode(operation: Operation, reply: ReplyRun, bytes: Uint8Array): Decoded | undefined {
    const cancelReply = operation.cancelError === undefined ? 0 : controlCalls.cancelTake + 1;
    let cause: unknown = `reply field ${reply.field} to ${operation.kind.name}`;
    if (reply.field === operation.kind.reply || reply.field === cancelReply) {
      try {
        return operation.decode(bytes, reply.start, reply.end);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        cause = error;
      }
    }
    this.#giveBack(operation);
    this.#fail(operation, reasons.answerUnreadable(cause));
    return undefined;
  }

  /** K3: the tuples are decoded; receipt goes out with the next batch, and the sequence stays open. */
  #handOut(operation: Operation, handed: readonly number[]): void {
    const { session, sequence } = operation;
    if (session === undefined) return;
    if (operation.abandoned) {
      this.#giveBack(operation);
      this.#settle(operation);
      return;
    }
    operation.stage = 'unconfirmed';
    operation.deadlineMs = Number.POSITIVE_INFINITY;
    operation.unreceived = [...handed];
    for (const tupleId of handed) session.receipts.add({ sequence, tupleId });
    this.#wantFlush();
    operation.succeed();
  }

  /** The newest attempt was answered with an error. */
  #refused(operation: Operation, error: TupletError, nowMs: number): void {
    if (!error.definite) operation.mayHaveActed = operation.kind.mutates;
    operation.lastError = error;
    operation.stage = 'backing-off';
    const { session } = operation;
    if (session !== undefined && isSessionOver(error)) {
      this.#sessions.giveUp(session, nowMs, error);
      if (operation.stage === 'backing-off') this.#fail(operation, error);
    } else if (error.reason === staleReason) this.#refresh(operation);
    else if (error.retryable) this.#backOff(operation, error, nowMs);
    else this.#giveUp(operation, error);
  }

  /** Ends an operation with an error of its newest sending; an earlier one may have acted. */
  #giveUp(operation: Operation, error: TupletError): void {
    if (operation.mayHaveActed) this.#giveBack(operation);
    const isSure = !operation.mayHaveActed && !operation.actedBefore;
    this.#fail(operation, isSure ? error : error.asIndefinite());
  }

  /**
   * What may have been handed over and nobody will acknowledge goes back as its session ends. Its other
   * takes may wait for ever, and nobody would see the tuple until then: they go on in another session.
   */
  #giveBack(operation: Operation): void {
    const { kind, session } = operation;
    if (session === undefined || !kind.handsOver) return;
    this.#sessions.retire(session);
    this.#goOn(
      session.open.values().filter((each) => each !== operation),
      undefined,
    );
  }

  #backOff(operation: Operation, error: TupletError, nowMs: number): void {
    if (operation.cancelError !== undefined && !operation.mayHaveActed) {
      this.#fail(operation, operation.cancelError);
      return;
    }
    operation.failures += 1;
    const pauseMs = backOffMs(operation.failures, this.#doors.random);
    operation.retryAtMs = nowMs + Math.max(error.retryAfterMs ?? 0, pauseMs);
    this.#alarm.by(operation.retryAtMs, nowMs);
  }

  #refresh(operation: Operation): void {
    operation.stage = 'refreshing';
    operation.space.refresh((error) => {
      if (operation.stage !== 'refreshing') return;
      if (error === undefined) this.#sendAgain(operation);
      else this.#giveUp(operation, error);
    });
  }

  #lost(operation: Operation, error: TupletError): void {
    operation.callId = 0;
    if (operation.stage !== 'sent') return;
    operation.lastError = error;
    operation.mayHaveActed = operation.kind.mutates;
    if (error.retryable) this.#sendAgain(operation);
    else this.#giveUp(operation, error);
  }

  #broken(error: TupletError, nowMs: number): void {
    this.#endCalls = [];
    this.#sessions.broken(nowMs);
    if (!error.retryable) {
      for (const lane of this.#lanes) this.#refuse(lane, error);
    }
    if (this.#sessions.size > 0) this.#alarm.by(this.#link.retryAtMs, nowMs);
    this.#wantFlush();
  }

  #refuse(lane: Lane, error: TupletError): void {
    for (const operation of [...lane.queue]) {
      if (operation.stage === 'queued') this.#giveUp(operation, error);
    }
  }

  /**
   * A session is over (S4). A take of which nothing was handed out goes on under the next session: what
   * the old one took comes back, and its answers are not heard any more (K2). So does a change that
   * surely did not happen; any other ends here.
   */
  #ended(operations: readonly Operation[], cause: TupletError | undefined): void {
    this.#goOn(operations, cause);
    for (const operation of operations) {
      // What goes on has none; what is settled was ended by what another's end has set off.
      if (operation.session === undefined || operation.stage === 'settled') continue;
      const expired = reasons.sessionExpired(isSurelyUndone(operation), cause);
      this.#fail(operation, operation.cancelError?.asIndefinite() ?? expired);
    }
  }

  /** Those of a session's operations that can begin anew leave it and wait for the next one. */
  #goOn(operations: readonly Operation[], cause: TupletError | undefined): void {
    if (this.#state !== 'open') return;
    const goOn = operations.filter(canGoOn);
    for (const operation of goOn) this.#leaveSession(operation, cause);
    // All of a session are of its lane, in the order in which they came: before those that came later.
    goOn[0]?.lane?.queue.pushFront(goOn);
  }

  /** As if it had never been sent, but for its time, which goes on, and what is known of its past. */
  #leaveSession(operation: Operation, cause: TupletError | undefined): void {
    if (operation.callId !== 0) this.#link.forget(operation.callId);
    if (mayAct(operation)) operation.actedBefore = true;
    operation.lane?.open.delete(operation.number);
    operation.stage = 'queued';
    operation.session?.leave(operation.sequence);
    operation.session = undefined;
    operation.sequence = 0;
    operation.attempt = 0;
    operation.callId = 0;
    operation.mayHaveActed = false;
    operation.lastError = cause ?? operation.lastError;
    this.#queued += 1;
    this.#queuedBytes += operation.body.end - operation.body.start;
  }

  // Ends

  /** Ends an operation with an error; the user is told unless he was told already. */
  #fail(operation: Operation, error: TupletError): void {
    const { stage } = operation;
    this.#settle(operation);
    if (stage === 'unconfirmed') operation.unconfirmed(operation.unreceived);
    else if (!operation.abandoned) operation.fail(error);
  }

  /** Closes the operation: its sequence may be passed by the floor. */
  #settle(operation: Operation): void {
    if (operation.stage === 'queued') this.#leaveQueue(operation);
    operation.stage = 'settled';
    const { session } = operation;
    operation.lane?.open.delete(operation.number);
    if (operation.callId !== 0) this.#link.forget(operation.callId);
    operation.callId = 0;
    session?.leave(operation.sequence);
    if (session?.retiring || this.#state === 'draining') this.#wantFlush();
    else if ((operation.lane?.queue.size ?? 0) > 0) this.#wantFlush();
  }

  #beginCancel(operation: Operation, error: TupletError): void {
    const nowMs = this.#doors.clock.nowMs();
    operation.cancelError = error;
    const graceMs = operation.session?.leaseMs ?? clientLimits.leaseDefaultMs;
    operation.deadlineMs = nowMs + graceMs;
    this.#alarm.by(operation.deadlineMs, nowMs);
    if (operation.stage === 'sent') this.#endCall(operation);
    else if (operation.stage !== 'due') this.#sendAgain(operation);
  }

  // Time

  #ring(): void {
    const nowMs = this.#doors.clock.nowMs();
    this.#sessions.giveUpOver(nowMs);
    this.#sessions.repeatReceipts(nowMs);
    for (const lane of this.#lanes) {
      for (const operation of [...lane.queue]) this.#look(operation, nowMs);
      for (const operation of lane.open.values()) this.#look(operation, nowMs);
    }
    this.#dropIfSilent(nowMs);
    this.#flush(nowMs);
    if (this.#state === 'closed') return;
    this.#alarm.by(this.#nextAtMs(nowMs), nowMs);
  }

  #look(operation: Operation, nowMs: number): void {
    if (operation.stage === 'settled') return;
    if (operation.deadlineMs <= nowMs) this.#late(operation);
    else if (operation.stage === 'backing-off' && operation.retryAtMs <= nowMs) {
      this.#sendAgain(operation);
    }
  }

  /** The operation's time is over. */
  #late(operation: Operation): void {
    const { kind, timeoutMs, lastError } = operation;
    if (operation.cancelError !== undefined) {
      operation.deadlineMs = Number.POSITIVE_INFINITY;
      operation.abandoned = true;
      operation.fail(reasons.outcomeUnknown(operation.cancelError));
    } else if (kind.handsOver && mayAct(operation)) {
      this.#beginCancel(operation, reasons.timedOut(!operation.actedBefore, timeoutMs, lastError));
    } else {
      if (operation.stage === 'sent' && kind.waitField > 0) this.#endCall(operation);
      this.#fail(operation, reasons.timedOut(isSurelyUndone(operation), timeoutMs, lastError));
    }
  }

  /**
   * A keep-alive was sent, its third of the lease is over, and nothing at all has come since: the
   * connection is broken, whatever the network says.
   */
  #dropIfSilent(nowMs: number): void {
    if (!this.#link.isUp) return;
    for (const session of this.#sessions) {
      const sentAtMs = session.keepSentAtMs;
      if (sentAtMs === undefined || session.keepDueMs > nowMs) continue;
      if (this.#link.heardAtMs < sentAtMs) {
        this.#link.drop(reasons.silent());
        return;
      }
    }
  }

  #nextAtMs(nowMs: number): number {
    let atMs = Math.min(this.#sessions.nextAtMs(nowMs), this.#closeByMs);
    if (!this.#link.isUp && this.#link.retryAtMs > nowMs && this.#wantsToSend(nowMs)) {
      atMs = Math.min(atMs, this.#link.retryAtMs);
    }
    for (const lane of this.#lanes) {
      if (lane.queue.size > 0 && lane.openAtMs > nowMs) atMs = Math.min(atMs, lane.openAtMs);
      for (const operation of lane.queue) {
        // What has failed meanwhile leaves the queue with the next sending; its deadline is past.
        if (operation.stage === 'queued') atMs = Math.min(atMs, operation.deadlineMs);
      }
      for (const operation of lane.open.values()) {
        atMs = Math.min(atMs, operation.deadlineMs);
        if (operation.stage === 'backing-off') atMs = Math.min(atMs, operation.retryAtMs);
      }
    }
    return Math.max(atMs, nowMs);
  }

  // Closing

  #isDrained(nowMs: number): boolean {
    if (nowMs >= this.#closeByMs) return true;
    return this.#sessions.size === 0 && this.#lanes.every((lane) => lane.open.size === 0);
  }

  #finish(): void {
    for (const lane of this.#lanes) {
      for (const operation of lane.open.values()) {
        this.#fail(operation, reasons.clientClosed(!operation.kind.mutates));
      }
    }
    this.#state = 'closed';
    this.#alarm.stop();
    this.#link.close();
    const closed = this.#closed;
    this.#closed = [];
    for (const done of closed) done();
  }
}
