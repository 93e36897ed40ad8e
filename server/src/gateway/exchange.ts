import { status as grpcStatus } from '@grpc/grpc-js';
import { NumberMap } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import type { Cancel } from '../base/doors.ts';
import { holdLookMs } from '../base/limits.ts';
import type { CallId } from '../coordination/messages.ts';
import type { Failure } from '../router/failure.ts';
import type { Answer, Delivery } from '../router/request.ts';
import type { AnswerListener, Router } from '../router/router.ts';
import { BackPressure } from './back-pressure.ts';
import { checkCalls, checkSize, plainBytes, type RouterCall, requestOf } from './decode.ts';
import { replyOf, withOwnMemory } from './encode.ts';
import type { InFlight } from './in-flight.ts';
import {
  mayWait,
  parkMs,
  ReplyBudget,
  repliesTuples,
  replyOverheadBytes,
  tupleBytesOf,
} from './reply-budget.ts';
import { isStale } from './stale.ts';
import { failureOf, grpcErrorOf, isRefusal, statusOf } from './status.ts';
import type { TopologyFeed } from './topology.ts';

/** Bounds that tests make smaller; `base/limits.ts` has the real ones. */
export interface ExchangeLimits {
  /** Bytes of replies that wait for a slow reader before no more calls are read. */
  readonly replyBytesPause: number;
  /** Bytes of replies that wait for a slow reader before the stream is ended. */
  readonly replyBytesMax: number;
  /** Bytes of replies that go into one message, if it is not a single one. */
  readonly replyMessageBytes: number;
}

/** What a stream needs of its gateway. */
export interface ExchangePorts {
  readonly router: Router;
  readonly inFlight: InFlight;
  /** What streams that ask for it are told of the cluster. */
  readonly topology: Pick<TopologyFeed, 'message' | 'follow'>;
  /** Calls `run` at the end of the turn. */
  soon(run: () => void): void;
  /** A mistake of ours, to be logged. */
  failed(error: unknown): void;
  /** All streams of the gateway that are open. */
  readonly streams: Set<Exchange>;
  readonly limits: ExchangeLimits;
}

/** What carries an Exchange: whole messages as bytes, which our codecs read and write. */
export interface ExchangeStream {
  /** The caller's address. */
  getPeer(): string;
  /** `data`: a message; `end`: the caller sends no more; `cancelled`, and in some `close`: nobody is there. */
  on(event: 'data', listener: (bytes: Buffer) => void): unknown;
  on(event: 'end' | 'cancelled' | 'close' | 'error', listener: () => void): unknown;
  /** `taken` is called when the connection has the message. */
  write(message: Buffer, taken: (error?: Error | null) => void): unknown;
  /** No more messages come until `resume`. */
  pause(): unknown;
  resume(): unknown;
  isPaused(): boolean;
  /** Ends it in good order. */
  end(): unknown;
  /** Ends it with an error. */
  emit(event: 'error', error: Error): unknown;
}

interface WaitingReply {
  readonly callId: number;
  readonly response: contract.ReplyResponseInit;
  /** About its size on the wire. */
  readonly bytes: number;
  readonly delivery: Delivery | undefined;
}

/** Replies that are bytes by now. */
interface WrittenBatch {
  readonly bytes: number;
  readonly deliveries: readonly Delivery[];
}

/** Messages handed to the connection and not yet taken by it. */
const writesMax = 2;
/** Stands for the router's number of a call until that is known; no call has it. */
const beginning: CallId = 0;

/**
 * One stream of batches. The calls of a message are begun in order; replies that come up in one turn
 * go out together. A reader that is too slow is not read from any more. Where its blocked calls go on
 * answering all the same, the stream ends: its results can be fetched again.
 */
export class Exchange {
  readonly #stream: ExchangeStream;
  readonly #ports: ExchangePorts;
  readonly #peer: string;
  /** The router's number of each call open here, by the caller's. */
  readonly #open: NumberMap<CallId> = new NumberMap();
  /** One listener for all calls of a kind: a call may wait for days and has none of its own. */
  readonly #listeners: Map<string, AnswerListener> = new Map();
  /** Calls received and not begun; then nothing more is read. */
  readonly #queue: Map<number, RouterCall> = new Map();
  readonly #budget: ReplyBudget;
  readonly #pressure: BackPressure;
  #parking: NodeJS.Timeout | undefined;
  #holding: NodeJS.Timeout | undefined;
  #replies: WaitingReply[] = [];
  /** Bytes of replies that the connection has not taken yet. */
  #replyBytes = 0;
  /** What goes with messages that the connection has not taken yet. */
  readonly #writing: WrittenBatch[] = [];
  /** The clock at the present message, or as queued calls are begun. */
  #nowMs = 0;
  #flushDue = false;
  /** Ends the hearing of changes of the topology, once that was asked for. */
  #unfollow: Cancel | undefined;
  #topologyDue = false;
  #halfClosed = false;
  #isLeaving = false;
  #gone = false;

  constructor(stream: ExchangeStream, ports: ExchangePorts) {
    this.#stream = stream;
    this.#ports = ports;
    this.#peer = stream.getPeer();
    this.#budget = new ReplyBudget(ports.limits.replyBytesPause);
    this.#pressure = new BackPressure(ports.router, () => performance.now());
  }

  /** Listens; everything else follows from events. */
  start(): void {
    this.#ports.streams.add(this);
    this.#stream.on('data', (bytes: Buffer) => this.#guard(() => this.#message(bytes)));
    this.#stream.on('end', () => this.#guard(() => this.#halfClose()));
    this.#stream.on('cancelled', () => this.#lose());
    this.#stream.on('close', () => this.#lose());
    this.#stream.on('error', () => this.#lose());
  }

  /** Calls open on this stream. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** The node stops: nothing more is begun, and the stream ends when all that was begun is answered. */
  leave(): void {
    this.#guard(() => {
      this.#isLeaving = true;
      this.#queue.clear();
      this.#flush();
    });
  }

  /** Calls wait here for what another node may have: their caller is to go there. */
  sendAway(): void {
    if (this.#open.size === 0 || this.#gone) return;
    this.#lose();
    // Whether they have acted is not known here, so no reason of ours says so.
    this.#stream.emit('error', apart());
  }

  /** Bytes of replies that wait for the reader. */
  get replyBytes(): number {
    return this.#replyBytes;
  }

  #guard(run: () => void): void {
    if (this.#gone) return;
    try {
      run();
    } catch (error) {
      if (!isRefusal(error)) this.#ports.failed(error);
      this.#fail(failureOf(error));
    }
  }

  #message(bytes: Buffer): void {
    // Whoever sent it hears that the stream has ended, and asks elsewhere.
    if (this.#isLeaving) return;
    this.#nowMs = performance.now();
    checkSize(bytes);
    checkCalls(bytes);
    const { calls, topology } = contract.ExchangeRequest.decode(plainBytes(bytes), 'refuse');
    if (topology) this.#followTopology();
    for (const { callId, request } of calls) {
      if (this.#gone) return;
      if (request?.kind === 'endCall') this.#endCall(request.value.callId);
      else if (this.#open.has(callId) || (this.#queue.size > 0 && this.#queue.has(callId))) {
        this.#fail(callIdReused(callId));
        return;
      } else if (request === null) this.#reply(callId, statusReply(emptyCall));
      else if (this.#queue.size === 0 && this.#mayBegin(request)) this.#begin(callId, request);
      else this.#queue.set(callId, request);
    }
    this.#beginQueued();
    this.#pauseOrResume();
  }

  /** The topology goes out now, and again after changes. */
  #followTopology(): void {
    this.#unfollow ??= this.#ports.topology.follow(() => this.#sendTopology());
    this.#sendTopology();
  }

  #sendTopology(): void {
    this.#topologyDue = true;
    this.#flushLater();
  }

  /** Whether a call may begin now; where time alone will tell, it is looked at again. */
  #mayBegin(call: RouterCall): boolean {
    if (this.#replyBytes > this.#ports.limits.replyBytesPause) return false;
    if (repliesTuples(call) && !this.#budget.hasRoom) {
      this.#parkLater();
      return false;
    }
    if (!this.#pressure.holds) return true;
    this.#lookLater();
    return false;
  }

  /** Begins calls in order, as long as their replies fit. */
  #beginQueued(): void {
    if (this.#queue.size === 0) return;
    this.#nowMs = performance.now();
    for (const [callId, call] of this.#queue) {
      if (this.#gone || !this.#mayBegin(call)) return;
      this.#queue.delete(callId);
      this.#begin(callId, call);
    }
  }

  /** Calls that turn out to wait make room for others. */
  #parkLater(): void {
    if (this.#parking !== undefined) return;
    this.#parking = setTimeout(() => {
      this.#parking = undefined;
      this.#budget.park(performance.now());
      this.#guard(() => {
        this.#beginQueued();
        this.#pauseOrResume();
      });
    }, parkMs);
  }

  /** A partition that had too much may have worked it off. */
  #lookLater(): void {
    if (this.#holding !== undefined) return;
    this.#holding = setTimeout(() => {
      this.#holding = undefined;
      this.#guard(() => {
        this.#beginQueued();
        this.#pauseOrResume();
      });
    }, holdLookMs);
  }

  #begin(callId: number, call: RouterCall): void {
    const { inFlight, router } = this.#ports;
    if (!inFlight.begin(this.#peer)) {
      this.#reply(callId, statusReply(tooManyInFlight(inFlight.perConnectionMax)));
      return;
    }
    if (repliesTuples(call)) this.#budget.begin(callId, mayWait(call), this.#nowMs);
    this.#open.set(callId, beginning);
    try {
      const number = router.call(requestOf(call), this.#listener(call), callId);
      if (router.pressed !== undefined) this.#pressure.met(router.pressed);
      // It may have been answered already, or the stream be gone by another call's answer.
      if (this.#gone) router.abandon(number);
      if (!this.#open.has(callId)) return;
      this.#open.set(callId, number);
      if (this.#halfClosed) router.cancel(number);
    } catch (error) {
      if (this.#open.has(callId)) this.#close(callId, 0);
      if (!isRefusal(error)) this.#ports.failed(error);
      this.#reply(callId, statusReply(failureOf(error)));
    }
  }

  /** Who hears the answer of such a call: of its message nothing is kept. */
  #listener(call: RouterCall): AnswerListener {
    const { kind } = call;
    const stale = isStale(call);
    const name = stale ? `stale ${kind}` : kind;
    let listener = this.#listeners.get(name);
    if (listener === undefined) {
      listener = (answer, callId) => {
        this.#close(callId, tupleBytesOf(answer));
        this.#answered(callId, { kind, stale }, answer);
      };
      this.#listeners.set(name, listener);
    }
    return listener;
  }

  #close(callId: number, tupleBytes: number): void {
    this.#open.delete(callId);
    this.#budget.end(callId, tupleBytes);
    this.#ports.inFlight.end(this.#peer);
  }

  #endCall(callId: number): void {
    const queued = this.#queue.get(callId);
    if (queued !== undefined) {
      this.#queue.delete(callId);
      this.#begin(callId, queued);
    }
    const number = this.#open.get(callId);
    // A call that has been answered meanwhile is no mistake.
    if (number !== undefined) this.#ports.router.cancel(number);
  }

  #answered(
    callId: number,
    { kind, stale }: { readonly kind: RouterCall['kind']; readonly stale: boolean },
    answer: Answer,
  ): void {
    if (answer.kind === 'failed') {
      this.#reply(callId, statusReply(answer.failure));
      return;
    }
    const delivery = answer.kind === 'found' ? answer.delivery : undefined;
    // The connection is behind: the reply stays for longer than its turn.
    const isBehind = this.#writing.length >= writesMax;
    const response = replyOf(kind, isBehind ? withOwnMemory(answer) : answer, stale);
    this.#reply(callId, response, tupleBytesOf(answer), delivery);
  }

  #reply(
    callId: number,
    response: contract.ReplyResponseInit,
    tupleBytes = 0,
    delivery?: Delivery,
  ): void {
    if (this.#gone) {
      delivery?.lost();
      return;
    }
    const bytes = replyOverheadBytes + tupleBytes;
    this.#replies.push({ callId, response, bytes, delivery });
    this.#replyBytes += bytes;
    if (this.#replyBytes > this.#ports.limits.replyBytesMax) {
      this.#fail(slowConsumer);
      return;
    }
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    this.#ports.soon(() => {
      this.#flushDue = false;
      this.#guard(() => {
        this.#flush();
        this.#beginQueued();
        this.#pauseOrResume();
      });
    });
  }

  /** Writes what waits, as long as the connection takes it. */
  #flush(): void {
    while ((this.#replies.length > 0 || this.#topologyDue) && this.#writing.length < writesMax) {
      const replies = this.#nextBatch();
      const topology = this.#topologyDue ? this.#ports.topology.message() : undefined;
      this.#topologyDue = false;
      const encoded = contract.ExchangeResponse.encode({ replies, topology });
      const message = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
      const batch = writtenBatch(replies);
      this.#writing.push(batch);
      this.#stream.write(message, (error: Error | null | undefined) =>
        this.#written(batch, error === null || error === undefined),
      );
    }
    if ((this.#halfClosed || this.#isLeaving) && this.#isIdle) this.#end();
  }

  #nextBatch(): readonly WaitingReply[] {
    const { replyMessageBytes } = this.#ports.limits;
    let count = 0;
    let bytes = 0;
    for (const reply of this.#replies) {
      if (count > 0 && bytes + reply.bytes > replyMessageBytes) break;
      bytes += reply.bytes;
      count += 1;
    }
    if (count === this.#replies.length) {
      const all = this.#replies;
      this.#replies = [];
      return all;
    }
    return this.#replies.splice(0, count);
  }

  get #isIdle(): boolean {
    return this.#open.size + this.#queue.size + this.#replies.length === 0;
  }

  /** The connection has taken a batch, or never will. */
  #written(batch: WrittenBatch, taken: boolean): void {
    const at = this.#writing.indexOf(batch);
    if (at < 0) return;
    this.#writing.splice(at, 1);
    this.#replyBytes -= batch.bytes;
    for (const delivery of batch.deliveries) {
      if (taken) delivery.delivered();
      else delivery.lost();
    }
    this.#guard(() => {
      this.#flush();
      this.#beginQueued();
      this.#pauseOrResume();
    });
  }

  /** Reads no more while calls are queued or replies wait. */
  #pauseOrResume(): void {
    if (this.#halfClosed || this.#gone) return;
    const waits = this.#queue.size > 0 || this.#replyBytes > this.#ports.limits.replyBytesPause;
    if (waits) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  /** The caller sends no more: calls that wait end, the others are still answered. */
  #halfClose(): void {
    this.#halfClosed = true;
    for (const number of this.#open.values()) this.#ports.router.cancel(number);
    this.#flush();
  }

  #end(): void {
    if (this.#gone || this.#writing.length > 0) return;
    this.#gone = true;
    this.#unfollow?.();
    this.#ports.streams.delete(this);
    this.#stream.end();
  }

  /** Ends the stream with an error; its calls end as if the connection were gone. */
  #fail(failure: Failure): void {
    if (this.#gone) return;
    this.#lose();
    this.#stream.emit('error', grpcErrorOf(failure));
  }

  /** Nobody reads any more. */
  #lose(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#unfollow?.();
    this.#ports.streams.delete(this);
    for (const number of this.#open.values()) {
      this.#ports.router.abandon(number);
      this.#ports.inFlight.end(this.#peer);
    }
    this.#open.clear();
    this.#queue.clear();
    clearTimeout(this.#parking);
    clearTimeout(this.#holding);
    for (const { delivery } of this.#replies) delivery?.lost();
    this.#replies = [];
    for (const { deliveries } of this.#writing) for (const each of deliveries) each.lost();
    this.#writing.length = 0;
    this.#replyBytes = 0;
  }
}

/** How a stream ends whose node cannot serve its calls: as a connection that broke. */
function apart(): Error {
  return Object.assign(new Error(), {
    code: grpcStatus.UNAVAILABLE,
    details: 'the node hears of no majority of the others: another one may',
  });
}

function writtenBatch(replies: readonly WaitingReply[]): WrittenBatch {
  let bytes = 0;
  const deliveries: Delivery[] = [];
  for (const reply of replies) {
    bytes += reply.bytes;
    if (reply.delivery !== undefined) deliveries.push(reply.delivery);
  }
  return { bytes, deliveries };
}

function statusReply(failure: Failure): contract.ReplyResponseInit {
  return { kind: 'error', value: statusOf(failure) };
}

const emptyCall: Failure = {
  reason: 'REQUEST_INVALID',
  field: 'request',
  message: 'the call asks for nothing',
};

/** The stream's replies wait for a reader that does not read. */
const slowConsumer: Failure = {
  reason: 'SLOW_CONSUMER',
  message: 'replies wait on this stream beyond its bound; the results can be fetched again',
};

function callIdReused(callId: number): Failure {
  return {
    reason: 'REQUEST_INVALID',
    field: 'call_id',
    message: `call ${callId} is still open on this stream`,
  };
}

/** A connection has as many calls in flight as it may. */
export function tooManyInFlight(limit: number): Failure {
  return {
    reason: 'TOO_MANY_IN_FLIGHT',
    message: `the connection has ${limit} calls in flight`,
    retryMs: 50,
    limit,
  };
}
