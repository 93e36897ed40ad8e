import test from 'ava';
import { nodeClock, patientClock } from './clock.ts';

test('what is urgent comes after the promises of its event, the rest at the end of the turn', async (t) => {
  const clock = nodeClock();
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    void Promise.resolve().then(() => {
      clock.soon(
        () => order.push('patient'),
        () => false,
      );
      clock.soon(
        () => order.push('urgent'),
        () => true,
      );
      clock.soon(() => {
        order.push('plain');
        setImmediate(resolve);
      });
      void Promise.resolve()
        .then(() => order.push('a promise'))
        .then(() => order.push('and what follows from it'));
    });
  });
  t.deepEqual(order.slice(0, 3), ['a promise', 'and what follows from it', 'urgent']);
  t.deepEqual(order.slice(3), ['plain', 'patient']);
});

test('whether something is urgent is asked when the promises of its event have run', async (t) => {
  const clock = nodeClock();
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    void Promise.resolve().then(() => {
      let isUrgent = false;
      clock.soon(
        () => {
          order.push('sent');
          resolve();
        },
        () => isUrgent,
      );
      setImmediate(() => order.push('end of the turn'));
      void Promise.resolve().then(() => {
        isUrgent = true;
      });
    });
  });
  t.deepEqual(order, ['sent']);
});

test('to a patient clock nothing is urgent', async (t) => {
  const clock = patientClock(nodeClock());
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    setImmediate(() => order.push('end of the turn'));
    clock.soon(
      () => {
        order.push('sent');
        resolve();
      },
      () => true,
    );
  });
  t.deepEqual(order, ['end of the turn', 'sent']);
});

test('a wall clock that jumps ahead counts as time that passed; one that is set back does not', (t) => {
  const times = { monotonicMs: 5_000, wallMs: 1_000_000 };
  const clock = nodeClock(
    () => times.monotonicMs,
    () => times.wallMs,
  );
  t.is(clock.nowMs(), 5_000);
  times.wallMs += 60_000;
  t.is(clock.nowMs(), 65_000);
  times.wallMs -= 60_000;
  times.monotonicMs += 10;
  t.is(clock.nowMs(), 65_010);
});
