import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import type { CallId } from '../coordination/messages.ts';
import type { Failure } from '../router/failure.ts';
import type { Answer, Delivery, Request } from '../router/request.ts';
import type { Router } from '../router/router.ts';
import { type RouterCall, requestOf } from './decode.ts';
import { replyOf } from './encode.ts';
import { tooManyInFlight } from './exchange.ts';
import type { InFlight } from './in-flight.ts';
import { isStale } from './stale.ts';
import { failureOf, grpcErrorOf, grpcStatusOf, isRefusal } from './status.ts';

/** What unary calls need of their gateway. */
export interface UnaryPorts {
  readonly router: Router;
  readonly inFlight: InFlight;
  /** A mistake of ours, to be logged. */
  failed(error: unknown): void;
  /** Milliseconds before its gRPC deadline at which a call that waits ends (SPEC §3). */
  readonly deadlineMarginMs: number;
}

/** How a unary call is decoded and its reply encoded. */
export interface UnaryMethod {
  decode(bytes: Buffer): RouterCall;
  encode(reply: ReturnType<typeof replyOf>): Buffer;
}

/** What a call comes to: its reply's bytes or why it failed. */
type Finish = (outcome: Buffer | Failure, delivery?: Delivery) => void;

/** The part of a gRPC call that both kinds of handlers use. */
interface GrpcCall {
  readonly request: Buffer;
  getPeer(): string;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** Handles calls whose answers are done with when they are given to grpc-js. */
export function unaryHandler(
  ports: UnaryPorts,
  method: UnaryMethod,
): (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => void {
  return (call, callback) => {
    begin(ports, method, call, (outcome) => {
      if (Buffer.isBuffer(outcome)) callback(null, outcome);
      else callback(grpcStatusOf(outcome));
    });
  };
}

/**
 * Handles takes. grpc-js says of a stream's messages, and not of a unary answer, when the connection
 * has taken them; on the wire a stream of one message is a unary answer.
 */
export function takeHandler(
  ports: UnaryPorts,
  method: UnaryMethod,
): (call: ServerWritableStream<Buffer, Buffer>) => void {
  return (call) => {
    let settled: Delivery | undefined;
    const lose = (): void => {
      settled?.lost();
      settled = undefined;
    };
    call.on('cancelled', lose);
    call.on('close', lose);
    begin(ports, method, call, (outcome, delivery) => {
      if (!Buffer.isBuffer(outcome)) {
        call.emit('error', grpcErrorOf(outcome));
        return;
      }
      settled = delivery;
      if (call.cancelled) return lose();
      call.write(outcome, (error: Error | null | undefined) => {
        if (error !== null && error !== undefined) return lose();
        settled?.delivered();
        settled = undefined;
      });
      call.end();
    });
  };
}

function begin(ports: UnaryPorts, method: UnaryMethod, call: GrpcCall, finish: Finish): void {
  const peer = call.getPeer();
  if (!ports.inFlight.begin(peer)) {
    finish(tooManyInFlight(ports.inFlight.perConnectionMax));
    return;
  }
  let isOpen = true;
  const close = (): boolean => {
    if (!isOpen) return false;
    isOpen = false;
    ports.inFlight.end(peer);
    return true;
  };
  try {
    const decoded = method.decode(call.request);
    const request = withDeadline(requestOf(decoded), call.getDeadline(), ports.deadlineMarginMs);
    // What the listener knows is kept for as long as the call waits; the message is not.
    const asked = { kind: decoded.kind, stale: isStale(decoded) };
    const number: CallId = ports.router.call(request, (answer) => {
      if (close()) finishWith(ports, method, asked, answer, finish);
    });
    if (isOpen) {
      call.on('cancelled', () => {
        if (close()) ports.router.abandon(number);
      });
    }
  } catch (error) {
    if (!isRefusal(error)) ports.failed(error);
    if (close()) finish(failureOf(error));
  }
}

function finishWith(
  ports: UnaryPorts,
  method: UnaryMethod,
  { kind, stale }: { readonly kind: RouterCall['kind']; readonly stale: boolean },
  answer: Answer,
  finish: Finish,
): void {
  if (answer.kind === 'failed') {
    finish(answer.failure);
    return;
  }
  const delivery = answer.kind === 'found' ? answer.delivery : undefined;
  try {
    finish(method.encode(replyOf(kind, answer, stale)), delivery);
  } catch (error) {
    ports.failed(error);
    delivery?.lost();
    finish(failureOf(error));
  }
}

/** A wait ends before the call's gRPC deadline does, so that "nothing" is a normal answer. */
function withDeadline(request: Request, deadline: Date | number, marginMs: number): Request {
  if (request.kind !== 'read' && request.kind !== 'take') return request;
  const endMs = typeof deadline === 'number' ? deadline : deadline.getTime();
  if (endMs === Number.POSITIVE_INFINITY) return request;
  const leftMs = Math.max(0, endMs - Date.now() - marginMs);
  return leftMs < request.waitMs ? { ...request, waitMs: leftMs } : request;
}
