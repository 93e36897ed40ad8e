/** SPEC §4 over a real node: durability, one point in time for each operation, leases. */
import { t as m, metaOf } from '@tuplet/client';
import * as contract from '@tuplet/proto/contract';
import { EventKind, Outcome, TupleState } from '@tuplet/proto/contract';
import test from 'ava';
import { HostWorld, operationOf } from '../../sim/host-world.ts';
import type { PartitionId } from '../../src/base/ids.ts';
import { Space } from '../../src/space/space.ts';
import { away, Driver, op, taken } from '../../src/space/testing-driver.ts';
import { any, template, tuple } from '../router/bench.ts';
import { BareSession, countOf, fromNow, ifExists, jobs, startHouse } from './house.ts';

const { methods } = contract.TupleSpaceService;
const { HANDED, READY } = TupleState;
const job = template('job', any);
const partition = 1 as PartitionId;

test('what was answered is there in the node’s next life [4.1]', async (t) => {
  const first = await startHouse(t);
  const { space } = first;
  const kept = await space.write(['job', 1]);
  await space.writeMany([
    ['job', 2],
    ['other', 3],
    ['job', 4],
  ]);
  await space.take(['job', 4]);
  await space.replace(['other', 3], ['other', 'new']);
  await space.increment(['job', m.atLeast(2)], 1, 40);
  await first.client.close();
  await first.node.close();
  const second = await startHouse(t, { disk: first.node.disk });
  const found = await second.space.readMany([m.string, m.any], { waitMs: 0 });
  t.deepEqual(found.sort(), [
    ['job', 1],
    ['job', 42],
    ['other', 'new'],
  ]);
  t.is(metaOf(await second.space.read(['job', 1]))?.revision, kept.revision);
});

test('reads of any client see what was answered before them, and never go back [4.2]', async (t) => {
  const { space, sdkClient } = await startHouse(t);
  const clients = [await sdkClient(), await sdkClient(), await sdkClient()];
  await space.write(['register', 0]);
  let begun = 0;
  let answered = 0;
  let writing = true;
  const write = (async () => {
    for (let value = 1; value <= 300; value += 1) {
      begun = value;
      await space.replace(['register', m.int], ['register', value]);
      answered = value;
    }
    writing = false;
  })();
  let reads = 0;
  const readers = clients.map(async (client, at) => {
    const from = client.space('jobs');
    let last = 0;
    while (writing) {
      const least = Math.max(answered, last);
      // Pinned and not, each a look at the same tuple.
      const ask = at === 0 ? ([m.string, m.int] as const) : (['register', m.int] as const);
      const [, value] = await from.read(ask);
      t.true(value >= least && value <= begun, `${least} <= ${value} <= ${begun}`);
      last = value;
      reads += 1;
    }
  });
  await Promise.all([write, ...readers]);
  t.true(reads > 100, `${reads} reads`);
});

test('calls sent without awaiting all take effect, each once, in some order [4.4]', async (t) => {
  const { space } = await startHouse(t);
  const calls = Array.from({ length: 100 }, (_, at) => [
    space.write(['job', at]),
    space.takeIfExists(['job', at]),
  ]).flat();
  const results = await Promise.all(calls);
  const written = results.filter((_, at) => at % 2 === 0) as { readonly revision: number }[];
  t.is(new Set(written.map(({ revision }) => revision)).size > 0, true);
  const gone = results.filter((result, at) => at % 2 === 1 && result !== undefined);
  t.is((await space.count()) + gone.length, 100, 'a take came before its write or after it');
});

test('results and fences survive in a snapshot [4.14]', (t) => {
  const d = new Driver();
  d.know(away);
  const [a, b] = [d.write('a'), d.write('b')];
  d.hand(op(away, 1, 2), a);
  d.fence(op(away, 2, 3));
  const cancelled = d.cancel(b, op(away, 3));
  d.write('c');
  const cut = d.space.beginSnapshot();
  const chunks: Uint8Array[] = [];
  for (let chunk = cut.next(64); chunk !== undefined; chunk = cut.next(64))
    chunks.push(chunk.slice());
  const loaded = new Driver();
  loaded.space = Space.load(chunks);
  loaded.stampMs = d.stampMs;
  t.deepEqual(taken(loaded.hand(op(away, 1, 3), a)), ['a'], 'the result of the take');
  t.is(taken(loaded.hand(op(away, 2, 2), a)), 'fenced');
  t.deepEqual(loaded.cancel(b, op(away, 3, 2)), cancelled, 'the result of the change');
  loaded.end(away);
  t.deepEqual(loaded.ready(), ['a', 'c']);
});

test('expiry comes in entries of at most 1,000 tuples and 1 MiB, each with its events [4.25]', async (t) => {
  const { node, bare, space } = await startHouse(t);
  const stream = bare.notify({ space: jobs, kinds: [EventKind.EXPIRED], from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  for (let batch = 0; batch < 3; batch += 1) {
    const items = Array.from({ length: 800 }, (_, at) => ['job', batch, at]);
    await space.writeMany(items, { leaseMs: 5_000 });
  }
  for (let at = 0; at < 30; at += 1)
    await space.write(['large', at, 'x'.repeat(100_000)], { leaseMs: 5_000 });
  await node.advance(5_200);
  t.is(await space.count(), 0, 'invisible');
  await stream.until(() => stream.events.length === 2_430);
  const entries = new Map<string, { tuples: number; bytes: number }>();
  for (const { place, tuple: gone } of stream.events) {
    const entry = `${place?.partition}:${place?.revision}`;
    const { tuples, bytes } = entries.get(entry) ?? { tuples: 0, bytes: 0 };
    entries.set(entry, { tuples: tuples + 1, bytes: bytes + (gone?.tuple?.length ?? 0) });
  }
  for (const { tuples, bytes } of entries.values()) {
    t.true(tuples <= 1_000 && bytes <= 1_048_576, `${tuples} tuples, ${bytes} bytes`);
  }
  t.true(entries.size >= 6);
  stream.stream.cancel();
});

test('a tuple whose lease is over is never seen again, whatever comes [4.25, 4.27]', async (t) => {
  const { node, bare, space } = await startHouse(t);
  const { id } = await space.write(['job', 1], { leaseMs: 2_000 });
  await node.advance(2_100);
  t.is(await space.renew(id, 60_000), undefined);
  t.false(await space.cancel(id));
  t.is(await space.replace(['job', m.int], ['job', 2]), undefined);
  t.is(await space.increment(['job', m.int], 1), undefined);
  t.is(await space.takeIfExists(['job', m.int]), undefined);
  t.is(await countOf(bare, READY, HANDED), 0);
  t.truthy(await space.writeIfAbsent(['job', 3], ['job', m.any]));
});

test('expiry is seen within 100 ms of the deadline, and not before it [4.27]', async (t) => {
  const { node, bare, space } = await startHouse(t);
  const stream = bare.notify({ space: jobs, kinds: [EventKind.EXPIRED], from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const leases = [1, 250, 999, 1_000, 1_001, 1_777, 2_500];
  for (const leaseMs of leases) await space.write([`lease-${leaseMs}`, leaseMs], { leaseMs });
  await node.advance(3_000);
  await stream.until(() => stream.events.length === leases.length);
  for (const { at, tuple: gone } of stream.events) {
    const late = msOf(at) - msOf(gone?.leaseEnd);
    t.true(late >= 0 && late <= 100, `${late} ms`);
  }
  stream.stream.cancel();
});

function msOf(instant: { seconds: number; nanos: number } | null | undefined): number {
  return (instant?.seconds ?? 0) * 1_000 + (instant?.nanos ?? 0) / 1_000_000;
}

test('an answer that hides an expired tuple waits until a stamp past its deadline is durable [4.26]', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  const opened = await world.answer(router, router.openSession(partition));
  if (opened.kind !== 'session-opened') return t.fail();
  const { session } = opened;
  await world.answer(router, router.take(partition, operationOf(session, 1), 'known now'));
  await world.answer(router, router.write(partition, ['job', 1], { leaseMs: 1_000 }));
  await world.time.run(900);
  // A slow sync takes 50 ms at least: the deadline passes, and no stamp beyond it is on the disk.
  world.disk.faults.slowSync = 1;
  await world.time.run(110);
  const sent = ['job', 'never'].map((tag, at) =>
    router.take(partition, operationOf(session, at + 2), tag),
  );
  const [hidden = 0, never = 0] = sent;
  const counted = router.count(partition);
  await world.time.run(20);
  t.deepEqual(router.kinds(never), ['nothing'], 'what no tuple rests on is answered');
  t.deepEqual(router.kinds(hidden), []);
  const early = router.last(counted);
  t.false(early?.kind === 'counted' && early.count === 0);
  await world.time.run(6_000);
  t.deepEqual(router.kinds(hidden), ['nothing']);
  const late = await world.answer(router, router.count(partition));
  t.is(late.kind === 'counted' ? late.count : -1, 0);
  t.deepEqual(world.fatal, []);
  await world.close(host);
});

test('a lease goes on while its tuple is handed over: given back after its end it is expired [4.28]', async (t) => {
  const { node, bare, space } = await startHouse(t);
  const stream = bare.notify({ space: jobs, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const session = await BareSession.open(bare);
  await space.write(['job', 1], { leaseMs: 5_000 });
  await space.write(['job', 2], { leaseMs: 60_000 });
  const ask = { space: jobs, template: job, wait: ifExists };
  for (const sequence of [1, 2]) {
    const operation = session.operation(sequence);
    const got = await bare.call(methods.take, { ...ask, operation });
    t.is(got.outcome, Outcome.FOUND);
  }
  await node.advance(8_000);
  t.is(await countOf(bare, HANDED), 2, 'who has it keeps it');
  await node.advance(3_000);
  t.is(await countOf(bare, HANDED), 0);
  t.deepEqual(await space.readMany(['job', m.int], { waitMs: 0 }), [['job', 2]]);
  await stream.until(() => stream.events.length === 6);
  const one = Buffer.from(tuple('job', 1));
  const kinds = stream.events
    .filter((event) => one.equals(event.tuple?.tuple ?? Buffer.alloc(0)))
    .map(({ kind }) => kind);
  t.deepEqual(kinds, [EventKind.WRITTEN, EventKind.TAKEN, EventKind.EXPIRED]);
  stream.stream.cancel();
});

test('a stale read is asked for by name and says how old it is; others are not stale [4.3]', async (t) => {
  const { bare, space } = await startHouse(t);
  await space.write(['job', 1]);
  const ask = { space: jobs, template: job, wait: ifExists };
  t.is((await bare.call(methods.read, ask)).age, null);
  t.not((await bare.call(methods.read, { ...ask, stale: true })).age, null);
  const many = { ...ask, max: 10 };
  t.is((await bare.call(methods.readMany, many)).age, null);
  t.not((await bare.call(methods.readMany, { ...many, stale: true })).age, null);
  t.is((await bare.call(methods.count, { space: jobs })).age, null);
  t.not((await bare.call(methods.count, { space: jobs, stale: true })).age, null);
});
