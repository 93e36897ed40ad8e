import test from 'ava';
import { World } from '../../sim/disk-world.ts';
import type { GroupId, LogIndex, StampMs, Term } from '../base/ids.ts';
import { encodeMapEntry } from '../cluster/map-codec.ts';
import { StepKind, Transition } from '../raft/change.ts';
import { encodeChange } from '../raft/change-codec.ts';
import { noBytes } from '../raft/message.ts';
import type { LogEntry } from '../storage/entry.ts';
import { foundingBatch, lone } from './founding.ts';
import { openData, type RecoveredState } from './recovery.ts';

const group = 0 as GroupId;
const term = 2 as Term;

/** The entry that founds the cluster. */
function found(index: number): LogEntry {
  const { founders, replicaCount } = lone;
  const head = { clusterId: 'c'.repeat(32), partitions: 1 };
  const command = { kind: 'found', ...head, founders, replicaCount } as const;
  const payload = encodeMapEntry({ stampMs: 1 as StampMs, command });
  return { group, term, index: index as LogIndex, kind: 0, payload };
}

/** An entry that creates the space `s` with its index behind. */
function creation(index: number): LogEntry {
  const settings = { rules: [], like: undefined, tupleBytesMax: 1_000 };
  const command = { kind: 'create-space', name: `s${index}`, settings } as const;
  const payload = encodeMapEntry({ stampMs: index as StampMs, command });
  return { group, term, index: index as LogIndex, kind: 0, payload };
}

function learner(index: number): LogEntry {
  const steps = [{ kind: StepKind.learner, replica: 9 }];
  const payload = encodeChange({ transition: Transition.auto, steps, context: noBytes });
  return { group, term, index: index as LogIndex, kind: 1, payload };
}

/** What a start makes of entries behind a founding, of which so many were known to be committed. */
async function recoveredFrom(
  founders: readonly number[],
  entries: readonly LogEntry[],
  commit: number,
): Promise<RecoveredState> {
  const world = new World(1);
  const { storage } = await world.openStorage();
  const append = async (batch: Parameters<typeof storage.log.append>[0]): Promise<void> => {
    await world.time.until(new Promise<void>((done) => storage.log.append(batch, done)));
  };
  await append(foundingBatch(group, 1, founders));
  const hardStates = [{ group, term, vote: 1, commit: commit as LogIndex }];
  await append({ entries, hardStates });
  world.crash();
  const options = { ...world.options(), reserveBytesMin: 16_384 };
  const { recovered } = await world.time.until(openData(world.disk, world.time.clock, options));
  return recovered;
}

test('alone, whatever is durable is committed, known or not', async (t) => {
  const recovered = await recoveredFrom([1], [found(2), creation(3), creation(4)], 1);
  const start = recovered.replicas.get(group);
  t.is(start?.applied, 4 as LogIndex);
  t.is(start?.log.hardState.commit, 4);
  t.deepEqual([start?.log.baseIndex, start?.log.baseTerm], [4, 2]);
  t.truthy(recovered.map.space('s4'));
});

test('one of three applies what is known to be committed, and leaves the rest to its group (L2)', async (t) => {
  const entries = [found(4), creation(5), creation(6)];
  const recovered = await recoveredFrom([1, 2, 3], entries, 5);
  const start = recovered.replicas.get(group);
  t.is(start?.applied, 5 as LogIndex);
  t.is(start?.log.hardState.commit, 5);
  t.is(start?.log.hardState.vote, 1);
  t.is(start?.log.baseIndex, 0, 'others may ask for all of it');
  t.is(start?.log.entries.length, 6);
  t.is(recovered.map.appliedIndex, 5 as LogIndex);
  t.truthy(recovered.map.space('s5'));
  t.falsy(recovered.map.space('s6'));
  t.is(recovered.pastOf(group).appliedTerm, term);
});

test('a log is committed as far as it goes only up to the change that ended being alone', async (t) => {
  const entries = [found(2), learner(3), creation(4), creation(5)];
  const recovered = await recoveredFrom([1], entries, 1);
  const start = recovered.replicas.get(group);
  t.is(start?.applied, 3 as LogIndex);
  t.deepEqual(start?.configuration.learners, [9]);
  t.is(start?.log.entries.length, 5, 'the learner may need them');
  t.true(recovered.map.founded);
  t.falsy(recovered.map.space('s4'));
});

for (const [founders, opens] of [
  [[1, 2, 3], true],
  [[1], false],
] as const) {
  test(`a partition whose map is not known to be founded ${opens ? 'waits for it' : 'lost it'}, with ${founders.length} founders`, async (t) => {
    const world = new World(1);
    const { storage } = await world.openStorage();

    for (const each of [group, 1 as GroupId]) {
      const batch = foundingBatch(each, 1, founders);
      await world.time.until(new Promise<void>((done) => storage.log.append(batch, done)));
    }
    world.crash();
    const options = { ...world.options(), reserveBytesMin: 16_384 };
    const opening = world.time.until(openData(world.disk, world.time.clock, options));
    if (!opens) {
      const error = await t.throwsAsync(opening, { name: 'StartError' });
      t.is(error?.message, 'the data folder has partition 1, and no cluster map');
      return;
    }
    const { recovered } = await opening;
    t.false(recovered.map.founded);
    t.deepEqual([...recovered.replicas.keys()], [0, 1] as never);
  });
}
