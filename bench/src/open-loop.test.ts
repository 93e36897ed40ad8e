import test from 'ava';
import { type LoopClock, openLoop } from './open-loop.ts';

/** Time that moves only where somebody waits for it. */
class HandClock implements LoopClock {
  ms = 0;
  nowMs(): number {
    return this.ms;
  }
  until(atMs: number): Promise<void> {
    this.ms = Math.max(this.ms, atMs);
    return Promise.resolve();
  }
}

test('operations begin at the rate, whether or not those before have ended', async (t) => {
  const clock = new HandClock();
  const begun: number[] = [];
  let end: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    end = resolve;
  });
  const loop = openLoop(
    { perSecond: 100, seconds: 0.05 },
    () => {
      begun.push(clock.ms);
      if (begun.length === 5) end();
      return held;
    },
    clock,
  );
  const { operations } = await loop;
  t.is(operations, 5);
  t.deepEqual(begun, [0, 10, 20, 30, 40]);
});

test('an operation that could not begin in time is counted from the moment at which it was due', async (t) => {
  const clock = new HandClock();
  let count = 0;
  const { latency } = await openLoop(
    { perSecond: 1_000, seconds: 0.1 },
    () => {
      count += 1;
      // The first one holds up the process for 100 ms: the others begin late and are done at once.
      if (count === 1) clock.ms += 100;
      return Promise.resolve();
    },
    clock,
  );
  t.is(latency.count, 100);
  t.true(Math.abs(latency.maxMs - 100) < 0.2, `${latency.maxMs}`);
  const middle = latency.percentile(50);
  t.true(middle > 45 && middle < 56, `they waited 1 to 99 ms, half of them about 50: ${middle}`);
});

test('the first operation that fails ends the loop, and is what the loop is rejected with', async (t) => {
  const clock = new HandClock();
  let count = 0;
  const loop = openLoop(
    { perSecond: 10, seconds: 10 },
    () => {
      count += 1;
      return count === 3 ? Promise.reject(new Error('it failed')) : Promise.resolve();
    },
    clock,
  );
  await t.throwsAsync(loop, { message: 'it failed' });
  t.true(count < 10);
});
