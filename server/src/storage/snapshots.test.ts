import test from 'ava';
import { isDiskError, markOf, World } from '../../sim/disk-world.ts';
import { present } from '../base/assert.ts';
import type { GroupId } from '../base/ids.ts';
import { snapshotPieceBytesMax } from '../base/limits.ts';
import { hostChecksum } from '../host/checksum.ts';
import { SnapshotDamaged } from './damage.ts';
import type { SnapshotMark } from './entry.ts';
import type { SnapshotWriter } from './snapshot-writer.ts';
import { type OpenedSnapshots, type SeeChunk, SnapshotStore, snapshotName } from './snapshots.ts';

const group = 3 as GroupId;

function open(
  world: World,
  reserveBytesMin = 4096,
  reading: (mark: SnapshotMark) => SeeChunk = () => () => undefined,
): Promise<OpenedSnapshots> {
  const onFatal = (error: Error): void => void world.fatal.push(error);
  const options = { checksum: hostChecksum, reserveBytesMin, onFatal, reading };
  return world.time.until(SnapshotStore.open(world.disk, world.time.clock, options));
}

async function take(
  world: World,
  store: SnapshotStore,
  mark: SnapshotMark,
  chunks: readonly Uint8Array[],
): Promise<void> {
  const writer = await world.time.until(store.begin(mark));
  for (const chunk of chunks) await world.time.until(writer.add(chunk));
  await world.time.until(writer.finish(0xfedcba9876543210n));
}

function bytesOf(size: number, fill: number): Uint8Array {
  return new Uint8Array(size).fill(fill);
}

test('a snapshot comes back chunk by chunk, with its hash', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  const large = bytesOf(2 * snapshotPieceBytesMax + 5, 9);
  const chunks = [bytesOf(10, 1), bytesOf(0, 0), large, bytesOf(snapshotPieceBytesMax, 2)];
  await take(world, snapshots, markOf(3, 700, 4), chunks);
  world.crash();
  const again = await open(world);
  t.deepEqual(again.snapshots.bases(), new Map([[group, { ...markOf(3, 700, 4), replica: 0 }]]));
  const seen: Uint8Array[] = [];
  const summary = await world.time.until(again.snapshots.load(group, (chunk) => seen.push(chunk)));
  // By `Buffer.equals`: AVA takes seconds to compare megabytes.
  t.deepEqual(
    seen.map((chunk, number) => Buffer.from(chunk).equals(chunks[number] ?? new Uint8Array(1))),
    [true, true, true, true],
  );
  t.is(summary?.stateHash, 0xfedcba9876543210n);
  t.is(await world.time.until(again.snapshots.load(9 as GroupId, () => t.fail())), undefined);
});

test('what is seen while a snapshot is verified is all of it, and each one is read once', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  const chunks = [3 * snapshotPieceBytesMax + 5, 700_000, 10, 0, 900_001, 600_000, 600_000, 1].map(
    (size, i) => bytesOf(size, 0).map((_, at) => (at + i) % 251),
  );
  await take(world, snapshots, markOf(3, 700, 4), chunks);
  await take(world, snapshots, markOf(4, 20), [bytesOf(9, 9)]);
  world.crash();
  const seen = new Map<number, Buffer[]>();
  await open(world, 4096, ({ group: number }) => {
    t.false(seen.has(number));
    const copies: Buffer[] = [];
    seen.set(number, copies);
    return (chunk) => copies.push(Buffer.from(chunk));
  });
  t.is(seen.get(4)?.length, 1);
  t.deepEqual(
    seen.get(3)?.map((copy, i) => copy.equals(chunks[i] ?? new Uint8Array(1))),
    chunks.map(() => true),
  );
});

test('an empty snapshot is a snapshot', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  await take(world, snapshots, markOf(3, 1), []);
  world.crash();
  t.is((await open(world)).snapshots.newest(group)?.mark.index, markOf(3, 1).index);
});

test('a finished snapshot outlives a power cut at that very moment', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(seed, { delays: { writeMs: [0.1, 0.2], syncMs: [0.5, 1] } });
    const { snapshots } = await open(world);
    await take(world, snapshots, markOf(3, 700), [bytesOf(3000, seed)]);
    world.crash();
    const again = await open(world);
    t.is(again.snapshots.newest(group)?.bytes, 32 + 12 + 8 + 3000 + 32, `seed ${seed}`);
  }
});

test('the newest two of a group are kept, and what was not finished goes', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  for (const index of [10, 20, 30]) {
    await take(world, snapshots, markOf(3, index), [bytesOf(100, index)]);
    await world.time.until(snapshots.retire(group));
  }
  await take(world, snapshots, markOf(4, 5), []);
  const writer = await world.time.until(snapshots.begin(markOf(3, 40)));
  await world.time.until(writer.add(bytesOf(100, 1)));
  const kept = [markOf(3, 20), markOf(3, 30), markOf(4, 5)].map(snapshotName);
  const files = (): readonly string[] =>
    world.disk.files().filter((name) => name.startsWith('snapshots/0'));
  t.deepEqual(files(), [...kept, `${snapshotName(markOf(3, 40))}.5.new`].sort());
  world.disk.kill();
  world.time.forget();
  await open(world);
  t.deepEqual(files(), kept);
});

test('two snapshots of one mark may be on their way: neither touches the other', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  const begun = async (): Promise<SnapshotWriter> => {
    const writer = await world.time.until(snapshots.begin(markOf(3, 10)));
    await world.time.until(writer.add(bytesOf(100, 1)));
    return writer;
  };
  const [first, second, third] = [await begun(), await begun(), await begun()];
  await world.time.until(second.abort());
  await world.time.until(first.finish(7n));
  t.is(snapshots.newest(group)?.stateHash, 7n);
  await world.time.until(third.finish(7n));
  world.crash();
  t.is((await open(world)).snapshots.newest(group)?.stateHash, 7n);
  t.deepEqual(world.disk.files(), [snapshotName(markOf(3, 10)), 'snapshots/reserve']);
});

test('what is sealed is durable without a name, until it is published or given up', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  const sealed = async (index: number): Promise<SnapshotWriter> => {
    const writer = await world.time.until(snapshots.begin(markOf(3, index)));
    await world.time.until(writer.add(bytesOf(100, 1)));
    await world.time.until(writer.seal(BigInt(index)));
    return writer;
  };
  const [first, second] = [await sealed(10), await sealed(20)];
  t.is(snapshots.newest(group), undefined);
  t.true(snapshots.isUnderWay(group));
  t.true(world.disk.files().some((name) => name.endsWith('.new')));
  await world.time.until(second.abort());
  t.deepEqual(
    world.disk.files().filter((name) => name.startsWith('snapshots/0')),
    [`${snapshotName(markOf(3, 10))}.1.new`],
  );
  await world.time.run(10);
  const { syncs } = world.disk.counts;
  t.like(await world.time.until(first.publish()), { mark: markOf(3, 10), stateHash: 10n });
  t.is(world.disk.counts.syncs, syncs, 'the content was durable before');
  t.false(snapshots.isUnderWay(group));
  world.crash();
  t.is((await open(world)).snapshots.newest(group)?.stateHash, 10n);
  t.deepEqual(world.disk.files(), [snapshotName(markOf(3, 10)), 'snapshots/reserve']);
});

test('a full disk is met when a snapshot is sealed, and then it is given up', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  await world.time.run(10);
  const writer = await world.time.until(snapshots.begin(markOf(3, 10)));
  for (const _ of ['with the reserve', 'and without']) world.disk.failNext('write', 'full');
  t.true(isDiskError(await t.throwsAsync(world.time.until(writer.seal(1n))), 'full'));
  t.false(snapshots.isUnderWay(group));
  t.false(world.disk.files().some((name) => name.endsWith('.new')));
  await t.throwsAsync(world.time.until(writer.publish()), { name: 'InvariantError' });
});

test('a damaged newest snapshot makes way for the older, and is told of', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  await take(world, snapshots, markOf(3, 10), [bytesOf(100, 1)]);
  await take(world, snapshots, markOf(3, 20), [bytesOf(100, 2)]);
  world.disk.flipBit(snapshotName(markOf(3, 20)), 77, 1);
  await t.throwsAsync(world.time.until(snapshots.verify(group)), { instanceOf: SnapshotDamaged });
  world.crash();
  const again = await open(world);
  t.deepEqual(again.snapshots.bases(), new Map([[group, { ...markOf(3, 10), replica: 0 }]]));
  t.regex(again.warnings[0] ?? '', /damaged: .*0020-.*an older one is used/);
  await take(world, again.snapshots, markOf(3, 30), []);
  await world.time.until(again.snapshots.retire(group));
  t.deepEqual(
    world.disk.files().filter((name) => name.startsWith('snapshots/003')),
    [markOf(3, 10), markOf(3, 30)].map(snapshotName),
  );
});

test('chunks that changed places, a cut end, an added end and another name are damage', async (t) => {
  const changes: ((bytes: Uint8Array) => Uint8Array)[] = [
    (bytes) => {
      const [one, two] = [bytes.slice(44, 152), bytes.slice(152, 260)];
      bytes.set(two, 44);
      bytes.set(one, 152);
      return bytes;
    },
    (bytes) => bytes.subarray(0, bytes.length - 1),
    (bytes) => bytes.subarray(0, bytes.length - 32),
    (bytes) => new Uint8Array([...bytes, 0]),
  ];
  const world = new World();
  const { snapshots } = await open(world);
  await take(world, snapshots, markOf(3, 10), [bytesOf(100, 1), bytesOf(100, 2), bytesOf(100, 3)]);
  const whole = present(world.disk.contents(snapshotName(markOf(3, 10))), 'a snapshot');
  const place = async (name: string, bytes: Uint8Array): Promise<void> => {
    const file = await world.time.until(world.disk.create(name));
    await world.time.until(file.write(0, bytes));
  };
  for (const change of changes) {
    await world.time.until(world.disk.remove(snapshotName(markOf(3, 10))));
    await place(snapshotName(markOf(3, 10)), change(whole.slice()));
    const { snapshots: found, warnings } = await open(world);
    t.is(found.bases().size, 0);
    t.is(warnings.length, 1);
  }
  await world.time.until(world.disk.remove(snapshotName(markOf(3, 10))));
  await place(snapshotName(markOf(5, 10)), whole);
  t.regex((await open(world)).warnings[0] ?? '', /of group, index and term 3, 10, 1/);
});

test('a snapshot on a full disk takes the reserve, which comes back with the space', async (t) => {
  const world = new World();
  const { snapshots } = await open(world, 64 * 1024);
  await world.time.run(10);
  t.is(world.disk.contents('snapshots/reserve')?.length, 64 * 1024);
  world.disk.capacityBytes = world.disk.usedBytes();
  await take(world, snapshots, markOf(3, 10), [bytesOf(40_000, 1)]);
  await world.time.run(10);
  t.is(snapshots.reserveState(), 'reserve');
  await t.throwsAsync(take(world, snapshots, markOf(3, 20), [bytesOf(60_000, 1)]), {
    instanceOf: Error,
    message: /no space/,
  });
  t.deepEqual(
    world.disk.files().filter((name) => name.endsWith('.new')),
    [],
    'what was given up takes no space',
  );
  t.deepEqual(world.fatal, []);
  world.disk.capacityBytes = Number.POSITIVE_INFINITY;
  await world.time.run(2000);
  t.is(snapshots.reserveState(), 'ok');
  t.is(world.disk.contents('snapshots/reserve')?.length, 64 * 1024);
  world.crash();
  t.is((await open(world)).snapshots.newest(group)?.mark.index, markOf(3, 10).index);
});

test('the reserve comes back after a snapshot that was given up, and is not asked for all the time', async (t) => {
  const world = new World();
  const { snapshots } = await open(world, 64 * 1024);
  await world.time.run(10);
  const reserved = (): number => world.disk.contents('snapshots/reserve')?.length ?? 0;
  const giveUp = async (): Promise<void> => {
    const writer = await world.time.until(snapshots.begin(markOf(3, 10)));
    for (const _ of ['with the reserve', 'and without']) world.disk.failNext('write', 'full');
    await t.throwsAsync(world.time.until(writer.add(bytesOf(10, 1))));
  };
  await giveUp();
  await world.time.run(10);
  t.is(reserved(), 64 * 1024);
  t.is(snapshots.reserveState(), 'ok');
  // One that cannot even begin has given it up as well.
  for (const _ of ['with the reserve', 'and without']) world.disk.failNext('write', 'full');
  await t.throwsAsync(world.time.until(snapshots.begin(markOf(3, 10))));
  await world.time.run(10);
  t.is(reserved(), 64 * 1024);
  // On a disk that stays full each attempt asks once, and the store once a second.
  world.disk.capacityBytes = world.disk.usedBytes() - 32 * 1024;
  await giveUp();
  await giveUp();
  const { fullErrors } = world.disk.counts;
  await world.time.run(10_000);
  t.is(snapshots.reserveState(), 'reserve');
  const tries = world.disk.counts.fullErrors - fullErrors;
  t.true(tries >= 9, String(tries));
  t.true(tries <= 12, String(tries));
  world.disk.capacityBytes = Number.POSITIVE_INFINITY;
  await world.time.run(2000);
  t.is(reserved(), 64 * 1024);
  t.is(snapshots.reserveState(), 'ok');
  t.deepEqual(world.fatal, []);
});

test('the reserve follows the largest snapshot', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  await take(world, snapshots, markOf(3, 10), [bytesOf(100_000, 1)]);
  await world.time.run(10);
  t.true((world.disk.contents('snapshots/reserve')?.length ?? 0) >= 150_000);
  await world.time.until(snapshots.close());
});

test('an error of the disk while a snapshot is written reaches its writer', async (t) => {
  const world = new World();
  const { snapshots } = await open(world);
  await world.time.run(10);
  const writer = await world.time.until(snapshots.begin(markOf(3, 10)));
  world.disk.failNext('write', 'io');
  const error = await t.throwsAsync(world.time.until(writer.add(bytesOf(10, 1))));
  t.true(isDiskError(error, 'io'));
});
