import { partitionOfId } from '@tuplet/proto';
import type { TupletError } from '../error.ts';
import { backOffMs } from './back-off.ts';
import { controlCalls, errorReply } from './calls.ts';
import type { EngineRandom } from './doors.ts';
import {
  type ReplyRun,
  readKept,
  readOpened,
  readReceived,
  writeAcknowledge,
  writeOpenSession,
  writeSessionCall,
} from './envelope.ts';
import type { Lane } from './lane.ts';
import { clientLimits } from './limits.ts';
import type { ControlCall, Link } from './link.ts';
import type { Links } from './links.ts';
import type { Operation } from './operation.ts';
import type { Receipt, ReceiptBatch } from './receipts.ts';
import { Session } from './session.ts';
import { errorIn } from './status.ts';

/** Bytes that a receipt may take in an Acknowledge: tags, lengths and two varints. */
const receiptBytesMax = 24;

/** What the sessions ask of the engine. */
export interface SessionsOwner {
  /** The session of these operations is over: nothing more of it is handed out to them. */
  ended(operations: readonly Operation[], cause: TupletError | undefined): void;
  /** All tuples of the operation are received. */
  received(operation: Operation): void;
  /** No session is to be had for the lane's operations. */
  refused(lane: Lane, error: TupletError): void;
  /** Something is to be sent. */
  wantFlush(): void;
  /** Ring at `atMs` or before. */
  wakeBy(atMs: number): void;
}

/** How sessions are opened. */
export interface SessionOptions {
  readonly leaseMs: number;
  readonly name: string;
}

/** Whether an error says that the session is no more. */
export function isSessionOver(error: TupletError): boolean {
  return error.reason === 'SESSION_EXPIRED';
}

/**
 * The sessions of one engine: opened when a lane needs one, kept alive, given up on time (S4), and
 * closed when they are retired and empty; and their receipts.
 */
export class Sessions {
  /** With the lanes they were opened for. */
  readonly #all = new Map<Session, Lane>();
  readonly #links: Links;
  readonly #random: EngineRandom;
  readonly #options: SessionOptions;
  readonly #owner: SessionsOwner;

  constructor(links: Links, random: EngineRandom, options: SessionOptions, owner: SessionsOwner) {
    this.#links = links;
    this.#random = random;
    this.#options = options;
    this.#owner = owner;
  }

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** All that are alive. */
  [Symbol.iterator](): IterableIterator<Session> {
    return this.#all.keys();
  }

  /** Gives up each session whose time is over. Called before anything is handed out or sent (S4). */
  giveUpOver(nowMs: number): void {
    for (const session of this.#all.keys()) if (session.isOver(nowMs)) this.giveUp(session, nowMs);
  }

  /** Gives a session up: its operations end, and it is spoken of no more (S4). */
  giveUp(session: Session, nowMs: number, cause?: TupletError): void {
    const lane = this.#all.get(session);
    if (lane === undefined) return;
    this.#all.delete(session);
    session.retiring = true;
    // Where each session is lost as soon as it is used, they are not asked for as fast as can be.
    if (nowMs - session.openedAtMs >= session.leaseMs) lane.shortSessions = 0;
    else {
      lane.shortSessions += 1;
      lane.openAtMs = Math.max(lane.openAtMs, nowMs + backOffMs(lane.shortSessions, this.#random));
    }
    this.#owner.ended(session.open.values(), cause);
    this.#owner.wantFlush();
  }

  /** Uses the session for nothing new, and closes it when its last operation is settled. */
  retire(session: Session): void {
    session.retiring = true;
    this.#owner.wantFlush();
  }

  /** The connection broke: keep-alives come first on the next one. */
  broken(nowMs: number): void {
    for (const session of this.#all.keys()) session.keepDueMs = Math.min(session.keepDueMs, nowMs);
  }

  /** Repeats receipts that have waited long enough. */
  repeatReceipts(nowMs: number): void {
    for (const session of this.#all.keys()) session.receipts.repeat(nowMs);
  }

  /** When something is to be done next; a keep-alive that is due already waits for the link. */
  nextAtMs(nowMs: number): number {
    let atMs = Number.POSITIVE_INFINITY;
    for (const session of this.#all.keys()) {
      atMs = Math.min(atMs, session.expiresAtMs, session.receipts.nextAtMs());
      if (session.keepDueMs > nowMs) atMs = Math.min(atMs, session.keepDueMs);
    }
    return atMs;
  }

  /** Whether something is to be sent now. */
  wantsToSend(nowMs: number): boolean {
    for (const session of this.#all.keys()) {
      if (session.keepDueMs <= nowMs || session.receipts.isDue) return true;
      if (session.retiring && session.open.size === 0 && !session.closing) return true;
    }
    return false;
  }

  /** Asks for a session for the lane, unless one is being asked for. */
  open(lane: Lane, nowMs: number): void {
    if (lane.opening) return;
    if (nowMs < lane.openAtMs) {
      this.#owner.wakeBy(lane.openAtMs);
      return;
    }
    const link = this.#links.room(0, this.#options.name.length * 3, nowMs);
    if (link === undefined) return;
    lane.opening = true;
    const failed = (error: TupletError, atMs: number): void => {
      lane.opening = false;
      lane.openFailures += 1;
      const pauseMs = Math.max(error.retryAfterMs ?? 0, backOffMs(lane.openFailures, this.#random));
      lane.openAtMs = atMs + pauseMs;
      if (!error.retryable) this.#owner.refused(lane, error);
      this.#owner.wakeBy(lane.openAtMs);
    };
    const call: ControlCall = {
      answered: (reply, bytes, atMs) => {
        if (reply.field === errorReply) failed(errorIn(bytes, reply.start, reply.end), atMs);
        else this.#opened(lane, nowMs, reply, bytes, atMs);
      },
      lost: () => {
        lane.opening = false;
      },
    };
    writeOpenSession(link.outbox.writer, link.register(call, nowMs), this.#options);
  }

  #opened(lane: Lane, sentAtMs: number, reply: ReplyRun, bytes: Uint8Array, nowMs: number): void {
    lane.opening = false;
    lane.openFailures = 0;
    const { id, leaseMs } = readOpened(bytes, reply.start, reply.end);
    const session = new Session({ id, leaseMs, sentAtMs }, clientLimits.keepsPerLease);
    if (session.isOver(nowMs)) {
      this.#owner.wantFlush();
      return;
    }
    this.#all.set(session, lane);
    lane.session = session;
    this.#owner.wakeBy(Math.min(session.keepDueMs, session.expiresAtMs));
    this.#owner.wantFlush();
  }

  /** Sends keep-alives, receipts and closings that are due. */
  send(nowMs: number): void {
    for (const session of this.#all.keys()) {
      if (session.keepDueMs <= nowMs) this.#keep(session, nowMs);
      this.#acknowledge(session, nowMs);
      if (session.retiring && session.open.size === 0 && !session.closing) {
        this.#close(session, nowMs);
      }
    }
  }

  /** A link for a call to the session's home. */
  #linkHome({ id }: Session, nowMs: number): Link | undefined {
    return this.#links.room(partitionOfId(id), 0, nowMs);
  }

  #keep(session: Session, nowMs: number): void {
    const link = this.#linkHome(session, nowMs);
    if (link === undefined) return;
    session.keepSentAtMs = nowMs;
    session.keepDueMs = nowMs + session.leaseMs / clientLimits.keepsPerLease;
    this.#owner.wakeBy(session.keepDueMs);
    const call: ControlCall = {
      answered: (reply, bytes, atMs) => {
        if (!this.#all.has(session)) return;
        if (reply.field !== errorReply) {
          const { leaseMs } = readKept(bytes, reply.start, reply.end);
          session.kept(nowMs, leaseMs);
          return;
        }
        const error = errorIn(bytes, reply.start, reply.end);
        if (isSessionOver(error)) this.giveUp(session, atMs, error);
        else {
          const pauseMs = Math.max(error.retryAfterMs ?? 0, clientLimits.keepRetryMs);
          session.keepDueMs = Math.min(session.keepDueMs, atMs + pauseMs);
          this.#owner.wakeBy(session.keepDueMs);
        }
      },
      lost: () => {},
    };
    writeSessionCall(link.outbox.writer, link.register(call, nowMs), 'keepSession', session);
  }

  /** Each to the node that leads the partition which gave the tuple. */
  #acknowledge(session: Session, nowMs: number): void {
    const matters = (receipt: Receipt): boolean => isUnconfirmed(session, receipt);
    const { receipts } = session;
    const links = this.#links;
    while (receipts.isDue) {
      const first = receipts.first(matters);
      if (first === undefined) return;
      const node = links.leaderOf(partitionOfId(first.tupleId));
      const bytes = clientLimits.receiptsPerCallMax * receiptBytesMax;
      const link = links.room(partitionOfId(first.tupleId), bytes, nowMs);
      if (link === undefined) return;
      const goes = ({ tupleId }: Receipt): boolean =>
        links.leaderOf(partitionOfId(tupleId)) === node;
      const batch = receipts.send(nowMs, goes);
      this.#owner.wakeBy(nowMs + clientLimits.receiptRepeatMs);
      const call: ControlCall = {
        answered: (reply, answer, atMs) => this.#received(session, batch, reply, answer, atMs),
        lost: () => receipts.lost(batch),
      };
      const callId = link.register(call, nowMs);
      writeAcknowledge(link.outbox.writer, callId, session, batch.receipts);
    }
  }

  #received(
    session: Session,
    batch: ReceiptBatch,
    reply: ReplyRun,
    bytes: Uint8Array,
    nowMs: number,
  ): void {
    if (!this.#all.has(session)) return;
    if (reply.field === controlCalls.acknowledge + 1) {
      for (const { sequence, tupleId } of readReceived(bytes, reply.start, reply.end)) {
        const operation = session.open.get(sequence);
        if (operation?.stage !== 'unconfirmed') continue;
        operation.unreceived = operation.unreceived.filter((id) => id !== tupleId);
        if (operation.unreceived.length === 0) this.#owner.received(operation);
      }
    } else if (reply.field === errorReply) {
      const error = errorIn(bytes, reply.start, reply.end);
      if (isSessionOver(error)) {
        this.giveUp(session, nowMs, error);
        return;
      }
    }
    session.receipts.answered(batch, nowMs, (receipt) => isUnconfirmed(session, receipt));
    this.#owner.wakeBy(nowMs + clientLimits.receiptRepeatMs);
  }

  #close(session: Session, nowMs: number): void {
    const link = this.#linkHome(session, nowMs);
    if (link === undefined) return;
    session.closing = true;
    const call: ControlCall = {
      answered: (reply, bytes) => {
        if (reply.field === errorReply) {
          const error = errorIn(bytes, reply.start, reply.end);
          session.closing = isSessionOver(error) || !error.retryable;
          if (!session.closing) return;
        }
        this.#all.delete(session);
        this.#owner.wantFlush();
      },
      lost: () => {
        session.closing = false;
      },
    };
    writeSessionCall(link.outbox.writer, link.register(call, nowMs), 'closeSession', session);
  }
}

function isUnconfirmed(session: Session, receipt: Receipt): boolean {
  return session.open.get(receipt.sequence)?.unreceived.includes(receipt.tupleId) ?? false;
}
