import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import * as contract from '@tuplet/proto/contract';
import test, { type ExecutionContext } from 'ava';
import { tuple } from '../../test/router/bench.ts';
import type { PartitionId } from '../base/ids.ts';
import type { Answer } from '../router/request.ts';
import type { AnswerListener, Router } from '../router/router.ts';
import { Exchange, type ExchangeStream } from './exchange.ts';
import { InFlight } from './in-flight.ts';

/** A connection that takes messages when the test says so. */
class HeldStream extends EventEmitter implements ExchangeStream {
  readonly taken: (() => void)[] = [];
  isEnded = false;

  getPeer(): string {
    return 'peer';
  }
  pause(): void {}
  resume(): void {}
  isPaused(): boolean {
    return false;
  }
  write(_message: Buffer, taken: () => void): void {
    this.taken.push(taken);
  }
  end(): void {
    this.isEnded = true;
  }
}

/** One tuple in memory of 16 KiB that it shares; `copies` counts how often it was given its own. */
function sharedTuple(copies: { count: number }): Answer {
  const bytes = new Uint8Array(16_384).subarray(0, 8);
  bytes.set(tuple('a'));
  bytes.slice = (...range) => {
    copies.count += 1;
    return Uint8Array.prototype.slice.apply(bytes, range) as Uint8Array<ArrayBuffer>;
  };
  const facts = { id: 1, revision: 1, deliveries: 0, writtenAtMs: 0, leaseEndMs: undefined };
  return {
    kind: 'found',
    tuples: [{ ...facts, bytes, state: 'ready' }],
    delivery: undefined,
  } as unknown as Answer;
}

test('replies that wait for a slow reader hold no memory of others', (t) => {
  const stream = new HeldStream();
  const answers: (() => void)[] = [];
  const copies = { count: 0 };
  const router = {
    pressed: undefined,
    call: (_request: unknown, listener: AnswerListener, callId: number) => {
      answers.push(() => listener(sharedTuple(copies), callId));
      return callId;
    },
  };
  const exchange = new Exchange(stream, {
    router: router as unknown as Router,
    inFlight: new InFlight(100),
    topology: { message: () => ({}), follow: () => () => undefined },
    streams: new Set(),
    soon: (run) => run(),
    failed: (error) => t.fail(String(error)),
    limits: { replyBytesPause: 1e6, replyBytesMax: 1e6, replyMessageBytes: 1e6 },
  });
  exchange.start();
  const calls = [1, 2, 3, 4].map((callId) => ({
    callId,
    request: {
      kind: 'read',
      value: { space: { name: 'jobs' }, template: new Uint8Array() },
    } as const,
  }));
  stream.emit('data', Buffer.from(contract.ExchangeRequest.encode({ calls })));
  const counts = answers.map((answer) => {
    answer();
    return copies.count;
  });
  t.deepEqual(counts, [0, 0, 1, 2], 'two messages are on their way, the others wait');
  t.is(stream.taken.length, 2);
  const held = exchange.replyBytes;
  for (const taken of stream.taken.splice(0)) taken();
  t.is(stream.taken.length, 1, 'what waited goes in one message');
  t.is(exchange.replyBytes, held / 2);
});

/** A stream over a router that answers when the test says so. */
function openStream(
  t: ExecutionContext,
  pressed?: PartitionId,
): {
  readonly stream: HeldStream;
  readonly exchange: Exchange;
  readonly streams: Set<Exchange>;
  readonly answers: (() => void)[];
  readonly abandoned: number[];
  readonly errors: { readonly code: number }[];
  send(callId: number): void;
} {
  const stream = new HeldStream();
  const answers: (() => void)[] = [];
  const abandoned: number[] = [];
  const failure = { reason: 'NO_LEADER', message: 'nobody leads' } as const;
  const router = {
    pressed,
    ready: () => false,
    call: (_request: unknown, listener: AnswerListener, callId: number) => {
      answers.push(() => listener({ kind: 'failed', failure }, callId));
      return callId;
    },
    abandon: (number: number) => abandoned.push(number),
  };
  const streams = new Set<Exchange>();
  const exchange = new Exchange(stream, {
    router: router as unknown as Router,
    inFlight: new InFlight(100),
    topology: { message: () => ({}), follow: () => () => undefined },
    streams,
    soon: (run) => run(),
    failed: (error) => t.fail(String(error)),
    limits: { replyBytesPause: 1e6, replyBytesMax: 1e6, replyMessageBytes: 1e6 },
  });
  exchange.start();
  const errors: { readonly code: number }[] = [];
  stream.on('error', (error) => errors.push(error as unknown as { readonly code: number }));
  const send = (callId: number): void => {
    const value = { space: { name: 'jobs' }, template: new Uint8Array() };
    const calls = [{ callId, request: { kind: 'read', value } as const }];
    stream.emit('data', Buffer.from(contract.ExchangeRequest.encode({ calls })));
  };
  return { stream, exchange, streams, answers, abandoned, errors, send };
}

test('a stream of a node that leaves begins nothing more, and ends when all it had begun is answered', (t) => {
  const { stream, exchange, streams, answers, send } = openStream(t);
  send(1);
  exchange.leave();
  send(2);
  t.is(answers.length, 1);
  t.false(stream.isEnded);
  answers[0]?.();
  t.false(stream.isEnded, 'the answer is on its way');
  t.is(stream.taken.length, 1);
  stream.taken[0]?.();
  t.true(stream.isEnded);
  t.is(streams.size, 0);
  const idle = openStream(t);
  idle.exchange.leave();
  t.true(idle.stream.isEnded);
});

test('calls that wait for room are not begun any more when the node leaves', (t) => {
  const { stream, exchange, answers, send } = openStream(t, 1 as PartitionId);
  send(1);
  send(2);
  t.is(answers.length, 1, 'the partition of the first has more than it wants');
  exchange.leave();
  answers[0]?.();
  stream.taken[0]?.();
  t.true(stream.isEnded);
  t.is(answers.length, 1);
});

test('a node that is apart sends those away who wait, and nobody else', (t) => {
  const { exchange, streams, abandoned, errors, send } = openStream(t);
  t.is(streams.size, 1);
  exchange.sendAway();
  t.deepEqual(errors, []);
  send(1);
  exchange.sendAway();
  t.deepEqual(abandoned, [1]);
  t.deepEqual(
    errors.map(({ code }) => code),
    [status.UNAVAILABLE],
  );
  t.is(streams.size, 0);
  exchange.sendAway();
  t.is(errors.length, 1);
});
