import test from 'ava';
import type { LogIndex, PartitionId, Slot, SpaceId, StampMs, TupleId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { noRow, type Row } from './rows.ts';
import { TupleStore } from './tuple-store.ts';

const space = 1 as SpaceId;

/** A store of `count` tuples whose bytes tell their counter and have different sizes. */
function filled(count: number, leaseMs?: (counter: number) => number): TupleStore {
  const tuples = new TupleStore(2 as PartitionId);
  for (let counter = 1; counter <= count; counter += 1) {
    tuples.add(
      {
        counter,
        revision: counter as LogIndex,
        writtenAtMs: 5 as StampMs,
        space,
        slot: 0 as Slot,
        handed: false,
        deliveries: 0,
        leaseEndMs: leaseMs === undefined ? Number.POSITIVE_INFINITY : leaseMs(counter),
      },
      content(counter),
    );
  }
  return tuples;
}

function content(counter: number): Uint8Array {
  const bytes = new Uint8Array(40 + (counter % 90));
  new DataView(bytes.buffer).setUint32(0, counter);
  return bytes;
}

function rowOf(tuples: TupleStore, counter: number): Row {
  return tuples.rowOf((2 * 2 ** 44 + counter) as TupleId);
}

/** A fixed sequence of numbers below `max` that looks random (Numerical Recipes' generator). */
function* scattered(max: number): Generator<number> {
  for (let x = 12_345; ; x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0) {
    yield Math.floor((x / 2 ** 32) * max);
  }
}

test('a hundred thousand tuples are found by id, and those removed are not', (t) => {
  const count = 100_000;
  const tuples = filled(count);
  const gone = new Set<number>();
  for (const at of scattered(count)) {
    if (gone.size === count / 2) break;
    if (gone.has(at + 1)) continue;
    gone.add(at + 1);
    tuples.remove(rowOf(tuples, at + 1));
  }
  for (let counter = 1; counter <= count; counter += 1) {
    const row = rowOf(tuples, counter);
    if ((row === noRow) !== gone.has(counter)) t.fail(`tuple ${counter}`);
  }
  t.is(tuples.rowOf((3 * 2 ** 44 + 1) as TupleId), noRow);
  t.is(tuples.rowOf((2 * 2 ** 44 + count + 1) as TupleId), noRow);
  tuples.verify();
});

test('rows of removed tuples are used again, and pages do not grow', (t) => {
  const tuples = filled(5_000);
  const { rowCount } = tuples.rows;
  for (let round = 0; round < 5; round += 1) {
    const first = round * 4_000 + 1;
    for (let counter = first; counter < first + 4_000; counter += 1) {
      tuples.remove(rowOf(tuples, counter));
      tuples.add(
        {
          counter: counter + 5_000,
          revision: 1 as LogIndex,
          writtenAtMs: 5 as StampMs,
          space,
          slot: 0 as Slot,
          handed: false,
          deliveries: 0,
          leaseEndMs: Number.POSITIVE_INFINITY,
        },
        content(counter + 5_000),
      );
    }
  }
  t.is(tuples.rows.rowCount, rowCount);
  tuples.verify();
});

test('compaction in slices gives memory back and changes no tuple, row or order', (t) => {
  const count = 40_000;
  const tuples = filled(count);
  const full = tuples.slabs.heldBytes;
  for (let counter = 1; counter <= count; counter += 1) {
    if (counter % 10 !== 0) tuples.remove(rowOf(tuples, counter));
  }
  const before = tuples.slabs.heldBytes;
  t.true(before > full / 2);
  const rows = Array.from({ length: count / 10 }, (_, i) => rowOf(tuples, (i + 1) * 10));
  let slices = 1;
  while (tuples.compactSlice(1_000)) {
    slices += 1;
    if (slices % 7 === 0) tuples.verify();
  }
  t.true(slices > 30);
  tuples.verify();
  t.true(tuples.slabs.heldBytes < before / 4);
  for (const [i, row] of rows.entries()) {
    const counter = (i + 1) * 10;
    t.is(rowOf(tuples, counter), row);
    if (!Buffer.from(tuples.bytesOf(row)).equals(content(counter))) t.fail(`tuple ${counter}`);
  }
  t.false(tuples.compactSlice(1_000));
});

test('compaction waits while a snapshot holds the bytes, and little garbage is left alone', (t) => {
  const tuples = filled(40_000);
  for (let counter = 1; counter <= 39_000; counter += 1) tuples.remove(rowOf(tuples, counter));
  const dead = tuples.slabs.heldBytes - tuples.slabs.liveBytes;
  t.true(dead < limits.slabDeadBytesMin, 'chunks that are wholly dead go by themselves');
  t.false(tuples.compactSlice(1e9));
  const held = filled(40_000);
  held.slabs.hold();
  for (let counter = 1; counter <= 40_000; counter += 1) {
    if (counter % 5 > 0) held.remove(rowOf(held, counter));
  }
  t.false(held.compactSlice(1e9));
  const before = held.slabs.heldBytes;
  held.slabs.release();
  held.compactSlice(1e9);
  t.true(held.slabs.heldBytes < before / 2);
  held.verify();
});

test('bytes given up while a snapshot holds them stay as they were', (t) => {
  const tuples = filled(5_000);
  const places = Array.from({ length: 5_000 }, (_, i) => {
    const row = rowOf(tuples, i + 1);
    return { place: tuples.rows.place(row), size: tuples.rows.size(row) };
  });
  tuples.slabs.hold();
  for (let counter = 1; counter <= 5_000; counter += 1) tuples.remove(rowOf(tuples, counter));
  const more = content(9);
  for (let i = 0; i < 5_000; i += 1) tuples.slabs.add(more.fill(255));
  for (const [i, { place, size }] of places.entries()) {
    const same = Buffer.from(tuples.slabs.view(place, size)).equals(content(i + 1));
    if (!same) t.fail(`tuple ${i + 1}`);
  }
  tuples.slabs.release();
  t.throws(() => tuples.slabs.release());
});

test('large tuples have memory of their own, given back with them', (t) => {
  const tuples = new TupleStore(2 as PartitionId);
  const bytes = new Uint8Array(3 * 1024 * 1024).fill(3);
  const columns = { revision: 1 as LogIndex, writtenAtMs: 5 as StampMs, space, slot: 0 as Slot };
  const rest = { handed: false, deliveries: 0, leaseEndMs: Number.POSITIVE_INFINITY };
  const row = tuples.add({ ...columns, ...rest, counter: 1 }, bytes);
  t.true(Buffer.from(tuples.bytesOf(row)).equals(bytes));
  t.is(tuples.slabs.heldBytes, bytes.length);
  tuples.remove(row);
  t.is(tuples.slabs.heldBytes, 0);
  tuples.verify();
});

test('ready tuples are found past any pattern of handed ones, which come back in their places', (t) => {
  const count = 200;
  const tuples = filled(count);
  const handed = new Set<number>();
  const ready = () => {
    const seen: number[] = [];
    const list = tuples.list(space);
    for (let row = list?.oldestReady ?? noRow; row !== noRow; row = list?.nextReady(row) ?? noRow) {
      seen.push(tuples.rows.counter(row));
    }
    return seen;
  };
  let steps = 0;
  for (const at of scattered(count)) {
    steps += 1;
    if (steps > 3_000) break;
    const counter = at + 1;
    const row = rowOf(tuples, counter);
    if (handed.delete(counter)) tuples.giveBack(row);
    else {
      handed.add(counter);
      tuples.handOver(row);
    }
    if (steps % 50 > 0) continue;
    tuples.verify();
    const expected = Array.from({ length: count }, (_, i) => i + 1).filter((c) => !handed.has(c));
    t.deepEqual(ready(), expected);
  }
});

test('a reader whose row was handed over meanwhile goes on with the next ready one', (t) => {
  const tuples = filled(10);
  for (const counter of [3, 4, 5, 6]) tuples.handOver(rowOf(tuples, counter));
  const list = tuples.list(space);
  for (const counter of [2, 3, 4, 6]) {
    t.is(list?.nextReady(rowOf(tuples, counter)), rowOf(tuples, 7));
  }
  for (const counter of [7, 8, 9, 10]) tuples.handOver(rowOf(tuples, counter));
  t.is(list?.nextReady(rowOf(tuples, 4)), noRow);
});

test('deadlines come out in any order, bounded in number and bytes', (t) => {
  const tuples = filled(2_000, (counter) => 10 + ((counter * 7_919) % 500));
  t.is(tuples.deadlines.nextMs, 10);
  const due = tuples.expired(100 as StampMs, 5_000, 1e9);
  const expected = Array.from({ length: 2_000 }, (_, i) => i + 1)
    .filter((counter) => 10 + ((counter * 7_919) % 500) <= 100)
    .map((counter) => 2 * 2 ** 44 + counter);
  t.deepEqual([...due].sort((a, b) => a - b) as number[], expected);
  t.is(tuples.expired(100 as StampMs, 7, 1e9).length, 7);
  t.is(tuples.expired(100 as StampMs, 7, 1).length, 1);
  for (const id of due) tuples.remove(tuples.rowOf(id));
  t.is(tuples.expired(100 as StampMs, 7, 1e9).length, 0);
  tuples.verify();
});

test('tuples for answers share memory, keep their bytes, and those that are kept have their own', (t) => {
  const count = 1_000;
  const tuples = filled(count);
  const large = tuples.add(
    {
      counter: count + 1,
      revision: 1 as LogIndex,
      writtenAtMs: 5 as StampMs,
      space,
      slot: 0 as Slot,
      handed: false,
      deliveries: 0,
      leaseEndMs: Number.POSITIVE_INFINITY,
    },
    new Uint8Array(limits.copyBytesMax + 1).fill(7),
  );
  const stored = Array.from({ length: count }, (_, i) => tuples.stored(rowOf(tuples, i + 1)));
  for (let counter = 1; counter <= count; counter += 1) tuples.remove(rowOf(tuples, counter));
  for (const [i, { bytes }] of stored.entries()) t.deepEqual(bytes, content(i + 1));
  t.is(new Set(stored.map(({ bytes }) => bytes.buffer)).size, 6, 'chunks of 16 KiB');
  t.is(tuples.stored(large).bytes.buffer.byteLength, limits.copyBytesMax + 1);
  const own = filled(1);
  t.is(own.kept(rowOf(own, 1)).bytes.buffer.byteLength, content(1).length);
});
