import test from 'ava';
import { reply, status } from '../../test/exchange-codec.ts';
import { asking, writing } from '../../test/operations.ts';
import { makeWorld } from '../../test/world.ts';

test('a call that was not sent is cancelled at once, for sure', (t) => {
  const world = makeWorld();
  const take = asking('take', 'a');
  world.engine.start(take);
  world.engine.cancel(take, 'enough');
  t.is(take.reason, 'CANCELLED');
  t.true(take.told.kind === 'failed' && take.told.error.definite);
  t.is(take.told.kind === 'failed' && take.told.error.cause, 'enough');
  world.clock.settle();
  t.deepEqual(world.server.named('take'), []);
});

test('a take is cancelled on its own connection by EndCall, and told when the server has said so', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  world.engine.cancel(take);
  t.is(take.told.kind, 'waiting');
  world.clock.settle();
  t.is(take.reason, 'CANCELLED');
  t.true(take.told.kind === 'failed' && take.told.error.definite);
  t.is(world.server.named('end_call').length, 1);
  t.is(world.server.named('cancel_take').length, 0);
  const id = world.put('a', 1);
  t.is(world.server.tuples.get(id)?.handedTo, undefined);
});

test('an abort that loses the race resolves with the tuple, which is acknowledged [3.22]', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  const id = world.server.put(new Uint8Array([10, 3, 42, 1, 97, 10, 2, 24, 2]) as never);
  world.engine.cancel(take);
  world.clock.settle();
  t.deepEqual(take.told, { kind: 'found', ids: [id] });
  t.deepEqual(world.server.received, [id]);
});

test('K1: after a reconnect a take is cancelled by CancelTake under a new attempt [4.12]', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  world.server.last.break();
  world.engine.cancel(take);
  world.clock.advance(1_000);
  t.is(take.reason, 'CANCELLED');
  const [cancel] = world.server.named('cancel_take');
  t.is(cancel?.identity?.attempt, 2);
  t.is(cancel?.identity?.sequence, world.server.named('take')[0]?.identity?.sequence);
  t.is(world.server.named('take').length, 1);
});

test('a CancelTake that finds the tuple resolves with it', (t) => {
  const world = makeWorld();
  const id = world.put('a', 1);
  world.server.loses = (call) => call.name === 'take';
  const take = world.run(asking('take', 'a'));
  world.server.last.break();
  world.engine.cancel(take);
  world.clock.advance(1_000);
  t.deepEqual(take.told, { kind: 'found', ids: [id] });
  t.deepEqual(world.server.received, [id]);
});

test('an EndCall whose answer is lost is followed by a CancelTake', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  world.server.loses = (call) => call.name === 'take';
  world.engine.cancel(take);
  world.clock.settle();
  t.is(take.told.kind, 'waiting');
  world.server.last.break();
  world.clock.advance(1_000);
  t.is(take.reason, 'CANCELLED');
  t.is(world.server.named('cancel_take').length, 1);
});

test('a take whose every sending was refused is cancelled without asking', (t) => {
  const world = makeWorld();
  world.server.instead = (call) =>
    call.name === 'take' ? reply(call.callId, 2, status(14, 'NO_LEADER', 500)) : undefined;
  const take = world.run(asking('take', 'a'));
  world.engine.cancel(take);
  t.is(take.reason, 'CANCELLED');
  t.true(take.told.kind === 'failed' && take.told.error.definite);
  t.is(world.engine.underWay, 0);
});

test('a cancel without an answer rejects after one lease, and a tuple found later goes back', (t) => {
  const world = makeWorld();
  const id = world.put('a', 1);
  world.server.instead = (call) => {
    if (call.name === 'take') return true;
    if (call.name === 'cancel_take') return reply(call.callId, 2, status(14, 'OUTCOME_UNKNOWN'));
    return undefined;
  };
  const take = world.run(asking('take', 'a'));
  world.server.last.break();
  world.engine.cancel(take);
  world.clock.advance(9_000);
  t.is(take.told.kind, 'waiting');
  world.clock.advance(1_100);
  t.is(take.reason, 'OUTCOME_UNKNOWN');
  t.false(take.told.kind === 'failed' && take.told.error.definite);
  t.is(world.engine.underWay, 1, 'the cancel goes on');
  // The partition is back: the take had happened.
  const session = take.session?.id ?? 0;
  const held = world.server.tuples.get(id);
  if (held !== undefined) held.handedTo = `${session}/${take.sequence}`;
  const found = new Uint8Array([8, 1, 18, 4, 10, 0, 16, id]);
  world.server.instead = (call) =>
    call.name === 'cancel_take' ? reply(call.callId, 11, found) : undefined;
  world.clock.advance(3_000);
  t.deepEqual(world.server.received, []);
  t.is(world.server.tuples.get(id)?.handedTo, undefined);
  t.is(world.server.tuples.get(id)?.deliveries, 1);
  t.is(world.engine.underWay, 0);
  t.false(world.server.sessions.has(session), 'the session was retired and closed');
});

test('a take that waits in the same session does not hold up what goes back, and goes on waiting', (t) => {
  const world = makeWorld();
  const id = world.put('a', 1);
  world.server.instead = (call) => {
    if (call.name === 'take') return true;
    if (call.name === 'cancel_take') return reply(call.callId, 2, status(14, 'OUTCOME_UNKNOWN'));
    return undefined;
  };
  const take = world.run(asking('take', 'a'));
  world.server.instead = () => undefined;
  const waiting = world.run(asking('take', 'b'));
  const session = take.session?.id ?? 0;
  t.is(waiting.session?.id, session);
  world.server.instead = (call) =>
    call.name === 'cancel_take' ? reply(call.callId, 2, status(14, 'OUTCOME_UNKNOWN')) : undefined;
  world.server.last.break();
  world.engine.cancel(take);
  world.clock.advance(10_100);
  t.is(take.reason, 'OUTCOME_UNKNOWN');
  const held = world.server.tuples.get(id);
  if (held !== undefined) held.handedTo = `${session}/${take.sequence}`;
  const found = new Uint8Array([8, 1, 18, 4, 10, 0, 16, id]);
  world.server.instead = (call) =>
    call.name === 'cancel_take' ? reply(call.callId, 11, found) : undefined;
  world.clock.advance(3_000);
  t.is(world.server.tuples.get(id)?.handedTo, undefined);
  t.is(world.server.tuples.get(id)?.deliveries, 1);
  t.false(world.server.sessions.has(session), 'the session is closed though a take of it waited');
  const other = world.put('b', 2);
  world.clock.advance(100);
  t.deepEqual(waiting.told, { kind: 'found', ids: [other] });
  t.not(waiting.session?.id, session);
});

test('an aborted write is rejected at once; it may have happened', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  world.server.loses = () => true;
  const write = world.run(writing(['a', 1]));
  world.engine.cancel(write);
  t.is(write.reason, 'CANCELLED');
  t.false(write.told.kind === 'failed' && write.told.error.definite);
  world.server.loses = () => false;
  world.run(writing(['a', 2]));
  t.is(world.server.named('write').at(-1)?.identity?.floor, 3, 'its sequence is closed');
});

test('a blocked read that is aborted is ended at the server, too', (t) => {
  const world = makeWorld();
  const read = world.run(asking('read', 'a'));
  world.engine.cancel(read);
  t.is(read.reason, 'CANCELLED');
  world.clock.settle();
  t.is(world.server.named('end_call').length, 1);
});

test('a take that times out is cancelled first', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a', { timeoutMs: 500 }));
  world.clock.advance(499);
  t.is(take.told.kind, 'waiting');
  world.clock.advance(1);
  t.is(take.reason, 'DEADLINE');
  t.true(take.told.kind === 'failed' && take.told.error.definite);
  t.is(world.server.named('end_call').length, 1);
});

test('a write that times out says that it may have happened, and why it failed before', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  world.server.instead = (call) =>
    call.name === 'write' ? reply(call.callId, 2, status(14, 'OUTCOME_UNKNOWN')) : undefined;
  const write = world.run(writing(['a', 1], 1_000));
  world.clock.advance(1_000);
  t.is(write.reason, 'DEADLINE');
  t.true(write.told.kind === 'failed' && !write.told.error.definite);
  t.like(write.told.kind === 'failed' ? write.told.error.cause : {}, { reason: 'OUTCOME_UNKNOWN' });
});

test('a write that was refused at each sending times out for sure', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  world.server.instead = (call) =>
    call.name === 'write' ? reply(call.callId, 2, status(14, 'NO_LEADER')) : undefined;
  const write = world.run(writing(['a', 1], 1_000));
  world.clock.advance(1_000);
  t.is(write.reason, 'DEADLINE');
  t.true(write.told.kind === 'failed' && write.told.error.definite);
});

test('an error that no retry mends ends the call at once', (t) => {
  const world = makeWorld();
  world.server.instead = (call) =>
    call.name === 'write' ? reply(call.callId, 2, status(3, 'TUPLE_TOO_LARGE')) : undefined;
  const write = world.run(writing(['a', 1]));
  t.is(write.reason, 'TUPLE_TOO_LARGE');
  t.is(world.server.named('write').length, 1);
});

test('a revision that has changed is not tried again: the same request cannot succeed', (t) => {
  const world = makeWorld();
  world.server.instead = (call) =>
    call.name === 'write' ? reply(call.callId, 2, status(10, 'REVISION_CHANGED')) : undefined;
  const write = world.run(writing(['a', 1]));
  t.is(write.reason, 'REVISION_CHANGED');
});

test('a definite refusal after an attempt without an answer is not definite', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  world.server.loses = (call) => call.name === 'write';
  const write = world.run(writing(['a', 1]));
  world.server.last.break();
  world.server.instead = (call) =>
    call.name === 'write' ? reply(call.callId, 2, status(9, 'UNSUPPORTED_FORMAT')) : undefined;
  world.server.loses = () => false;
  world.clock.advance(1_000);
  t.is(write.reason, 'UNSUPPORTED_FORMAT');
  t.false(write.told.kind === 'failed' && write.told.error.definite);
});

test("a retry waits for the server's RetryInfo", (t) => {
  const world = makeWorld();
  let refuse = true;
  world.server.instead = (call) => {
    if (call.name !== 'write' || !refuse) return undefined;
    refuse = false;
    return reply(call.callId, 2, status(8, 'DISK_FULL', 3_000));
  };
  const write = world.run(writing(['a', 1]));
  world.clock.advance(2_999);
  t.is(world.server.named('write').length, 1);
  world.clock.advance(1);
  t.is(write.told.kind, 'written');
});

test('a stream that the server refuses for good fails what is on it', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  world.server.last.break(false);
  t.is(take.reason, 'UNAUTHENTICATED');
  t.false(take.told.kind === 'failed' && take.told.error.definite);
});

test('a stale map is learnt anew before the call is sent again', (t) => {
  const world = makeWorld();
  let stale = true;
  world.server.instead = (call) => {
    if (call.name !== 'write' || !stale) return undefined;
    return reply(call.callId, 2, status(14, 'STALE_MAP'));
  };
  let refreshed: ((error: undefined) => void) | undefined;
  const write = writing(['a', 1]);
  Object.defineProperty(write, 'space', {
    value: {
      encoded: write.space.encoded,
      refresh: (done: (error: undefined) => void) => {
        refreshed = done;
      },
    },
  });
  world.run(write);
  world.clock.advance(5_000);
  t.is(world.server.named('write').length, 1);
  stale = false;
  refreshed?.(undefined);
  world.clock.settle();
  t.is(write.told.kind, 'written');
});

test('closing confirms receipts, lets writes finish, cancels what blocks, and ends the sessions', (t) => {
  const world = makeWorld();
  world.put('a', 1);
  let held = true;
  world.server.instead = (call) => (call.name === 'acknowledge' && held ? true : undefined);
  const take = world.run(asking('take', 'a'));
  const blocked = world.run(asking('take', 'none'));
  const write = writing(['b', 1]);
  world.engine.start(write);
  world.clock.settle();
  let closed = false;
  world.engine.close(() => {
    closed = true;
  });
  world.clock.settle();
  t.is(take.told.kind, 'found');
  t.is(blocked.reason, 'CANCELLED');
  t.is(write.told.kind, 'written');
  t.false(closed, 'a receipt is not confirmed');
  held = false;
  world.clock.advance(1_100);
  t.true(closed);
  t.is(world.server.received.length, 1);
  t.is(world.server.sessions.size, 0);
  t.is(world.clock.timers, 0);
});

test('closing takes no longer than its bound where nothing answers', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  world.server.instead = () => true;
  let closed = false;
  world.engine.close(() => {
    closed = true;
  });
  world.clock.advance(1_999);
  t.false(closed);
  world.clock.advance(1);
  t.true(closed);
  t.is(take.reason, 'CLIENT_CLOSED');
  t.is(world.clock.timers, 0);
});
