import test from 'ava';
import { Scheduler, SimProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const skew = { driftPpm: 0, wallOriginMs: 1_000_000 };

async function orderOf(seed: number): Promise<string> {
  const scheduler = new Scheduler(seed);
  const seen: string[] = [];
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
    scheduler.after(10, () => seen.push(name));
  }
  await scheduler.run(100);
  return seen.join('');
}

test('events run in order of time', async (t) => {
  const scheduler = new Scheduler(1);
  const seen: number[] = [];
  for (const at of [30, 10, 50, 20, 40]) scheduler.after(at, () => seen.push(scheduler.nowUs));
  t.is(await scheduler.run(1000), 'idle');
  t.deepEqual(seen, [10, 20, 30, 40, 50]);
});

test('the seed chooses the order within one instant, and always the same one', async (t) => {
  t.is(await orderOf(5), await orderOf(5));
  const orders = new Set(await Promise.all([1, 2, 3, 4, 5].map(orderOf)));
  t.true(orders.size > 1);
});

test('promises that an event makes ready are run before the next event', async (t) => {
  const scheduler = new Scheduler(1);
  const seen: string[] = [];
  async function chain(name: string): Promise<void> {
    for (let step = 0; step < 50; step++) await undefined;
    seen.push(name);
  }
  let finished: Promise<unknown> = Promise.resolve();
  scheduler.after(1, () => {
    finished = chain('first');
  });
  scheduler.after(2, () => seen.push('second'));
  await scheduler.run(10);
  await finished;
  t.deepEqual(seen, ['first', 'second']);
});

test('a cancelled event does not run', async (t) => {
  const scheduler = new Scheduler(1);
  const cancel = scheduler.after(5, () => t.fail());
  cancel();
  cancel();
  t.is(await scheduler.run(10), 'idle');
});

test('a killed process runs nothing more', async (t) => {
  const scheduler = new Scheduler(1);
  const process = new SimProcess(scheduler, 'p', skew);
  process.clock.after(5, () => t.fail());
  process.kill();
  await scheduler.run(10_000);
  t.false(process.alive);
});

test('a paused process catches up in order, and its clock has gone on', async (t) => {
  const scheduler = new Scheduler(1);
  const process = new SimProcess(scheduler, 'p', skew);
  const { clock } = process;
  const seen: [number, number][] = [];
  for (const at of [1, 2, 3]) clock.after(at, () => seen.push([at, clock.monotonicMs()]));
  process.pause(10);
  await scheduler.run(100_000);
  t.deepEqual(seen, [
    [1, 10],
    [2, 10],
    [3, 10],
  ]);
});

test('a drifting clock is late for itself at no time', async (t) => {
  const scheduler = new Scheduler(1);
  const { clock } = new SimProcess(scheduler, 'p', { driftPpm: -200, wallOriginMs: 5 });
  const begun = clock.monotonicMs();
  let took = 0;
  clock.after(1000, () => {
    took = clock.monotonicMs() - begun;
  });
  await scheduler.run(10_000_000);
  t.true(took >= 1000 && took < 1000.01);
});

test('a trace hashes what it saw, in order', (t) => {
  const hash = (lines: string[]): string => {
    const trace = new Trace();
    for (const line of lines) trace.note(line);
    return trace.hash;
  };
  t.is(hash(['a', 'b']), hash(['a', 'b']));
  t.not(hash(['a', 'b']), hash(['b', 'a']));
  t.is(hash(['one', 'two']), '809d6b6941e6db19');
});

test('what comes while a process stands still is heard in its order, also where it then stands longer', async (t) => {
  const scheduler = new Scheduler(1);
  const process = new SimProcess(scheduler, 'p', skew);
  const seen: string[] = [];
  process.pause(0.05);
  process.after(10, () => seen.push('first'));
  process.after(30, () => seen.push('second'));
  scheduler.after(20, () => process.pause(0.1));
  process.after(60, () => seen.push('third'));
  await scheduler.run(1_000);
  t.deepEqual(seen, ['first', 'second', 'third']);
});
