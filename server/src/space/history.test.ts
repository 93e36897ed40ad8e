import test from 'ava';
import type { LogIndex, TupleId } from '../base/ids.ts';
import { beforeAllEvents, type EventPlace } from './history.ts';
import { away, Driver, home, op, tuple } from './testing-driver.ts';

function place(revision: number, position: number): EventPlace {
  return { revision: revision as LogIndex, position };
}

test('SPEC §8: each kind of event comes in commit order, the last of an entry marked [8.4, 8.5]', (t) => {
  const d = new Driver();
  d.know(away);
  const write = { kind: 'write', operation: undefined, space: home, absence: undefined } as const;
  d.do({
    ...write,
    tuples: [tuple('a'), tuple('b', 20), tuple('c')],
    handOvers: [{ tuple: 1, to: op(away, 1) }],
  });
  const ids = d.allEvents().map((event) => event.tuple.id);
  const [a, b, c] = ids as [TupleId, TupleId, TupleId];
  d.do(
    {
      kind: 'replace',
      operation: undefined,
      tuple: a,
      revision: 2 as LogIndex,
      bytes: new Uint8Array([65]),
      leaseMs: 9,
    },
    3,
  );
  d.cancel(c);
  d.end(away);
  d.do({ kind: 'expire', tuples: [a, b] }, 50);
  const seen = d
    .allEvents()
    .map((e) => [e.kind, e.place.revision, e.place.position, e.last, e.tuple.id]);
  t.deepEqual(seen, [
    ['written', 2, 0, false, a],
    ['written', 2, 1, false, b],
    ['written', 2, 2, false, c],
    ['taken', 2, 3, true, b],
    ['replaced', 3, 0, true, a],
    ['cancelled', 4, 0, true, c],
    ['returned', 5, 0, true, b],
    ['expired', 6, 0, false, a],
    ['expired', 6, 1, true, b],
  ] as never);
  t.deepEqual([...new Set(d.allEvents().map((e) => e.space))], [home]);
  t.deepEqual(
    d.allEvents().map((e) => e.stampMs - 1_000_000),
    [0, 0, 0, 0, 3, 3, 3, 53, 53],
  );
});

test('reading begins after any place, stops at a number or size, and gives one event at least', (t) => {
  const d = new Driver();
  for (let i = 0; i < 300; i += 1) d.write(`tuple ${i} ${'x'.repeat(i % 200)}`);
  const { history } = d.space;
  for (const from of [0, 1, 137, 299]) {
    const events = history.read(place(from, 0), 1e6, 1e9);
    t.deepEqual(
      events === 'compacted' ? [] : events.map((e) => e.place.revision as number),
      Array.from({ length: 300 - from }, (_, i) => from + 1 + i),
    );
  }
  t.is(history.read(beforeAllEvents, 7, 1e9).length, 7);
  t.is(history.read(beforeAllEvents, 7, 1).length, 1);
  t.deepEqual(history.read(history.lastPlace, 7, 1e9), []);
  t.deepEqual(history.read(place(999, 0), 7, 1e9), []);
});

test('SPEC §8: history is cut by size and by time, and an older place is said to be compacted [8.8, 8.9]', (t) => {
  const d = new Driver({ historyBytesMax: 1_000, historyMs: 600_000 });
  for (let i = 0; i < 50; i += 1) d.write('x'.repeat(60));
  const { history } = d.space;
  t.true(history.bytes <= 1_000);
  t.true(history.bytes > 800);
  const { cutPlace } = history;
  t.is(history.read(place(cutPlace.revision - 1, 0), 1, 1e9), 'compacted');
  t.is((history.read(cutPlace, 1_000, 1e9) as readonly unknown[]).length, history.count);
  d.do({ kind: 'lead' }, 599_999);
  t.true(history.count > 0);
  d.do({ kind: 'lead' }, 1);
  t.is(history.count, 0);
  t.deepEqual(history.cutPlace, history.lastPlace);
  t.deepEqual(history.read(history.lastPlace, 1, 1e9), []);
  t.is(history.read(cutPlace, 1, 1e9), 'compacted');
});

test('a history that is off keeps nothing and never stays silent about it', (t) => {
  const d = new Driver({ historyBytesMax: 0 });
  const before = d.space.history.lastPlace;
  d.write('a');
  t.is(d.space.history.count, 0);
  t.is(d.space.history.read(before, 1, 1e9), 'compacted');
  t.deepEqual(d.space.history.read(d.space.history.lastPlace, 1, 1e9), []);
});

test('blocks that are wholly cut are given back', (t) => {
  const d = new Driver({ historyBytesMax: 100_000 });
  for (let i = 0; i < 3_000; i += 1) {
    d.space.apply((d.space.appliedIndex + 1) as LogIndex, {
      stampMs: d.space.stampMs,
      command: {
        kind: 'write',
        operation: undefined,
        space: home,
        tuples: [tuple('y'.repeat(300))],
        absence: undefined,
        handOvers: [],
      },
    });
  }
  t.true(d.space.heldBytes.history < 300_000);
  d.space.verify();
});
