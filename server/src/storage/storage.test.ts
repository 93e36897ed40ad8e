import test from 'ava';
import { entryOf, markOf, show, World } from '../../sim/disk-world.ts';
import { DiskError } from '../base/doors.ts';
import type { GroupId } from '../base/ids.ts';
import { LogDamaged, SnapshotDamaged } from './damage.ts';
import { snapshotName } from './snapshots.ts';
import type { Storage } from './storage.ts';

const group = 1 as GroupId;

/** Appends entries of 2 kB up to an index, and completes a snapshot there. */
async function snapshotAt(
  world: World,
  storage: Storage,
  from: number,
  index: number,
): Promise<void> {
  for (let at = from; at <= index; at++) {
    await world.append(storage.log, entryOf(1, at, 1, new Uint8Array(2000).fill(at)));
  }
  const writer = await world.time.until(storage.snapshots.begin(markOf(1, index)));
  await world.time.until(writer.add(new Uint8Array(100).fill(index)));
  await world.time.until(storage.complete(writer, BigInt(index)));
}

async function twoSnapshots(world: World): Promise<void> {
  const { storage } = await world.openStorage();
  await snapshotAt(world, storage, 1, 100);
  await snapshotAt(world, storage, 101, 200);
  await world.append(storage.log, entryOf(1, 201));
  await world.time.until(storage.close());
}

test('the newest snapshot and the entries after it come back', async (t) => {
  const world = new World();
  await twoSnapshots(world);
  const { storage, recovered, warnings } = await world.openStorage();
  t.is(storage.snapshots.newest(group)?.stateHash, 200n);
  t.deepEqual(show(recovered[0]?.entries ?? []), show([entryOf(1, 201)]));
  t.deepEqual(warnings, []);
});

test('where the newest snapshot is damaged, the older one and the log suffice', async (t) => {
  const world = new World();
  await twoSnapshots(world);
  world.disk.flipBit(snapshotName(markOf(1, 200)), 90, 1);
  const { storage, recovered, warnings } = await world.openStorage();
  t.is(storage.snapshots.newest(group)?.stateHash, 100n);
  t.is(recovered[0]?.base, markOf(1, 100).index);
  t.is(recovered[0]?.entries.length, 101);
  t.regex(warnings[0] ?? '', /an older one is used/);
  // And it goes on from there: the log stays as long as the older snapshot is the only good one.
  await snapshotAt(world, storage, 202, 300);
  world.crash();
  world.disk.flipBit(snapshotName(markOf(1, 300)), 90, 1);
  const again = await world.openStorage();
  t.is(again.storage.snapshots.newest(group)?.stateHash, 100n);
  t.is(again.recovered[0]?.entries.length, 200);
});

test('where both snapshots are damaged, the start is refused, and both are named', async (t) => {
  const world = new World();
  await twoSnapshots(world);
  for (const index of [100, 200]) world.disk.flipBit(snapshotName(markOf(1, index)), 90, 1);
  const error = await t.throwsAsync(world.openStorage(), { instanceOf: LogDamaged });
  t.regex(error?.message ?? '', /entries 1 to .* are not in it or a usable snapshot/);
  for (const index of [100, 200]) {
    t.true(error?.message.includes(snapshotName(markOf(1, index))));
  }
});

test('a snapshot whose mark was lost in a power cut counts', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await snapshotAt(world, storage, 1, 50);
  const writer = await world.time.until(storage.snapshots.begin(markOf(1, 50)));
  await world.append(storage.log, entryOf(1, 51));
  await world.time.until(writer.finish(50n));
  const late = await world.time.until(storage.snapshots.begin(markOf(1, 51)));
  await world.time.until(late.finish(51n));
  world.crash();
  const { recovered } = await world.openStorage();
  t.is(recovered[0]?.base, markOf(1, 51).index);
  t.is(recovered[0]?.snapshotMark.index, markOf(1, 50).index);
  world.crash();
  t.is((await world.openStorage()).recovered[0]?.snapshotMark.index, markOf(1, 51).index);
});

test('an idle group lets the log go after its snapshot was confirmed, and not if it is damaged', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await world.append(storage.log, entryOf(2, 1));
  const writer = await world.time.until(storage.snapshots.begin(markOf(2, 1)));
  await world.time.until(storage.complete(writer, 1n));
  await snapshotAt(world, storage, 1, 100);
  await snapshotAt(world, storage, 101, 200);
  t.deepEqual(storage.log.holders(), [{ group: 2 as GroupId, needs: 'repeated-mark' }]);
  const before = storage.log.segmentCount();
  world.disk.flipBit(snapshotName(markOf(2, 1)), 40, 1);
  const refused = world.time.until(storage.confirm(2 as GroupId));
  await t.throwsAsync(refused, { instanceOf: SnapshotDamaged });
  t.is(storage.log.segmentCount(), before);
  world.disk.flipBit(snapshotName(markOf(2, 1)), 40, 1);
  await world.time.until(storage.confirm(2 as GroupId));
  t.true(storage.log.segmentCount() < before);
});

test('the reserve is one for log and snapshots', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await world.time.run(10);
  t.is(storage.reserveState(), 'ok');
  world.disk.capacityBytes = world.disk.usedBytes();
  const writer = await world.time.until(storage.snapshots.begin(markOf(1, 0)));
  await world.time.until(writer.add(new Uint8Array(10_000)));
  await world.time.until(writer.finish(0n));
  await world.time.run(10);
  t.is(storage.log.reserveState(), 'ok');
  t.is(storage.reserveState(), 'reserve');
});

test('snapshots whose log is gone are refused, be they whole or damaged: a new log would hide the loss', async (t) => {
  for (const damaged of [false, true]) {
    const world = new World();
    await twoSnapshots(world);
    world.crash();
    for (const name of world.disk.files()) {
      if (name.startsWith('log/')) await world.time.until(world.disk.remove(name));
      else if (damaged && name.includes('001-')) world.disk.flipBit(name, 90, 1);
    }
    const before = world.disk.files();
    await t.throwsAsync(world.openStorage(), {
      name: 'LogDamaged',
      message: /snapshots are there/,
    });
    t.deepEqual(world.disk.files(), before, 'nothing is changed');
  }
});

test('where a start fails after the log was opened, the log is closed again', async (t) => {
  const world = new World(1, { delays: { writeMs: [0.1, 0.2], syncMs: [0.5, 1] } });
  const { storage } = await world.openStorage();
  await snapshotAt(world, storage, 1, 10);
  // The power fails between a tombstone and the end of what it buries; the spares are gone as well.
  const tombstone = { group, replica: 1, state: 'removed' } as const;
  const batch = { entries: [], replicas: [tombstone] };
  await world.time.until(new Promise<void>((resolve) => storage.log.append(batch, resolve)));
  await world.time.until(storage.close());
  for (const name of world.disk.files().filter((each) => /^log\/0*[23]$/.test(each)))
    await world.time.until(world.disk.remove(name));
  const remove = world.disk.remove.bind(world.disk);
  world.disk.remove = (name) =>
    name.startsWith('snapshots/')
      ? Promise.reject(new DiskError('io', 'the disk is bad'))
      : remove(name);
  await t.throwsAsync(world.openStorage(), { message: 'the disk is bad' });
  const calls: string[] = [];
  world.disk.onCall = (call, name) => void calls.push(`${call} ${name}`);
  await world.time.run(5_000);
  t.deepEqual(calls, []);
  t.false(world.disk.files().includes('log/new'));
  t.deepEqual(world.fatal, []);
});
