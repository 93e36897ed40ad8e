import { DecodeError, Reader } from '@tuplet/proto';
import test from 'ava';
import type { SessionId, SpaceId, TupleId } from '../base/ids.ts';
import { ContentSum, type SpaceSum, sumOfSpaces } from './content-sum.ts';
import { RestoredSpace } from './restored-space.ts';
import type { Space } from './space.ts';
import { away, Driver, home, op } from './testing-driver.ts';
import { TupleReader } from './tuple-reader.ts';

const second = 2 as SpaceId;
const both: ReadonlySet<SpaceId> = new Set([home, second]);

function chunksOf(space: Space, size = 1e9): Uint8Array[] {
  const cut = space.beginSnapshot();
  const chunks: Uint8Array[] = [];
  for (let chunk = cut.next(size); chunk !== undefined; chunk = cut.next(size)) chunks.push(chunk);
  return chunks;
}

function restored(chunks: readonly Uint8Array[], spaces = both): Driver {
  const restoring = new RestoredSpace(spaces);
  for (const chunk of chunks) restoring.add(chunk);
  const d = new Driver();
  d.space = restoring.finish();
  d.space.verify();
  return d;
}

/** Three tuples of one space, the middle one handed over; one of another. */
function held(): Driver {
  const d = new Driver();
  d.know(away);
  d.write('a');
  const b = d.write('b', { leaseMs: 60_000 });
  d.write('c');
  d.hand(op(away, 1), b);
  d.write('x', { space: second, slot: 9 });
  return d;
}

function sumOf(space: Space): ReadonlyMap<string, SpaceSum> {
  const sum = new ContentSum();
  const reader = new TupleReader({
    begun: () => undefined,
    tuple: (tuple, bytes) => sum.add(tuple, bytes),
  });
  for (const chunk of chunksOf(space)) reader.add(chunk);
  reader.finish();
  return new Map([
    ['home', sum.of(home)],
    ['second', sum.of(second)],
  ]);
}

test('what was handed over is given back in its old place, delivered once more', (t) => {
  const d = restored(chunksOf(held().space));
  t.deepEqual(d.ready(), ['a', 'b', 'c']);
  t.deepEqual(d.ready(second), ['x']);
  t.deepEqual(d.space.counts(), { ready: 4, handed: 0 });
  const b = d.space.stored(d.space.rowOf((2 ** 44 + 2) as TupleId));
  t.like(b, { deliveries: 1, leaseEndMs: 1_060_000, state: 'ready' });
  t.is(d.space.stored(d.space.rowOf((2 ** 44 + 1) as TupleId)).deliveries, 0);
});

test('sessions, results and events stay behind, index and stamp do not', (t) => {
  const before = held();
  before.do({ kind: 'open-session', leaseMs: 5_000, name: '' });
  const d = restored(chunksOf(before.space));
  t.is(d.space.appliedIndex, before.space.appliedIndex);
  t.is(d.space.stampMs, before.space.stampMs);
  t.deepEqual(d.events(), []);
  t.is(d.space.session(away), 'unknown');
  t.like(d.hand(op(away, 1), (2 ** 44 + 1) as TupleId), { kind: 'stop' });
});

test('no id is given that the other cluster may have given since', (t) => {
  const before = held();
  const d = restored(chunksOf(before.space));
  const since = Array.from({ length: 100 }, () => before.write('y'));
  t.true(d.write('z') > Math.max(...since));
  const opened = d.do({ kind: 'open-session', leaseMs: 5_000, name: '' });
  const opening = before.do({ kind: 'open-session', leaseMs: 5_000, name: '' });
  const id = (outcome: unknown): SessionId => Reflect.get(outcome as object, 'session');
  t.true(id(opened) > id(opening));
});

test('tuples of spaces that are no more are left out', (t) => {
  const before = held();
  before.do({ kind: 'drop-space', space: home });
  t.deepEqual(before.space.counts(), { ready: 1, handed: 1 });
  const d = restored(chunksOf(before.space), new Set([second]));
  t.deepEqual(d.space.counts(), { ready: 1, handed: 0 });
  t.deepEqual(d.ready(second), ['x']);
  // The id of the space is free for tuples again.
  d.write('new');
  t.deepEqual(d.ready(), ['new']);
});

test('it is the same however the bytes are cut, and made again', (t) => {
  const chunks = chunksOf(held().space);
  const { space } = restored(chunks);
  for (const size of [1, 7, 64]) {
    const again = restored(chunksOf(held().space, size));
    t.is(again.space.stateHash(), space.stateHash());
  }
  t.not(space.stateHash(), held().space.stateHash());
});

test('bytes that are missing, or too many, are refused', (t) => {
  const whole = Buffer.concat(chunksOf(held().space));
  for (const bytes of [whole.subarray(0, -1), whole.subarray(0, 40), Buffer.concat([whole, whole])])
    t.throws(() => restored([bytes]), { instanceOf: DecodeError });
  t.throws(() => restored([]), { instanceOf: DecodeError });
});

test('a tuple that is left out of a snapshot is missed', (t) => {
  const whole = Buffer.concat(chunksOf(held().space));
  const reader = new Reader(whole);
  const ends = [0];
  while (reader.position < reader.end) {
    reader.lengthDelimited();
    ends.push(reader.position);
  }
  // The header is the first item, the first tuple the second.
  const [, from, to] = ends;
  const items = [whole.subarray(0, from), whole.subarray(to)];
  t.throws(() => restored(items), { instanceOf: DecodeError, message: /missing/ });
});

test('equal contents have equal sums, whatever else is different', (t) => {
  const one = held();
  const other = new Driver();
  other.stampMs = one.stampMs;
  other.write('later');
  other.cancel((2 ** 44 + 1) as TupleId);
  for (const text of ['c', 'a']) other.write(text);
  other.write('b', { leaseMs: 60_000 });
  other.write('x', { space: second });
  t.deepEqual(sumOf(other.space), sumOf(one.space));
  t.deepEqual(sumOf(restored(chunksOf(one.space)).space), sumOf(one.space));
  t.is(sumOfSpaces(sumOf(one.space)).tuples, 4);
});

test('bytes, leases, numbers and spaces make a difference', (t) => {
  const sum = (make: (d: Driver) => void): bigint => {
    const d = new Driver();
    make(d);
    return sumOfSpaces(sumOf(d.space)).checksum;
  };
  const sums = [
    sum((d) => d.write('a')),
    sum((d) => d.write('b')),
    sum((d) => d.write('a', { leaseMs: 60_000 })),
    sum((d) => d.write('a', { leaseMs: 60_001 })),
    sum((d) => d.write('a', { space: second })),
    sum((d) => [d.write('a'), d.write('a')]),
    sum(() => undefined),
  ];
  t.is(new Set(sums).size, sums.length);
});
