import test from 'ava';
import { HostWorld } from '../../sim/host-world.ts';
import type { Clock } from '../base/doors.ts';
import type { PartitionId } from '../base/ids.ts';
import { compactMs, compactPieceRows, compactRows, idleTickMs, limits } from '../base/limits.ts';
import { Compactor } from './compactor.ts';

const p1 = 1 as PartitionId;

/** A space that has so many rows to look at, each piece of which takes so long. */
class Scattered {
  rowsLeft: number;
  readonly space = {
    compactSlice: (budgetRows: number): boolean => {
      this.looks += 1;
      this.rowsLeft = Math.max(0, this.rowsLeft - budgetRows);
      this.clock.ms += this.pieceMs;
      return this.rowsLeft > 0;
    },
  };
  looks = 0;
  readonly clock: { ms: number };
  readonly pieceMs: number;

  constructor(clock: { ms: number }, rows: number, pieceMs = 0) {
    this.clock = clock;
    this.rowsLeft = rows;
    this.pieceMs = pieceMs;
  }
}

function clockOf(time: { ms: number }): Clock {
  const unused = (): never => {
    throw new Error('compaction has no timers');
  };
  return { monotonicMs: () => time.ms, wallMs: unused, after: unused, soon: unused };
}

test('a tick compacts until its time is over, and the next goes on', (t) => {
  const time = { ms: 0 };
  const space = new Scattered(time, 100 * compactPieceRows, compactMs / 4);
  const compactor = new Compactor(clockOf(time), [space]);
  for (let ticks = 1; ticks <= 25; ticks += 1) {
    compactor.tick();
    t.is(space.looks, 4 * ticks);
  }
  t.is(space.rowsLeft, 0);
});

test('a tick looks at a bounded number of rows, whatever the clock says', (t) => {
  const time = { ms: 0 };
  const space = new Scattered(time, 10 * compactRows);
  new Compactor(clockOf(time), [space]).tick();
  t.is(space.rowsLeft, 9 * compactRows);
});

test('partitions take turns, and one without work costs one look', (t) => {
  const time = { ms: 0 };
  const spaces = [0, 2 * compactRows, 0].map((rows) => new Scattered(time, rows));
  const compactor = new Compactor(clockOf(time), spaces);
  const worked = [];
  for (let ticks = 0; ticks < 7; ticks += 1) {
    const before = spaces.map(({ looks }) => looks);
    compactor.tick();
    worked.push(spaces.findIndex(({ looks }, at) => looks > (before[at] ?? 0)));
  }
  t.deepEqual(worked, [0, 1, 1, 2, 0, 1, 2]);
  t.is(spaces[0]?.looks, 2);
});

test('a partition goes whose turn it is, and the others have theirs', (t) => {
  const time = { ms: 0 };
  const spaces = [0, 0, 0].map((rows) => new Scattered(time, rows));
  const compactor = new Compactor(clockOf(time), spaces);
  for (let ticks = 0; ticks < 2; ticks += 1) compactor.tick();
  spaces.pop();
  for (let ticks = 0; ticks < 4; ticks += 1) compactor.tick();
  t.deepEqual(
    spaces.map(({ looks }) => looks),
    [3, 3],
  );
});

test('the memory of a peak comes back while a few tuples of it stay, and nothing else changes', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  let call = 0;
  for (let each = 0; each < 4_000; each += 1) {
    const lease = each % 10 === 0 ? {} : { leaseMs: 5_000 };
    call = router.write(p1, ['job', each, 'x'.repeat(1_000)], lease);
    if (each % 100 === 99) await world.answer(router, call);
  }
  const space = host.spaceOf(p1);
  t.is(space.counts().ready, 4_000);
  const peakBytes = space.heldBytes.tuples;
  t.true(peakBytes > 4_000_000);
  await world.time.run(5_200);
  t.is(space.counts().ready, 400, 'the others expired');
  await world.time.run(20 * idleTickMs);
  const { tuples } = space.heldBytes;
  t.true(tuples < 400 * 1_100 + limits.slabDeadBytesMin + 300_000, `${tuples} of ${peakBytes}`);
  space.verify();
  const counted = await world.answer(router, router.count(p1));
  t.is(counted.kind === 'counted' ? counted.count : -1, 400);
  await world.close(host);
});
