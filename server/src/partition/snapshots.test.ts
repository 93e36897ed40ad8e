import test from 'ava';
import { defaultSpace, HostWorld } from '../../sim/host-world.ts';
import type { PartitionId, SpaceId } from '../base/ids.ts';
import { dropSettleMs } from '../base/limits.ts';
import type { HostOptions, PartitionHost } from './partition-host.ts';
import { openData } from './recovery.ts';

const p1 = 1 as PartitionId;
const p2 = 2 as PartitionId;
const often: Partial<HostOptions> = { snapshotTailBytes: 4_000, hashesCuts: true };

/** Writes so many tuples of a few hundred bytes, one after the other in batches of ten. */
async function load(
  world: HostWorld,
  host: PartitionHost,
  count: number,
  space: SpaceId = defaultSpace,
): Promise<void> {
  const router = world.router(host);
  for (let from = 0; from < count; from += 10) {
    let call = 0;
    for (let each = from; each < from + 10; each += 1) {
      call = router.write(p1, ['job', each, 'x'.repeat(200)], { space });
    }
    await world.answer(router, call);
    await world.time.run(2);
  }
  router.detach();
}

/**
 * Fills a space and drops it, again and again, with ten minutes between, after which the history is
 * cut: much passes through the log, and little stays.
 */
async function churn(world: HostWorld, host: PartitionHost, cycles: number): Promise<void> {
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const created = await world.createSpace(host, 'scratch');
    await load(world, host, 100, created.kind === 'created' ? created.space.id : defaultSpace);
    await world.dropSpace(host, 'scratch');
    await world.time.run(dropSettleMs + 2_000);
    world.pause(600_000);
  }
}

/** The segments of the log, spares included. */
function segmentsOf(world: HostWorld): readonly string[] {
  return world.disk.files().filter((name) => /^log\/\d+$/.test(name));
}

/** The names of the snapshots of a group, oldest first. */
function snapshotsOf(world: HostWorld, group: number): readonly string[] {
  const prefix = `snapshots/${String(group).padStart(3, '0')}-`;
  return world.disk.files().filter((name) => name.startsWith(prefix) && !name.endsWith('.new'));
}

test('snapshots are cut under load, two are kept, and the log goes on only back to the older', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2, ...often });
  await churn(world, host, 40);
  t.true(host.stats().snapshots >= 5, String(host.stats().snapshots));
  t.is(snapshotsOf(world, 1).length, 2);
  // A megabyte of entries has passed through segments of 64 KiB; each frame carries a commit index as well.
  const segments = segmentsOf(world);
  t.true(segments.length <= 12, segments.join());
  t.not(segments[0], 'log/000000000001');
  t.deepEqual(world.fatal, []);
  await world.close(host);
});

test('a state from a snapshot and the entries after it equals the state that was (same hash)', async (t) => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const world = new HostWorld(seed);
    const host = await world.start({ partitions: 2, ...often });
    await load(world, host, 200 + 37 * seed);
    await world.close(host);
    t.true(snapshotsOf(world, 1).length > 0);
    const options = { ...world.hostOptions(), segmentBytes: 64 * 1024, reserveBytesMin: 16 * 1024 };
    const data = await world.time.until(openData(world.disk, world.clock, options));
    for (const partition of [p1, p2]) {
      const space = data.recovered.spaceOf(partition);
      t.is(space.appliedIndex, host.spaceOf(partition).appliedIndex);
      t.is(space.stateHash(), host.spaceOf(partition).stateHash());
    }
    t.deepEqual(data.recovered.map.state(), host.map.cluster.state());
  }
});

test('a power cut at any point of a snapshot loses nothing', async (t) => {
  let duringCut = 0;
  for (let seed = 1; seed <= 32; seed += 1) {
    const world = new HostWorld(seed);
    const host = await world.start({ partitions: 1, ...often });
    const router = world.router(host);
    const calls: number[] = [];
    const isCutting = (): boolean => world.disk.files().some((name) => name.endsWith('.new'));
    // Some way into a snapshot, or at any time.
    let left = seed % 4 === 0 ? 1_500 : Number.POSITIVE_INFINITY;
    for (let step = 0; left > 0; step += 1) {
      if (step % 8 === 0) calls.push(router.write(p1, ['job', step, 'x'.repeat(200)]));
      await world.time.step();
      left -= 1;
      if (left > 1_500 && isCutting()) left = 1 + (world.random.uint32() % 40);
    }
    if (isCutting()) duringCut += 1;
    const kept = calls.filter((call) => router.last(call)?.kind === 'result').length;
    world.crash();
    const again = await world.start(often);
    const { ready } = again.spaceOf(p1).counts(defaultSpace);
    t.true(
      ready >= kept && ready <= calls.length,
      `seed ${seed}: ${kept} of ${calls.length}, ${ready}`,
    );
    await world.close(again);
  }
  t.true(duringCut >= 6, `${duringCut} cuts met a snapshot on its way`);
});

test('where the newest snapshot is damaged the older one and the log after it are used', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1, ...often });
  await load(world, host, 500);
  await world.time.run(1_000);
  await world.close(host);
  const names = snapshotsOf(world, 1);
  t.is(names.length, 2);
  world.disk.flipBit(names[1] ?? '', 1_000, 3);
  const again = await world.start(often);
  t.is(again.spaceOf(p1).counts(defaultSpace).ready, 500);
  t.regex(world.warnings.join(), /damaged/);
  await world.close(again);
});

test('where no snapshot is whole and the log does not reach back, the start is refused', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1, ...often });
  await churn(world, host, 40);
  await world.close(host);
  for (const name of snapshotsOf(world, 1)) world.disk.flipBit(name, 100, 3);
  await t.throwsAsync(world.start(often), { name: 'LogDamaged' });
  // And the folder is let go, unchanged.
  await t.throwsAsync(world.start(often), { name: 'LogDamaged' });
});

test('groups that idle do not keep the log: they are made to cut a snapshot too', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 4, snapshotTailBytes: 20_000 });
  const router = world.router(host);
  await world.answer(router, router.write(p2, ['alone']));
  await churn(world, host, 40);
  const segments = segmentsOf(world);
  t.true(segments.length <= 12, segments.join());
  t.not(segments[0], 'log/000000000001');
  for (const group of [0, 2, 3, 4]) t.true(snapshotsOf(world, group).length > 0, `group ${group}`);
  await world.close(host);
  const again = await world.start(often);
  t.is(again.spaceOf(p2).counts(defaultSpace).ready, 1);
  t.truthy(again.map.cluster.space('default'));
  await world.close(again);
});

test('closing gives up a snapshot that is on its way, and leaves no trace of it', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1, snapshotTailBytes: 500_000 });
  await load(world, host, 2_000);
  const router = world.router(host);
  while (!world.disk.files().some((name) => name.endsWith('.new'))) {
    await world.answer(router, router.write(p1, ['more', 'x'.repeat(2_000)]));
  }
  await world.close(host);
  t.false(world.disk.files().some((name) => name.endsWith('.new')));
  await world.close(await world.start());
});

test('a snapshot that finds the disk full is given up, and cut later when there is room', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1, snapshotTailBytes: 100_000 });
  await load(world, host, 300);
  world.disk.capacityBytes = world.disk.usedBytes();
  const router = world.router(host);
  for (let each = 0; each < 300; each += 1) {
    await world.answer(router, router.write(p1, ['more', 'x'.repeat(500)]));
  }
  await world.time.run(3_000);
  world.disk.capacityBytes = Number.POSITIVE_INFINITY;
  await world.time.run(5_000);
  t.is((await world.answer(router, router.write(p1, ['after']))).kind, 'result');
  await load(world, host, 500);
  await world.time.run(3_000);
  t.true(host.stats().snapshots > 0);
  t.deepEqual(world.fatal, []);
  await world.close(host);
});
