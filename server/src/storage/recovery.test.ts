import test from 'ava';
import { entryOf, markOf, show, World } from '../../sim/disk-world.ts';
import { present } from '../base/assert.ts';
import { hostChecksum } from '../host/checksum.ts';
import { LogDamaged } from './damage.ts';
import { frameAt, frameHeaderBytes, sealFrame, seedOf } from './frame.ts';

const segment = 'log/000000000001';

/** Where each frame of the first segment begins, and where the last ends. */
function framesOf(world: World): readonly number[] {
  const identity = present(world.disk.contents('log/identity'), 'an identity');
  const salt = new DataView(identity.buffer, identity.byteOffset).getUint32(8, true);
  const bytes = present(world.disk.contents(segment), 'a segment');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const offsets = [0];
  for (let at = 0; ; ) {
    const frame = frameAt(bytes, view, at, hostChecksum, seedOf(salt, 1));
    if (frame === undefined) return offsets;
    at = frame.end;
    offsets.push(at);
  }
}

async function write(world: World, name: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await world.time.until(world.disk.open(name));
  await world.time.until(file.write(offset, bytes));
  await world.time.until(file.sync());
}

test('a torn tail is copied aside, made zeros, and told of; what was durable stays', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1));
  world.crash();
  const tail = present(framesOf(world).at(-1), 'a tail');
  await write(world, segment, tail + 40, new Uint8Array(1000).fill(7));
  world.crash();
  const { recovered, warnings } = await world.open();
  t.deepEqual(show(recovered[0]?.entries ?? []), show([entryOf(1, 1)]));
  t.is(warnings.length, 1);
  t.regex(warnings[0] ?? '', /1000 bytes .* copied to log\/torn-000000000001-/);
  const copy = world.disk.files().find((name) => name.startsWith('log/torn-')) ?? '';
  t.deepEqual(world.disk.contents(copy), new Uint8Array(1000).fill(7));
  const bytes = present(world.disk.contents(segment), 'a segment');
  const end = present(framesOf(world).at(-1), 'a tail');
  t.true(bytes.subarray(end).every((byte) => byte === 0));
});

test('a full disk does not keep a log with a torn tail from starting', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1));
  world.crash();
  await write(world, segment, 40_000, new Uint8Array(1000).fill(7));
  world.disk.capacityBytes = world.disk.usedBytes();
  world.crash();
  const { recovered, warnings } = await world.open();
  t.is(recovered[0]?.entries.length, 1);
  t.regex(warnings[0] ?? '', /not copied, because the disk is full/);
});

test('at most eight copies of torn tails stay', async (t) => {
  const world = new World();
  for (let start = 0; start < 12; start++) {
    const { log } = await world.open();
    await world.append(log, entryOf(1, start + 1));
    world.crash();
    await write(world, segment, 20_000 + start * 8, new Uint8Array(8).fill(7));
    world.crash();
  }
  await world.open();
  const copies = world.disk.files().filter((name) => name.startsWith('log/torn-'));
  t.is(copies.length, 8);
  t.true(copies[0]?.endsWith(String(20_000 + 4 * 8)));
});

test('damage is refused again at each start, and changes nothing', async (t) => {
  const world = new World();
  const { log } = await world.open();
  for (let index = 1; index <= 5; index++) await world.append(log, entryOf(1, index));
  world.crash();
  const third = present(framesOf(world)[3], 'a frame');
  world.disk.flipBit(segment, third + 3, 0);
  const before = world.disk.contents(segment);
  for (let start = 0; start < 3; start++) {
    await t.throwsAsync(world.open(), {
      instanceOf: LogDamaged,
      message: new RegExp(`${segment}, offset ${third}, frame 4`),
    });
    world.crash();
  }
  t.deepEqual(world.disk.contents(segment), before);
});

test('a whole page gone under a later frame is damage, also in the last segment', async (t) => {
  const world = new World();
  const { log } = await world.open();
  for (let index = 1; index <= 8; index++) {
    await world.append(log, entryOf(1, index, 1, new Uint8Array(4096).fill(1)));
  }
  world.crash();
  await write(world, segment, 8192, new Uint8Array(8192));
  await t.throwsAsync(world.open(), { instanceOf: LogDamaged });
});

test('a frame that someone sends as payload is no frame: the salt is not his', async (t) => {
  const forged = new Uint8Array(frameHeaderBytes);
  const header = { sequence: 99, previous: 0, durable: 98 };
  sealFrame(forged, header, hostChecksum, seedOf(0, 1));
  // One copy for each way in which payloads may lie against the frames' alignment.
  const payload = new Uint8Array(8 * 41);
  for (let copy = 0; copy < 8; copy++) payload.set(forged, copy * 41);
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1));
  await world.append(log, entryOf(1, 2, 1, payload));
  world.crash();
  const last = present(framesOf(world).at(-2), 'the last frame');
  world.disk.flipBit(segment, last + 9, 0);
  const { recovered } = await world.open();
  t.is(recovered[0]?.entries.length, 1, 'it is trimmed as a torn frame, and not taken for damage');
});

test('a frame that does not follow the one before it is not taken for the next', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1));
  world.crash();
  const [, second, end] = framesOf(world);
  const identity = present(world.disk.contents('log/identity'), 'an identity');
  const salt = new DataView(identity.buffer, identity.byteOffset).getUint32(8, true);
  const bytes = present(world.disk.contents(segment), 'a segment').slice(second, end);
  // The second frame again, right in every respect but for what it follows.
  const header = { sequence: 3, previous: 12345, durable: 2 };
  sealFrame(bytes, header, hostChecksum, seedOf(salt, 1));
  await write(world, segment, present(end, 'an end'), bytes);
  world.crash();
  const { recovered, warnings } = await world.open();
  t.is(recovered[0]?.entries.length, 1);
  t.is(warnings.length, 1);
});

test('segments go only when the mark that lets them go is durable', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const world = new World(seed, { delays: { writeMs: [0.1, 0.2], syncMs: [0.5, 3] } });
    const { log } = await world.open();
    for (let index = 1; index <= 80; index++) {
      await world.append(log, entryOf(1, index, 1, new Uint8Array(4000)));
    }
    const batch = { entries: [], marks: [markOf(1, 70), markOf(1, 79)] };
    log.append(batch, () => undefined);
    await world.time.run(seed / 10);
    world.crash();
    const { recovered } = await world.open();
    t.true([80, 1].includes(recovered[0]?.entries.length ?? 0), `seed ${seed}`);
  }
});

test('segments prepared under another setting are replaced, those in use are kept', async (t) => {
  const world = new World();
  const { log } = await world.open({ segmentBytes: 128 * 1024 });
  for (let index = 1; index <= 20; index++) {
    await world.append(log, entryOf(1, index, 1, new Uint8Array(4000)));
  }
  await world.time.until(log.close());
  const second = await world.open({ segmentBytes: 64 * 1024 });
  for (let index = 21; index <= 60; index++) {
    await world.append(second.log, entryOf(1, index, 1, new Uint8Array(4000)));
  }
  world.crash();
  const { recovered } = await world.open({ segmentBytes: 256 * 1024 });
  t.is(recovered[0]?.entries.length, 60);
  t.is(world.disk.contents('log/000000000001')?.length, 128 * 1024);
  t.is(world.disk.contents('log/000000000002')?.length, 64 * 1024);
});
