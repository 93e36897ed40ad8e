import { encodeTuple } from '@tuplet/proto';
import test from 'ava';
import { message, reply, stored } from '../../test/exchange-codec.ts';
import { writtenAs } from '../../test/fake-server.ts';
import { asking, type TestOperation, writing } from '../../test/operations.ts';
import { makeWorld, type World } from '../../test/world.ts';

/** Starts so many writes and answers none; returns them with the replies that would. */
function unanswered(count: number): {
  world: World;
  writes: TestOperation[];
  replies: Uint8Array[];
} {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  const replies: Uint8Array[] = [];
  world.server.instead = (call) => {
    if (call.name !== 'write') return undefined;
    replies.push(reply(call.callId, 3, writtenAs(100 + replies.length)));
    return true;
  };
  const writes = Array.from({ length: count }, (_, index) => writing(['a', index]));
  for (const write of writes) world.engine.start(write);
  world.clock.settle();
  return { world, writes, replies };
}

const written = (writes: readonly TestOperation[]): number =>
  writes.filter((write) => write.told.kind === 'written').length;

test('a message of many replies is heard in two turns, one of few in one', (t) => {
  for (const [count, first] of [
    [47, 47],
    [48, 24],
    [101, 51],
  ] as const) {
    const { world, writes, replies } = unanswered(count);
    world.server.last.answer(Buffer.concat(replies));
    world.clock.turn();
    t.is(written(writes), first);
    world.clock.turn();
    t.is(written(writes), count);
  }
});

test('what the first half sets off is sent before the second half is heard', (t) => {
  const { world, writes, replies } = unanswered(48);
  const next = writing(['next', 1]);
  const [first] = writes;
  if (first !== undefined) first.onTold = () => world.engine.start(next);
  const atNext: number[] = [];
  world.server.instead = () => {
    atNext.push(written(writes));
    return undefined;
  };
  world.server.last.answer(Buffer.concat(replies));
  world.clock.settle();
  t.deepEqual(atNext, [24]);
  t.is(next.told.kind, 'written');
});

test('a second half is heard before the next message, and before the end of the connection', (t) => {
  const { world, writes, replies } = unanswered(49);
  const last = replies.pop();
  world.server.last.answer(Buffer.concat(replies));
  world.clock.turn();
  t.is(written(writes), 24);
  const order: number[] = [];
  writes.forEach((write, index) => {
    write.onTold = () => order.push(index);
  });
  world.server.last.deliver(last ?? new Uint8Array());
  t.deepEqual(
    order,
    [...Array(25).keys()].map((index) => index + 24),
  );

  const other = unanswered(48);
  other.world.server.last.answer(Buffer.concat(other.replies));
  other.world.clock.turn();
  other.world.server.last.break();
  t.is(written(other.writes), 48);
  other.world.clock.advance(5_000);
  t.is(other.world.server.named('write').length, 49, 'nothing is sent again');
});

test('damage in a second half that the next message finds ends the connection, and that message with it', (t) => {
  const { world, writes, replies } = unanswered(50);
  const next = replies.splice(48);
  replies[40]?.fill(0xff, 2);
  world.server.last.answer(Buffer.concat(replies));
  world.clock.turn();
  world.server.last.deliver(Buffer.concat(next));
  t.is(written(writes), 40);
  world.clock.settle();
  t.is(writes.filter((write) => write.reason === 'ANSWER_UNREADABLE').length, 10);
  world.server.instead = () => undefined;
  const later = writing(['later', 1]);
  world.engine.start(later);
  world.clock.advance(1);
  t.is(world.server.connections.length, 1, 'the back-off counts');
  world.clock.advance(5_000);
  t.is(later.told.kind, 'written');
});

test('what stands before damage between replies is heard', (t) => {
  const { world, writes, replies } = unanswered(3);
  const message = Buffer.concat([...replies, Uint8Array.of(0x0a, 0xff)]);
  world.server.last.answer(message);
  world.clock.settle();
  t.is(written(writes), 3);
});

test('damage in a second half ends what it was to answer, and nothing else', (t) => {
  const { world, writes, replies } = unanswered(48);
  const damaged = replies[40];
  damaged?.fill(0xff, 2);
  world.server.instead = () => undefined;
  world.server.last.answer(Buffer.concat(replies));
  world.clock.turn();
  t.is(written(writes), 24);
  world.clock.settle();
  t.is(written(writes), 40);
  t.deepEqual(
    writes.slice(40).map((write) => write.reason),
    Array(8).fill('ANSWER_UNREADABLE'),
  );
});

test('S4: nothing of a second half is handed out once its session is over', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  const replies: Uint8Array[] = [];
  world.server.instead = (call) => {
    if (call.name !== 'take' || replies.length === 48) return undefined;
    const tuple = stored(encodeTuple(['a', 1]), 100 + replies.length);
    const found = message([
      [1, 1],
      [2, tuple],
    ]);
    replies.push(reply(call.callId, 8, found));
    return true;
  };
  const takes = Array.from({ length: 48 }, () => asking('take', 'a'));
  for (const take of takes) world.engine.start(take);
  world.clock.settle();
  world.server.last.answer(Buffer.concat(replies));
  world.clock.turn();
  world.clock.block(10_001);
  // Before any flush, which looks at the lease as well.
  world.server.last.deliver(new Uint8Array());
  world.clock.settle();
  const kinds = takes.map((take) => take.told.kind);
  t.deepEqual(kinds, [...Array(24).fill('found'), ...Array(24).fill('waiting')]);
});
