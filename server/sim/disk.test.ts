import test from 'ava';
import { testDisk } from './disk-suite.ts';
import { isDiskError, World } from './disk-world.ts';

testDisk(test, async () => {
  const world = new World(1, { delays: { writeMs: [0, 1], syncMs: [1, 2] } });
  return { disk: world.disk, until: (promise) => world.time.until(promise) };
});

async function fileOf(
  world: World,
  name: string,
): Promise<Awaited<ReturnType<World['disk']['open']>>> {
  const file = await world.time.until(world.disk.create(name));
  await world.time.until(world.disk.syncFolder(''));
  return file;
}

test('a power cut keeps what was synced, and of the rest any sectors', async (t) => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(seed);
    const file = await fileOf(world, 'a');
    await world.time.until(file.write(0, new Uint8Array(2048).fill(1)));
    await world.time.until(file.sync());
    await world.time.until(file.write(512, new Uint8Array(1024).fill(2)));
    world.disk.crash();
    const bytes = world.disk.contents('a') ?? new Uint8Array();
    t.is(bytes.length, 2048);
    outcomes.add([0, 512, 1024, 1536].map((at) => bytes[at]).join(''));
    for (let sector = 0; sector < 4; sector++) {
      t.is(new Set(bytes.subarray(sector * 512, sector * 512 + 512)).size, 1, 'a sector is whole');
    }
  }
  t.deepEqual([...outcomes].sort(), ['1111', '1121', '1211', '1221']);
});

test('bytes that no sync has covered are counted', async (t) => {
  const world = new World(1, { delays: { writeMs: [0, 0], syncMs: [5, 5] } });
  const file = await fileOf(world, 'a');
  t.is(world.disk.unsyncedBytes('a'), 0);
  await world.time.until(file.write(0, new Uint8Array(600)));
  await world.time.until(file.write(0, new Uint8Array(100)));
  t.is(world.disk.unsyncedBytes('a'), 700);
  await world.time.until(file.sync());
  t.is(world.disk.unsyncedBytes('a'), 0);
  t.is(world.disk.unsyncedBytes('b'), 0);
});

test('what is written while a sync is on its way is not made durable by it', async (t) => {
  const outcomes = new Set<number>();
  for (let seed = 1; seed <= 40; seed++) {
    const world = new World(seed, { delays: { writeMs: [0, 0], syncMs: [5, 5] } });
    const file = await fileOf(world, 'a');
    await world.time.until(file.write(0, new Uint8Array(512).fill(1)));
    const synced = file.sync();
    await world.time.until(file.write(512, new Uint8Array(512).fill(2)));
    await world.time.until(synced);
    world.disk.crash();
    const bytes = world.disk.contents('a') ?? new Uint8Array();
    t.is(bytes[0], 1);
    outcomes.add(bytes.length);
  }
  t.deepEqual([...outcomes].sort(), [1024, 512]);
});

test('names are lost or kept by chance until their folder is synced', async (t) => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(seed);
    const file = await fileOf(world, 'kept');
    await world.time.until(file.sync());
    await world.time.until(world.disk.create('new'));
    await world.time.until(world.disk.rename('kept', 'moved'));
    world.disk.crash();
    outcomes.add(world.disk.files().join());
  }
  t.deepEqual([...outcomes].sort(), ['kept', 'kept,new', 'moved', 'moved,new'].sort());
});

test('a process that dies leaves everything it wrote, and hears nothing more', async (t) => {
  const world = new World(1, { delays: { writeMs: [1, 1], syncMs: [1, 1] } });
  const file = await fileOf(world, 'a');
  let heard = 0;
  file.write(0, new Uint8Array(10).fill(1)).then(
    () => heard++,
    () => heard++,
  );
  world.disk.kill();
  await world.time.run(100);
  t.is(heard, 0);
  t.is(world.disk.contents('a')?.length, 10);
});

test('a full disk refuses growth and allows overwriting; space can come and go', async (t) => {
  const world = new World();
  const file = await fileOf(world, 'a');
  await world.time.until(file.write(0, new Uint8Array(1000)));
  world.disk.capacityBytes = 1000;
  await world.time.until(file.write(0, new Uint8Array(1000).fill(1)));
  const error = await t.throwsAsync(world.time.until(file.write(500, new Uint8Array(501))));
  t.true(isDiskError(error, 'full'));
  world.disk.capacityBytes = 2000;
  await world.time.until(file.write(500, new Uint8Array(501)));
  t.is(world.disk.counts.fullErrors, 1);
});

test('after a failed sync the data counts as clean, and is not on the disk', async (t) => {
  const world = new World(3);
  const file = await fileOf(world, 'a');
  await world.time.until(file.write(0, new Uint8Array(512).fill(1)));
  world.disk.failNext('sync', 'io');
  await t.throwsAsync(world.time.until(file.sync()));
  await world.time.until(file.sync());
  t.is((await world.time.until(file.read(0, 512)))[0], 1);
  world.disk.crash();
  t.is(world.disk.contents('a')?.length, 0);
});

test('faults come by chance, are counted, and are the same for the same seed', async (t) => {
  const run = async (seed: number): Promise<string> => {
    const world = new World(seed, { delays: { writeMs: [0, 1], syncMs: [0, 1] } });
    const file = await fileOf(world, 'a');
    world.disk.faults.writeError = 0.2;
    world.disk.faults.syncError = 0.2;
    world.disk.faults.readError = 0.2;
    world.disk.faults.slowSync = 0.2;
    let errors = 0;
    for (let round = 0; round < 100; round++) {
      const calls: (() => Promise<unknown>)[] = [
        () => file.write(round * 100, new Uint8Array(100)),
        () => file.sync(),
        () => file.read(0, 1),
      ];
      for (const call of calls) await world.time.until(call()).catch(() => errors++);
    }
    t.is(world.disk.counts.ioErrors, errors);
    t.true(world.disk.counts.slowSyncs > 5);
    world.disk.crash();
    return JSON.stringify([world.disk.counts, world.time.clock.monotonicMs()]);
  };
  t.is(await run(5), await run(5));
  t.not(await run(5), await run(6));
});
