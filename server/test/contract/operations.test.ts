/** SPEC §3 over a real node: what each operation does. */
import { float, t as m, metaOf, Timestamp, TupletError, type Writable } from '@tuplet/client';
import * as contract from '@tuplet/proto/contract';
import { Outcome, TupleState } from '@tuplet/proto/contract';
import test from 'ava';
import { any, template, tuple } from '../router/bench.ts';
import { BareSession, countOf, fromNow, ifExists, jobs, startHouse } from './house.ts';

const { methods } = contract.TupleSpaceService;
/** Ids name their partition above this. */
const idsAPartition = 2 ** 44;

test('write returns id, revision and the end of the lease [3.1, 3.15]', async (t) => {
  const { node, space } = await startHouse(t);
  const forever = await space.write(['job', 1]);
  t.true(forever.id > 0 && forever.revision > 0);
  t.is(forever.leaseEnd, undefined);
  t.is(Math.floor(forever.id / idsAPartition), forever.partition, 'an id names its partition');
  const leased = await space.write(['job', 2], { leaseMs: 5_000 });
  t.true(leased.revision > forever.revision);
  const meta = metaOf(await space.read(['job', 2]));
  t.like(meta, { id: leased.id, partition: leased.partition, revision: leased.revision });
  const start = meta?.writtenAt?.toNanoseconds() ?? 0n;
  t.is((leased.leaseEnd?.toNanoseconds() ?? 0n) - start, 5_000_000_000n);
  await node.advance(5_100);
  t.is(await space.count(), 1);
});

test('ids are never reused, not after a restart either [3.15]', async (t) => {
  const first = await startHouse(t);
  const ids = new Set<number>();
  for (let round = 0; round < 20; round += 1) {
    ids.add((await first.space.write(['job', round])).id);
    await first.space.take(['job', m.int]);
  }
  await first.client.close();
  await first.node.close();
  const second = await startHouse(t, { disk: first.node.disk });
  for (let round = 0; round < 20; round += 1)
    ids.add((await second.space.write(['job', round])).id);
  t.is(ids.size, 40);
});

test('write many is one point within a partition, and has an outcome for each tuple [3.2]', async (t) => {
  const { bare, space } = await startHouse(t);
  const stream = bare.notify({ space: jobs, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const tuples = Array.from({ length: 1_000 }, (_, at) => [`tag-${at % 5}`, at]);
  const outcomes = await space.writeMany(tuples);
  t.is(outcomes.length, 1_000);
  await stream.until(() => stream.events.length === 1_000);
  const revisions = new Map<number, Set<number>>();
  for (const { place } of stream.events) {
    const of = revisions.get(place?.partition ?? 0) ?? new Set();
    revisions.set(place?.partition ?? 0, of.add(place?.revision ?? 0));
  }
  t.true(revisions.size > 1, 'several partitions');
  for (const of of revisions.values()) t.is(of.size, 1, 'one revision in each');
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.kind !== 'written') return t.fail();
    const stored = await (at % 97 === 0 ? space.read([`tag-${at % 5}`, at]) : undefined);
    if (stored !== undefined) t.is(metaOf(stored)?.id, outcome.written.id, 'in order');
  }
  stream.stream.cancel();
});

test('write many refuses more than 1,000, and all where one is invalid [3.2, 10.5]', async (t) => {
  const { space } = await startHouse(t);
  const many = Array.from({ length: 1_001 }, (_, at) => ['a', at]);
  const tooMany = await t.throwsAsync(space.writeMany(many), { instanceOf: TupletError });
  t.like(tooMany, { code: 'INVALID_ARGUMENT', definite: true });
  const invalid = await t.throwsAsync(space.writeMany([['a', 1], ['b', 2], []]), {
    instanceOf: TupletError,
  });
  t.like(invalid, { reason: 'TUPLE_ARITY', definite: true });
  t.is(await space.count(), 0, 'definite: nothing was written');
});

test('of many write-if-absent of one lock exactly one writes [3.3]', async (t) => {
  const { space, sdkClient } = await startHouse(t);
  const other = (await sdkClient()).space('jobs');
  for (let round = 0; round < 10; round += 1) {
    const lock = `lock-${round}`;
    const tries = Array.from({ length: 20 }, (_, at) =>
      (at % 2 === 0 ? space : other).writeIfAbsent([lock, at], [lock, m.any]),
    );
    const written = (await Promise.all(tries)).filter((each) => each !== undefined);
    t.is(written.length, 1);
    t.is(await space.count([lock, m.rest]), 1);
  }
  for (const absent of [['other', m.any] as const, [m.any, m.any] as const]) {
    const error = await t.throwsAsync(space.writeIfAbsent(['lock', 1], absent), {
      instanceOf: TupletError,
    });
    t.is(error.reason, 'NOT_PINNED', 'pinned to the slot of the tuple itself');
  }
});

test('read leaves the tuple, take removes it [3.4]', async (t) => {
  const { space } = await startHouse(t);
  await space.write(['job', 1]);
  t.deepEqual(await space.read(['job', m.int]), ['job', 1]);
  t.deepEqual(await space.read(['job', m.int]), ['job', 1]);
  t.deepEqual(await space.take(['job', m.int]), ['job', 1]);
  t.is(await space.readIfExists(['job', m.int]), undefined);
  t.is(await space.takeIfExists(['job', m.int]), undefined);
});

test('many takers of several clients get each tuple exactly once [3.5]', async (t) => {
  const { space, sdkClient } = await startHouse(t);
  const spaces = [space, (await sdkClient()).space('jobs'), (await sdkClient()).space('jobs')];
  const takes = Array.from({ length: 150 }, (_, at) => {
    const taker = spaces[at % 3] ?? space;
    return at % 2 === 0 ? taker.take(['job', m.int]) : taker.take([m.string, m.int]);
  });
  for (let at = 0; at < 150; at += 1) await spaces[at % 3]?.write(['job', at]);
  const taken = (await Promise.all(takes)).map(([, at]) => at);
  t.deepEqual(
    taken.sort((a, b) => a - b),
    Array.from({ length: 150 }, (_, at) => at),
  );
  t.is(await space.count(), 0);
});

test('many are read and taken up to max, after min are there, at one point [3.6]', async (t) => {
  const { space } = await startHouse(t);
  let come = 0;
  const reading = space.readMany(['job', m.int], { max: 10, min: 3 });
  const taking = space.takeMany(['job', m.int], { max: 2, min: 2 });
  for (const call of [reading, taking]) void call.then(() => (come += 1));
  await space.write(['job', 1]);
  t.is(await space.count(), 1);
  t.is(come, 0, 'one is too few for both');
  await space.write(['job', 2]);
  t.deepEqual(await taking, [
    ['job', 1],
    ['job', 2],
  ]);
  t.is(come, 1, 'the two are gone');
  await space.writeMany([
    ['job', 3],
    ['job', 4],
    ['job', 5],
  ]);
  t.deepEqual(await reading, [
    ['job', 3],
    ['job', 4],
    ['job', 5],
  ]);
  t.deepEqual(await space.takeMany(['job', m.int], { max: 9, min: 4, waitMs: 0 }), []);
  t.is((await space.takeMany(['job', m.int], { max: 2, min: 2, waitMs: 0 })).length, 2);
});

test('not pinned, min is 1, and each partition gives its part of one point [3.7]', async (t) => {
  const { space } = await startHouse(t);
  const error = await t.throwsAsync(space.readMany([m.any, m.int], { min: 2 }), {
    instanceOf: TupletError,
  });
  t.is(error.reason, 'NOT_PINNED');
  // Each write adds one tuple of a pair in the same partition: a point never shows half a pair.
  const writing = (async () => {
    for (let round = 0; round < 60; round += 1)
      await space.writeMany([
        ['x', round],
        ['x', round],
      ]);
  })();
  for (let round = 0; round < 60; round += 1) {
    const found = await space.readMany([m.string, m.int], { waitMs: 0 });
    t.is(found.length % 2, 0);
  }
  await writing;
});

test('replace keeps id, age and lease, and gives a new revision [3.8]', async (t) => {
  const { space } = await startHouse(t);
  const first = await space.write(['job', 1], { leaseMs: 60_000 });
  await space.write(['job', 2]);
  const replaced = await space.replace(['job', 1], ['job', 'new']);
  t.deepEqual(replaced?.replaced, ['job', 1]);
  t.is(replaced?.written.id, first.id);
  t.true((replaced?.written.revision ?? 0) > first.revision);
  t.deepEqual(replaced?.written.leaseEnd, first.leaseEnd);
  t.is(await space.replace(['job', 1], ['job', 'again']), undefined);
  const oldest = await space.read(['job', m.any]);
  t.deepEqual(oldest, ['job', 'new'], 'it is as old as it was');
  const leased = await space.replace(['job', 'new'], ['job', 3], { leaseMs: 1_000 });
  const [before, after] = [first.leaseEnd, leased?.written.leaseEnd];
  t.true((before?.toNanoseconds() ?? 0n) > (after?.toNanoseconds() ?? 0n), 'a lease of its own');
});

test('a replacing tuple of another slot is refused, by template and by version [3.9]', async (t) => {
  // In one partition: neither slot can be told by its partition.
  const { space } = await startHouse(t, { partitions: 1 });
  const { id, revision } = await space.write(['job', 1]);
  for (const target of [['job', m.int] as const, { id, revision }]) {
    const error = await t.throwsAsync(space.replace(target, ['other', 1]), {
      instanceOf: TupletError,
    });
    t.like(error, { reason: 'ROUTE_CHANGES', code: 'INVALID_ARGUMENT', definite: true });
  }
  t.is(metaOf(await space.read(['job', 1]))?.revision, revision);
});

test('a replace by a revision that no longer holds is ABORTED [3.10]', async (t) => {
  const { space } = await startHouse(t);
  const version = await space.write(['job', 0]);
  const tries = Array.from({ length: 10 }, (_, at) => space.replace(version, ['job', at + 1]));
  const results = await Promise.allSettled(tries);
  const won = results.filter(({ status }) => status === 'fulfilled');
  t.is(won.length, 1, 'one of ten');
  for (const result of results) {
    if (result.status === 'rejected')
      t.like(result.reason, { reason: 'REVISION_CHANGED', code: 'ABORTED', definite: true });
  }
  t.is(await space.count(), 1);
});

test('increments of several clients add up, ints and floats [3.11]', async (t) => {
  const { space, sdkClient } = await startHouse(t);
  const other = (await sdkClient()).space('jobs');
  await space.write(['counter', 0, float(0.5)]);
  const { id } = metaOf(await space.read(['counter', m.rest])) ?? {};
  const steps = Array.from({ length: 60 }, (_, at) =>
    (at % 2 === 0 ? space : other).increment(['counter', m.int, m.float], 1),
  );
  const seen = (await Promise.all(steps)).map((after) => after?.[1]);
  t.is(new Set(seen).size, 60, 'each saw its own');
  t.deepEqual(await space.increment(['counter', m.int, m.float], 2, 0.25), ['counter', 60, 0.75]);
  t.deepEqual(await space.increment(['counter', m.int, m.float], 1, -70), ['counter', -10, 0.75]);
  t.is(metaOf(await space.read(['counter', m.rest]))?.id, id, 'the tuple is the same');
  for (const delta of [0.5, float(1)]) {
    const error = await t.throwsAsync(space.increment(['counter', m.int, m.float], 1, delta), {
      instanceOf: TupletError,
    });
    t.is(error.code, 'INVALID_ARGUMENT', 'an int wants an int');
  }
});

test('an increment that overflows changes nothing, up and down [3.12]', async (t) => {
  const { space } = await startHouse(t);
  for (const [tag, edge, delta] of [
    ['up', 2n ** 63n - 1n, 1],
    ['down', -(2n ** 63n), -1],
  ] as const) {
    const { revision } = await space.write([tag, edge]);
    const error = await t.throwsAsync(space.increment([tag, m.any], 1, delta), {
      instanceOf: TupletError,
    });
    t.like(error, { code: 'OUT_OF_RANGE', definite: true });
    const now = await space.read([tag, m.any]);
    t.deepEqual(now, [tag, edge]);
    t.is(metaOf(now)?.revision, revision);
  }
});

test('count counts and changes nothing, pinned and as a sum of the partitions [3.13, 3.33]', async (t) => {
  const { bare, space } = await startHouse(t);
  const tags = ['a', 'b', 'c', 'd', 'e', 'f'];
  await space.writeMany(
    tags.flatMap(
      (tag, at) =>
        [
          [tag, at],
          [tag, at + 1],
        ] as Writable[][],
    ),
  );
  const applied = async (): Promise<number> => {
    const { describeNode } = contract.AdminService.methods;
    const { partitions } = await bare.call(describeNode, {});
    return partitions.reduce((sum, partition) => sum + partition.applied, 0);
  };
  const before = await applied();
  t.is(await space.count(), 12);
  t.is(await space.count(['c', m.int]), 2);
  t.is(await space.count([m.string, m.atLeast(3)]), 7);
  t.is(await space.count(['none', m.int]), 0);
  t.is(await applied(), before, 'no entry');
});

test('renew prolongs a lease from now on or for ever, cancel removes the tuple [3.14]', async (t) => {
  const { node, space } = await startHouse(t);
  const { id } = await space.write(['job', 1], { leaseMs: 1_000 });
  await node.advance(800);
  t.truthy((await space.renew(id, 1_000))?.leaseEnd);
  await node.advance(800);
  const renewed = await space.renew(id);
  t.is(renewed?.leaseEnd, undefined);
  await node.advance(60_000);
  t.is(await space.count(), 1);
  t.true(await space.cancel(id));
  t.is(await space.count(), 0);
  t.false(await space.cancel(id));
  t.is(await space.renew(id, 1_000), undefined);
});

test('what is handed over is seen only by who asks for it, and is never absent [3.16, 3.17]', async (t) => {
  const { bare, space } = await startHouse(t);
  const session = await BareSession.open(bare);
  await space.write(['lock', 1]);
  const ask = { space: jobs, template: template('lock', any), wait: ifExists };
  const taken = await bare.call(methods.take, { ...ask, operation: session.operation(1) });
  t.is(taken.outcome, Outcome.FOUND);
  t.is(await space.readIfExists(['lock', m.any]), undefined);
  t.is(await space.takeIfExists(['lock', m.any]), undefined);
  t.is(await space.count(), 0);
  t.is(await countOf(bare, TupleState.HANDED), 1);
  t.is(await countOf(bare, TupleState.HANDED, TupleState.READY), 1);
  const read = await bare.call(methods.read, { ...ask, states: [TupleState.HANDED] });
  t.is(read.found?.state, TupleState.HANDED);
  t.is(await space.writeIfAbsent(['lock', 2], ['lock', m.any]), undefined, 'it is present');
  const receipts = [{ sequence: 1, tupleId: taken.found?.tupleId ?? 0 }];
  await bare.call(methods.acknowledge, { sessionId: session.id, floor: 1, receipts });
  t.is(await countOf(bare, TupleState.HANDED, TupleState.READY), 0);
  t.truthy(await space.writeIfAbsent(['lock', 2], ['lock', m.any]), 'now it is absent');
});

test('a tuple’s revision is the position of its last change [3.15]', async (t) => {
  const { bare, space } = await startHouse(t);
  const stream = bare.notify({ space: jobs, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  await bare.call(methods.write, { space: jobs, tuple: tuple('n', 1) });
  await space.replace(['n', 1], ['n', 2]);
  await space.increment(['n', m.int], 1);
  await stream.until(() => stream.events.length === 3);
  const places = stream.events.map(({ place }) => place?.revision ?? 0);
  t.deepEqual(
    places,
    [...new Set(places)].sort((a, b) => a - b),
  );
  t.is(metaOf(await space.read(['n', 3]))?.revision, places[2]);
  t.true(metaOf(await space.read(['n', 3]))?.writtenAt instanceof Timestamp);
  stream.stream.cancel();
});
