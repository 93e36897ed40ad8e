import { readFileSync } from 'node:fs';
import test from 'ava';
import { longRunMs } from './messages.ts';
import { pausedWithin, TurnMeter } from './turn-meter.ts';

function threadCpuMs(): number {
  process.cpuUsage();
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1_000_000;
}

function burn(cpuMs: number): void {
  const began = threadCpuMs();
  while (threadCpuMs() - began < cpuMs);
}

test('a run that uses its thread for 10 ms is long, one that only lasts so is not', (t) => {
  const meter = new TurnMeter();
  meter.begin();
  meter.measure('slice', () => burn(3 * longRunMs));
  meter.measure('turn', () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3 * longRunMs);
  });
  const { counts, long, longestMs } = meter.report();
  meter.close();
  t.deepEqual(counts, { turn: 1, tick: 0, cut: 0, slice: 1 });
  t.deepEqual(
    long.map(({ kind }) => kind),
    ['slice'],
  );
  t.true(longestMs > 2 * longRunMs && longestMs < 6 * longRunMs, `${longestMs}`);
});

test('a run within a run belongs to it, and nothing is measured before the begin', (t) => {
  const meter = new TurnMeter();
  meter.measure('turn', () => undefined);
  meter.begin();
  t.is(
    meter.measure('tick', () => meter.measure('turn', () => 42)),
    42,
  );
  t.throws(() =>
    meter.measure('cut', () => {
      throw new Error('the run failed');
    }),
  );
  const { counts } = meter.report();
  meter.close();
  t.deepEqual(counts, { turn: 0, tick: 1, cut: 1, slice: 0 });
});

test('only the part of a pause that lies within a run is taken off it', (t) => {
  const pauses = [
    { startMs: 0, durationMs: 5 },
    { startMs: 8, durationMs: 4 },
    { startMs: 20, durationMs: 4 },
    { startMs: 40, durationMs: 4 },
  ];
  t.is(pausedWithin(pauses, 10, 22), 4);
  t.is(pausedWithin(pauses, 24, 40), 0);
});
