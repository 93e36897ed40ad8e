import test from 'ava';
import { World } from '../../sim/disk-world.ts';
import type { GroupId, LogIndex } from '../base/ids.ts';
import { foundingBatch, foundingStart, joiningStart } from './founding.ts';
import { openData } from './recovery.ts';

const group = 0 as GroupId;

test('all founders begin with the same log, and differ in their own id alone', (t) => {
  const all = [2, 3, 7];
  const batches = all.map((replica) => foundingBatch(group, replica, all));
  const [first, ...others] = batches;
  for (const other of others) {
    t.deepEqual(other.entries, first?.entries);
    t.deepEqual(other.hardStates, first?.hardStates);
  }
  t.deepEqual(
    batches.map(({ replicas }) => replicas),
    all.map((replica) => [{ group, replica, state: 'living' }]),
  );
  t.deepEqual(first?.hardStates, [{ group, term: 1, vote: 0, commit: 3 }] as never);
  t.deepEqual(
    first?.entries.map(({ index, term, kind }) => [index, term, kind]),
    [
      [1, 1, 1],
      [2, 1, 1],
      [3, 1, 1],
    ] as never,
  );
});

test('a power cut behind the founding batch, and before anything else, changes nothing of it', async (t) => {
  for (const all of [[1], [1, 2, 3]]) {
    for (const replica of all) {
      const world = new World(replica);
      const { storage } = await world.openStorage();
      const batch = foundingBatch(group, replica, all);
      await world.time.until(new Promise<void>((done) => storage.log.append(batch, done)));
      world.crash();
      const options = { ...world.options(), reserveBytesMin: 16_384 };
      const { recovered } = await world.time.until(openData(world.disk, world.time.clock, options));
      const start = recovered.replicas.get(group);
      const made = foundingStart(group, replica, all);
      t.is(start?.id, replica);
      t.deepEqual(start?.configuration, made.configuration);
      t.is(start?.applied, made.applied);
      t.is(recovered.map.appliedIndex, all.length as LogIndex);
      t.deepEqual(start?.log.hardState, { group, ...made.log.hardState } as never);
      t.false(recovered.map.founded);
      // Who is alone has no use for applied entries; one of several may be asked for them.
      t.is(start?.log.entries.length, all.length === 1 ? 0 : all.length);
    }
  }
});

test('who joins knows nothing: no term, no entry, no member', (t) => {
  const { applied, configuration, id, log } = joiningStart(group, 9);
  t.deepEqual([id, applied, log.entries.length] as number[], [9, 0, 0]);
  t.deepEqual(configuration.voters, []);
  t.deepEqual(log.hardState, { term: 0, vote: 0, commit: 0 });
});
