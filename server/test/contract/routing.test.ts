/** SPEC §6 over a real node: slots, partitions, pinning, maps. */
import { float, t as m, type Space, TupletError, type Writable } from '@tuplet/client';
import { encodeTuple, FieldOffsets, partitionOfSlot, Routing } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import { EmptyScope, TupleState } from '@tuplet/proto/contract';
import test from 'ava';
import { startTestNode } from '../../src/testing.ts';
import { turns } from '../gateway/start.ts';
import { any, template, tuple } from '../router/bench.ts';
import { countOf, ifExists, jobs, startHouse } from './house.ts';

const { methods } = contract.TupleSpaceService;
const admin = contract.AdminService.methods;

/** The partition, from 1, that a client in any language computes from the contract. */
function partitionOf(routing: Routing, fields: Parameters<typeof encodeTuple>[0]): number {
  const bytes = encodeTuple(fields);
  const slot = routing.slotOfTuple(bytes, new FieldOffsets().scan(bytes));
  return partitionOfSlot(slot, 16) + 1;
}

test('routing rules are fixed when a space is created [6.1]', async (t) => {
  const { client } = await startHouse(t);
  const rules = [{ tag: 'job', spread: 8, fields: [1] }];
  await client.admin.createSpace('spread', { rules });
  const other = [{ tag: 'job', spread: 9, fields: [1] }];
  const error = await t.throwsAsync(client.admin.createSpace('spread', { rules: other }), {
    instanceOf: TupletError,
  });
  t.is(error.reason, 'SPACE_EXISTS');
  t.deepEqual((await client.admin.describeSpace('spread')).rules, rules);
});

test('equal tags share a slot, whatever their kind and the other fields [6.2, 6.4]', async (t) => {
  const { space } = await startHouse(t);
  const routing = new Routing('jobs', []);
  const used = new Set<number>();
  for (let at = 0; at < 60; at += 1) {
    const { partition } = await space.write([`tag-${at}`, at]);
    t.is(partition, partitionOf(routing, [`tag-${at}`]));
    used.add(partition);
  }
  t.true(used.size > 10);
  const [whole, real] = [await space.write([7, 'x']), await space.write([float(7), 'y', 1])];
  t.is(whole.partition, real.partition);
  t.deepEqual(await space.readMany([7, m.rest]), [
    [7, 'x'],
    [7, 'y', 1],
  ]);
});

test('a rule spreads a tag over slots by the fields it names [6.3, 6.4]', async (t) => {
  const { client } = await startHouse(t);
  const rules = [{ tag: 'job', spread: 64, fields: [2, 1] }];
  await client.admin.createSpace('spread', { rules });
  const space = client.space('spread');
  const routing = new Routing('spread', rules);
  const used = new Set<number>();
  for (let at = 0; at < 60; at += 1) {
    const { partition } = await space.write(['job', at, 'x', 'free']);
    t.is(partition, partitionOf(routing, ['job', at, 'x']), 'the field that is not named is free');
    used.add(partition);
    t.is((await space.write(['other', at])).partition, partitionOf(routing, ['other']));
  }
  t.true(used.size > 5);
  t.is(await space.count(['job', m.rest]), 60, 'all of them');
});

test('a space created like another shares its routing [6.5]', async (t) => {
  const { client } = await startHouse(t);
  const rules = [{ tag: 'job', spread: 64, fields: [1] }];
  await client.admin.createSpace('model', { rules });
  await client.admin.createSpace('copy', { like: 'model' });
  await client.admin.createSpace('apart', { rules });
  const write = async (name: string): Promise<number[]> => {
    const written = [];
    for (let at = 0; at < 40; at += 1) written.push(client.space(name).write(['job', at]));
    return (await Promise.all(written)).map(({ partition }) => partition);
  };
  t.deepEqual(await write('copy'), await write('model'));
  t.notDeepEqual(await write('apart'), await write('model'));
});

test('a cluster has 16 partitions unless founded with others, and keeps them [6.6]', async (t) => {
  const { bare, node } = await startHouse(t);
  t.is((await bare.call(admin.describeNode, {})).partitions.length, 16);
  await node.close();
  await t.throwsAsync(startTestNode({ disk: node.disk, partitions: 8 }));
  await t.throwsAsync(startTestNode({ partitions: 257 }));
  const small = await startTestNode({ partitions: 1 });
  await small.close();
});

test('a call by id is refused where its map is older; one by name routes nothing [6.7]', async (t) => {
  const { bare, client, space } = await startHouse(t);
  const described = await bare.call(admin.describeSpace, jobs);
  const id = described.space?.id ?? 0;
  const write = (epoch: number) => ({ space: { id, mapEpoch: epoch }, tuple: tuple('job', 1) });
  await bare.call(methods.write, write(described.mapEpoch));
  await client.admin.createSpace('another');
  const failure = await bare.failure(methods.write, write(described.mapEpoch));
  t.is(failure.reason, 'STALE_MAP');
  await bare.call(methods.write, { space: jobs, tuple: tuple('job', 2) });
  // The SDK learns the new map by itself.
  await space.write(['job', 3]);
  t.is(await countOf(bare, TupleState.READY), 3);
});

/** Whether a template is pinned, by what "nothing" says of it. */
async function isPinned(
  bare: Awaited<ReturnType<typeof startHouse>>['bare'],
  name: string,
  of: Uint8Array,
): Promise<boolean> {
  const ask = { space: { name }, template: of, wait: ifExists };
  return (await bare.call(methods.read, ask)).scope === EmptyScope.LINEARIZABLE;
}

test('actual values in all hashed fields pin; not, range and prefix never do [6.8, 6.9]', async (t) => {
  const { bare, client } = await startHouse(t);
  await client.admin.createSpace('s', { rules: [{ tag: 'job', spread: 8, fields: [1] }] });
  const inOf = (...values: (string | number)[]) => ({ kind: 'any-of', values }) as const;
  const exact = { kind: 'range', lower: { value: 1 }, upper: { value: 1 } } as const;
  const notNot = {
    kind: 'negation',
    matcher: { kind: 'negation', matcher: { kind: 'actual', value: 'job' } },
  } as const;
  const cases: [string, Parameters<typeof template>, boolean][] = [
    ['jobs', ['job', any], true],
    ['jobs', [inOf('job'), any], true],
    ['jobs', [inOf('job', 'other'), any], false],
    ['jobs', [any, 1], false],
    ['jobs', [notNot, any], false],
    ['jobs', [{ kind: 'prefix', prefix: 'job' }, any], false],
    ['jobs', [exact, any], false],
    ['jobs', ['job', exact], true],
    ['s', ['job', 1], true],
    ['s', ['job', inOf(1)], true],
    ['s', ['job', any], false],
    ['s', ['job', exact], false],
    ['s', ['other', any], true],
  ];
  for (const [name, fields, wanted] of cases)
    t.is(await isPinned(bare, name, template(...fields)), wanted, JSON.stringify([name, fields]));
});

test('two slots that share a partition are not one: such a template is not pinned [6.9]', async (t) => {
  const { bare } = await startHouse(t, { partitions: 1 });
  const both = template({ kind: 'any-of', values: ['a', 'b'] }, any);
  t.false(await isPinned(bare, 'jobs', both));
  t.true(await isPinned(bare, 'jobs', template('a', any)));
});

test('a template that is not pinned finds its tuple in whatever partition [6.10]', async (t) => {
  const { client, space } = await startHouse(t);
  await client.admin.createSpace('s', { rules: [{ tag: 'job', spread: 64, fields: [1] }] });
  const spread = client.space('s');
  for (let at = 0; at < 40; at += 1) {
    await space.write([`tag-${at}`, at]);
    await spread.write(['job', at, at]);
  }
  for (let at = 0; at < 40; at += 1) {
    t.deepEqual(await space.readIfExists([m.string, at]), [`tag-${at}`, at]);
    t.deepEqual(await spread.readIfExists(['job', m.int, at]), ['job', at, at]);
    t.truthy(await space.readIfExists([m.oneOf(`tag-${at}`, 'none'), m.int]));
  }
});

test('unpinned takes remove one tuple in the whole cluster, never two and none for nobody [6.11]', async (t) => {
  const { node, bare, space, sdkClient } = await startHouse(t);
  const other = (await sdkClient()).space('jobs');
  const tags = Array.from({ length: 16 }, (_, at) => `tag-${at}`);
  const fill = (): Promise<unknown> => space.writeMany(tags.map((tag): Writable[] => [tag, 1]));
  // Matches everywhere at once: each of two takes gets one.
  await fill();
  const ask = [m.string, 1] as Parameters<Space['take']>[0];
  await Promise.all([space.take(ask), other.take(ask)]);
  t.is(await space.count(), 14);
  // Waiting first: sixteen partitions offer, one is taken up.
  await space.takeMany(ask, { waitMs: 0 });
  while ((await space.takeIfExists(ask)) !== undefined);
  const waiting = [space.take(ask), other.take(ask), space.take(ask)];
  await Promise.all([space.count(), other.count()]);
  await fill();
  await Promise.all(waiting);
  await turns(50);
  await node.advance(1_000);
  t.is(await countOf(bare, TupleState.READY), 13);
  t.is(await countOf(bare, TupleState.HANDED), 0, 'none for nobody');
});

test('while unpinned takes wait nothing is locked and nobody polls [6.11]', async (t) => {
  const { node, bare, space } = await startHouse(t);
  const ask = { space: jobs, template: template(any, 'none') };
  const waiting = Array.from({ length: 20 }, () => bare.begin(methods.take, ask));
  await bare.call(methods.count, { space: jobs });
  await space.write(['job', 1]);
  const applied = async (): Promise<number> => {
    const { partitions } = await bare.call(admin.describeNode, {});
    return partitions.reduce((sum, each) => sum + each.applied, 0);
  };
  const before = await applied();
  await node.advance(5_000);
  t.is(await applied(), before);
  t.deepEqual(await space.takeIfExists(['job', m.int]), ['job', 1]);
  for (const each of waiting) each.cancel();
});

test('a space that is not there is NOT_FOUND, and ids of spaces are never reused [6.12]', async (t) => {
  const { bare, client } = await startHouse(t);
  const ids = new Set<number>();
  for (let round = 0; round < 5; round += 1) {
    await client.admin.createSpace('again');
    const { space, mapEpoch } = await bare.call(admin.describeSpace, { name: 'again' });
    ids.add(space?.id ?? 0);
    await client.space('again').write(['job', round]);
    await client.admin.dropSpace('again');
    const byName = await bare.failure(methods.count, { space: { name: 'again' } });
    t.is(byName.reason, 'SPACE_NOT_FOUND');
    t.is(byName.grpcCode, 5);
    const byId = await bare.failure(methods.count, { space: { id: space?.id ?? 0, mapEpoch } });
    t.true(['SPACE_NOT_FOUND', 'STALE_MAP'].includes(byId.reason ?? ''), byId.reason);
  }
  t.is(ids.size, 5);
});
