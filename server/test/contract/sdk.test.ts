/** The SDK against a real node in this process: every operation, once through the whole house. */
import {
  type Client,
  connect,
  float,
  t as m,
  metaOf,
  type Space,
  Timestamp,
  TupletError,
} from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { startTestNode, type TestNode } from '../../src/testing.ts';

interface House {
  readonly node: TestNode;
  readonly client: Client;
  readonly space: Space;
}

async function start(t: ExecutionContext): Promise<House> {
  const node = await startTestNode();
  const client = await connect(node.url);
  t.teardown(async () => {
    await client.close();
    await node.close();
  });
  await client.admin.createSpace('jobs');
  return { node, client, space: client.space('jobs') };
}

test('§1 every kind of value is read as it was written [1.13, 1.16]', async (t) => {
  const { space } = await start(t);
  const at = Timestamp.fromNanoseconds(-1n);
  const bytes = new Uint8Array([0, 255]);
  const tuple = [
    'all',
    null,
    true,
    7,
    -(2n ** 63n),
    2.5,
    float(4),
    Number.NaN,
    'ü💡',
    bytes,
    at,
    [1, [2]],
    { a: { b: 1 } },
  ] as const;
  await space.write(tuple);
  const read = await space.read(['all', m.rest]);
  t.deepEqual(read, [
    'all',
    null,
    true,
    7,
    -(2n ** 63n),
    2.5,
    4,
    Number.NaN,
    'ü💡',
    bytes,
    at,
    [1, [2]],
    { a: { b: 1 } },
  ]);
  t.is(await space.count(), 1);
});

test('§1 t.int, t.bigint and t.number read ints as their types say [1.17]', async (t) => {
  const { space } = await start(t);
  await space.write(['n', 2n ** 60n]);
  t.is(await space.readIfExists(['n', m.int]), undefined);
  t.deepEqual(await space.readIfExists(['n', m.bigint]), ['n', 2n ** 60n]);
  t.deepEqual(await space.readIfExists(['n', m.number]), ['n', 2 ** 60]);
  t.deepEqual(await space.readIfExists(['n', m.any]), ['n', 2n ** 60n]);
  await space.write(['small', 5]);
  t.deepEqual(await space.take(['small', m.bigint]), ['small', 5n]);
});

test('§2 each matcher matches what it says [2.7, 2.8, 2.9, 2.10, 2.11]', async (t) => {
  const { space } = await start(t);
  await space.writeMany([
    ['m', 5],
    ['m', 'prefixed'],
    ['m', [1, 'x']],
    ['m', { k: 1, l: 2 }],
  ]);
  t.deepEqual(await space.readIfExists(['m', m.between(5, 6)]), ['m', 5]);
  t.deepEqual(await space.readIfExists(['m', m.lessThan(5)]), undefined);
  t.deepEqual(await space.readIfExists(['m', m.prefix('pre')]), ['m', 'prefixed']);
  t.deepEqual(await space.readIfExists(['m', m.list(m.int, 'x')]), ['m', [1, 'x']]);
  t.deepEqual(await space.readIfExists(['m', m.record({ k: m.bigint })]), ['m', { k: 1n, l: 2 }]);
  t.deepEqual(await space.readIfExists(['m', m.oneOf(4, 5)]), ['m', 5]);
  const union = m.union(['x', m.int], ['m', m.bigint]);
  t.deepEqual(await space.readIfExists(union), ['m', 5n]);
  t.is((await space.readMany(['m', m.not(5)], { waitMs: 0 })).length, 3);
});

test('§3 a blocked take is woken by a write, pinned or not [3.19, 6.11]', async (t) => {
  const { space } = await start(t);
  const pinned = space.take(['job', m.int]);
  const unpinned = space.take([m.string, 'second']);
  await space.write(['job', 1]);
  t.deepEqual(await pinned, ['job', 1]);
  await space.write(['task', 'second']);
  t.deepEqual(await unpinned, ['task', 'second']);
});

test('§3 many tuples are written, read and taken [3.2, 3.6]', async (t) => {
  const { space } = await start(t);
  const outcomes = await space.writeMany(Array.from({ length: 100 }, (_, i) => ['many', i]));
  t.true(outcomes.every((outcome) => outcome.kind === 'written'));
  t.is((await space.readMany(['many', m.int], { max: 10 })).length, 10);
  t.is((await space.takeMany(['many', m.int], { max: 60 })).length, 60);
  t.is(await space.count(['many', m.any]), 40);
  const rest = await space.takeMany(['many', m.int]);
  t.deepEqual(
    rest.map(([, n]) => n),
    Array.from({ length: 40 }, (_, i) => 60 + i),
  );
  t.deepEqual(await space.takeMany(['many', m.int], { waitMs: 0 }), []);
});

test('§3 write if absent, replace, increment, renew and cancel [3.3, 3.8, 3.10, 3.11, 3.14]', async (t) => {
  const { space } = await start(t);
  t.truthy(await space.writeIfAbsent(['lock', 'a'], ['lock', m.any]));
  t.is(await space.writeIfAbsent(['lock', 'b'], ['lock', m.any]), undefined);
  const replaced = await space.replace(['lock', 'a'], ['lock', 'c']);
  t.deepEqual(replaced?.replaced, ['lock', 'a']);
  const current = await space.read(['lock', m.string]);
  const meta = metaOf(current);
  t.is(meta?.id, metaOf(replaced?.replaced ?? [])?.id, 'it keeps its id');
  if (meta === undefined) return t.fail('no meta');
  await space.replace(meta, ['lock', 'd']);
  const error = await t.throwsAsync(space.replace(meta, ['lock', 'e']), {
    instanceOf: TupletError,
  });
  t.like(error, { reason: 'REVISION_CHANGED', code: 'ABORTED', definite: true });
  t.is(await space.replace(['none', 1], ['none', 2]), undefined);
  await space.write(['counter', 1]);
  t.deepEqual(await space.increment(['counter', m.int], 1, 41), ['counter', 42]);
  t.is(await space.increment(['none', m.int], 1), undefined);
  t.truthy((await space.renew(current, 60_000))?.leaseEnd);
  t.true(await space.cancel(current));
  t.false(await space.cancel(current));
  t.is(await space.renew(current, 60_000), undefined);
});

test('§3 an abort answers "cancelled", and the tuple stays [3.22]', async (t) => {
  const { space } = await start(t);
  for (const template of [
    ['job', m.any],
    [m.any, 1],
  ] as const) {
    const controller = new AbortController();
    const taking = space.take(template, { signal: controller.signal });
    await space.count();
    controller.abort();
    const error = await t.throwsAsync(taking, { instanceOf: TupletError });
    t.like(error, { reason: 'CANCELLED', definite: true });
  }
  await space.write(['job', 1]);
  t.is(await space.count(['job', 1]), 1);
});

test('§3 races of abort and write keep every tuple [3.22, 3.30]', async (t) => {
  const { space } = await start(t);
  let taken = 0;
  for (let round = 0; round < 200; round += 1) {
    const controller = new AbortController();
    const template = round % 2 === 0 ? (['race', m.int] as const) : ([m.string, m.int] as const);
    const taking = space.take(template, { signal: controller.signal }).then(
      () => {
        taken += 1;
      },
      () => {},
    );
    const writing = space.write(['race', round]);
    if (round % 4 < 2) controller.abort();
    else setImmediate(() => controller.abort());
    await Promise.all([taking, writing]);
  }
  t.is(taken + (await space.count(['race', m.int])), 200);
  t.true(taken > 0, 'some takes won');
});

test('§4 what a closed client took is gone, what it was blocked in is cancelled [4.19]', async (t) => {
  const { node, space } = await start(t);
  const other = await connect(node.url);
  const jobs = other.space('jobs');
  await space.write(['job', 1]);
  await jobs.take(['job', m.int]);
  const blocked = jobs.take(['none', m.int]);
  await other.close();
  await t.throwsAsync(blocked, { instanceOf: TupletError });
  t.is(await space.count(undefined, { states: ['ready', 'handed'] }), 0);
  await space.write(['none', 1]);
  t.deepEqual(await space.take(['none', m.int]), ['none', 1]);
});

test('§6 a space that was dropped is SPACE_NOT_FOUND; one of the same name is another [6.12]', async (t) => {
  const { client, space } = await start(t);
  await space.write(['a', 1]);
  await client.admin.dropSpace('jobs');
  const error = await t.throwsAsync(space.write(['a', 2]), { instanceOf: TupletError });
  t.is(error.reason, 'SPACE_NOT_FOUND');
  await client.admin.createSpace('jobs');
  t.is(await client.space('jobs').count(), 0);
});

test('§6 spaces are created with rules, listed and described [6.1]', async (t) => {
  const { client } = await start(t);
  const rules = [{ tag: 'job', spread: 8, fields: [1] }];
  await client.admin.createSpace('spread', { rules });
  const described = await client.admin.describeSpace('spread');
  t.deepEqual(described.rules, rules);
  const names = (await client.admin.listSpaces()).map((each) => each.name);
  t.true(names.includes('jobs') && names.includes('spread'));
  const error = await t.throwsAsync(client.admin.createSpace('jobs'), { instanceOf: TupletError });
  t.is(error.reason, 'SPACE_EXISTS');
});

test('§8 a notification tells in order what happened [8.1, 8.4]', async (t) => {
  const { space } = await start(t);
  const subscription = space.notify(['n', m.any]);
  await subscription.ready;
  await space.write(['n', 1]);
  await space.write(['other', 1]);
  await space.replace(['n', 1], ['n', 2]);
  await space.take(['n', 2]);
  const seen: unknown[] = [];
  for await (const event of subscription) {
    seen.push([event.kind, event.tuple, event.old]);
    if (event.kind === 'taken') break;
  }
  t.deepEqual(seen, [
    ['written', ['n', 1], undefined],
    ['replaced', ['n', 2], ['n', 1]],
    ['taken', ['n', 2], undefined],
  ]);
});

test('§8 a notification goes on from its position without gap or repetition [8.3, 8.7]', async (t) => {
  const { space } = await start(t);
  const first = space.notify(['n', m.int]);
  await first.ready;
  for (let i = 0; i < 10; i += 1) await space.write(['n', i]);
  const seen: number[] = [];
  for await (const event of first) {
    seen.push(event.tuple[1]);
    if (seen.length === 5) break;
  }
  const from = first.position;
  t.truthy(from);
  if (from === undefined) return;
  for await (const event of space.notify(['n', m.int], { from })) {
    seen.push(event.tuple[1]);
    if (seen.length === 10) break;
  }
  t.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('§10 an error names its reason, code and field [1.21, 10.1]', async (t) => {
  const { space } = await start(t);
  const tooLong = Array.from({ length: 65 }, () => 1);
  const error = await t.throwsAsync(space.write(tooLong), { instanceOf: TupletError });
  t.like(error, { reason: 'TUPLE_ARITY', code: 'INVALID_ARGUMENT', definite: true });
  const unpinned = await t.throwsAsync(space.increment([m.any, m.int], 1), {
    instanceOf: TupletError,
  });
  t.like(unpinned, { reason: 'NOT_PINNED', code: 'INVALID_ARGUMENT' });
});
