import { EventEmitter } from 'node:events';
import { encodeTuple } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import { EventKind } from '@tuplet/proto/contract';
import test from 'ava';
import type { NotifyClient } from '../../test/gateway/client.ts';
import { start } from '../../test/gateway/start.ts';
import { any, HandClock, RouterBench, stored, template, tuple } from '../../test/router/bench.ts';
import type { LogIndex, Slot, SpaceId, StampMs } from '../base/ids.ts';
import type { HistoryBounds } from '../router/histories.ts';
import type { SpaceEvent } from '../space/history.ts';
import { InFlight } from './in-flight.ts';
import { notifyHandler } from './notify-handler.ts';

const { methods } = contract.TupleSpaceService;
const space = { name: 'default' };
const ifExists = { seconds: 0, nanos: 0 };
const fromNow = { kind: 'now', value: {} } as const;

function kindsOf({ events }: NotifyClient): readonly EventKind[] {
  return events.map(({ kind }) => kind);
}

/** Resumption as clients do it: the last cursor, and the latest place of each partition after it. */
function resumption(stream: NotifyClient): contract.NotifyRequestInit {
  const last = stream.cursors.at(-1);
  if (last === undefined) throw new Error('a stream begins with a cursor');
  const seen = new Map<number, contract.EventPlace>();
  for (const { place } of stream.events.slice(last.after))
    if (place !== null) seen.set(place.partition, place);
  return { space, from: { kind: 'cursor', value: last.cursor }, seen: [...seen.values()] };
}

test('notify streams what happens to matching tuples [8.1]', async (t) => {
  const { node, client } = await start(t);
  const stream = client.notify({ space, template: template('job', any), from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  t.is(stream.events.length, 0, '8.6 a cursor comes at the start');
  await client.call(methods.write, { space, tuple: tuple('other', 1) });
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  const { written } = await client.call(methods.write, { space, tuple: tuple('job', 2) });
  await client.call(methods.cancel, { space, tupleId: written?.tupleId });
  const lease = { seconds: 1, nanos: 0 };
  await client.call(methods.write, { space, tuple: tuple('job', 3), lease });
  await client.call(methods.take, { space, template: template('job', 1), wait: ifExists });
  await node.advance(1_500);
  await stream.until(() => stream.events.length >= 6);
  const { WRITTEN, CANCELLED, TAKEN, EXPIRED } = EventKind;
  t.deepEqual(kindsOf(stream), [WRITTEN, WRITTEN, CANCELLED, WRITTEN, TAKEN, EXPIRED]);
  t.true(stream.events.every(({ last }) => last));
  stream.stream.cancel();
});

test('a replacement is sent if either form matches, with both [8.2]', async (t) => {
  const { client } = await start(t);
  const streams = [1, 2, 3].map((number) =>
    client.notify({ space, template: template('job', number), from: fromNow }),
  );
  for (const stream of streams) await stream.until(() => stream.cursors.length > 0);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  const target = { kind: 'template', value: template('job', any) } as const;
  await client.call(methods.replace, { space, target, tuple: tuple('job', 2) });
  await client.call(methods.write, { space, tuple: tuple('job', 3) });
  const [one, two, three] = streams;
  if (!one || !two || !three) return t.fail();
  await three.until(() => three.events.length > 0);
  await one.until(() => one.events.length > 1);
  await two.until(() => two.events.length > 0);
  t.deepEqual(kindsOf(one), [EventKind.WRITTEN, EventKind.REPLACED]);
  t.deepEqual(kindsOf(two), [EventKind.REPLACED]);
  t.deepEqual(kindsOf(three), [EventKind.WRITTEN]);
  const [replaced] = two.events;
  t.deepEqual(Buffer.from(replaced?.old ?? []), Buffer.from(tuple('job', 1)));
  t.deepEqual(Buffer.from(replaced?.tuple?.tuple ?? []), Buffer.from(tuple('job', 2)));
  for (const { stream } of streams) stream.cancel();
});

test('only the kinds asked for are sent', async (t) => {
  const { client } = await start(t);
  const stream = client.notify({ space, kinds: [EventKind.TAKEN], from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  await client.call(methods.take, { space, template: template('job', any), wait: ifExists });
  await stream.until(() => stream.events.length > 0);
  t.deepEqual(kindsOf(stream), [EventKind.TAKEN]);
  stream.stream.cancel();
});

test('a stream that breaks anywhere resumes without gap or repetition [8.7]', async (t) => {
  const { client, connect } = await start(t);
  const total = 400;
  const seen: string[] = [];
  let request: contract.NotifyRequestInit = { space, from: fromNow };
  let stream = client.notify(request);
  await stream.until(() => stream.cursors.length > 0);
  for (let number = 0; number < total; number += 1) {
    const tag = `tag-${number % 7}`;
    await client.call(methods.write, { space, tuple: tuple(tag, number) });
    if (number % 53 !== 52) continue;
    // Breaks with events on their way: how many have come is chance.
    await stream.until(() => stream.events.length > 0);
    stream.stream.cancel();
    for (const { place } of stream.events) seen.push(`${place?.partition}:${place?.revision}`);
    request = resumption(stream);
    stream = connect().notify(request);
    await stream.until(() => stream.cursors.length > 0);
  }
  await stream.until(() => seen.length + stream.events.length >= total);
  for (const { place } of stream.events) seen.push(`${place?.partition}:${place?.revision}`);
  t.is(seen.length, total);
  t.is(new Set(seen).size, total);
  stream.stream.cancel();
});

test('the last event of a batch is marked, and no cursor lies inside it [8.5]', async (t) => {
  const { client } = await start(t);
  const stream = client.notify({ space, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const items = Array.from({ length: 1_000 }, (_, number) => ({ tuple: tuple('job', number) }));
  for (let batch = 0; batch < 3; batch += 1) await client.call(methods.writeMany, { space, items });
  await stream.until(() => stream.events.length >= 3_000);
  const marked = stream.events.flatMap(({ last }, at) => (last ? [at + 1] : []));
  t.deepEqual(marked, [1_000, 2_000, 3_000]);
  for (const { after } of stream.cursors) t.is(after % 1_000, 0);
  t.true(stream.cursors.length >= 3, '8.6 a cursor at least every 1,000 events');
  stream.stream.cancel();
});

test('cursors come at least every 1,000 events, and with heartbeats [8.6]', async (t) => {
  const { node, client } = await start(t);
  const stream = client.notify({ space, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const items = Array.from({ length: 30 }, (_, at) => ({ tuple: tuple(`tag-${at}`, at) }));
  for (let batch = 0; batch < 100; batch += 1)
    await client.call(methods.writeMany, { space, items });
  await stream.until(() => stream.events.length >= 3_000);
  const places = [0, ...stream.cursors.map(({ after }) => after), stream.events.length];
  for (const [at, place] of places.entries()) t.true(place - (places[at - 1] ?? 0) <= 1_000);
  const before = stream.cursors.length;
  await node.advance(5_100);
  await stream.until(() => stream.cursors.length > before);
  t.is(stream.cursors.at(-1)?.after, 3_000);
  stream.stream.cancel();
});

test('a cursor older than the history is refused, never passed over [8.9]', async (t) => {
  const { node, client } = await start(t);
  const stream = client.notify({ space, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  const [first] = stream.cursors;
  stream.stream.cancel();
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  // Ten minutes later the event is no longer kept.
  await node.advance(11 * 60_000);
  await client.call(methods.write, { space, tuple: tuple('job', 2) });
  const late = client.notify({
    space,
    from: { kind: 'cursor', value: first?.cursor ?? new Uint8Array(0) },
  });
  const failure = await late.failed;
  t.is(failure.reason, 'CURSOR_COMPACTED');
});

test('a cursor of another cluster, another space or none is refused', async (t) => {
  const { client } = await start(t);
  const other = await start(t);
  const foreign = other.client.notify({ space, from: fromNow });
  await foreign.until(() => foreign.cursors.length > 0);
  foreign.stream.cancel();
  const value = foreign.cursors[0]?.cursor ?? new Uint8Array(0);
  for (const cursor of [value, new Uint8Array([1, 2, 3]), new Uint8Array(0)]) {
    const stream = client.notify({ space, from: { kind: 'cursor', value: cursor } });
    t.is((await stream.failed).reason, 'CURSOR_INVALID');
  }
  await other.client.call(contract.AdminService.methods.createSpace, { name: 'jobs' });
  const elsewhere = other.client.notify({
    space: { name: 'jobs' },
    from: { kind: 'cursor', value },
  });
  t.is((await elsewhere.failed).reason, 'CURSOR_INVALID');
});

test('a stream on a space that is dropped ends at once', async (t) => {
  const { client } = await start(t);
  await client.call(contract.AdminService.methods.createSpace, { name: 'jobs' });
  const stream = client.notify({ space: { name: 'jobs' }, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  await client.call(contract.AdminService.methods.dropSpace, { name: 'jobs' });
  t.is((await stream.failed).reason, 'SPACE_NOT_FOUND');
});

test('a consumer that does not read slows nobody and misses nothing [8.10]', async (t) => {
  const { client, connect } = await start(t);
  const slow = connect().notify({ space, from: fromNow });
  await slow.until(() => slow.cursors.length > 0);
  slow.stream.pause();
  const large = 'x'.repeat(10_000);
  const items = Array.from({ length: 100 }, (_, at) => ({ tuple: tuple('job', at, large) }));
  for (let batch = 0; batch < 6; batch += 1) await client.call(methods.writeMany, { space, items });
  slow.stream.resume();
  await slow.until(() => slow.events.length >= 600);
  t.is(slow.events.length, 600);
  slow.stream.cancel();
});

test('one message is on its way to a consumer that does not read, and no more [8.10]', (t) => {
  const clock = new HandClock();
  let wake: () => void = () => undefined;
  let reads = 0;
  const event = (revision: number): SpaceEvent => ({
    place: { revision: revision as LogIndex, position: 0 },
    kind: 'written',
    last: true,
    stampMs: 0 as StampMs,
    space: 1 as SpaceId,
    slot: 0 as Slot,
    tuple: stored(1, revision, tuple('job', 'x'.repeat(100_000))),
    old: undefined,
  });
  const none = { revision: 0 as LogIndex, position: 0 };
  const history = {
    bounds: (answer: (bounds: HistoryBounds) => void) => answer({ last: none, cut: none }),
    close: () => undefined,
    read: ({ revision }: { revision: number }) => {
      reads += 1;
      return [event(revision + 1)];
    },
  };
  const handler = notifyHandler({
    spaces: new RouterBench({ partitions: 1 }).router.spaces,
    histories: {
      clusterId: '0',
      open: (_partition, run) => {
        wake = run;
        return history;
      },
      nowMs: () => clock.monotonicMs(),
    },
    inFlight: new InFlight(10),
    clock,
    failed: (error) => t.fail(String(error)),
  });
  const taken: (() => void)[] = [];
  const request = { space: { name: 'jobs' }, from: fromNow };
  const stream = Object.assign(new EventEmitter(), {
    request: Buffer.from(contract.NotifyRequest.encode(request)),
    getPeer: () => 'peer',
    write: (_bytes: Buffer, done: () => void) => taken.push(done),
  });
  handler(stream as unknown as Parameters<typeof handler>[0]);
  for (let each = 0; each < 100; each += 1) {
    wake();
    clock.turn();
  }
  t.is(taken.length, 1);
  t.is(reads, 0, 'the first message is the cursor alone');
  taken[0]?.();
  for (let each = 0; each < 100; each += 1) {
    wake();
    clock.turn();
  }
  t.is(taken.length, 2);
  t.true(reads <= 4, 'a message of 256 KiB is read from the history, and nothing ahead of it');
  stream.emit('cancelled');
});

test('events of the largest tuples fit their messages: two forms, and several of one revision [8.2, 8.5]', async (t) => {
  const { node, client } = await start(t);
  const { createSpace } = contract.AdminService.methods;
  const tupleBytesMax = 3 * 1024 * 1024;
  await client.call(createSpace, { name: 'large', settings: { tupleBytesMax } });
  const large = { name: 'large' };
  const bytes = new Uint8Array(2_900_000);
  const form = (number: number): Uint8Array => encodeTuple(['l', number, bytes], { tupleBytesMax });
  const stream = client.notify({ space: large, from: fromNow });
  await stream.until(() => stream.cursors.length > 0);
  await client.call(methods.write, { space: large, tuple: form(1) });
  const target = { kind: 'template', value: template('l', 1, any) } as const;
  await client.call(methods.replace, { space: large, target, tuple: form(2) });
  await client.call(methods.write, { space: large, tuple: form(3) });
  const { openSession, closeSession } = contract.SessionService.methods;
  const { sessionId } = await client.call(openSession, {});
  for (const sequence of [1, 2]) {
    const value = { sessionId, sequence, attempt: 1, floor: 1 };
    const operation = { kind: { kind: 'session', value } } as const;
    const search = { space: large, template: template('l', any, any), wait: ifExists };
    await client.call(methods.take, { ...search, operation });
  }
  await client.call(closeSession, { sessionId });
  await stream.until(() => stream.events.length >= 8);
  const half = (number: number): Uint8Array =>
    encodeTuple(['h', number, bytes.subarray(0, 1_600_000)], { tupleBytesMax });
  const items = [1, 2].map((number) => ({ tuple: half(number) }));
  await client.call(methods.writeMany, { space: large, items });
  await stream.until(() => stream.events.length >= 10);
  const { WRITTEN, REPLACED, TAKEN, RETURNED } = EventKind;
  const kinds = [
    WRITTEN,
    REPLACED,
    REPLACED,
    WRITTEN,
    TAKEN,
    TAKEN,
    RETURNED,
    RETURNED,
    WRITTEN,
    WRITTEN,
  ];
  t.deepEqual(kindsOf(stream), kinds);
  // Both forms exceed a message: they are two events of one place.
  const [, old, young] = stream.events;
  t.deepEqual(old?.place, young?.place);
  t.is(old?.tuple, null);
  t.true(Buffer.from(form(1)).equals(old?.old ?? new Uint8Array()));
  t.is(young?.old, null);
  t.true(Buffer.from(form(2)).equals(young?.tuple?.tuple ?? new Uint8Array()));
  t.deepEqual(
    stream.events.map(({ last }) => last),
    // Two large ones are given back by two entries, and written by one.
    [true, false, true, true, true, true, true, true, false, true],
  );
  const cursors = stream.cursors.length;
  await node.advance(5_100);
  await stream.until(() => stream.cursors.length > cursors);
  stream.stream.cancel();
});
