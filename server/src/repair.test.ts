/** Whose loss it is that `tuplet repair` is asked to accept. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { present } from './base/assert.ts';
import type { GroupId, LogIndex, Term } from './base/ids.ts';
import { hostChecksum } from './host/checksum.ts';
import { hostClock } from './host/clock.ts';
import { HostDisk } from './host/disk.ts';
import { hostRandom } from './host/random.ts';
import { foundingBatch } from './partition/founding.ts';
import { type ChangeStep, StepKind, Transition } from './raft/change.ts';
import { encodeChange } from './raft/change-codec.ts';
import { configurationOf } from './raft/configuration.ts';
import { encodeConfiguration } from './raft/configuration-codec.ts';
import { LossShared, repairFolder } from './repair.ts';
import type { LogBatch, LogEntry } from './storage/entry.ts';
import { Storage } from './storage/storage.ts';

const group = 1 as GroupId;
const term = 1 as Term;

/** What a folder holds: batches, each in a frame of its own, and perhaps a snapshot behind them. */
interface Content {
  readonly batches: readonly LogBatch[];
  readonly snapshot?: { readonly index: number; readonly members: readonly number[] };
}

function founded(...replicas: number[]): LogBatch {
  return foundingBatch(group, 1, replicas);
}

function normal(index: number, text = ''): LogBatch {
  return { entries: [entry(index, 0, new TextEncoder().encode(text))] };
}

/** A change of the members; `committed`: said so with it. */
function change(index: number, step: ChangeStep, committed: boolean): LogBatch {
  const none = new Uint8Array(0);
  const payload = encodeChange({ transition: Transition.auto, steps: [step], context: none });
  const hardState = { group, term, vote: 0, commit: (committed ? index : index - 1) as LogIndex };
  return { entries: [entry(index, 1, payload)], hardStates: [hardState] };
}

function entry(index: number, kind: 0 | 1, payload: Uint8Array): LogEntry {
  return { group, term, index: index as LogIndex, kind, payload };
}

const joins: ChangeStep = { kind: StepKind.learner, replica: 2 };
const leaves: ChangeStep = { kind: StepKind.remove, replica: 2 };

/** A folder with that, and with a bit flipped in the entry that says `here`. */
async function damaged(t: ExecutionContext, { batches, snapshot }: Content): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tuplet-repair-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const disk = await HostDisk.open(folder);
  const { storage } = await Storage.open(disk, hostClock, {
    checksum: hostChecksum,
    random: hostRandom,
    segmentBytes: 64 * 1024,
    reserveBytesMin: 4096,
    onFatal: (error) => t.fail(error.message),
  });
  const append = (batch: LogBatch): Promise<void> =>
    new Promise((resolve) => storage.log.append(batch, resolve));
  for (const batch of batches) await append(batch);
  if (snapshot !== undefined) {
    const context = encodeConfiguration(configurationOf(snapshot.members));
    const replica = storage.log.replicaOf(group)?.replica ?? 0;
    const mark = { group, index: snapshot.index as LogIndex, term };
    const writer = await storage.snapshots.begin(mark, { replica, context });
    await storage.complete(writer, 1n);
  }
  await storage.close();
  const path = join(folder, 'log/000000000001');
  const bytes = readFileSync(path);
  const at = bytes.indexOf('here');
  bytes[at] = present(bytes[at], 'the entry is there') ^ 1;
  writeFileSync(path, bytes);
  return folder;
}

function filesOf(folder: string): readonly (readonly [string, string])[] {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  return names
    .filter((each) => each.isFile() && each.name !== 'lock')
    .map((each) => join(each.parentPath, each.name))
    .sort()
    .map((path) => [path, readFileSync(path).toString('base64')]);
}

const shared: Record<string, Content> = {
  'founded by several': { batches: [founded(1, 2, 3), normal(4), normal(5, 'here'), normal(6)] },
  'that another has joined': {
    batches: [founded(1), change(2, joins, true), normal(3, 'here'), normal(4)],
  },
  'that another may have joined, as far as is known to be committed': {
    batches: [founded(1), change(2, joins, false), normal(3, 'here'), normal(4)],
  },
  'that another has joined behind the damage': {
    batches: [founded(1), normal(2, 'here'), change(3, joins, true)],
  },
  'that another may still belong to': {
    batches: [
      founded(1),
      change(2, joins, true),
      change(3, leaves, false),
      normal(4, 'here'),
      normal(5),
    ],
  },
  'whose snapshot names others': {
    batches: [
      { entries: [], replicas: [{ group, replica: 1, state: 'living' }] },
      normal(1),
      normal(2, 'here'),
      normal(3),
    ],
    snapshot: { index: 3, members: [1, 2] },
  },
  'that its replica has joined, and knows nothing of': {
    batches: [
      { entries: [], replicas: [{ group, replica: 5, state: 'living' }] },
      normal(1, 'here'),
      normal(2),
    ],
  },
};

for (const [what, content] of Object.entries(shared)) {
  test(`a loss in a group ${what} is not accepted, and nothing changes`, async (t) => {
    const folder = await damaged(t, content);
    const before = filesOf(folder);
    const found = await repairFolder(folder, { acceptLoss: false });
    t.is(found.survey.verdict, 'loss');
    t.deepEqual(found.shared, [group]);
    await t.throwsAsync(repairFolder(folder, { acceptLoss: true }), {
      instanceOf: LossShared,
      message: /^nothing was given up: other members of the groups 1 may count on what is lost/,
    });
    t.deepEqual(filesOf(folder), before);
  });
}

const own: Record<string, Content> = {
  'whose replica is alone': { batches: [founded(1), normal(2), normal(3, 'here'), normal(4)] },
  'that all others have left': {
    batches: [
      founded(1),
      change(2, joins, true),
      change(3, leaves, true),
      normal(4, 'here'),
      normal(5),
    ],
  },
  'whose snapshot, from after they left, names its replica alone': {
    batches: [founded(1), change(2, joins, true), normal(3, 'here'), change(4, joins, true)],
    snapshot: { index: 4, members: [1] },
  },
};

for (const [what, content] of Object.entries(own)) {
  test(`a loss in a group ${what} can be accepted`, async (t) => {
    const folder = await damaged(t, content);
    const { survey, shared: none, repaired } = await repairFolder(folder, { acceptLoss: true });
    t.is(survey.verdict, 'loss');
    t.deepEqual(none, []);
    t.is(repaired?.folder, 'repair-1');
    t.is((await repairFolder(folder, { acceptLoss: false })).survey.verdict, 'whole');
  });
}
