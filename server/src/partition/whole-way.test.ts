import { decodeTuple, type Value } from '@tuplet/proto';
import test from 'ava';
import {
  defaultSpace,
  HostWorld,
  operationOf,
  type TestRouter,
  tupleOf,
} from '../../sim/host-world.ts';
import type { PartitionId, SessionId, TupleId } from '../base/ids.ts';
import type { FromLeader } from '../coordination/messages.ts';

const p1 = 1 as PartitionId;
const p2 = 2 as PartitionId;

async function session(world: HostWorld, router: TestRouter): Promise<SessionId> {
  const answer = await world.answer(router, router.openSession(p1));
  if (answer.kind !== 'session-opened') throw new Error(answer.kind);
  return answer.session;
}

/** The fields of the one tuple in an answer. */
function taken(answer: FromLeader): { readonly id: TupleId; readonly fields: readonly Value[] } {
  if (answer.kind !== 'result' || answer.result.kind !== 'handed') throw new Error(answer.kind);
  const [tuple] = answer.result.tuples;
  if (tuple === undefined) throw new Error('no tuple');
  return { id: tuple.id, fields: decodeTuple(tuple.bytes) };
}

test('a take in a session of another home gets the tuple, and its receipt removes it (S1, E2, E5)', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  const me = await session(world, router);
  await world.answer(router, router.write(p2, ['job', 42]));
  const answer = await world.answer(router, router.take(p2, operationOf(me, 1), 'job'));
  const { id, fields } = taken(answer);
  t.deepEqual([...fields], ['job', 42]);
  t.deepEqual({ ...host.spaceOf(p2).counts(defaultSpace) }, { ready: 0, handed: 1 });
  t.true(host.spaceOf(p1).home(me)?.touched.has(p2));
  const receipts = [{ sequence: operationOf(me, 1).sequence, tuple: id }];
  const { floor } = operationOf(me, 2);
  const call = router.send(p2, { kind: 'acknowledge', session: me, floor, receipts });
  t.is((await world.answer(router, call)).kind, 'received');
  t.deepEqual({ ...host.spaceOf(p2).counts(defaultSpace) }, { ready: 0, handed: 0 });
  await world.close(host);
});

test('a blocked take gets the tuple in the entry of the write that brings it (T4)', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  const me = await session(world, router);
  const waiting = router.take(p1, operationOf(me, 1), 'job', { waitEnded: false });
  await world.time.run(500);
  t.deepEqual(router.kinds(waiting), []);
  const { entries } = host.stats();
  const written = await world.answer(router, router.write(p1, ['job', 1]));
  t.is(written.kind, 'result');
  t.is(host.stats().entries, entries + 1, 'one entry for the write and the hand-over');
  t.deepEqual([...taken(await world.answer(router, waiting)).fields], ['job', 1]);
  await world.close(host);
});

test('a take sent again after a power cut gets the tuple that was handed to its first sending (T3) [4.11, 4.18]', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  const me = await session(world, router);
  await world.answer(router, router.write(p2, ['job', 1]));
  await world.answer(router, router.write(p2, ['job', 2]));
  const first = taken(await world.answer(router, router.take(p2, operationOf(me, 1), 'job')));
  world.crash();
  const again = world.router(await world.start());
  const second = await world.answer(again, again.take(p2, operationOf(me, 1, 2), 'job'));
  t.deepEqual(taken(second), first);
});

test('a session whose lease ends gives back what it was handed, in other partitions too (E8, S2) [4.7, 4.20]', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  const me = await session(world, router);
  await world.answer(router, router.write(p2, ['job', 1]));
  await world.answer(router, router.take(p2, operationOf(me, 1), 'job'));
  await world.time.run(9_000);
  t.is(host.spaceOf(p2).counts(defaultSpace).handed, 1);
  await world.time.run(2_000);
  t.deepEqual({ ...host.spaceOf(p2).counts(defaultSpace) }, { ready: 1, handed: 0 });
  await world.close(host);
});

test('a tuple whose lease ends goes within 100 ms, on an idle node too (§4: expiry) [4.27]', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  await world.answer(router, router.write(p1, ['short'], { leaseMs: 5_000 }));
  await world.time.run(4_900);
  t.is(host.spaceOf(p1).counts(defaultSpace).ready, 1);
  await world.time.run(200);
  t.is(host.spaceOf(p1).counts(defaultSpace).ready, 0);
  await world.close(host);
});

test('while the disk is full takes, receipts and expiry go on, and retries of writes get their result (§10) [10.4]', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  const me = await session(world, router);
  await world.answer(router, router.write(p1, ['job', 1]));
  await world.answer(router, router.write(p1, ['job', 2], { leaseMs: 2_000 }));
  const write = (sequence: number, attempt: number): Promise<FromLeader> => {
    const epoch = host.epochOf(p1);
    if (epoch === undefined) throw new Error('no leader');
    const change = {
      kind: 'write' as const,
      space: defaultSpace,
      tuples: [tupleOf(p1, ['other', 'x'.repeat(2_000)])],
    };
    const operation = operationOf(me, sequence, attempt);
    const call = router.send(p1, { kind: 'mutate', operation, epoch, m: 1, change });
    return world.answer(router, call);
  };
  const before = await write(1, 1);
  world.disk.capacityBytes = world.disk.usedBytes();
  let sequence = 2;
  let refused: FromLeader | undefined;
  for (; sequence < 500 && refused === undefined; sequence += 1) {
    const answer = await write(sequence, 1);
    if (answer.kind === 'refused') refused = answer;
  }
  t.is(refused?.kind === 'refused' ? refused.reason : '', 'DISK_FULL');
  const again = await write(1, 2);
  t.deepEqual(
    again.kind === 'result' ? again.result : again.kind,
    before.kind === 'result' ? before.result : '',
  );
  const retried = await write(sequence - 1, 2);
  t.is(retried.kind, 'refused', 'a retry of what was refused is refused as well');
  const one = await world.answer(router, router.take(p1, operationOf(me, 1_000), 'job'));
  t.deepEqual([...taken(one).fields], ['job', 1]);
  await world.time.run(3_000);
  const none = await world.answer(router, router.take(p1, operationOf(me, 1_001), 'job'));
  t.is(none.kind, 'nothing', 'the other has expired');
  t.deepEqual(world.fatal, []);
  await world.close(host);
});

test('what a detached router had waiting is gone: the tuple goes to the next who waits', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const gone = world.router(host);
  const stays = world.router(host);
  const me = await session(world, stays);
  gone.take(p1, operationOf(me, 1), 'job', { waitEnded: false });
  gone.detach();
  const call = stays.take(p1, operationOf(me, 2), 'job', { waitEnded: false });
  await world.time.run(100);
  await world.answer(stays, stays.write(p1, ['job', 1]));
  t.deepEqual([...taken(await world.answer(stays, call)).fields], ['job', 1]);
  await world.close(host);
});
