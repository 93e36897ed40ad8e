import test from 'ava';
import fc from 'fast-check';
import type { StampMs } from '../base/ids.ts';
import { StampClock } from './stamp-clock.ts';

test('stamps begin at the larger of the last stamp and the wall clock (§4: time) [4.24]', (t) => {
  const behind = new StampClock({ lastStampMs: 5_000 as StampMs, wallMs: 4_000.9, nowMs: 10.5 });
  t.is(behind.stampMs(10.5) as number, 5_000);
  const ahead = new StampClock({ lastStampMs: 5_000 as StampMs, wallMs: 6_000.9, nowMs: 10.5 });
  t.is(ahead.stampMs(10.5) as number, 6_000);
});

test('stamps go on with monotonic time, and are whole and never fall (§4: time) [4.24]', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 45 }),
      fc.double({ min: 0, max: 2 ** 45, noNaN: true }),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { maxLength: 50 }),
      (lastStampMs, wallMs, startMs, steps) => {
        const clock = new StampClock({
          lastStampMs: lastStampMs as StampMs,
          wallMs,
          nowMs: startMs,
        });
        let nowMs = startMs;
        let last = lastStampMs;
        for (const step of steps) {
          nowMs += step;
          const stampMs = clock.stampMs(nowMs);
          const due = Math.max(lastStampMs, Math.floor(wallMs)) + (nowMs - startMs);
          if (!Number.isSafeInteger(stampMs) || stampMs < last || stampMs > due) return false;
          if (due - stampMs >= 1.001) return false;
          last = stampMs;
        }
        return true;
      },
    ),
  );
  t.pass();
});

test('a monotonic clock that is read out of order does not take a stamp back', (t) => {
  const clock = new StampClock({ lastStampMs: 0 as StampMs, wallMs: 100, nowMs: 0 });
  t.is(clock.stampMs(50) as number, 150);
  t.is(clock.stampMs(40) as number, 150);
});
