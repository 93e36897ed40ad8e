/** Snapshots that a follower gets from its leader, and tails that a new leader replaces. */
import test from 'ava';
import { entryOf, markOf, show, World } from '../../sim/disk-world.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import type { HardState, LogBatch, LogEntry, SnapshotMark } from './entry.ts';
import type { OpenedStorage, Storage } from './storage.ts';

const group = 1 as GroupId;

/** Entries 1 to 10: 1 to 4 of term 1, the others of term 2. */
const log: readonly LogEntry[] = Array.from({ length: 10 }, (_, at) =>
  entryOf(1, at + 1, at < 4 ? 1 : 2),
);

async function append(world: World, storage: Storage, batch: Partial<LogBatch>): Promise<void> {
  await world.time.until(
    new Promise<void>((resolve) => storage.log.append({ entries: [], ...batch }, resolve)),
  );
}

function stateOf(term: number, commit: number, vote = 0): HardState {
  return { group, term: term as Term, vote, commit: commit as LogIndex };
}

/** A node with the log, and the file of a snapshot from elsewhere. */
async function withFile(world: World, mark: SnapshotMark): Promise<Storage> {
  const { storage } = await world.openStorage();
  await append(world, storage, { entries: log, hardStates: [stateOf(2, 3, 8)] });
  const writer = await world.time.until(storage.snapshots.begin(mark));
  await world.time.until(writer.finish(1n));
  return storage;
}

interface Found {
  readonly lastIndex: number;
  readonly entries: readonly string[];
  readonly state: HardState | undefined;
}

function found({ recovered }: OpenedStorage): Found {
  const [one] = recovered;
  return {
    lastIndex: one?.lastIndex ?? 0,
    entries: show(one?.entries ?? []),
    state: one?.hardState,
  };
}

const cases: readonly [string, SnapshotMark, { last: number; entries: readonly LogEntry[] }][] = [
  ['beyond the log replaces it', markOf(1, 20, 5), { last: 20, entries: [] }],
  ['against another term replaces it', markOf(1, 6, 5), { last: 6, entries: [] }],
  ['against another term at its end replaces it', markOf(1, 10, 5), { last: 10, entries: [] }],
  ['at an entry that it has leaves the rest', markOf(1, 6, 2), { last: 10, entries: log.slice(6) }],
];

for (const [title, mark, { last, entries }] of cases) {
  const state = stateOf(Math.max(2, mark.term), Math.max(3, mark.index));

  test(`a snapshot ${title}`, async (t) => {
    const world = new World();
    const storage = await withFile(world, mark);
    await append(world, storage, { hardStates: [state], marks: [mark] });
    world.crash();
    const opened = await world.openStorage();
    t.deepEqual(found(opened), { lastIndex: last, entries: show(entries), state });
    await append(world, opened.storage, { entries: [entryOf(1, last + 1, 6)] });
    world.crash();
    const more = show([...entries, entryOf(1, last + 1, 6)]);
    t.deepEqual(found(await world.openStorage()).entries, more);
  });

  test(`a snapshot ${title}, where its mark went with the power`, async (t) => {
    const world = new World();
    await withFile(world, mark);
    world.crash();
    const opened = await world.openStorage();
    const vote = mark.term > 2 ? 0 : 8;
    t.deepEqual(found(opened), {
      lastIndex: last,
      entries: show(entries),
      state: { ...state, vote },
    });
    await append(world, opened.storage, { entries: [entryOf(1, last + 1, 6)] });
    world.crash();
    const more = show([...entries, entryOf(1, last + 1, 6)]);
    t.deepEqual(found(await world.openStorage()).entries, more);
  });

  test(`a snapshot ${title}, after the entry there came back from an older segment`, async (t) => {
    const world = new World();
    const storage = await withFile(world, mark);
    for (let index = 1; index <= 60; index++) {
      await world.append(storage.log, entryOf(3, index, 1, new Uint8Array(4000)));
    }
    world.crash();
    const { storage: next } = await world.openStorage();
    await append(world, next, { hardStates: [state], marks: [mark] });
    world.crash();
    t.deepEqual(found(await world.openStorage()), {
      lastIndex: last,
      entries: show(entries),
      state,
    });
  });
}

test('entries that follow a snapshot from elsewhere come in the same write', async (t) => {
  const world = new World();
  const mark = markOf(1, 20, 5);
  const storage = await withFile(world, mark);
  const entries = [entryOf(1, 21, 5), entryOf(1, 22, 6)];
  await append(world, storage, { entries, hardStates: [stateOf(6, 21)], marks: [mark] });
  world.crash();
  const opened = found(await world.openStorage());
  t.deepEqual(opened, { lastIndex: 22, entries: show(entries), state: stateOf(6, 21) });
});

test('a snapshot against what came after another one replaces that, after a start too', async (t) => {
  for (const starts of [false, true]) {
    const world = new World();
    let storage = await withFile(world, markOf(1, 20, 5));
    const entries = [21, 22, 23].map((index) => entryOf(1, index, 5));
    await append(world, storage, {
      entries,
      hardStates: [stateOf(5, 20)],
      marks: [markOf(1, 20, 5)],
    });
    if (starts) {
      world.crash();
      ({ storage } = await world.openStorage());
    }
    const writer = await world.time.until(storage.snapshots.begin(markOf(1, 22, 9)));
    await world.time.until(writer.finish(1n));
    await append(world, storage, { hardStates: [stateOf(9, 22)], marks: [markOf(1, 22, 9)] });
    world.crash();
    const { lastIndex, entries: left } = found(await world.openStorage());
    t.deepEqual([lastIndex, left], [22, []]);
  }
});

test('a replaced log leaves nothing to an older snapshot, and holds no segment', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await append(world, storage, { entries: log });
  for (let index = 1; index <= 60; index++) {
    await world.append(storage.log, entryOf(3, index, 1, new Uint8Array(4000)));
  }
  await world.mark(storage.log, markOf(3, 60));
  await world.mark(storage.log, markOf(3, 60));
  const before = storage.log.segmentCount();
  await append(world, storage, { marks: [markOf(1, 20, 5)] });
  t.true(storage.log.segmentCount() < before - 2);
});

test('a snapshot of the group’s own that ends after one from elsewhere came is late', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await append(world, storage, { entries: log });
  const own = await world.time.until(storage.snapshots.begin(markOf(1, 3)));
  const other = await world.time.until(storage.snapshots.begin(markOf(1, 20, 5)));
  await world.time.until(storage.complete(other, 20n));
  await world.time.until(storage.complete(own, 3n));
  await append(world, storage, { entries: [entryOf(1, 21, 5)] });
  world.crash();
  const { recovered } = await world.openStorage();
  t.is(recovered[0]?.base, 20 as LogIndex);
  t.deepEqual(recovered[0]?.snapshotMark, markOf(1, 20, 5));
  t.is(recovered[0]?.lastIndex, 21 as LogIndex);
});

test('a commit index that the log does not reach is put right, and goes on', async (t) => {
  const world = new World();
  const { storage } = await world.openStorage();
  await append(world, storage, { entries: log, hardStates: [stateOf(2, 50)] });
  world.crash();
  const opened = await world.openStorage();
  t.deepEqual(found(opened).state, stateOf(2, 10));
  await append(world, opened.storage, { entries: [entryOf(1, 11, 2)] });
  world.crash();
  t.is(found(await world.openStorage()).lastIndex, 11);
});

test('a write of one frame comes back whole or not at all', async (t) => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(seed, { delays: { writeMs: [0.1, 0.2], syncMs: [0.5, 1] } });
    const { storage } = await world.openStorage();
    for (let index = 1; index <= 12; index++) {
      await world.append(storage.log, entryOf(3, index, 1, new Uint8Array(4000)));
    }
    // The segment has no room for it: it must not be divided over the end.
    const entries = [1, 2, 3, 4, 5].map((index) => entryOf(1, index, 7, new Uint8Array(5000)));
    storage.log.append({ entries, hardStates: [stateOf(7, 4, 2)] }, () => undefined);
    await world.time.run((seed % 15) / 5);
    world.crash();
    const { state, lastIndex } = found({
      ...(await world.openStorage()),
    });
    outcomes.add(state?.group === group ? `${state.term} ${lastIndex} ${state.commit}` : 'none');
  }
  t.deepEqual([...outcomes].sort(), ['7 5 4', 'none']);
});

test('segments with a tail that was replaced stay until the replacement is durable', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(seed, { delays: { writeMs: [0.1, 0.2], syncMs: [0.5, 1] } });
    const { storage } = await world.openStorage();
    await append(world, storage, { entries: log });
    for (let index = 1; index <= 40; index++) {
      await world.append(storage.log, entryOf(3, index, 1, new Uint8Array(4000)));
    }
    await world.mark(storage.log, markOf(3, 40));
    await world.mark(storage.log, markOf(3, 40));
    for (const late of [5, 5]) {
      const writer = await world.time.until(storage.snapshots.begin(markOf(1, late, 2)));
      await world.time.until(writer.finish(5n));
      storage.log.append({ entries: [], marks: [markOf(1, late, 2)] }, () => undefined);
    }
    storage.log.append({ entries: [entryOf(1, 6, 3)] }, () => undefined);
    await world.time.run((seed % 20) / 10);
    world.crash();
    const { lastIndex } = found(await world.openStorage());
    t.true([10, 6].includes(lastIndex), `seed ${seed}: ${lastIndex}`);
  }
});
