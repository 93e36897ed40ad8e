import { DecodeError } from '@tuplet/proto';
import type { TupletError } from '../error.ts';
import type { Alarm } from './alarm.ts';
import { backOffMs } from './back-off.ts';
import { controlCalls, errorReply } from './calls.ts';
import { canGoOn, isSurelyUndone, mayAct } from './certainty.ts';
import type { EngineClock, EngineRandom } from './doors.ts';
import type { ReplyRun } from './envelope.ts';
import type { Lane } from './lane.ts';
import type { Lanes } from './lanes.ts';
import { clientLimits } from './limits.ts';
import type { Decoded, Operation } from './operation.ts';
import * as reasons from './reasons.ts';
import type { Sender } from './sender.ts';
import { isSessionOver, type Sessions } from './sessions.ts';
import { errorIn } from './status.ts';

/** The server's reason for a request that was routed by an old epoch of the map. */
const staleReason = 'STALE_MAP';

/** What outcomes work with. */
export interface OutcomesParts {
  readonly clock: EngineClock;
  readonly random: EngineRandom;
  readonly lanes: Lanes;
  readonly sessions: Sessions;
  readonly alarm: Alarm;
  readonly sender: Sender;
  /** Whether the engine takes new operations. */
  isOpen(): boolean;
  /** Asks for a flush soon. */
  wantFlush(): void;
}

/**
 * What becomes of an operation: its answer handed out, its error told or its sending repeated, its
 * cancel begun. The one place where operations are settled, each exactly once.
 */
export class Outcomes {
  readonly #parts: OutcomesParts;

  constructor(parts: OutcomesParts) {
    this.#parts = parts;
  }

  // Answers

  /** The newest attempt was answered. */
  answered(operation: Operation, reply: ReplyRun, bytes: Uint8Array, nowMs: number): void {
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
      this.fail(operation, operation.cancelError ?? reasons.cancelled(true, undefined));
    } else {
      this.settle(operation);
      operation.succeed();
    }
  }

  /** The whole answer, before anything is acknowledged; undefined where it ended the operation. */
  #decode(operation: Operation, reply: ReplyRun, bytes: Uint8Array): Decoded | undefined {
    const { kind, cancelError } = operation;
    const isCancelled = cancelError !== undefined && reply.field === controlCalls.cancelTake + 1;
    let cause: unknown;
    if (reply.field === kind.reply || isCancelled) {
      try {
        return operation.decode(bytes, reply.start, reply.end);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        cause = error;
      }
    } else cause = `reply field ${reply.field} to ${kind.name}`;
    this.#giveBack(operation);
    this.fail(operation, reasons.answerUnreadable(cause));
    return undefined;
  }

  /** K3: the tuples are decoded; receipt goes out with the next batch, and the sequence stays open. */
  #handOut(operation: Operation, handed: readonly number[]): void {
    const { session, sequence } = operation;
    if (session === undefined) return;
    if (operation.abandoned) {
      this.#giveBack(operation);
      this.settle(operation);
      return;
    }
    operation.stage = 'unconfirmed';
    operation.deadlineMs = Number.POSITIVE_INFINITY;
    operation.unreceived = handed;
    for (const tupleId of handed) session.receipts.add({ sequence, tupleId });
    this.#parts.wantFlush();
    operation.succeed();
  }

  // Errors

  /** The newest attempt was answered with an error. */
  #refused(operation: Operation, error: TupletError, nowMs: number): void {
    if (!error.definite) operation.mayHaveActed = operation.kind.mutates;
    operation.lastError = error;
    operation.stage = 'backing-off';
    const { session } = operation;
    if (session !== undefined && isSessionOver(error)) {
      this.#parts.sessions.giveUp(session, nowMs, error);
      if (operation.stage === 'backing-off') this.fail(operation, error);
    } else if (error.reason === staleReason) this.#refresh(operation, error);
    else if (error.retryable) this.#backOff(operation, error, nowMs);
    else this.#giveUp(operation, error);
  }

  /** Ends an operation with an error of its newest sending; an earlier one may have acted. */
  #giveUp(operation: Operation, error: TupletError): void {
    if (operation.mayHaveActed) this.#giveBack(operation);
    const isSure = !operation.mayHaveActed && !operation.actedBefore;
    this.fail(operation, isSure ? error : error.asIndefinite());
  }

  /**
   * What may have been handed over and nobody will acknowledge goes back as its session ends. Its other
   * takes may wait for ever, and nobody would see the tuple until then: they go on in another session.
   */
  #giveBack(operation: Operation): void {
    const { kind, session } = operation;
    if (session === undefined || !kind.handsOver) return;
    this.#parts.sessions.retire(session);
    this.#goOn(
      session.open.values().filter((each) => each !== operation),
      undefined,
    );
  }

  #backOff(operation: Operation, error: TupletError, nowMs: number): void {
    if (operation.cancelError !== undefined && !operation.mayHaveActed) {
      this.fail(operation, operation.cancelError);
      return;
    }
    operation.failures += 1;
    const pauseMs = backOffMs(operation.failures, this.#parts.random);
    operation.retryAtMs = nowMs + Math.max(error.retryAfterMs ?? 0, pauseMs);
    this.#parts.alarm.by(operation.retryAtMs, nowMs);
  }

  /** One node may know an epoch that another has not applied yet: after the first time it has a while. */
  #refresh(operation: Operation, stale: TupletError): void {
    operation.stage = 'refreshing';
    operation.space.refresh((error) => {
      if (operation.stage !== 'refreshing') return;
      // Another space may have the name by now.
      operation.partition = undefined;
      const isFirst = operation.failures === 0;
      if (error !== undefined) this.#giveUp(operation, error);
      else if (isFirst) this.#sendRefreshed(operation);
      else {
        operation.stage = 'backing-off';
        this.#backOff(operation, stale, this.#parts.clock.nowMs());
      }
    });
  }

  #sendRefreshed(operation: Operation): void {
    operation.failures += 1;
    this.#parts.sender.again(operation);
  }

  /** The connection that carried the newest attempt is gone. */
  lost(operation: Operation, error: TupletError): void {
    operation.callId = 0;
    if (operation.stage !== 'sent') return;
    operation.lastError = error;
    operation.mayHaveActed = operation.kind.mutates;
    if (error.retryable) this.#parts.sender.again(operation);
    else this.#giveUp(operation, error);
  }

  /** Nothing of the lane can be sent: what waits there ends. */
  refuse(lane: Lane, error: TupletError): void {
    for (const operation of [...lane.queue]) {
      if (operation.stage === 'queued') this.#giveUp(operation, error);
    }
  }

  // Sessions

  /**
   * A session is over (S4). A take of which nothing was handed out goes on under the next session: what
   * the old one took comes back, and its answers are not heard any more (K2). So does a change that
   * surely did not happen; any other ends here.
   */
  ended(operations: readonly Operation[], cause: TupletError | undefined): void {
    this.#goOn(operations, cause);
    for (const operation of operations) {
      // What goes on has none; what is settled was ended by what another's end has set off.
      if (operation.session === undefined || operation.stage === 'settled') continue;
      const expired = reasons.sessionExpired(isSurelyUndone(operation), cause);
      this.fail(operation, operation.cancelError?.asIndefinite() ?? expired);
    }
  }

  /** Those of a session's operations that can begin anew leave it and wait for the next one. */
  #goOn(operations: readonly Operation[], cause: TupletError | undefined): void {
    if (!this.#parts.isOpen()) return;
    const goOn = operations.filter(canGoOn);
    for (const operation of goOn) this.#leaveSession(operation, cause);
    // All of a session are of its lane, in the order in which they came: before those that came later.
    this.#parts.lanes.putBack(goOn);
  }

  /** As if it had never been sent, but for its time, which goes on, and what is known of its past. */
  #leaveSession(operation: Operation, cause: TupletError | undefined): void {
    if (operation.callId !== 0) operation.link?.forget(operation.callId);
    if (mayAct(operation)) operation.actedBefore = true;
    operation.lane?.open.delete(operation.number);
    operation.session?.leave(operation.sequence);
    operation.session = undefined;
    operation.sequence = 0;
    operation.attempt = 0;
    operation.callId = 0;
    operation.mayHaveActed = false;
    operation.lastError = cause ?? operation.lastError;
  }

  // Cancels and deadlines

  /** The user cancels the operation, for `cause`. */
  cancel(operation: Operation, cause: unknown): void {
    const { stage } = operation;
    if (operation.lane === undefined || operation.cancelError !== undefined) return;
    if (stage === 'settled' || stage === 'unconfirmed') return;
    if (operation.kind.handsOver && mayAct(operation)) {
      this.#beginCancel(operation, reasons.cancelled(!operation.actedBefore, cause));
      return;
    }
    if (stage === 'sent' && operation.kind.waitField > 0) this.#parts.sender.endCall(operation);
    this.fail(operation, reasons.cancelled(isSurelyUndone(operation), cause));
  }

  /** The operation's time is over. */
  late(operation: Operation): void {
    const { kind, timeoutMs, lastError } = operation;
    if (operation.cancelError !== undefined) {
      operation.deadlineMs = Number.POSITIVE_INFINITY;
      operation.abandoned = true;
      operation.fail(reasons.outcomeUnknown(operation.cancelError));
    } else if (kind.handsOver && mayAct(operation)) {
      this.#beginCancel(operation, reasons.timedOut(!operation.actedBefore, timeoutMs, lastError));
    } else {
      const { sender } = this.#parts;
      if (operation.stage === 'sent' && kind.waitField > 0) sender.endCall(operation);
      this.fail(operation, reasons.timedOut(isSurelyUndone(operation), timeoutMs, lastError));
    }
  }

  #beginCancel(operation: Operation, error: TupletError): void {
    const { clock, alarm, sender } = this.#parts;
    const nowMs = clock.nowMs();
    operation.cancelError = error;
    const graceMs = operation.session?.leaseMs ?? clientLimits.leaseDefaultMs;
    operation.deadlineMs = nowMs + graceMs;
    alarm.by(operation.deadlineMs, nowMs);
    if (operation.stage === 'sent') sender.endCall(operation);
    else if (operation.stage !== 'due') sender.again(operation);
  }

  // Ends

  /** Ends an operation with an error; the user is told unless he was told already. */
  fail(operation: Operation, error: TupletError): void {
    const { stage } = operation;
    this.settle(operation);
    if (stage === 'unconfirmed') operation.unconfirmed(operation.unreceived);
    else if (!operation.abandoned) operation.fail(error);
  }

  /** Closes the operation: its sequence may be passed by the floor. */
  settle(operation: Operation): void {
    const { lanes } = this.#parts;
    if (operation.stage === 'queued') lanes.dequeued(operation);
    operation.stage = 'settled';
    const { lane, session } = operation;
    lane?.open.delete(operation.number);
    if (operation.callId !== 0) operation.link?.forget(operation.callId);
    operation.callId = 0;
    session?.leave(operation.sequence);
    const hasRoomForOthers = (lane?.queue.size ?? 0) > 0;
    if (session?.retiring || hasRoomForOthers || !this.#parts.isOpen()) this.#parts.wantFlush();
  }
}
