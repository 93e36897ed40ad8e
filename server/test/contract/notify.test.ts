/** SPEC §8 over a real node: what a notification tells, in which order, from where. */
import { t as m, type TupleEvent, TupletError } from '@tuplet/client';
import * as contract from '@tuplet/proto/contract';
import { EventKind, Outcome } from '@tuplet/proto/contract';
import test from 'ava';
import type { NotifyClient } from '../gateway/client.ts';
import { any, template, tuple } from '../router/bench.ts';
import { BareSession, fromNow, ifExists, jobs, startHouse } from './house.ts';

const { methods } = contract.TupleSpaceService;
const { WRITTEN, TAKEN, RETURNED, REPLACED, EXPIRED, CANCELLED } = EventKind;

/** As many events as asked for. */
async function first<Tuple>(
  events: AsyncIterable<TupleEvent<Tuple>>,
  count: number,
): Promise<TupleEvent<Tuple>[]> {
  const seen: TupleEvent<Tuple>[] = [];
  for await (const event of events) {
    seen.push(event);
    if (seen.length === count) break;
  }
  return seen;
}

test('every kind of event is told, with its tuple, and of no other tuple [8.1]', async (t) => {
  const { node, bare, space } = await startHouse(t);
  const stream = bare.notify({ space: jobs, template: template('job', any), from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const session = await BareSession.open(bare);
  await space.write(['job', 1]);
  await space.write(['other', 1]);
  const ask = { space: jobs, template: template('job', any), wait: ifExists };
  const operation = session.operation(1);
  t.is((await bare.call(methods.take, { ...ask, operation })).outcome, Outcome.FOUND);
  await bare.call(contract.SessionService.methods.closeSession, { sessionId: session.id });
  await space.replace(['job', 1], ['job', 2], { leaseMs: 3_000 });
  await space.cancel((await space.write(['job', 3])).id);
  await node.advance(3_200);
  await stream.until(() => stream.events.length === 7);
  const seen = stream.events.map(({ kind, tuple: of }) => [kind, Buffer.from(of?.tuple ?? [])]);
  const of = (number: number): Buffer => Buffer.from(tuple('job', number));
  t.deepEqual(seen, [
    [WRITTEN, of(1)],
    [TAKEN, of(1)],
    [RETURNED, of(1)],
    [REPLACED, of(2)],
    [WRITTEN, of(3)],
    [CANCELLED, of(3)],
    [EXPIRED, of(2)],
  ]);
  stream.stream.cancel();
});

test('a replacement is told with both forms if one of them matches [8.2]', async (t) => {
  const { space } = await startHouse(t);
  const [old, young] = [space.notify(['job', 1]), space.notify(['job', 2])];
  await Promise.all([old.ready, young.ready]);
  await space.write(['job', 1]);
  await space.replace(['job', 1], ['job', 2]);
  for (const event of [(await first(old, 2))[1], (await first(young, 1))[0]]) {
    t.like(event, { kind: 'replaced', tuple: ['job', 2], old: ['job', 1] });
  }
});

test('the forms of a replacement may be larger than a message together [8.2]', async (t) => {
  const { client } = await startHouse(t);
  await client.admin.createSpace('large', { tupleBytesMax: 3 * 1024 * 1024 });
  const space = client.space('large');
  const events = space.notify(['l', m.int, m.bytes]);
  await events.ready;
  const [before, after] = [new Uint8Array(2_900_000).fill(1), new Uint8Array(2_900_000).fill(2)];
  await space.write(['l', 1, before]);
  await space.replace(['l', 1, m.bytes], ['l', 2, after]);
  await space.write(['l', 3, before]);
  const [written, replaced, next] = await first(events, 3);
  t.deepEqual([written?.kind, replaced?.kind, next?.kind], ['written', 'replaced', 'written']);
  t.true(Buffer.from(after).equals(replaced?.tuple[2] ?? new Uint8Array()));
  t.is(replaced?.old?.[1], 1);
  t.true(Buffer.from(before).equals(replaced?.old?.[2] as Uint8Array));
  t.is(next?.old, undefined);
});

test('a stream begins now, or after a cursor [8.3]', async (t) => {
  const { space } = await startHouse(t);
  await space.write(['job', 0]);
  const now = space.notify(['job', m.int]);
  await now.ready;
  const from = now.position;
  if (from === undefined) return t.fail('a cursor comes at the start');
  await space.write(['job', 1]);
  await space.write(['job', 2]);
  const later = space.notify(['job', m.int]);
  await later.ready;
  await space.write(['job', 3]);
  const numbers = async (events: typeof now, count: number): Promise<number[]> =>
    (await first(events, count)).map(({ tuple: [, number] }) => number as number);
  t.deepEqual(await numbers(now, 3), [1, 2, 3]);
  t.deepEqual(await numbers(later, 1), [3]);
  t.deepEqual(await numbers(space.notify(['job', m.int], { from }), 3), [1, 2, 3]);
});

test('events of one partition come in commit order, each once, under load of several clients [8.4]', async (t) => {
  const { bare, sdkClient } = await startHouse(t);
  const stream = bare.notify({ space: jobs, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const clients = [await sdkClient(), await sdkClient(), await sdkClient()];
  const work = clients.map(async (client, at) => {
    const space = client.space('jobs');
    for (let round = 0; round < 60; round += 1) {
      await space.write([`tag-${(round + at) % 8}`, round]);
      if (round % 3 === 0) await space.takeIfExists([m.string, m.int]);
    }
  });
  await Promise.all(work);
  const taken = 3 * 20;
  await stream.until(() => stream.events.length === 180 + taken);
  const last = new Map<number, number>();
  for (const { place } of stream.events) {
    if (place === null) return t.fail();
    const at = place.revision * 10_000 + place.position;
    t.true(at > (last.get(place.partition) ?? 0), 'later than the one before, so once');
    last.set(place.partition, at);
  }
  // Of each tuple WRITTEN comes before TAKEN.
  const written = new Set<number>();
  for (const { kind, tuple: of } of stream.events) {
    if (kind === WRITTEN) written.add(of?.tupleId ?? 0);
    else t.true(written.has(of?.tupleId ?? 0));
  }
  stream.stream.cancel();
});

test('the events of a batch share a revision; its last is marked, and no cursor lies inside [8.5, 8.6]', async (t) => {
  const { node, bare, space } = await startHouse(t);
  const stream = bare.notify({ space: jobs, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  t.is(stream.cursors[0]?.after, 0, 'a cursor comes at the start');
  for (let batch = 0; batch < 4; batch += 1)
    await space.writeMany(Array.from({ length: 700 }, (_, at) => ['job', batch, at]));
  await stream.until(() => stream.events.length === 2_800);
  for (const [at, { last, place }] of stream.events.entries()) {
    const next = stream.events[at + 1]?.place;
    t.is(last, next?.revision !== place?.revision, `event ${at}`);
    t.is(place?.position, at % 700);
  }
  for (const { after } of stream.cursors) t.is(after % 700, 0);
  const cursors = stream.cursors.length;
  t.true(cursors >= 3, 'at least every 1,000 events');
  await node.advance(5_100);
  await stream.until(() => stream.cursors.length > cursors);
  t.is(stream.cursors.at(-1)?.after, 2_800, 'with heartbeats');
  stream.stream.cancel();
});

/** The request that goes on after what a stream has received. */
function resumption(stream: NotifyClient): contract.NotifyRequestInit {
  const last = stream.cursors.at(-1);
  const seen = new Map<number, contract.EventPlace>();
  for (const { place } of stream.events.slice(last?.after))
    if (place !== null) seen.set(place.partition, place);
  const from = { kind: 'cursor', value: last?.cursor ?? new Uint8Array() } as const;
  return { space: jobs, from, seen: [...seen.values()] };
}

test('a stream resumes in the node’s next life without gap or repetition [8.7, 8.8]', async (t) => {
  const lives = [await startHouse(t)];
  const [house] = lives;
  if (house === undefined) return t.fail();
  let stream = house.bare.notify({ space: jobs, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const seen: number[] = [];
  let current = house;
  for (let life = 0; life < 3; life += 1) {
    for (let at = 0; at < 40; at += 1) await current.space.write([`tag-${at % 5}`, life, at]);
    await stream.until(() => stream.events.length > 10 + life);
    const request = resumption(stream);
    for (const event of stream.events) seen.push(event.tuple?.tupleId ?? 0);
    stream.stream.cancel();
    await current.client.close();
    await current.node.close();
    current = await startHouse(t, { disk: current.node.disk });
    stream = current.bare.notify(request);
  }
  await stream.until(() => seen.length + stream.events.length >= 120);
  for (const event of stream.events) seen.push(event.tuple?.tupleId ?? 0);
  t.is(seen.length, 120);
  t.is(new Set(seen).size, 120);
  stream.stream.cancel();
});

test('history goes back 8 MiB a partition; an older cursor is CURSOR_COMPACTED [8.8, 8.9]', async (t) => {
  const { space } = await startHouse(t);
  const stream = space.notify(['job', m.rest]);
  await stream.ready;
  const from = stream.position;
  await stream.return();
  if (from === undefined) return t.fail();
  const write = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at += 1) {
      await space.write(['job', at, 'x'.repeat(900_000)]);
      await space.takeIfExists(['job', m.rest]);
    }
  };
  // Each tuple is in two events: 3 of them are within 8 MiB, 6 are not.
  await write(3);
  t.is((await first(space.notify(['job', m.rest], { from }), 6)).length, 6);
  await write(3);
  const error = await t.throwsAsync(first(space.notify(['job', m.rest], { from }), 1), {
    instanceOf: TupletError,
  });
  t.like(error, { reason: 'CURSOR_COMPACTED', code: 'OUT_OF_RANGE', definite: true });
});

test('history goes back 10 minutes; an older cursor is CURSOR_COMPACTED [8.8, 8.9]', async (t) => {
  const { node, bare } = await startHouse(t);
  const stream = bare.notify({ space: jobs, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const request = resumption(stream);
  stream.stream.cancel();
  const write = (number: number) =>
    bare.call(methods.write, { space: jobs, tuple: tuple('job', number) });
  await write(1);
  await node.advance(590_000);
  await write(2);
  const within = bare.notify(request);
  await within.until(() => within.events.length === 2);
  within.stream.cancel();
  await node.advance(11_000);
  await write(3);
  t.is((await bare.notify(request).failed).reason, 'CURSOR_COMPACTED');
});
