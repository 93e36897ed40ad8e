import test, { type ExecutionContext } from 'ava';
import { entryOf, markOf, World } from '../../sim/disk-world.ts';
import { modelGroups, StorageModel } from '../../sim/storage-model.ts';
import { StorageWorkload } from '../../sim/storage-workload.ts';
import { present } from '../base/assert.ts';
import type { GroupId, LogIndex } from '../base/ids.ts';
import { hostChecksum } from '../host/checksum.ts';
import { LogDamaged } from './damage.ts';
import { type Repaired, repair } from './repair.ts';
import { snapshotName } from './snapshots.ts';
import { type Survey, survey } from './survey.ts';

const group = 1 as GroupId;
const segment = 'log/000000000001';

async function look(world: World): Promise<Survey> {
  return await world.time.until(survey(world.disk, hostChecksum));
}

function acceptLoss(world: World, found: Survey): Promise<Repaired> {
  const options = { ...world.options(), reserveBytesMin: 16 * 1024 };
  return repair(world.disk, world.time.clock, options, found);
}

/** Damages the frame that an entry lies in. */
function damage(world: World, text: string): void {
  for (const name of world.disk.files().filter((each) => /^log\/\d{12}$/.test(each))) {
    const at = Buffer.from(world.disk.contents(name) ?? []).indexOf(text);
    if (at >= 0) world.disk.flipBit(name, at, 2);
  }
}

/** Entries 1 to `last` of groups 1 and 2, each in a frame of its own. */
async function written(last: number, bytes = 0): Promise<World> {
  const world = new World();
  const { storage } = await world.openStorage();
  for (let index = 1; index <= last; index++) {
    const text = `index ${index};`.padEnd(bytes, '.');
    const payload = new TextEncoder().encode(text);
    await world.append(storage.log, entryOf(1, index, 1, payload), entryOf(2, index, 1));
  }
  await world.time.until(storage.close());
  return world;
}

test('a folder that is whole is said to be, and nothing in it changes', async (t) => {
  const world = await written(5);
  const before = world.disk.files().map((name) => [name, world.disk.contents(name)]);
  const found = await look(world);
  t.deepEqual(found.log, { state: 'whole' });
  t.is(found.verdict, 'whole');
  t.like(found.groups[0], { group, lastIndex: 5, commit: 0, snapshot: 0, lost: undefined });
  t.deepEqual(
    world.disk.files().map((name) => [name, world.disk.contents(name)]),
    before,
  );
});

test('a torn tail is no loss', async (t) => {
  const world = await written(5);
  const file = await world.time.until(world.disk.open(segment));
  await world.time.until(file.write(40_000, new Uint8Array(100).fill(7)));
  const found = await look(world);
  t.deepEqual(found.log, {
    state: 'torn',
    place: { file: segment, offset: 40_000 },
    bytes: 104,
  });
  t.is(found.verdict, 'whole');
});

test('of a damaged log the frames before the damage are kept, and what is lost is named', async (t) => {
  const world = await written(30, 4000);
  damage(world, 'index 12;');
  await t.throwsAsync(world.openStorage(), { instanceOf: LogDamaged, message: /tuplet repair/ });
  const before = new Map(world.disk.files().map((name) => [name, world.disk.contents(name)]));
  const found = await look(world);
  t.like(found.log, { state: 'damaged', place: { file: segment, sequence: 13 } });
  t.is(found.verdict, 'loss');
  t.deepEqual(
    found.groups.map(({ lastIndex, lost }) => [lastIndex, lost?.from, lost?.to]),
    [
      [11, 12, 30],
      [11, 12, 30],
    ] as unknown as [],
  );
  const { folder, copies } = await world.time.until(acceptLoss(world, found));
  t.is(folder, 'repair-1');
  t.true(copies.length >= 2);
  for (const copy of copies) {
    const name = copy.replace('repair-1/log-', 'log/');
    t.deepEqual(world.disk.contents(copy), before.get(name), copy);
  }
  world.crash();
  const { recovered, storage } = await world.openStorage();
  t.is(recovered[0]?.lastIndex, 11 as LogIndex);
  await world.append(storage.log, entryOf(1, 12, 2));
  await world.time.until(storage.close());
  t.is((await look(world)).verdict, 'whole');
});

test('a snapshot behind the damage keeps its group there', async (t) => {
  const world = await written(30, 4000);
  const { storage } = await world.openStorage();
  const writer = await world.time.until(storage.snapshots.begin(markOf(1, 25)));
  await world.time.until(storage.complete(writer, 1n));
  await world.time.until(storage.close());
  damage(world, 'index 12;');
  const found = await look(world);
  t.deepEqual(
    found.groups.map(({ lastIndex, snapshot, lost }) => [
      lastIndex,
      snapshot,
      lost?.from,
      lost?.to,
    ]),
    [
      [25, 25, 26, 30],
      [11, 0, 12, 30],
    ] as unknown as [],
  );
  await world.time.until(acceptLoss(world, found));
  const { recovered } = await world.openStorage();
  t.deepEqual(
    recovered.map(({ lastIndex }) => lastIndex as number),
    [25, 11],
  );
});

/** A log that begins behind the older of two snapshots of group 1. */
async function confirmed(): Promise<World> {
  const world = await written(30, 4000);
  const { storage } = await world.openStorage();
  for (const index of [10, 20]) {
    for (const each of [1, 2]) {
      const writer = await world.time.until(storage.snapshots.begin(markOf(each, index)));
      await world.time.until(storage.complete(writer, 1n));
    }
  }
  for (const each of [1, 2]) await world.time.until(storage.confirm(each as GroupId));
  for (let index = 1; index <= 20; index++) {
    await world.append(storage.log, entryOf(3, index, 1, new Uint8Array(4000)));
  }
  await world.time.until(storage.close());
  return world;
}

test('a group whose newest snapshot is damaged goes back to the older, if that loss is accepted', async (t) => {
  const world = await confirmed();
  world.disk.flipBit(snapshotName(markOf(1, 20)), 50, 1);
  await t.throwsAsync(world.openStorage(), { instanceOf: LogDamaged, message: /entries 11 to/ });
  const found = await look(world);
  t.deepEqual(found.log, { state: 'whole' });
  t.is(found.verdict, 'loss');
  t.deepEqual(found.rewinds, new Set([group]));
  t.like(found.groups[0], { lastIndex: 10, snapshot: 10, lost: { from: 11, to: 30 } });
  t.like(found.groups[1], { lastIndex: 30, snapshot: 20, lost: undefined });
  await world.time.until(acceptLoss(world, found));
  t.true(world.disk.files().some((name) => name.startsWith('repair-1/snapshots-001-')));
  world.crash();
  const { recovered, storage } = await world.openStorage();
  t.deepEqual(
    recovered.map(({ lastIndex }) => lastIndex as number),
    [10, 30, 20],
  );
  await world.append(storage.log, entryOf(1, 11, 2));
  world.crash();
  t.is((await world.openStorage()).recovered[0]?.lastIndex, 11 as LogIndex);
});

test('an older snapshot that is damaged is told of', async (t) => {
  const world = await confirmed();
  world.disk.flipBit(snapshotName(markOf(1, 10)), 50, 1);
  const found = await look(world);
  t.is(found.verdict, 'whole');
  t.deepEqual(
    found.damagedSnapshots.map(({ mark }) => mark),
    [markOf(1, 10)],
  );
  t.is(found.wholeSnapshots.length, 3);
});

test('where no snapshot of a group is whole, or no frame is left, nothing is given up', async (t) => {
  const both = await confirmed();
  for (const index of [10, 20]) both.disk.flipBit(snapshotName(markOf(1, index)), 50, 1);
  const found = await look(both);
  t.is(found.verdict, 'hopeless');
  t.regex(found.groups[0]?.hopeless ?? '', /entries 1 to .* are not in it or a usable snapshot/);
  await t.throwsAsync(acceptLoss(both, found), { name: 'InvariantError' });
  const first = await written(5);
  first.disk.flipBit(segment, 2, 1);
  t.is((await look(first)).verdict, 'hopeless');
  const identity = await written(5);
  identity.disk.flipBit('log/identity', 9, 1);
  t.like(await look(identity), { verdict: 'hopeless', log: { state: 'damaged' } });
  const empty = new World();
  await t.throwsAsync(look(empty), { name: 'NothingToSurvey' });
});

/** A random life of a node's storage, at rest. */
async function lived(seed: number): Promise<{ world: World; model: StorageModel }> {
  const world = new World(seed);
  const model = new StorageModel();
  const work = new StorageWorkload(world, model);
  const { storage } = await world.openStorage();
  for (let turn = 0; turn < 100; turn++) {
    if (turn % 12 === 0) {
      await world.time.run(8);
      work.manageRandom(storage);
    }
    work.appendRandom(storage);
  }
  await world.time.run(50);
  world.crash();
  return { world, model };
}

async function repairRandom(t: ExecutionContext, seed: number): Promise<Survey['verdict']> {
  const { world, model } = await lived(seed);
  const below = (count: number): number => world.random.uint32() % count;
  const files = world.disk.files().filter((name) => /^(log\/\d|snapshots\/\d)/.test(name));
  for (let flips = 1 + below(2); flips > 0; flips--) {
    const name = present(files[below(files.length)], 'a file');
    world.disk.flipBit(name, below(world.disk.contents(name)?.length ?? 0), below(8));
  }
  const found = await look(world);
  if (found.verdict !== 'loss') {
    const started = await world.openStorage().then(
      () => 'whole',
      () => 'hopeless',
    );
    t.is(started, found.verdict, `seed ${seed}`);
    return found.verdict;
  }
  await t.throwsAsync(world.openStorage(), { instanceOf: LogDamaged }, `seed ${seed}`);
  // The power may fail meanwhile: then it is begun again.
  let rest = found;
  for (let attempt = 0; attempt < 30 && rest.verdict === 'loss'; attempt++) {
    acceptLoss(world, rest).catch(() => undefined);
    const steps = below(3) === 0 ? 10_000 : below(60);
    for (let step = 0; step < steps; step++) await world.time.step();
    world.crash();
    rest = await look(world);
  }
  const opened = await world.openStorage();
  const kept = await world.time.until(model.found(opened, world.disk.files()));
  const histories = model.digests().map((digest) => digest.split(' '));
  for (const [position, text] of kept.split(' ').entries()) {
    const id = modelGroups[position];
    const loss = found.groups.find((each) => each.group === id)?.lost;
    t.true((loss?.to ?? 0) <= model.highest(present(id, 'a group')), `seed ${seed}`);
    const texts = [...histories.map((each) => each[position]), ...model.snapshotTexts];
    const isKnown = texts.some((each) => logOf(each) === logOf(text));
    t.true(isKnown, `seed ${seed}: group ${id} was never ${text}`);
  }
  return 'loss';
}

/** Replica, and the log with all that it covers; term and vote may have been written later. */
function logOf(text = ''): string {
  const [before = '', , , , ...log] = text.split(/[:,]/);
  return [before, ...log].join();
}

test('after random damage a repaired log is one that there was, for each group', async (t) => {
  const verdicts = new Map<string, number>();
  for (let seed = 1; seed <= 120; seed++) {
    const verdict = await repairRandom(t, seed);
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
  }
  t.log(Object.fromEntries(verdicts));
  t.true((verdicts.get('loss') ?? 0) > 30);
});
