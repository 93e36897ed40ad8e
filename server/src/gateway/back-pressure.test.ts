import { EventEmitter } from 'node:events';
import * as contract from '@tuplet/proto/contract';
import test from 'ava';
import { RouterBench, tuple } from '../../test/router/bench.ts';
import type { PartitionId } from '../base/ids.ts';
import { holdMsMax } from '../base/limits.ts';
import { BackPressure } from './back-pressure.ts';
import { Exchange } from './exchange.ts';
import { InFlight } from './in-flight.ts';

const p1 = 1 as PartitionId;
const p2 = 2 as PartitionId;

interface Bench {
  readonly overloaded: Set<PartitionId>;
  readonly pressure: BackPressure;
  nowMs: number;
}

function bench(): Bench {
  const overloaded = new Set<PartitionId>();
  const gauge = { ready: (partition: PartitionId) => !overloaded.has(partition) };
  const made: Bench = { overloaded, nowMs: 0, pressure: new BackPressure(gauge, () => made.nowMs) };
  return made;
}

test('a stream is held from the first call to an overloaded partition until that is ready', (t) => {
  const { overloaded, pressure } = bench();
  t.false(pressure.holds);
  overloaded.add(p1);
  t.false(pressure.holds, 'nothing of it has gone there');
  pressure.met(p1);
  t.true(pressure.holds);
  overloaded.add(p2);
  overloaded.delete(p1);
  t.false(pressure.holds);
});

test('a stream is held for a bounded time, and then not again before the partition was ready', (t) => {
  const made = bench();
  const { overloaded, pressure } = made;
  overloaded.add(p1);
  pressure.met(p1);
  made.nowMs = holdMsMax - 1;
  t.true(pressure.holds);
  made.nowMs = holdMsMax;
  t.false(pressure.holds, 'what waits behind may be a keep-alive');
  pressure.met(p1);
  t.false(pressure.holds);
  overloaded.delete(p1);
  t.false(pressure.holds);
  overloaded.add(p1);
  pressure.met(p1);
  t.true(pressure.holds);
});

/** A stream of which a test is the other end. */
class FakeStream extends EventEmitter {
  paused = false;
  readonly written: Uint8Array[] = [];
  resumed: () => void = () => undefined;

  getPeer(): string {
    return 'peer';
  }
  pause(): void {
    this.paused = true;
  }
  isPaused(): boolean {
    return this.paused;
  }
  resume(): void {
    this.paused = false;
    this.resumed();
  }
  write(bytes: Uint8Array, done: () => void): void {
    this.written.push(bytes);
    done();
  }
  end(): void {
    this.emit('close');
  }
}

test('an Exchange is read no further while a partition has more than it wants, and then goes on', async (t) => {
  const bench = new RouterBench({ partitions: 1 });
  const stream = new FakeStream();
  const exchange = new Exchange(stream, {
    router: bench.router,
    inFlight: new InFlight(100),
    topology: { message: () => ({}), follow: () => () => undefined },
    streams: new Set(),
    soon: (run) => bench.clock.soon(run),
    failed: (error) => t.fail(String(error)),
    limits: { replyBytesPause: 1e6, replyBytesMax: 1e6, replyMessageBytes: 1e6 },
  });
  exchange.start();
  const send = (from: number, count: number): void => {
    const calls = Array.from({ length: count }, (_, at) => ({
      callId: from + at,
      request: {
        kind: 'write',
        value: { space: { name: 'jobs' }, tuple: tuple('job', at) },
      } as const,
    }));
    stream.emit('data', Buffer.from(contract.ExchangeRequest.encode({ calls })));
  };
  send(1, 10);
  t.is(bench.sent().length, 10);
  t.false(stream.paused);
  bench.overloaded.add(p1);
  send(11, 10);
  t.is(bench.sent().length, 1, 'the call that met it is the last');
  t.true(stream.paused);
  bench.overloaded.clear();
  await new Promise<void>((resolve) => {
    stream.resumed = resolve;
  });
  t.is(bench.sent().length, 9, 'the rest, and nothing was refused');
  t.deepEqual(stream.written, []);
  stream.emit('cancelled');
});
