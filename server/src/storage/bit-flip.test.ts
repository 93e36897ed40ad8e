/**
 * A flipped bit is *refused* when the start rejects with LogDamaged, or *harmless* when exactly the
 * state before the flip comes back: every hard state, every index, every payload. Nothing else passes,
 * with one exception for a log that was cut before it could rest: a flip within its last frame, which no
 * mark covers, may take that frame's records away, and nothing more.
 */
import test from 'ava';
import { World } from '../../sim/disk-world.ts';
import { StorageModel } from '../../sim/storage-model.ts';
import { StorageWorkload } from '../../sim/storage-workload.ts';
import { present } from '../base/assert.ts';
import { hostChecksum } from '../host/checksum.ts';
import { LogDamaged } from './damage.ts';
import { frameAt, seedOf } from './frame.ts';

/** A data folder at rest, and what a start finds there. */
interface Image {
  readonly world: World;
  readonly model: StorageModel;
  readonly digest: string;
}

async function imageOf(seed: number, rests: boolean): Promise<Image> {
  const world = new World(seed);
  const model = new StorageModel();
  const work = new StorageWorkload(world, model);
  const opened = await world.openStorage();
  for (let turn = 0; turn < 150; turn++) {
    if (turn % 12 === 0) {
      await world.time.run(8);
      work.manageRandom(opened.storage);
    }
    work.appendRandom(opened.storage);
  }
  await world.time.run(50);
  work.appendRandom(opened.storage);
  // Nothing takes time on this disk: the batch is durable, and the log idle for less than 5 ms.
  await world.time.run(rests ? 50 : 0);
  const digest = model.digest();
  world.crash();
  return { world, model, digest };
}

type Verdict = 'refused' | 'harmless' | 'harmless, by the older snapshot' | 'last frame lost';

async function flip(
  image: Image,
  file: string,
  at: number,
  bit: number,
): Promise<Verdict | string> {
  const { world, model } = image;
  const disk = world.disk;
  world.disk = disk.copy({ schedule: world.time.schedule, random: world.random });
  try {
    world.disk.flipBit(file, at, bit);
    const opened = await world.openStorage();
    const found = await world.time.until(model.found(opened, world.disk.files()));
    const older = opened.warnings.some((warning) => warning.includes('an older one is used'));
    if (found === image.digest) return older ? 'harmless, by the older snapshot' : 'harmless';
    return found;
  } catch (error) {
    if (error instanceof LogDamaged) return 'refused';
    throw error;
  } finally {
    world.crash();
    world.disk = disk;
  }
}

/** A place in a random file of the log or the snapshots, mostly where something was written. */
function place(world: World): { file: string; at: number } {
  const below = (count: number): number => world.random.uint32() % count;
  const files = world.disk.files().filter((name) => !name.endsWith('reserve'));
  for (let attempt = 0; ; attempt++) {
    const file = present(files[below(files.length)], 'a file');
    const bytes = present(world.disk.contents(file), 'its bytes');
    const at = below(bytes.length);
    if (attempt > 2 || bytes.subarray(Math.max(0, at - 16), at + 16).some((byte) => byte !== 0)) {
      return { file, at };
    }
  }
}

/** The last frame of the newest segment in use. */
function lastFrame(world: World): { file: string; from: number; to: number } {
  const identity = present(world.disk.contents('log/identity'), 'an identity');
  const salt = new DataView(identity.buffer, identity.byteOffset).getUint32(8, true);
  let last = { file: '', from: 0, to: 0 };
  for (const file of world.disk.files()) {
    if (!/^log\/\d{12}$/.test(file)) continue;
    const bytes = present(world.disk.contents(file), 'a segment');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const seed = seedOf(salt, Number(file.slice(4)));
    for (let at = 0; ; ) {
      const frame = frameAt(bytes, view, at, hostChecksum, seed);
      if (frame === undefined) break;
      last = { file, from: at, to: frame.end };
      at = frame.end;
    }
  }
  return last;
}

test('a flipped bit in a log at rest or in a snapshot is refused or harmless, 1,200 times', async (t) => {
  const verdicts = new Map<string, number>();
  for (let seed = 1; seed <= 60; seed++) {
    const image = await imageOf(seed, true);
    for (let flips = 0; flips < 20; flips++) {
      const { file, at } = place(image.world);
      const verdict = await flip(image, file, at, flips % 8);
      const kind = `${file.slice(0, file.indexOf('/'))}: ${verdict}`;
      verdicts.set(kind, (verdicts.get(kind) ?? 0) + 1);
      if (verdict !== 'refused' && !verdict.startsWith('harmless')) {
        t.fail(`seed ${seed}: bit ${flips % 8} of ${file} at ${at}: ${verdict}`);
        return;
      }
    }
  }
  t.log(Object.fromEntries(verdicts));
  t.true((verdicts.get('log: refused') ?? 0) > 200);
  t.true((verdicts.get('snapshots: harmless, by the older snapshot') ?? 0) > 100);
});

test('every bit of a frame at rest, of a snapshot and of the identity is under a checksum', async (t) => {
  const image = await imageOf(1, true);
  const { world } = image;
  const segment = present(
    world.disk.files().find((name) => /^log\/\d{12}$/.test(name)),
    'a segment',
  );
  for (let at = 0; at < 400; at++) t.is(await flip(image, segment, at, at % 8), 'refused');
  for (let at = 0; at < 32; at++) t.is(await flip(image, 'log/identity', at, at % 8), 'refused');
  for (const file of world.disk.files().filter((name) => /^snapshots\/\d/.test(name))) {
    const { length } = present(world.disk.contents(file), 'its bytes');
    for (let at = 0; at < length; at += at < 64 || at > length - 40 ? 1 : 97) {
      const verdict = await flip(image, file, at, at % 8);
      t.true(verdict === 'refused' || verdict.startsWith('harmless'), `${file} ${at}: ${verdict}`);
    }
  }
});

test('a flipped bit in a log cut before it rested takes away no more than its last frame', async (t) => {
  let lost = 0;
  for (let seed = 100; seed < 120; seed++) {
    const image = await imageOf(seed, false);
    const last = lastFrame(image.world);
    for (let flips = 0; flips < 12; flips++) {
      const inLast = flips % 3 > 0;
      const { file, at } = inLast
        ? { file: last.file, at: last.from + (image.world.random.uint32() % (last.to - last.from)) }
        : place(image.world);
      const verdict = await flip(image, file, at, flips % 8);
      if (verdict === 'refused' || verdict.startsWith('harmless')) continue;
      t.true(file === last.file && at >= last.from && at < last.to, `seed ${seed}: ${verdict}`);
      t.true(
        image.model.digests().includes(verdict),
        `seed ${seed}: not even a prefix: ${verdict}`,
      );
      lost++;
    }
  }
  t.log(`${lost} flips took the last frame, and nothing else, away`);
  t.true(lost > 50);
});
