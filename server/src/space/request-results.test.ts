import test from 'ava';
import type { SpaceId, TupleId } from '../base/ids.ts';
import type { Operation } from './command.ts';
import { Space } from './space.ts';
import { Driver, home, tuple } from './testing-driver.ts';

function request(n: number, space: SpaceId = home): Operation {
  return { kind: 'request', requestId: n.toString(16).padStart(8, '0'), space };
}

function write(d: Driver, operation: Operation, afterMs = 0) {
  return d.do(
    {
      kind: 'write',
      operation,
      space: home,
      tuples: [tuple('a')],
      absence: undefined,
      handOvers: [],
    },
    afterMs,
  );
}

test('SPEC §4: the result of a request is remembered for 5 minutes [4.16]', (t) => {
  const d = new Driver();
  write(d, request(1));
  write(d, request(1), 299_999);
  t.is(d.ready().length, 1);
  write(d, request(2), 1);
  t.is(d.space.result(request(1)), undefined);
  write(d, request(1));
  t.is(d.ready().length, 3);
});

test('SPEC §4: beyond their number the oldest results go, and only those [4.16]', (t) => {
  const d = new Driver({ requestResultsMax: 40 });
  for (let n = 0; n < 100; n += 1) write(d, request(n));
  for (let n = 0; n < 100; n += 1) t.is(d.space.result(request(n)) !== undefined, n >= 60);
});

test('SPEC §4: beyond their size the oldest results go [4.16]', (t) => {
  const d = new Driver({ requestResultBytesMax: 2_000 });
  for (let n = 0; n < 100; n += 1) write(d, request(n));
  const kept = Array.from({ length: 100 }, (_, n) => d.space.result(request(n)) !== undefined);
  const first = kept.indexOf(true);
  t.true(first > 10 && first < 90);
  t.false(kept.slice(first).includes(false));
});

test('a renewal, a cancellation and a replacement are remembered like a write', (t) => {
  const d = new Driver();
  const a = d.write('a', { leaseMs: 100 });
  const renew = { kind: 'renew', operation: request(1), tuple: a, leaseMs: 500 } as const;
  const first = d.do(renew, 5);
  t.deepEqual(d.do(renew, 50), first);
  const { revision } = d.space.stored(d.space.rowOf(a));
  const replace = { kind: 'replace', operation: request(2), tuple: a, revision } as const;
  const replaced = d.do({ ...replace, bytes: new Uint8Array([66]), leaseMs: 'keep' });
  t.like(replaced, { result: { kind: 'replaced' } });
  t.deepEqual(d.do({ ...replace, bytes: new Uint8Array([67]), leaseMs: 'keep' }), replaced);
  t.deepEqual(d.ready(), ['B']);
  t.like(d.cancel(a, request(3)), { result: { kind: 'cancelled', found: true } });
  t.like(d.cancel(a, request(3)), { result: { kind: 'cancelled', found: true } });
  t.like(d.cancel(a, request(4)), { result: { kind: 'cancelled', found: false } });
});

test('a request id of one space says nothing in another, after a snapshot either [4.16]', (t) => {
  const d = new Driver();
  const there = 2 as SpaceId;
  write(d, request(1));
  t.is(d.space.result(request(1, there)), undefined);
  t.like(d.cancel(9 as TupleId, request(1, there)), { result: { kind: 'cancelled' } });
  for (let n = 2; n < 300; n += 1) write(d, request(n, n % 2 === 0 ? home : there));
  const cut = d.space.beginSnapshot();
  const chunks: Uint8Array[] = [];
  for (let chunk = cut.next(); chunk !== undefined; chunk = cut.next()) chunks.push(chunk);
  const loaded = Space.load(chunks);
  loaded.verify();
  t.is(loaded.stateHash(), d.space.stateHash());
  for (const space of [d.space, loaded]) {
    t.like(space.result(request(1)), { kind: 'written' });
    t.like(space.result(request(1, there)), { kind: 'cancelled' });
    t.is(space.result(request(2, there)), undefined);
  }
});
