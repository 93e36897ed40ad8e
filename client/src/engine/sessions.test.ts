import test from 'ava';
import { reply, status } from '../../test/exchange-codec.ts';
import { asking, writing } from '../../test/operations.ts';
import { makeWorld } from '../../test/world.ts';

const leaseMs = 10_000;

test('a session is kept alive every third of its lease, from the client alone [4.5]', (t) => {
  const world = makeWorld();
  world.run(writing(['a', 1]));
  world.clock.advance(60_000);
  const keeps = world.server.named('keep_session').length;
  t.true(keeps >= 17 && keeps <= 18, `${keeps}`);
  t.is(world.server.sessions.size, 1);
});

test('S4: a session is given up exactly one lease after the sending of the last answered keep-alive [4.9]', (t) => {
  const world = makeWorld();
  world.run(writing(['a', 1]));
  const take = world.run(asking('take', 'none'));
  world.clock.advance(leaseMs / 3 + 1);
  const sent = world.server.named('keep_session').length;
  t.true(sent >= 2, 'both sessions');
  // From here on no keep-alive is answered; the connection stays.
  world.server.instead = (call) => (call.name === 'keep_session' ? true : undefined);
  const keptAtMs = world.clock.nowMs() - 1;
  world.clock.advance(keptAtMs + leaseMs - world.clock.nowMs() - 1);
  t.is(take.told.kind, 'waiting');
  world.clock.advance(2);
  t.is(take.reason, 'SESSION_EXPIRED');
  t.false(take.told.kind === 'failed' && take.told.error.definite);
});

test('S4: an answer that comes after the lease is not handed out, and the tuple goes back [4.9]', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  // The tuple is on its way, and the event loop stands still for longer than the lease.
  const id = world.server.put(new Uint8Array([10, 3, 42, 1, 97, 10, 2, 24, 2]) as never);
  world.clock.block(leaseMs);
  world.server.endSessions();
  world.clock.settle();
  t.is(take.reason, 'SESSION_EXPIRED');
  t.is(world.server.tuples.get(id)?.handedTo, undefined);
  t.is(world.server.tuples.get(id)?.deliveries, 1);
  t.deepEqual(world.server.named('acknowledge'), []);
});

test('S4: after giving up nothing more is said of the session, and the next call opens another', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'none'));
  const first = world.server.named('take')[0]?.identity?.session;
  world.clock.block(leaseMs + 1);
  const before = world.server.calls.length;
  const next = world.run(asking('take', 'a'));
  world.clock.advance(20_000);
  t.is(take.reason, 'SESSION_EXPIRED');
  const spoken = world.server.calls.slice(before);
  t.true(spoken.length > 0);
  t.true(
    spoken.every((call) => {
      const own = call.identity?.session;
      const kept = call.name === 'keep_session' ? call.fields.get(1)?.[0] : undefined;
      return own !== first && kept !== first;
    }),
  );
  world.put('a', 1);
  t.is(next.told.kind, 'found');
});

test('a session that the server has ended is given up at once', (t) => {
  const world = makeWorld();
  world.run(writing(['a', 1]));
  const take = world.run(asking('take', 'none'));
  world.server.sessions.clear();
  const write = world.run(writing(['a', 2]));
  t.is(write.reason, 'SESSION_EXPIRED');
  t.is(take.told.kind, 'waiting', 'another session');
  world.clock.advance(leaseMs);
  t.is(take.reason, 'SESSION_EXPIRED');
  t.is(world.run(writing(['a', 3])).told.kind, 'written');
});

test('keep-alives go on over a new connection', (t) => {
  const world = makeWorld();
  world.run(writing(['a', 1]));
  for (let i = 0; i < 10; i += 1) {
    world.clock.advance(4_000);
    world.server.last.break();
  }
  world.clock.advance(1_000);
  t.is(world.server.named('open_session').length, 1);
  t.is(world.run(writing(['a', 2])).told.kind, 'written');
});

test('a connection that answers nothing for a third of the lease is replaced in time', (t) => {
  const world = makeWorld();
  world.run(writing(['a', 1]));
  const silent = world.server.last;
  world.server.instead = (_call, connection) => (connection === silent ? true : undefined);
  const write = world.run(writing(['a', 2], 60_000));
  world.clock.advance(leaseMs * 0.9);
  t.false(silent.isOpen);
  t.is(write.told.kind, 'written');
  t.is(world.server.named('open_session').length, 1);
});

test('a session that is refused for good fails what waits for it', (t) => {
  const world = makeWorld();
  world.server.instead = (call) =>
    call.name === 'open_session'
      ? reply(call.callId, 2, status(7, 'PERMISSION_DENIED'))
      : undefined;
  const write = world.run(writing(['a', 1]));
  t.is(write.reason, 'PERMISSION_DENIED');
});

test('a session that is refused for now is asked for again', (t) => {
  const world = makeWorld();
  let refusals = 3;
  world.server.instead = (call) => {
    if (call.name !== 'open_session' || refusals === 0) return undefined;
    refusals -= 1;
    return reply(call.callId, 2, status(8, 'SESSIONS_EXHAUSTED', 200));
  };
  const write = world.run(writing(['a', 1]));
  world.clock.advance(599);
  t.is(write.told.kind, 'waiting');
  world.clock.advance(400);
  t.is(write.told.kind, 'written');
});

test('K3: receipts of more than 1,000 tuples are split', (t) => {
  const world = makeWorld();
  const takes = Array.from({ length: 2_500 }, (_, index) => {
    world.put('a', index);
    const take = asking('take', 'a', { waitMs: 0 });
    world.engine.start(take);
    return take;
  });
  world.clock.settle();
  t.true(takes.every((take) => take.told.kind === 'found'));
  t.is(world.server.received.length, 2_500);
  const counts = world.server.named('acknowledge').map((call) => call.fields.get(3)?.length ?? 0);
  t.true(counts.every((count) => count <= 1_000));
});

test('S4: the lease runs from the sending of OpenSession and KeepSession, not from their answers [4.9]', (t) => {
  const world = makeWorld();
  const held: (() => void)[] = [];
  world.server.instead = (call, connection) => {
    if (call.name !== 'open_session' && call.name !== 'keep_session') return undefined;
    const isOpen = call.name === 'open_session';
    const lease = new Uint8Array([8, 10]);
    const content = isOpen
      ? new Uint8Array([8, 77, 18, lease.length, ...lease])
      : new Uint8Array([10, lease.length, ...lease]);
    held.push(() => {
      if (isOpen) world.server.sessions.set(77, { endsAtMs: Number.POSITIVE_INFINITY, floor: 1 });
      connection.answer(reply(call.callId, isOpen ? 17 : 18, content));
    });
    return true;
  };
  const take = world.run(asking('take', 'none'));
  const openedAtMs = world.clock.nowMs();
  world.clock.advance(1_000);
  held.shift()?.();
  world.clock.settle();
  world.clock.advance(openedAtMs + leaseMs / 3 + 1 - world.clock.nowMs());
  t.is(held.length, 1, 'a third of the lease after the sending of OpenSession');
  const keptAtMs = world.clock.nowMs() - 1;
  world.clock.advance(1_000);
  held.shift()?.();
  world.clock.advance(keptAtMs + leaseMs - 1 - world.clock.nowMs());
  t.is(take.told.kind, 'waiting');
  world.clock.advance(2);
  t.is(take.reason, 'SESSION_EXPIRED');
});

test('a session whose OpenSession was answered too late is not used', (t) => {
  const world = makeWorld();
  let late: (() => void) | undefined;
  world.server.instead = (call, connection) => {
    if (call.name !== 'open_session' || late !== undefined) return undefined;
    const granted = new Uint8Array([8, 77, 18, 2, 8, 10]);
    late = () => connection.answer(reply(call.callId, 17, granted));
    return true;
  };
  const write = world.run(writing(['a', 1]));
  world.clock.advance(leaseMs);
  late?.();
  world.clock.advance(100);
  t.is(write.told.kind, 'written');
  t.not(world.server.named('write')[0]?.identity?.session, 77);
});

test('the end of a former channel does not end the present one', (t) => {
  const world = makeWorld();
  world.run(writing(['a', 1]));
  const former = world.server.last;
  former.break();
  world.clock.advance(100);
  const present = world.server.last;
  t.not(present, former);
  former.break();
  world.clock.advance(5_000);
  t.is(world.server.last, present);
});
