import test from 'ava';
import { InvariantError } from '../base/assert.ts';
import { linkFrameBytesMax, linkMessageBytes } from '../base/limits.ts';
import type { LaneRule } from './lane.ts';
import { LaneQueue } from './lane-queue.ts';
import { readFrames } from './peer-codec.ts';

function frame(number: number, size = 10): Uint8Array {
  return new Uint8Array(size).fill(number);
}

/** The numbers of the frames of the next message. */
function take(queue: LaneQueue): number[] | undefined {
  const message = queue.take();
  return message === undefined ? undefined : readFrames(message).map((bytes) => bytes[0] ?? -1);
}

function queueOf(overflow: LaneRule['overflow'], framesMax = 3, bytesMax = 1_000): LaneQueue {
  return new LaneQueue({ framesMax, bytesMax, overflow });
}

test('what is queued leaves in order, in one message', (t) => {
  const queue = queueOf('drop-newest');
  for (const number of [1, 2, 3]) t.true(queue.push(frame(number)));
  t.deepEqual(take(queue), [1, 2, 3]);
  queue.written();
  t.is(take(queue), undefined);
});

test('what is being written counts until it is taken', (t) => {
  const queue = queueOf('drop-newest', 3, 25);
  queue.push(frame(1));
  queue.push(frame(2));
  take(queue);
  t.is(queue.bytes, 20);
  t.true(queue.push(frame(3)));
  t.is(queue.dropped, 1);
  queue.written();
  t.is(queue.bytes, 0);
  t.true(queue.push(frame(4)));
  t.deepEqual(take(queue), [4]);
});

test('a full queue drops the newest, the oldest, or says so', (t) => {
  for (const [framesMax, bytesMax] of [
    [3, 1_000],
    [1_000, 30],
  ] as const) {
    const newest = queueOf('drop-newest', framesMax, bytesMax);
    const oldest = queueOf('drop-oldest', framesMax, bytesMax);
    const breaks = queueOf('break', framesMax, bytesMax);
    for (const number of [1, 2, 3]) {
      for (const queue of [newest, oldest, breaks]) t.true(queue.push(frame(number)));
    }
    t.true(newest.push(frame(4)));
    t.true(oldest.push(frame(4)));
    t.false(breaks.push(frame(4)));
    t.deepEqual(take(newest), [1, 2, 3]);
    t.deepEqual(take(oldest), [2, 3, 4]);
    t.deepEqual([newest.dropped, oldest.dropped], [1, 1]);
  }
});

test('a single frame has its place, however large', (t) => {
  for (const overflow of ['drop-newest', 'drop-oldest', 'break'] as const) {
    const queue = queueOf(overflow);
    t.true(queue.push(frame(1, 5_000)));
    t.deepEqual(take(queue), [1]);
    t.is(queue.dropped, 0);
  }
  t.throws(() => queueOf('break').push(frame(1, linkFrameBytesMax + 1)), {
    instanceOf: InvariantError,
  });
});

test('a message has a megabyte at most, unless one frame is larger', (t) => {
  const queue = queueOf('drop-newest', 100, 100 * linkMessageBytes);
  for (const [number, size] of [
    [1, linkMessageBytes * 2],
    [2, linkMessageBytes / 2],
    [3, linkMessageBytes / 2],
    [4, 1],
  ] as const) {
    queue.push(frame(number, size));
  }
  const messages: (number[] | undefined)[] = [];
  for (let at = 0; at < 4; at += 1) {
    messages.push(take(queue));
    queue.written();
  }
  t.deepEqual(messages, [[1], [2, 3], [4], undefined]);
});
