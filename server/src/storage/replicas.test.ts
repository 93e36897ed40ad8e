import test from 'ava';
import { entryOf, markOf, show, World } from '../../sim/disk-world.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { LogDamaged } from './damage.ts';
import type { HardState, LogBatch, ReplicaRecord, SnapshotMark } from './entry.ts';
import type { WriteAheadLog } from './log.ts';
import { snapshotName } from './snapshots.ts';
import type { Storage } from './storage.ts';

const group = 1 as GroupId;

function living(replica: number, of = 1): ReplicaRecord {
  return { group: of as GroupId, replica, state: 'living' };
}

function stateOf(term: number, vote: number, commit = 0): HardState {
  return { group, term: term as Term, vote, commit: commit as LogIndex };
}

async function append(world: World, log: WriteAheadLog, batch: Partial<LogBatch>): Promise<void> {
  await world.time.until(
    new Promise<void>((resolve) => log.append({ entries: [], ...batch }, resolve)),
  );
}

async function snapshot(
  world: World,
  storage: Storage,
  mark: SnapshotMark,
  replica: number,
): Promise<void> {
  const origin = { replica, context: new Uint8Array([replica, 7]) };
  const writer = await world.time.until(storage.snapshots.begin(mark, origin));
  await world.time.until(writer.add(new Uint8Array(100).fill(replica)));
  await world.time.until(storage.complete(writer, BigInt(replica)));
}

function snapshotFiles(world: World): readonly string[] {
  return world.disk.files().filter((name) => name.startsWith('snapshots/001'));
}

test('a replica, its kinds of entries and empty payloads come back, over segments too', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  const change = { ...entryOf(1, 2, 5), kind: 1 as const };
  const entries = [entryOf(1, 1, 5, new Uint8Array(0)), change];
  const vote = 2 ** 32 - 1;
  await append(world, storage.log, {
    replicas: [living(2 ** 32 - 1), living(7, 2)],
    entries,
    hardStates: [stateOf(5, vote, 1)],
  });
  for (let index = 1; index <= 40; index++) {
    await world.append(storage.log, entryOf(3, index, 1, new Uint8Array(4000)));
  }
  t.true(storage.log.segmentCount() > 2);
  world.crash();
  const { recovered, storage: next } = await world.openStorage();
  t.deepEqual(recovered[0]?.replica, living(2 ** 32 - 1));
  t.deepEqual(recovered[0]?.entries, entries);
  t.deepEqual(recovered[0]?.hardState, stateOf(5, vote, 1));
  t.deepEqual(recovered[1]?.replica, living(7, 2));
  t.is(recovered[2]?.replica, undefined);
  t.deepEqual(next.log.replicaOf(group), living(2 ** 32 - 1));
});

test('a vote and a replica have 32 bits', async (t) => {
  const world = new World();
  const { log } = await world.open();
  const bad: Partial<LogBatch>[] = [
    { hardStates: [stateOf(1, 2 ** 32)] },
    { hardStates: [stateOf(1, -1)] },
    { hardStates: [stateOf(1, 1.5)] },
    { replicas: [living(0)] },
    { replicas: [living(2 ** 32)] },
  ];
  for (const batch of bad) {
    t.throws(() => log.append({ entries: [], ...batch }, () => undefined), {
      name: 'InvariantError',
    });
  }
});

test('a snapshot says whose it is and carries its context', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await append(world, storage.log, {
    replicas: [living(4)],
    entries: [entryOf(1, 1), entryOf(1, 2)],
  });
  await snapshot(world, storage, markOf(1, 1), 4);
  await snapshot(world, storage, markOf(1, 2), 4);
  world.crash();
  world.disk.flipBit(snapshotName(markOf(1, 2)), 80, 1);
  const { storage: next } = await world.openStorage();
  t.like(next.snapshots.newest(group), { replica: 4, context: new Uint8Array([4, 7]) });
  await t.throwsAsync(snapshot(world, next, markOf(1, 2), 5), { name: 'InvariantError' });
});

test('of a removed replica nothing is left but its tombstone', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await append(world, storage.log, {
    replicas: [living(4)],
    entries: [entryOf(1, 1, 3), entryOf(2, 1)],
    hardStates: [stateOf(3, 9)],
  });
  await snapshot(world, storage, markOf(1, 1, 3), 4);
  await world.time.until(storage.bury(group, 4));
  t.deepEqual(snapshotFiles(world), []);
  t.is(storage.snapshots.newest(group), undefined);
  for (const batch of [
    { entries: [entryOf(1, 1, 3)] },
    { hardStates: [stateOf(3, 9)] },
    { marks: [markOf(1, 1, 3)] },
  ]) {
    const late = (): void => storage.log.append({ entries: [], ...batch }, () => undefined);
    t.throws(late, { name: 'InvariantError' });
  }
  world.crash();
  const { recovered } = await world.openStorage();
  t.like(recovered[0], {
    replica: { group, replica: 4, state: 'removed' },
    hardState: stateOf(0, 0),
    base: 0,
    entries: [],
    lastIndex: 0,
  });
  t.is(recovered[1]?.entries.length, 1);
});

test('a later replica begins from nothing, in a term of its own', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await append(world, storage.log, {
    replicas: [living(4)],
    entries: [1, 2, 3].map((index) => entryOf(1, index, 3)),
    hardStates: [stateOf(3, 9, 3)],
  });
  await snapshot(world, storage, markOf(1, 3, 3), 4);
  await world.time.until(storage.bury(group, 4));
  const batch = { replicas: [living(6)], entries: [entryOf(1, 1, 1)], hardStates: [stateOf(1, 6)] };
  await append(world, storage.log, batch);
  world.crash();
  const { recovered, storage: next } = await world.openStorage();
  t.deepEqual(recovered[0]?.replica, living(6));
  t.deepEqual(recovered[0]?.hardState, stateOf(1, 6));
  t.deepEqual(show(recovered[0]?.entries ?? []), show([entryOf(1, 1, 1)]));
  await snapshot(world, next, markOf(1, 1), 6);
  world.crash();
  t.is((await world.openStorage()).recovered[0]?.base, 1 as LogIndex);
});

test('the number of a replica is never used again, and one ends before the next begins', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  const begin = (replica: number): Promise<void> =>
    append(world, storage.log, { replicas: [living(replica)] });
  await begin(4);
  await t.throwsAsync(begin(4), { name: 'InvariantError' });
  await t.throwsAsync(begin(5), { name: 'InvariantError' });
  await world.time.until(storage.bury(group, 4));
  await world.time.until(storage.bury(group, 4));
  await t.throwsAsync(begin(4), { name: 'InvariantError' });
  await t.throwsAsync(begin(3), { name: 'InvariantError' });
  await begin(5);
  world.crash();
  t.deepEqual((await world.openStorage()).recovered[0]?.replica, living(5));
});

test('what a group had before it had replicas is not given to one', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1));
  await t.throwsAsync(append(world, log, { replicas: [living(1)] }), { name: 'InvariantError' });
});

test('a power cut at any moment of a burial brings back all of the replica or nothing', async (t) => {
  const outcomes = new Map<string, number>();
  for (let seed = 1; seed <= 80; seed++) {
    const world = new World(seed, { delays: { writeMs: [0.1, 0.2], syncMs: [0.5, 1] } });
    const { storage } = await world.openStorage();
    const entries = [1, 2, 3].map((index) => entryOf(1, index));
    await append(world, storage.log, { replicas: [living(4)], entries });
    await snapshot(world, storage, markOf(1, 1), 4);
    await snapshot(world, storage, markOf(1, 3), 4);
    const buried = storage.bury(group, 4);
    buried.catch(() => undefined);
    await world.time.run((seed % 20) / 4);
    world.crash();
    const { recovered } = await world.openStorage();
    const [found] = recovered;
    const files = snapshotFiles(world).length;
    const outcome = `${found?.replica?.state}, last ${found?.lastIndex}, ${files} snapshots`;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  t.deepEqual([...outcomes.keys()].sort(), [
    'living, last 3, 2 snapshots',
    'removed, last 0, 0 snapshots',
  ]);
});

for (const snapshots of [0, 1]) {
  const what = snapshots === 0 ? 'no snapshot' : 'one';
  test(`snapshots of an earlier replica that came back with the power are not loaded; the living has ${what}`, async (t) => {
    const world = new World();
    const { storage } = await world.openStorage();
    const entries = [1, 2, 3].map((index) => entryOf(1, index));
    await append(world, storage.log, { replicas: [living(4)], entries });
    await snapshot(world, storage, markOf(1, 3), 4);
    const name = snapshotName(markOf(1, 3));
    const bytes = world.disk.contents(name) ?? new Uint8Array();
    await world.time.until(storage.bury(group, 4));
    await append(world, storage.log, { replicas: [living(5)], entries: [entryOf(1, 1, 9)] });
    if (snapshots > 0) await snapshot(world, storage, markOf(1, 1, 9), 5);
    await world.time.until(storage.close());
    const file = await world.time.until(world.disk.create(name));
    await world.time.until(file.write(0, bytes));
    const { recovered, storage: next } = await world.openStorage();
    t.is(recovered[0]?.base, snapshots as LogIndex);
    t.is(recovered[0]?.lastIndex, 1 as LogIndex);
    t.is(next.snapshots.newest(group)?.replica, snapshots > 0 ? 5 : undefined);
    t.false(world.disk.files().includes(name));
  });
}

test('a snapshot of a replica that the log does not know is damage', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await world.append(storage.log, entryOf(2, 1));
  const origin = { replica: 4, context: new Uint8Array(0) };
  const writer = await world.time.until(storage.snapshots.begin(markOf(1, 3), origin));
  await world.time.until(writer.finish(0n));
  world.crash();
  await t.throwsAsync(world.openStorage(), {
    instanceOf: LogDamaged,
    message: /replica 4 is not in it/,
  });
});

test('a removed replica holds no segment, once its tombstone is durable', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await append(world, storage.log, { replicas: [living(4, 9)], entries: [entryOf(9, 1)] });
  for (let index = 1; index <= 100; index++) {
    await world.append(storage.log, entryOf(1, index, 1, new Uint8Array(4000)));
  }
  await world.mark(storage.log, markOf(1, 90));
  await world.mark(storage.log, markOf(1, 100));
  const before = storage.log.segmentCount();
  t.deepEqual(storage.log.holders(), [{ group: 9 as GroupId, needs: 'snapshot' }]);
  storage.log.append(
    { entries: [], replicas: [{ group: 9 as GroupId, replica: 4, state: 'removed' }] },
    () => undefined,
  );
  t.is(storage.log.segmentCount(), before);
  t.is(storage.log.holders().length, 1, 'not before');
  await world.time.run(10);
  t.true(storage.log.segmentCount() < before - 3);
  world.crash();
  t.is((await world.open()).recovered[1]?.replica?.state, 'removed');
});
