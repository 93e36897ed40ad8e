/** SPEC §3 over a real node: waiting, which tuple, which waiter. */
import { setMaxListeners } from 'node:events';
import { t as m, metaOf, type Space, type Writable } from '@tuplet/client';
import * as contract from '@tuplet/proto/contract';
import { EmptyScope, Outcome } from '@tuplet/proto/contract';
import test from 'ava';
import { turns } from '../gateway/start.ts';
import { any, template, tuple } from '../router/bench.ts';
import { BareSession, ifExists, jobs, startHouse } from './house.ts';

const { methods } = contract.TupleSpaceService;

test('a wait of zero asks only whether there is one; without a wait a call waits for ever [3.18, 3.19]', async (t) => {
  const { node, bare, space } = await startHouse(t);
  for (const ask of [template('job', any), template(any, 1)]) {
    const none = await bare.call(methods.take, { space: jobs, template: ask, wait: ifExists });
    t.is(none.outcome, Outcome.NOTHING);
    t.is(none.found, null);
  }
  let come = 0;
  const waiting = [space.take(['job', m.int]), space.take([m.string, 2])];
  for (const take of waiting) void take.then(() => (come += 1));
  await space.count();
  await node.advance(30_000);
  t.is(come, 0);
  await space.writeMany([
    ['job', 1],
    ['other', 2],
  ]);
  t.deepEqual(await Promise.all(waiting), [
    ['job', 1],
    ['other', 2],
  ]);
});

test('within 50 ms of the end of a wait comes the answer, and not before [3.20, 3.19]', async (t) => {
  const { node, bare } = await startHouse(t);
  const wait = { seconds: 5, nanos: 0 };
  const asks = [template('job', any), template(any, 1)];
  const calls = asks.flatMap((ask) => [
    bare.begin(methods.take, { space: jobs, template: ask, wait }),
    bare.begin(methods.read, { space: jobs, template: ask, wait }),
  ]);
  let come = 0;
  for (const { answer } of calls) void answer.then(() => (come += 1));
  await bare.call(methods.count, { space: jobs });
  await node.advance(4_980);
  await turns(20);
  t.is(come, 0);
  await node.advance(70);
  await turns(50);
  t.is(come, 4);
  for (const { answer } of calls) t.is((await answer).outcome, Outcome.NOTHING);
});

test('a call that waits ends 100 ms before its gRPC deadline [3.21]', async (t) => {
  const { node, bare } = await startHouse(t);
  const asks = [template('job', any), template(any, 1)];
  const calls = asks.map((ask) =>
    bare.begin(methods.take, { space: jobs, template: ask }, 120_000),
  );
  let come = 0;
  for (const { answer } of calls) void answer.then(() => (come += 1));
  await bare.call(methods.count, { space: jobs });
  await node.advance(60_000);
  await turns(20);
  t.is(come, 0);
  // The rest, but for the 100 ms and what the calls took of their deadline on the way.
  await node.advance(59_900);
  for (const { answer } of calls) t.is((await answer).outcome, Outcome.NOTHING);
});

test('waiters cost no log entry, pinned or not, reads or takes [3.23]', async (t) => {
  const { node, bare } = await startHouse(t);
  const session = await BareSession.open(bare, 3_600);
  const ask = (of: Uint8Array) => ({ space: jobs, template: of });
  // From here on every partition knows the session.
  const operation = session.operation(1);
  await bare.call(methods.take, { ...ask(template(any, any)), wait: ifExists, operation });
  for (let at = 0; at < 40; at += 1) {
    const own = session.operation(2 + at, { floor: 2 });
    const of = { ...ask(template(`tag-${at}`, any)), wait: ifExists, operation: own };
    await bare.call(methods.take, of);
  }
  const applied = async (): Promise<readonly number[]> => {
    const { describeNode } = contract.AdminService.methods;
    const { partitions } = await bare.call(describeNode, {});
    return partitions.map((partition) => partition.applied);
  };
  const waiters = async (): Promise<number> => {
    const { describeNode } = contract.AdminService.methods;
    const { partitions } = await bare.call(describeNode, {});
    return partitions.reduce((sum, partition) => sum + partition.waiters, 0);
  };
  const before = await applied();
  for (let at = 0; at < 200; at += 1) {
    const own = session.operation(100 + at, { floor: 2 });
    const of = template(at % 2 === 0 ? `tag-${at % 40}` : any, at);
    bare.begin(methods.take, { ...ask(of), operation: own });
    bare.begin(methods.read, ask(of));
  }
  await bare.call(methods.count, { space: jobs });
  t.true((await waiters()) >= 400);
  await node.advance(20_000);
  t.deepEqual(await applied(), before);
});

/** Finds the first two of three tuples, whatever kind of matcher it has. */
const matchers: readonly unknown[] = [
  m.any,
  m.list(m.rest),
  m.list(m.int, m.rest),
  m.not('other'),
  m.oneOf([1, 'b'], [2, 'a'], [3]),
  m.list(m.between(1, 9), m.any),
];
const scalars: readonly unknown[] = [
  m.any,
  m.string,
  m.prefix('x'),
  m.between('a', 'y'),
  m.oneOf('xb', 'xa', 'xc'),
  m.not(7),
];

test('the oldest matching tuple is given, for every kind of matcher [3.24]', async (t) => {
  const { space } = await startHouse(t);
  const write = (values: readonly Writable[]) =>
    values.map((value, at) => ['age', at, value] as const);
  for (const [set, values] of [
    [matchers, [[2, 'a'], [1, 'b'], [3]]],
    [scalars, ['xb', 'xc', 'xa']],
  ] as const) {
    for (const matcher of set) {
      await space.writeMany(write(values));
      // A hundred others, so that indexes are worth their building.
      await space.writeMany(Array.from({ length: 100 }, (_, at) => ['age', 'other', at]));
      const ask = ['age', m.int, matcher] as Parameters<Space['take']>[0];
      const [, first] = (await space.take(ask)) as unknown as [string, number];
      const [, second] = (await space.take(ask)) as unknown as [string, number];
      t.deepEqual([first, second], [0, 1]);
      await space.takeMany(['age', m.rest]);
    }
  }
});

test('a tuple that comes back takes its old place, with one delivery more [3.25, 4.20]', async (t) => {
  const { bare, space } = await startHouse(t);
  await space.writeMany([
    ['job', 1],
    ['job', 2],
    ['job', 3],
  ]);
  const session = await BareSession.open(bare);
  const ask = { space: jobs, template: template('job', any), max: 2, wait: ifExists };
  await bare.call(methods.takeMany, { ...ask, operation: session.operation(1) });
  t.deepEqual(await space.read(['job', m.int]), ['job', 3]);
  await bare.call(contract.SessionService.methods.closeSession, { sessionId: session.id });
  const back = await space.take(['job', m.int]);
  t.deepEqual(back, ['job', 1]);
  t.is(metaOf(back)?.deliveries, 1);
  t.deepEqual(await space.take(['job', m.int]), ['job', 2]);
  t.is(metaOf(await space.take(['job', m.int]))?.deliveries, 0);
});

test('the waiter that came first among those that match is served [3.26]', async (t) => {
  const { space, bare, sdkClient } = await startHouse(t);
  const spaces = [space, (await sdkClient()).space('jobs'), (await sdkClient()).space('jobs')];
  const served: number[] = [];
  const wanted: (Parameters<Space['take']>[0] | undefined)[] = [
    ['job', m.int],
    ['job', 7],
    ['job', m.any],
    ['job', m.atLeast(5)],
    ['job', m.int],
    ['job', m.string],
  ];
  const takes = [];
  for (const [at, ask] of wanted.entries()) {
    const taker = spaces[at % 3];
    if (ask === undefined || taker === undefined) return t.fail();
    takes.push(taker.take(ask).then(() => served.push(at)));
    // The call is on its way before the next one begins.
    await taker.count();
  }
  for (const value of [1, 'text', 7, 6, 2, 'more'] as const) {
    const before = served.length;
    await bare.call(methods.write, { space: jobs, tuple: tuple('job', value) });
    while (served.length === before) await turns(1);
  }
  await Promise.all(takes);
  t.deepEqual(served, [0, 2, 1, 3, 4, 5]);
});

test('one written tuple wakes all matching reads and one take [3.27]', async (t) => {
  const { space, sdkClient } = await startHouse(t);
  const other = (await sdkClient()).space('jobs');
  let read = 0;
  let taken = 0;
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const calls: Promise<unknown>[] = [];
  for (let at = 0; at < 12; at += 1) {
    const from = at % 2 === 0 ? space : other;
    const ask = at % 3 === 0 ? ([m.string, 1] as const) : (['job', m.int] as const);
    const reading = from.read(ask).then(() => (read += 1));
    calls.push(reading);
    const options = { signal: stop.signal };
    void from.take(ask, options).then(
      () => (taken += 1),
      () => undefined,
    );
  }
  void space.read(['job', 2], { signal: stop.signal }).then(
    () => t.fail('another tuple'),
    () => undefined,
  );
  await Promise.all([space.count(), other.count()]);
  await space.write(['job', 1]);
  await Promise.all(calls);
  await space.count();
  await turns(50);
  t.deepEqual([read, taken], [12, 1]);
  stop.abort();
});

test('"nothing" says which scope it holds for [3.28, 3.29]', async (t) => {
  const { bare, space } = await startHouse(t);
  await space.write(['job', 1]);
  const scopeOf = async (of: Uint8Array): Promise<EmptyScope> => {
    const ask = { space: jobs, template: of, wait: ifExists };
    const read = await bare.call(methods.read, ask);
    const taken = await bare.call(methods.take, ask);
    t.is(read.scope, taken.scope);
    return taken.scope;
  };
  t.is(await scopeOf(template('job', 2)), EmptyScope.LINEARIZABLE);
  t.is(await scopeOf(template(any, 2)), EmptyScope.EACH_PARTITION);
  t.is(await scopeOf(template('job', 1)), EmptyScope.UNSPECIFIED, 'found');
});

test('"nothing" for an expired match comes after the expiry, and never before [3.28]', async (t) => {
  const { node, space } = await startHouse(t);
  await space.write(['job', 1], { leaseMs: 1_000 });
  await node.advance(940);
  t.truthy(await space.readIfExists(['job', m.int]));
  await node.advance(160);
  t.is(await space.takeIfExists(['job', m.int]), undefined);
  t.is(await space.takeIfExists([m.any, m.int]), undefined);
});
