import { malformed } from '@tuplet/proto';
import test from 'ava';
import { reply, status } from '../../test/exchange-codec.ts';
import { writtenAs } from '../../test/fake-server.ts';
import { asking, TestOperation, testSpace, writing } from '../../test/operations.ts';
import { makeWorld } from '../../test/world.ts';

test('a session is opened by the first call that needs one, and not by a read', (t) => {
  const world = makeWorld();
  world.run(asking('read', 'a', { waitMs: 0 }));
  t.is(world.server.named('open_session').length, 0);
  world.run(writing(['a', 1]));
  world.run(writing(['a', 2]));
  t.is(world.server.named('open_session').length, 1);
});

test('calls of one turn travel in one message', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  const before = world.server.last.messageSizes.length;
  const operations = Array.from({ length: 64 }, (_, index) => writing(['a', index]));
  for (const operation of operations) world.engine.start(operation);
  world.clock.settle();
  t.is(world.server.last.messageSizes.length, before + 1);
  t.true(operations.every((operation) => operation.told.kind === 'written'));
});

test('a batch is urgent, unless the server is still silent on the last one', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  t.true(world.clock.isUrgent(), 'the last batch was answered');
  world.server.instead = () => true;
  const silent = world.run(writing(['a', 1]));
  t.is(silent.told.kind, 'waiting');
  world.engine.start(writing(['a', 2]));
  t.false(world.clock.isUrgent());
  world.clock.settle();
  t.false(world.clock.isUrgent());
  world.server.last.answer(new Uint8Array(0));
  world.clock.settle();
  t.true(world.clock.isUrgent());
});

test('a batch is split below 3.5 MiB [1.20]', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  const blob = new Uint8Array(900_000);
  const operations = Array.from({ length: 9 }, () => writing(['a', blob]));
  for (const operation of operations) world.engine.start(operation);
  world.clock.settle();
  const sizes = world.server.last.messageSizes.slice(-3);
  t.deepEqual(
    sizes.map((size) => Math.floor(size / 900_000)),
    [4, 4, 1],
  );
  t.true(sizes.every((size) => size <= 3_670_016));
  t.true(operations.every((operation) => operation.told.kind === 'written'));
});

test('a full channel stops the sending until it drains', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  world.server.last.accepts = false;
  world.run(writing(['a', 1]));
  const held = world.run(writing(['a', 2]));
  t.is(held.told.kind, 'waiting');
  world.server.last.drain();
  world.clock.settle();
  t.is(held.told.kind, 'written');
});

test('4,096 operations are open at most, the others wait, and beyond the bound new ones are refused', (t) => {
  const world = makeWorld({ queuedMax: 10 });
  const start = (): TestOperation => {
    const take = asking('take', 'none');
    world.engine.start(take);
    world.clock.settle();
    return take;
  };
  const takes = Array.from({ length: 4_096 }, start);
  t.is(world.server.named('take').length, 4_096);
  const queued = Array.from({ length: 10 }, start);
  t.is(world.server.named('take').length, 4_096);
  const refused = start();
  t.is(refused.reason, 'TOO_MANY_IN_FLIGHT');
  t.true(refused.told.kind === 'failed' && refused.told.error.definite);
  for (const take of takes.slice(0, 3)) world.engine.cancel(take);
  world.clock.settle();
  t.is(world.server.named('take').length, 4_099);
  t.is(queued.filter((take) => take.told.kind === 'waiting').length, 10);
  t.is(world.run(writing(['a', 1])).told.kind, 'written', 'parked takes do not hold a write');
});

test('an epoch that is old is learnt anew and asked with at once, the next times after a while', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  let stale = 6;
  world.server.instead = (call) => {
    stale -= call.name === 'write' ? 1 : 0;
    return call.name === 'write' && stale >= 0
      ? reply(call.callId, 2, status(9, 'STALE_MAP'))
      : undefined;
  };
  const before = world.server.named('write').length;
  const write = world.run(writing(['a', 1]));
  t.is(world.server.named('write').length - before, 2);
  t.is(write.told.kind, 'waiting');
  world.clock.advance(5_000);
  t.is(write.told.kind, 'written');
});

test('a request that no message can hold is refused whole [1.20]', (t) => {
  const world = makeWorld();
  const bytes = new Uint8Array(3_670_016);
  const operation = new TestOperation({
    kind: writing(['a']).kind,
    space: testSpace,
    body: { bytes, start: 0, end: bytes.length, templateEnd: 0 },
    waitMs: 0,
    timeoutMs: 1_000,
  });
  world.engine.start(operation);
  t.is(operation.reason, 'REQUEST_TOO_LARGE');
});

test('K1: each sending has a new attempt, over reconnects and retryable errors [4.12]', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  const answers = [status(14, 'NO_LEADER'), undefined, status(14, 'NO_LEADER')];
  world.server.instead = (call, connection) => {
    if (call.name !== 'write') return undefined;
    if (answers.length === 0) return undefined;
    const answer = answers.shift();
    if (answer !== undefined) return reply(call.callId, 2, answer);
    world.clock.soon(() => connection.break());
    return true;
  };
  const write = world.run(writing(['a', 1]));
  world.clock.advance(5_000);
  t.is(write.told.kind, 'written');
  const attempts = world.server
    .named('write')
    .filter((call) => call.identity?.sequence === 2)
    .map((call) => call.identity?.attempt);
  t.deepEqual(attempts, [1, 2, 3, 4]);
});

test('K2: an answer to an older sending is not heard, not even with a tuple [4.12]', (t) => {
  const world = makeWorld();
  world.put('a', 1);
  let older: { callId: number; request: number } | undefined;
  world.server.instead = (call) => {
    if (call.name !== 'take') return undefined;
    if (older === undefined) {
      older = call;
      return reply(call.callId, 2, status(14, 'NO_LEADER'));
    }
    return true;
  };
  const take = world.run(asking('take', 'a'));
  world.clock.advance(100);
  t.is(world.server.named('take').length, 2);
  const found = new Uint8Array([8, 1, 18, 2, 16, 99]);
  world.server.last.answer(reply(older?.callId ?? 0, 8, found));
  world.clock.settle();
  t.is(take.told.kind, 'waiting');
  const newest = world.server.named('take').at(-1);
  world.server.last.answer(reply(newest?.callId ?? 0, 8, found));
  world.clock.settle();
  t.deepEqual(take.told, { kind: 'found', ids: [99] });
});

test('a channel that is gone is not heard any more', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  world.server.instead = (call) => (call.name === 'write' ? true : undefined);
  const write = world.run(writing(['a', 1]));
  const first = world.server.last;
  const callId = world.server.named('write').at(-1)?.callId ?? 0;
  first.break();
  first.isOpen = true;
  first.answer(reply(callId, 3, writtenAs(5)));
  world.clock.advance(1_000);
  t.is(write.told.kind, 'waiting');
});

test('K3: a receipt goes out with the next batch, again until it is confirmed [4.19]', (t) => {
  const world = makeWorld();
  const id = world.put('a', 1);
  world.server.instead = (call) => (call.name === 'acknowledge' ? true : undefined);
  const take = world.run(asking('take', 'a'));
  t.deepEqual(take.told, { kind: 'found', ids: [id] });
  t.is(world.server.named('acknowledge').length, 1);
  world.clock.advance(2_500);
  t.is(world.server.named('acknowledge').length, 3);
  world.server.instead = () => undefined;
  world.clock.advance(1_000);
  t.deepEqual(world.server.received, [id]);
  const count = world.server.named('acknowledge').length;
  world.clock.advance(5_000);
  t.is(world.server.named('acknowledge').length, count);
  t.is(world.engine.underWay, 0);
});

test('K3: receipts whose answer confirms only some are sent again without the confirmed ones', (t) => {
  const world = makeWorld();
  world.put('a', 1);
  world.put('a', 2);
  let first = true;
  world.server.instead = (call) => {
    if (call.name !== 'acknowledge' || !first) return undefined;
    first = false;
    return reply(call.callId, 10, new Uint8Array());
  };
  world.run(asking('take', 'a'));
  world.run(asking('take', 'a'));
  t.is(world.server.received.length, 1);
  world.clock.advance(1_100);
  t.deepEqual(world.server.received.toSorted(), [1, 2]);
});

test('K3: a receipt is sent again after a reconnect', (t) => {
  const world = makeWorld();
  const id = world.put('a', 1);
  world.server.instead = (call) => (call.name === 'acknowledge' ? true : undefined);
  world.run(asking('take', 'a'));
  world.server.instead = () => undefined;
  world.server.last.break();
  world.clock.advance(100);
  t.deepEqual(world.server.received, [id]);
});

test('K3: the floor does not pass a take whose receipt is not confirmed [4.19]', (t) => {
  const world = makeWorld();
  world.put('a', 1);
  world.server.instead = (call) => (call.name === 'acknowledge' ? true : undefined);
  world.run(asking('take', 'a', { waitMs: 0 }));
  world.run(writing(['b', 1]));
  world.run(writing(['b', 2]));
  const floors = world.server.named('write').map((call) => call.identity?.floor);
  t.deepEqual(floors, [1, 1]);
  world.server.instead = () => undefined;
  world.clock.advance(1_100);
  world.run(writing(['b', 3]));
  t.is(world.server.named('write').at(-1)?.identity?.floor, 4);
  t.is(world.server.tuples.size, 3, 'what was taken is gone, not given back');
});

test('K3: a write is closed by its answer, and the floor passes it', (t) => {
  const world = makeWorld();
  for (let i = 0; i < 5; i += 1) world.run(writing(['a', i]));
  const floors = world.server.named('write').map((call) => call.identity?.floor);
  t.deepEqual(floors, [1, 2, 3, 4, 5]);
});

test('a take that blocks does not hold the floor of the writes', (t) => {
  const world = makeWorld();
  world.run(asking('take', 'none'));
  for (let i = 0; i < 3; i += 1) world.run(writing(['a', i]));
  t.deepEqual(
    world.server.named('write').map((call) => call.identity?.floor),
    [1, 2, 3],
  );
});

test('K4: a write whose answer was lost is sent again and written once [4.11]', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  world.server.loses = (call) => call.name === 'write';
  const write = world.run(writing(['a', 1]));
  world.server.loses = () => false;
  world.server.last.break();
  t.is(write.told.kind, 'waiting');
  world.clock.advance(1_000);
  t.is(write.told.kind, 'written');
  t.is(world.server.tuples.size, 2);
});

test('K4: a take whose answer was lost gets the same tuple [4.11, 4.18]', (t) => {
  const world = makeWorld();
  const id = world.put('a', 1);
  world.put('a', 2);
  world.server.loses = (call) => call.name === 'take';
  const take = world.run(asking('take', 'a'));
  world.server.loses = () => false;
  world.server.last.break();
  world.clock.advance(1_000);
  t.deepEqual(take.told, { kind: 'found', ids: [id] });
  t.deepEqual(world.server.received, [id]);
});

test('the wait that is sent again is what is left of it', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'none', { waitMs: 5_000 }));
  world.clock.advance(2_000);
  world.server.last.break();
  world.clock.advance(2_999);
  t.is(take.told.kind, 'waiting');
  world.clock.advance(2);
  t.is(take.told.kind, 'nothing');
});

test('an answer that cannot be read is not acknowledged, and its tuple goes back [1.18]', (t) => {
  const world = makeWorld();
  const id = world.put('a', 1);
  const take = asking('take', 'a');
  take.decodes = () => {
    throw malformed('not for this client');
  };
  world.run(take);
  world.clock.advance(50);
  t.is(take.reason, 'ANSWER_UNREADABLE');
  t.false(take.told.kind === 'failed' && take.told.error.definite);
  t.deepEqual(world.server.received, []);
  const back = world.server.tuples.get(id);
  t.is(back?.handedTo, undefined);
  t.is(back?.deliveries, 1);
});
