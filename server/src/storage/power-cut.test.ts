import test from 'ava';
import { World } from '../../sim/disk-world.ts';
import { StorageModel } from '../../sim/storage-model.ts';
import { StorageWorkload, type WorkloadCounts } from '../../sim/storage-workload.ts';
import type { OpenedStorage } from './storage.ts';

const worlds = 130;
const livesPerWorld = 10;
const leastDone: WorkloadCounts = {
  acknowledged: 10_000,
  snapshots: 1_000,
  installedBeyond: 100,
  installedAgainst: 100,
  installedWithin: 100,
  buried: 200,
  begunAnew: 200,
  replacedTails: 1_000,
  largeBatches: 1_000,
};

/** Runs a life of random length, and ends it in one of the ways in which lives end. */
async function live(world: World, work: StorageWorkload, opened: OpenedStorage): Promise<void> {
  const below = (count: number): number => world.random.uint32() % count;
  const { storage } = opened;
  const { disk, time } = world;
  const turns = below(60);
  for (let turn = 0; turn < turns && world.fatal.length === 0; turn++) {
    if (below(6) === 0) {
      // What is cut into a snapshot is durable, so the disk must come to rest for it.
      await time.run(8);
      work.manageRandom(storage);
    }
    work.appendRandom(storage);
    if (below(60) === 0) disk.failNext(below(2) === 0 ? 'write' : 'sync', 'io');
    if (below(40) === 0) disk.capacityBytes = disk.usedBytes() + below(100_000);
    if (below(20) === 0) disk.capacityBytes = Number.POSITIVE_INFINITY;
    if (below(3) > 0) await time.run(below(40) / 10);
    if (below(30) === 0) await time.run(1200);
  }
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  if (below(10) === 0 && world.fatal.length === 0 && !work.isBusy) {
    await time.until(storage.close());
  }
  if (below(4) === 0) {
    disk.kill();
    time.forget();
  } else world.crash();
  world.fatal.length = 0;
  work.forget();
}

/** Starts, sometimes with power cuts during the start itself. */
async function start(world: World): Promise<OpenedStorage> {
  for (;;) {
    if (world.random.uint32() % 5 > 0) return await world.openStorage();
    // Whoever waits for this start is gone with the power.
    world.openingStorage().catch(() => undefined);
    const steps = world.random.uint32() % 40;
    for (let step = 0; step < steps; step++) await world.time.step();
    world.crash();
  }
}

test('over 1,000 power cuts and crashes, nothing acknowledged is lost, and a prefix comes back', async (t) => {
  const sum = { powerCuts: 0, processCrashes: 0, tornWrites: 0, lostWrites: 0, lostNames: 0 };
  const done = new Map<keyof WorkloadCounts, number>();
  let trimmed = 0;
  let errors = 0;
  for (let seed = 1; seed <= worlds; seed++) {
    const world = new World(seed, { delays: { writeMs: [0.01, 0.4], syncMs: [0.1, 1.5] } });
    world.disk.faults.slowSync = 0.01;
    const model = new StorageModel();
    const work = new StorageWorkload(world, model);
    for (let life = 0; life < livesPerWorld; life++) {
      const opened = await start(world);
      const found = await world.time.until(model.found(opened, world.disk.files()));
      if (!model.allowed().includes(found)) {
        t.fail(`seed ${seed} life ${life}: found ${found}, allowed ${model.allowed().join(' | ')}`);
        return;
      }
      trimmed += opened.warnings.length;
      model.adopt();
      await live(world, work, opened);
      t.is(work.broken, undefined);
    }
    for (const [name, count] of Object.entries(work.counts) as [keyof WorkloadCounts, number][])
      done.set(name, (done.get(name) ?? 0) + count);
    errors += world.disk.counts.ioErrors + world.disk.counts.fullErrors;
    for (const name of Object.keys(sum) as (keyof typeof sum)[])
      sum[name] += world.disk.counts[name];
  }
  t.log({ ...sum, ...Object.fromEntries(done), trimmed, errors });
  t.true(sum.powerCuts >= 1000);
  t.true(sum.tornWrites > 100);
  t.true(sum.lostNames > 200);
  t.true(trimmed > 80);
  t.true(errors > 400);
  for (const [name, least] of Object.entries(leastDone) as [keyof WorkloadCounts, number][])
    t.true((done.get(name) ?? 0) >= least, name);
});
