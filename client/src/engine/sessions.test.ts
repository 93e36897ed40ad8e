import test from 'ava';
import { reply, status } from '../../test/exchange-codec.ts';
import { asking, writing } from '../../test/operations.ts';
import { makeWorld } from '../../test/world.ts';
import { clientLimits } from './limits.ts';

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
  world.run(asking('take', 'none'));
  world.server.loses = (call) => call.name === 'write';
  const write = world.run(writing(['a', 2], 60_000));
  world.clock.advance(leaseMs / 3 + 1);
  const sent = world.server.named('keep_session').length;
  t.true(sent >= 2, 'both sessions');
  // From here on no keep-alive is answered; the connection stays.
  world.server.instead = (call) => (call.name === 'keep_session' ? true : undefined);
  const keptAtMs = world.clock.nowMs() - 1;
  world.clock.advance(keptAtMs + leaseMs - world.clock.nowMs() - 1);
  t.is(write.told.kind, 'waiting');
  world.clock.advance(2);
  t.is(write.reason, 'SESSION_EXPIRED');
  t.false(write.told.kind === 'failed' && write.told.error.definite);
});

test('S4: an answer that comes after the lease is not handed out; the take goes on, and its tuple comes back [4.9]', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  // The tuple is on its way, and the event loop stands still for longer than the lease.
  const id = world.server.put(new Uint8Array([10, 3, 42, 1, 97, 10, 2, 24, 2]) as never);
  const [[old, session] = []] = world.server.sessions;
  if (session !== undefined) session.endsAtMs += 1_000;
  world.clock.block(leaseMs);
  world.clock.settle();
  t.is(take.told.kind, 'waiting');
  t.is(world.server.tuples.get(id)?.handedTo, `${old}/1`, 'not before the session has ended');
  t.deepEqual(world.server.named('acknowledge'), []);
  world.clock.advance(1_000);
  world.server.endSessions();
  world.clock.settle();
  t.deepEqual(take.told, { kind: 'found', ids: [id] });
  const [first, second] = world.server.named('take').map((call) => call.identity);
  t.is(first?.session, old);
  t.not(second?.session, old);
  t.is(second?.attempt, 1, 'a new operation, which no fence holds back');
  t.deepEqual(world.server.received, [id], 'received by the second session alone');
  t.is(world.server.named('acknowledge').length, 1);
});

test('S4: a take whose receipt was not confirmed in time hears that its tuple may come back', (t) => {
  const world = makeWorld();
  const sure = world.put('a', 1);
  const unsure = world.put('b', 1);
  const first = world.run(asking('take', 'a'));
  world.server.instead = (call) => (call.name === 'acknowledge' ? true : undefined);
  const second = world.run(asking('take', 'b'));
  t.deepEqual(second.told, { kind: 'found', ids: [unsure] });
  t.deepEqual(second.unconfirmedIds, []);
  world.clock.block(leaseMs + 1);
  world.clock.advance(1);
  t.deepEqual(second.unconfirmedIds, [unsure]);
  t.deepEqual(first.told, { kind: 'found', ids: [sure] });
  t.deepEqual(first.unconfirmedIds, [], 'its receipt was confirmed');
});

test('S4: after giving up nothing more is said of the session, and the next call opens another', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'none'));
  const first = world.server.named('take')[0]?.identity?.session;
  world.clock.block(leaseMs + 1);
  const before = world.server.calls.length;
  const next = world.run(asking('take', 'a'));
  world.clock.advance(20_000);
  t.is(take.told.kind, 'waiting');
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
  const take = world.run(asking('take', 'later'));
  for (const session of world.server.sessions.values()) session.endsAtMs = 0;
  world.server.endSessions();
  const write = world.run(writing(['a', 2]));
  t.is(write.reason, 'SESSION_EXPIRED');
  t.false(write.told.kind === 'failed' && write.told.error.definite);
  world.clock.advance(leaseMs);
  t.is(world.run(writing(['a', 3])).told.kind, 'written');
  t.is(take.told.kind, 'waiting');
  world.put('later', 1);
  t.is(take.told.kind, 'found', 'under the next session');
});

test('takes whose session is lost go on in the order in which they came, before later ones', (t) => {
  const world = makeWorld();
  const takes = Array.from({ length: 50 }, () => world.run(asking('take', 'a')));
  world.clock.block(leaseMs + 5_000);
  world.server.endSessions();
  takes.push(asking('take', 'a'));
  for (const take of takes.slice(-1)) world.engine.start(take);
  world.clock.settle();
  const session = world.server.named('take').at(-1)?.identity?.session;
  const again = world.server.named('take').filter(({ identity }) => identity?.session === session);
  t.deepEqual(
    again.map(({ identity }) => identity?.sequence),
    takes.map((_, index) => index + 1),
  );
  for (const [index, take] of takes.entries()) {
    t.is(take.told.kind, 'waiting');
    const id = world.put('a', index);
    t.deepEqual(take.told, { kind: 'found', ids: [id] });
  }
  world.clock.advance(2_000);
  t.is(world.engine.underWay, 0);
});

test('a take that goes on keeps to its own wait and timeout', (t) => {
  const world = makeWorld();
  const over = world.run(asking('take', 'a', { waitMs: 12_000, timeoutMs: 42_000 }));
  const waits = world.run(asking('take', 'a', { waitMs: 20_000, timeoutMs: 50_000 }));
  const late = world.run(asking('take', 'a', { timeoutMs: 16_000 }));
  const startMs = world.clock.nowMs();
  world.clock.block(15_000);
  world.clock.advance(1);
  t.is(over.told.kind, 'nothing', 'its wait ended while the process stood still');
  t.is(waits.told.kind, 'waiting');
  world.clock.advance(startMs + 16_001 - world.clock.nowMs());
  t.is(late.reason, 'DEADLINE');
  t.false(late.told.kind === 'failed' && late.told.error.definite, 'the first session took, maybe');
  world.clock.advance(startMs + 20_001 - world.clock.nowMs());
  t.is(waits.told.kind, 'nothing');
});

test('a take that is cancelled while it waits for the next session ends at once', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  world.server.instead = (call) => (call.name === 'open_session' ? true : undefined);
  world.clock.block(leaseMs + 1);
  world.clock.advance(1);
  t.is(take.told.kind, 'waiting');
  world.engine.cancel(take);
  t.is(take.reason, 'CANCELLED');
  t.false(take.told.kind === 'failed' && take.told.error.definite);
  t.is(world.engine.underWay, 0);
});

test('a take whose session is lost while it is being cancelled ends as cancelled', (t) => {
  const world = makeWorld();
  const take = world.run(asking('take', 'a'));
  world.server.instead = () => true;
  world.engine.cancel(take);
  world.clock.block(leaseMs + 1);
  world.clock.advance(1);
  t.is(take.reason, 'CANCELLED');
  t.false(take.told.kind === 'failed' && take.told.error.definite);
});

test('a change that was surely not made goes on under the next session, too', (t) => {
  const world = makeWorld();
  world.run(writing(['warm', 0]));
  let refuses = true;
  world.server.instead = (call) =>
    call.name === 'write' && refuses
      ? reply(call.callId, 2, status(14, 'NO_LEADER', 12_000))
      : undefined;
  const write = world.run(writing(['a', 1], 60_000));
  refuses = false;
  world.clock.block(leaseMs + 1);
  world.server.endSessions();
  world.clock.advance(1_000);
  t.is(write.told.kind, 'written');
  t.is(world.server.named('write').length, 3);
});

test('sessions that are lost at once are not asked for as fast as the server answers', (t) => {
  const world = makeWorld();
  world.server.instead = (call) =>
    call.name === 'take' ? reply(call.callId, 2, status(9, 'SESSION_EXPIRED')) : undefined;
  const take = world.run(asking('take', 'a', { timeoutMs: 20_000 }));
  world.clock.advance(19_999);
  const opened = world.server.named('open_session').length;
  t.true(opened > 5 && opened < 30, `${opened}`);
  t.is(take.told.kind, 'waiting');
  world.clock.advance(10);
  t.is(take.reason, 'DEADLINE');
  t.like(take.told.kind === 'failed' ? take.told.error.cause : {}, { reason: 'SESSION_EXPIRED' });
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

test('a connection that answers nothing, asked as well, is replaced in time', (t) => {
  const world = makeWorld();
  world.run(writing(['a', 1]));
  const silent = world.server.last;
  world.server.instead = (_call, connection) => (connection === silent ? true : undefined);
  const { topology } = world.server;
  world.server.topology = (connection) =>
    connection === silent ? undefined : topology(connection);
  const write = world.run(writing(['a', 2], 60_000));
  world.clock.advance(clientLimits.probeMs + clientLimits.silentMs / 2);
  t.true(silent.isOpen, 'it has been asked, and has time');
  world.clock.advance(clientLimits.silentMs);
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

test('a session that is refused while there is no room is asked for again', (t) => {
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
  world.server.loses = (call) => call.name === 'write';
  const write = world.run(writing(['none', 1], 60_000));
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
  t.is(write.told.kind, 'waiting');
  world.clock.advance(2);
  t.is(write.reason, 'SESSION_EXPIRED');
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

test('a take that waits for ever does not use up the sequences of those that come and go', (t) => {
  const world = makeWorld();
  const parked = world.run(asking('take', 'none'));
  let above = 0;
  for (let count = 1; count <= 5_000; count += 1) {
    const id = world.put('job', count);
    const take = world.run(asking('take', 'job'));
    if (take.told.kind !== 'found') return t.fail(`take ${count}: ${take.told.kind}`);
    t.is(take.told.ids[0], id);
    const { identity } = world.server.named('take').at(-1) ?? {};
    above = Math.max(above, (identity?.sequence ?? 0) - (identity?.floor ?? 0));
    world.server.calls.length = 0;
  }
  t.true(
    above < 4_096,
    `a partition keeps numbers of 4,096 sequences above the floor, not ${above}`,
  );
  t.is(world.server.sessions.size, 2);
  const id = world.put('none', 1);
  t.deepEqual(parked.told, { kind: 'found', ids: [id] });
  world.clock.advance(2_000);
  t.is(world.server.sessions.size, 1, 'a session that is spent goes with its last operation');
});

test('while another session is opened in place of one that is spent, nothing is sent and nothing asked', (t) => {
  const world = makeWorld();
  world.run(asking('take', 'none'));
  for (let count = 1; count < 4_096; count += 1) {
    world.put('job', count);
    world.run(asking('take', 'job'));
    if (count === 1) {
      world.server.instead = ({ name }) => (name === 'open_session' ? true : undefined);
    }
  }
  world.put('job', 0);
  // It throws where turns never end.
  const next = world.run(asking('take', 'job'));
  t.is(next.told.kind, 'waiting');
  t.is(world.server.named('open_session').length, 2);
});
