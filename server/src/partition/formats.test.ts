import { hash64 } from '@tuplet/proto';
import test, { type ExecutionContext } from 'ava';
import { HostWorld } from '../../sim/host-world.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { explainStart } from '../cli/start-failure.ts';
import { Storage } from '../storage/storage.ts';
import { StartError } from './start-error.ts';

const map = 0 as GroupId;
const partition = 1 as GroupId;

/** A node that was founded and stopped, and what another version does to its storage. */
async function written(write: (storage: Storage, next: LogIndex) => Promise<void>, group: GroupId) {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1, snapshotTailBytes: 1 });
  await world.createSpace(host, 'more');
  await world.time.run(2_000);
  await world.close(host);
  const options = { ...world.hostOptions(), segmentBytes: 64 * 1024, reserveBytesMin: 16 * 1024 };
  const opened = await world.time.until(Storage.open(world.disk, world.clock, options));
  const { lastIndex = 0 } =
    opened.recovered.find(({ hardState }) => hardState.group === group) ?? {};
  await world.time.until(write(opened.storage, (lastIndex + 1) as LogIndex));
  await world.time.until(opened.storage.close());
  return world;
}

function entry(group: GroupId, payload: Uint8Array, kind: 0 | 1 = 0) {
  return async (storage: Storage, index: LogIndex): Promise<void> => {
    const entries = [{ group, term: 9 as Term, index, kind, payload }];
    await new Promise<void>((resolve) => storage.log.append({ entries }, resolve));
  };
}

/** The newest snapshot once more, at the same index, with another byte at a place of its beginning. */
function snapshot(group: GroupId, change: (chunk: Uint8Array, context: Uint8Array) => void) {
  return async (storage: Storage): Promise<void> => {
    const chunks: Uint8Array[] = [];
    const summary = await storage.snapshots.load(group, (chunk) => chunks.push(chunk.slice()));
    if (summary === undefined || chunks[0] === undefined) throw new Error('there is a snapshot');
    const origin = { ...summary, context: summary.context.slice() };
    change(chunks[0], origin.context);
    const writer = await storage.snapshots.begin({ ...summary.mark, term: 8 as Term }, origin);
    for (const chunk of chunks) await writer.add(chunk);
    await storage.complete(writer, group === map ? hash64(chunks[0]) : summary.stateHash);
  };
}

async function refused(t: ExecutionContext, world: HostWorld, told: RegExp): Promise<void> {
  const files = world.disk.files();
  const error = await t.throwsAsync(world.start(), { instanceOf: StartError });
  t.is(error?.reason, 'FORMAT_UNKNOWN');
  t.regex(error?.message ?? '', told);
  const place = { dataDir: '/data', listen: '' };
  t.is(
    explainStart(error, place),
    `data folder /data: ${error?.message}; start the version of tuplet that wrote it, or choose another folder with --data`,
  );
  t.deepEqual(world.disk.files(), files);
}

test('an entry of another format is refused with its file, both formats, and what to do', async (t) => {
  // Of another format all that is known is where its number stands.
  const world = await written(entry(partition, Uint8Array.of(0x08, 77, 0xff, 0xff)), partition);
  const told = /^log\/00000000000\d: the log entry has format 77, this build reads format 2$/;
  await refused(t, world, told);
});

test('an entry of the cluster map of another format is refused so as well', async (t) => {
  const world = await written(entry(map, Uint8Array.of(77)), map);
  const told =
    /^log\/00000000000\d: the entry of the cluster map has format 77, this build reads format 3$/;
  await refused(t, world, told);
});

test('a snapshot of another format is refused with its file, both formats, and what to do', async (t) => {
  const world = await written(
    snapshot(partition, (chunk) => {
      chunk[chunk.findIndex((byte, at) => byte === 4 && chunk[at - 1] === 0x08)] = 77;
    }),
    partition,
  );
  const told = /^snapshots\/001-\d+-\d+8: the snapshot has format 77, this build reads format 4$/;
  await refused(t, world, told);
});

test('a snapshot of the cluster map of another format is refused so as well', async (t) => {
  const world = await written(
    snapshot(map, (chunk) => {
      chunk[0] = 77;
    }),
    map,
  );
  const told =
    /^snapshots\/000-\d+-\d+8: the snapshot of the cluster map has format 77, this build reads format 3$/;
  await refused(t, world, told);
});

test('a change of the configuration of another format is refused so as well', async (t) => {
  const world = await written(entry(partition, Uint8Array.of(77), 1), partition);
  const told =
    /^log\/00000000000\d: the change of a configuration has format 77, this build reads format 1$/;
  await refused(t, world, told);
});

test('a configuration of another format in a snapshot is refused so as well', async (t) => {
  const world = await written(
    snapshot(partition, (_, context) => {
      context[0] = 77;
    }),
    partition,
  );
  const told =
    /^snapshots\/001-\d+-\d+8: the configuration has format 77, this build reads format 1$/;
  await refused(t, world, told);
});
