import test from 'ava';
import { DeadlineQueue } from './deadline-queue.ts';

test('keys come out when they are due, in order', (t) => {
  const queue = new DeadlineQueue();
  t.is(queue.nextMs, Number.POSITIVE_INFINITY);
  queue.push(7, 10);
  queue.push(8, 10);
  queue.push(9, 12);
  t.is(queue.nextMs, 10);
  t.is(queue.takeDue(9), undefined);
  t.deepEqual([queue.takeDue(11), queue.takeDue(11), queue.takeDue(11)], [7, 8, undefined]);
  t.is(queue.takeDue(12), 9);
  t.is(queue.nextMs, Number.POSITIVE_INFINITY);
});

test('keys that are done with are dropped up to the first open one', (t) => {
  const queue = new DeadlineQueue();
  for (let key = 0; key < 5_000; key += 1) queue.push(key, key);
  queue.trim((key) => key >= 3_000 || key === 1_500);
  t.is(queue.nextMs, 1_500);
  queue.trim((key) => key >= 3_000);
  t.is(queue.nextMs, 3_000);
  t.is(queue.takeDue(3_000), 3_000);
  queue.trim(() => false);
  t.is(queue.nextMs, Number.POSITIVE_INFINITY);
  queue.push(1, 6_000);
  t.is(queue.takeDue(6_000), 1);
});
