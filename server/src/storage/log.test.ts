import test from 'ava';
import { entryOf, markOf, show, World } from '../../sim/disk-world.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { hostChecksum } from '../host/checksum.ts';
import { LogDamaged } from './damage.ts';

test('what was appended comes back, per group and in order', async (t) => {
  const world = new World();
  const { log, recovered } = await world.open();
  t.deepEqual(recovered, []);
  await world.append(log, entryOf(1, 1), entryOf(2, 1), entryOf(1, 2));
  await world.append(log, entryOf(2, 2), entryOf(1, 3));
  world.crash();
  const again = await world.open();
  t.deepEqual(
    again.recovered.map(({ entries }) => show(entries)),
    [show([entryOf(1, 1), entryOf(1, 2), entryOf(1, 3)]), show([entryOf(2, 1), entryOf(2, 2)])],
  );
});

test('a log goes on where it was after each of many starts', async (t) => {
  const world = new World();
  for (let start = 0; start < 20; start++) {
    const { log, recovered } = await world.open();
    t.is(recovered[0]?.entries.length ?? 0, start);
    await world.append(log, entryOf(1, start + 1));
    if (start % 2 === 0) world.crash();
    else await world.time.until(log.close());
  }
});

test('callbacks come in order, and only when what they stand for is synced', async (t) => {
  const world = new World(1, { delays: { writeMs: [0.1, 0.2], syncMs: [1, 2] } });
  const { log } = await world.open();
  const order: number[] = [];
  const syncs: number[] = [];
  for (let index = 1; index <= 20; index++) {
    log.append({ entries: [entryOf(1, index)] }, () => {
      order.push(index);
      syncs.push(world.disk.counts.syncs);
    });
    if (index % 3 === 0) await world.time.run(0.5);
  }
  const before = world.disk.counts.syncs;
  await world.time.run(100);
  t.deepEqual(
    order,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  t.true(syncs.every((count) => count > 0));
  t.true(before < (syncs[19] ?? 0));
});

test('batches that come while a write is in flight share the next one', async (t) => {
  const world = new World(1, { delays: { writeMs: [0.1, 0.1], syncMs: [1, 1] } });
  const { log } = await world.open();
  await world.time.run(1000);
  const before = world.disk.counts.writes;
  let done = 0;
  for (let index = 1; index <= 64; index++) {
    log.append({ entries: [entryOf(1, index)] }, () => done++);
  }
  await world.time.run(4);
  t.is(done, 64);
  t.is(world.disk.counts.writes - before, 2);
});

test('what waits for the disk is counted, in however many frames it lies', async (t) => {
  const world = new World(1, { delays: { writeMs: [0.1, 0.1], syncMs: [1, 1] } });
  const { log } = await world.open();
  await world.time.run(1000);
  let index = 0;
  const append = (bytes: number): void => {
    index += 1;
    log.append({ entries: [entryOf(1, index, 1, new Uint8Array(bytes))] }, () => undefined);
  };
  // The second time it shows whether the first left something behind.
  for (let round = 0; round < 2; round++) {
    t.is(log.pendingBytes(), 0);
    append(2000);
    t.is(log.pendingBytes(), 0, 'it is on its way');
    const between = (count: number): void => {
      const pending = log.pendingBytes();
      t.true(pending > count * 2000, `${pending} of ${count}`);
      // What frames and segments add is less than an entry a frame.
      t.true(pending < count * 2000 * 1.05 + 2000, `${pending} of ${count}`);
    };
    for (let count = 1; count <= 200; count++) {
      append(2000);
      between(count);
    }
    let before = log.pendingBytes();
    let falls = 0;
    for (let steps = 0; before > 0 && steps < 1000; steps++) {
      await world.time.step();
      const pending = log.pendingBytes();
      t.true(pending <= before);
      if (pending < before) falls += 1;
      before = pending;
    }
    t.true(falls >= 6, `${falls} frames`);
    await world.time.run(1000);
  }
  await world.time.until(log.close());
  t.is(log.pendingBytes(), 0);
});

test('an entry at or below the last index replaces the tail', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1, 1), entryOf(1, 2, 1), entryOf(1, 3, 1), entryOf(2, 1, 1));
  await world.append(log, entryOf(1, 2, 2));
  world.crash();
  const { recovered } = await world.open();
  t.deepEqual(show(recovered[0]?.entries ?? []), show([entryOf(1, 1, 1), entryOf(1, 2, 2)]));
  t.is(recovered[0]?.lastIndex, 2 as LogIndex);
  t.is(recovered[1]?.entries.length, 1);
});

test('a replacement of what is committed is a broken promise', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1), entryOf(1, 2));
  const commit = { group: 1 as GroupId, term: 1 as Term, vote: 0, commit: 2 as LogIndex };
  log.append({ entries: [], hardStates: [commit] }, () => undefined);
  t.throws(() => log.append({ entries: [entryOf(1, 2, 2)] }, () => undefined), {
    name: 'InvariantError',
  });
});

test('an entry that leaves a gap is a broken promise', async (t) => {
  const world = new World();
  const { log } = await world.open();
  t.throws(() => log.append({ entries: [entryOf(1, 2)] }, () => undefined), {
    name: 'InvariantError',
  });
});

test('hard states and marks come back, over many segments', async (t) => {
  const world = new World();
  const { log } = await world.open();
  const state = { group: 1 as GroupId, term: 7 as Term, vote: 3, commit: 1 as LogIndex };
  await world.append(log, entryOf(1, 1));
  log.append({ entries: [], hardStates: [state], marks: [markOf(2, 0)] }, () => undefined);
  for (let index = 1; index <= 100; index++) {
    await world.append(log, entryOf(3, index, 1, new Uint8Array(4000).fill(index)));
  }
  await world.mark(log, markOf(1, 1));
  t.true(log.segmentCount() > 5);
  world.crash();
  const { recovered, log: next } = await world.open();
  t.deepEqual(recovered[0]?.hardState, state);
  t.deepEqual(recovered[0]?.snapshotMark, markOf(1, 1));
  t.deepEqual(recovered[0]?.entries, []);
  t.is(recovered[2]?.entries.length, 100);
  t.true(recovered[2]?.entries.every(({ payload, index }) => payload[0] === index));
  t.is(next.segmentCount(), log.segmentCount());
});

test('segments whose entries lie below the older snapshot are removed', async (t) => {
  const world = new World();
  const { log } = await world.open();
  for (let index = 1; index <= 200; index++) {
    await world.append(log, entryOf(1, index, 1, new Uint8Array(2000)));
  }
  const before = log.segmentCount();
  await world.mark(log, markOf(1, 150));
  await world.time.run(100);
  t.is(log.segmentCount(), before, 'the log reaches back to the older snapshot');
  await world.mark(log, markOf(1, 190));
  await world.time.run(100);
  t.true(log.segmentCount() < before - 3);
  const files = world.disk.files().filter((name) => /\d{12}$/.test(name));
  t.is(files.length, log.segmentCount() + 2);
  world.crash();
  const { recovered } = await world.open();
  t.deepEqual(
    recovered[0]?.entries.map(({ index }) => index as number),
    [191, 192, 193, 194, 195, 196, 197, 198, 199, 200],
  );
});

test('an idle group holds the oldest segment until its mark is repeated', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(9, 1));
  let index = 1;
  const fill = async (): Promise<void> => {
    for (let count = 0; count < 60; count++) {
      await world.append(log, entryOf(1, index++, 1, new Uint8Array(4000)));
    }
    await world.mark(log, markOf(1, index - 1));
  };
  await fill();
  await fill();
  t.deepEqual(log.holders(), [{ group: 9 as GroupId, needs: 'snapshot' }]);
  await world.mark(log, markOf(9, 1));
  t.deepEqual(log.holders(), [{ group: 9 as GroupId, needs: 'repeated-mark' }]);
  const before = log.segmentCount();
  await world.mark(log, markOf(9, 1));
  t.true(log.segmentCount() < before);
  world.crash();
  const { recovered } = await world.open();
  t.deepEqual(recovered[1]?.snapshotMark, markOf(9, 1));
});

test('a full disk is no failure: the reserve is used, and space that comes back is taken', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.time.run(10);
  t.is(log.reserveState(), 'ok');
  world.disk.capacityBytes = world.disk.usedBytes();
  let index = 1;
  let durable = 0;
  const append = (): void => {
    log.append({ entries: [entryOf(1, index++, 1, new Uint8Array(4000))] }, () => durable++);
  };
  while (log.reserveState() === 'ok') {
    append();
    await world.time.run(1);
  }
  // The reserve: one whole segment at least is still to be had.
  for (let count = 0; count < 16; count++) {
    append();
    await world.time.run(1);
  }
  t.is(durable, index - 1);
  for (let count = 0; count < 30; count++) append();
  await world.time.run(5000);
  t.true(durable < index - 1, 'what has no room waits, unanswered');
  t.deepEqual(world.fatal, []);
  world.disk.capacityBytes = Number.POSITIVE_INFINITY;
  await world.time.run(5000);
  t.is(durable, index - 1);
  t.is(log.reserveState(), 'ok');
  world.crash();
  const { recovered } = await world.open();
  t.is(recovered[0]?.entries.length, index - 1);
});

test('space freed by a snapshot ends the reserve without waiting', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.time.run(10);
  world.disk.capacityBytes = world.disk.usedBytes();
  let index = 1;
  while (log.reserveState() === 'ok') {
    await world.append(log, entryOf(1, index++, 1, new Uint8Array(4000)));
    await world.time.run(1);
  }
  await world.mark(log, markOf(1, index - 1));
  await world.mark(log, markOf(1, index - 1));
  await world.time.run(50);
  t.is(log.reserveState(), 'ok');
});

for (const call of ['write', 'sync'] as const) {
  test(`a failed ${call} of a frame is fatal, and nothing after it is answered`, async (t) => {
    const world = new World();
    const { log } = await world.open();
    await world.time.run(100);
    world.disk.failNext(call, 'io');
    let answered = 0;
    log.append({ entries: [entryOf(1, 1)] }, () => answered++);
    log.append({ entries: [entryOf(1, 2)] }, () => answered++);
    await world.time.run(100);
    log.append({ entries: [entryOf(1, 3)] }, () => answered++);
    await world.time.run(100);
    t.is(answered, 0);
    t.is(world.fatal.length, 1);
  });
}

test('what a failed sync left in memory alone is on disk after the next start', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.time.run(100);
  world.disk.failNext('sync', 'io');
  log.append({ entries: [entryOf(1, 1)] }, () => t.fail('it was not durable'));
  await world.time.run(100);
  world.disk.kill();
  world.time.forget();
  const second = await world.open();
  t.is(second.recovered[0]?.entries.length, 1, 'the next process reads it from the cache');
  world.crash();
  const third = await world.open();
  t.is(third.recovered[0]?.entries.length, 1, 'so it must be durable before it is handed out');
});

test('after 5 ms of idleness the last frame is recorded as durable, once', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1));
  await world.time.run(100);
  const { writes } = world.disk.counts;
  await world.time.run(1000);
  t.is(world.disk.counts.writes, writes);
  const bytes = world.disk.contents('log/000000000001') ?? new Uint8Array();
  const at = Buffer.from(bytes).indexOf('group 1 index 1');
  world.disk.flipBit('log/000000000001', at, 3);
  world.crash();
  await t.throwsAsync(world.open(), { instanceOf: LogDamaged, message: /frame 2.*restore/ });
});

test('a log whose identity is gone, or whose oldest segment is missing, is refused', async (t) => {
  for (const name of ['log/identity', 'log/000000000001']) {
    const world = new World();
    const { log } = await world.open();
    for (let index = 1; index <= 60; index++) {
      await world.append(log, entryOf(1, index, 1, new Uint8Array(4000)));
    }
    await world.time.until(world.disk.remove(name));
    await world.time.until(world.disk.syncFolder('log'));
    world.crash();
    await t.throwsAsync(world.open(), { instanceOf: LogDamaged }, name);
  }
});

test('a log of another format is refused by name', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.time.until(log.close());
  const identity = world.disk.contents('log/identity') ?? new Uint8Array();
  identity[4] = 3;

  new DataView(identity.buffer).setUint32(28, hostChecksum(identity.subarray(0, 28), 0), true);
  const file = await world.time.until(world.disk.open('log/identity'));
  await world.time.until(file.write(0, identity));
  await t.throwsAsync(world.open(), {
    name: 'FormatError',
    message: 'log/identity: the log has format 3, this build reads format 2',
  });
});

test('entries after the base asked for are handed out, and missing ones are refused', async (t) => {
  const world = new World();
  const { log } = await world.open();
  for (let index = 1; index <= 100; index++) {
    await world.append(log, entryOf(1, index, 1, new Uint8Array(4000)));
  }
  await world.mark(log, markOf(1, 60));
  await world.mark(log, markOf(1, 90));
  await world.time.until(log.close());
  const from = async (base: number): Promise<number[]> => {
    const bases = new Map([[1 as GroupId, markOf(1, base)]]);
    const { recovered, log: next } = await world.open({ bases });
    await world.time.until(next.close());
    return recovered[0]?.entries.map(({ index }) => index) ?? [];
  };
  t.is((await from(90))[0], 91);
  t.is((await from(60))[0], 61, 'the older snapshot suffices');
  await t.throwsAsync(from(2), { instanceOf: LogDamaged, message: /entries 3 to/ });
  await t.throwsAsync(world.open({ bases: new Map() }), { instanceOf: LogDamaged });
});

test('a snapshot from elsewhere, ahead of the log, is where the log goes on', async (t) => {
  const world = new World();
  const { log } = await world.open();
  await world.append(log, entryOf(1, 1), entryOf(1, 2));
  world.crash();
  const bases = new Map([[1 as GroupId, markOf(1, 500, 9)]]);
  const { recovered, log: next } = await world.open({ bases });
  t.is(recovered[0]?.lastIndex, 500 as LogIndex);
  await world.append(next, entryOf(1, 501, 9));
  world.crash();
  const third = await world.open();
  t.deepEqual(third.recovered[0]?.snapshotMark, markOf(1, 500, 9));
  t.deepEqual(show(third.recovered[0]?.entries ?? []), show([entryOf(1, 501, 9)]));
});

test('close waits for what is in flight', async (t) => {
  const world = new World(1, { delays: { writeMs: [0.1, 0.2], syncMs: [1, 2] } });
  const { log } = await world.open();
  let durable = 0;
  for (let index = 1; index <= 5; index++) {
    log.append({ entries: [entryOf(1, index)] }, () => durable++);
  }
  await world.time.until(log.close());
  t.is(durable, 5);
});

test('payloads of every size up to the largest fit, in segments of the usual size', async (t) => {
  const world = new World();
  const { log } = await world.open({ segmentBytes: 64 * 1024 * 1024 });
  const sizes = [0, 1, 7, 8, 9, 4096, 1024 * 1024, 4 * 1024 * 1024];
  for (const [position, size] of sizes.entries()) {
    log.append({ entries: [entryOf(1, position + 1, 1, new Uint8Array(size).fill(1))] }, () => {});
  }
  await world.append(log);
  world.crash();
  const { recovered } = await world.open({ segmentBytes: 64 * 1024 * 1024 });
  t.deepEqual(
    recovered[0]?.entries.map(({ payload }) => payload.length),
    sizes,
  );
});

test('an entry larger than a segment gets a segment of its own size', async (t) => {
  const world = new World();
  const { log } = await world.open();
  const sizes = [100, 70_000, 300_000, 100, 64_000, 65_536];
  for (const [position, size] of sizes.entries()) {
    await world.append(log, entryOf(1, position + 1, 1, new Uint8Array(size).fill(1)));
  }
  world.crash();
  const { recovered, log: next } = await world.open();
  t.deepEqual(
    recovered[0]?.entries.map(({ payload }) => payload.length),
    sizes,
  );
  await world.append(next, entryOf(1, 7));
});
