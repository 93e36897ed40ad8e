/** A cluster's backup, from the states that its hosts hand out, and the clusters that begin with it. */
import { decodeTuple } from '@tuplet/proto';
import test from 'ava';
import { HostCluster } from '../../sim/host-cluster.ts';
import { defaultSpace, HostWorld, operationOf, type TestRouter } from '../../sim/host-world.ts';
import type { GroupId, PartitionId, SessionId } from '../base/ids.ts';
import { decodeMapState } from '../cluster/map-codec.ts';
import type { PartitionHost } from './partition-host.ts';
import type { Restore } from './restoring.ts';
import { StartError } from './start-error.ts';

const p1 = 1 as PartitionId;
const p2 = 2 as PartitionId;
const all = [0 as GroupId, p1, p2];

/** The state of a group as a host hands it out, whole. */
async function stateOf(world: HostWorld, host: PartitionHost, group: GroupId): Promise<Buffer> {
  const collect = async (): Promise<Buffer> => {
    const state = await host.stateOf(group);
    if (typeof state === 'string') throw new Error(state);
    const chunks: Buffer[] = [];
    for await (const chunk of state) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  };
  return await world.time.until(collect());
}

/** A backup of one node: three tuples in the first partition, one of them handed over; one in the second. */
async function backup(): Promise<{ readonly restore: Restore; readonly host: PartitionHost }> {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  await world.createSpace(host, 'more');
  const router = world.router(host);
  const opened = await world.answer(router, router.openSession(p1));
  for (const word of ['a', 'b', 'c']) await world.answer(router, router.write(p1, [word]));
  await world.answer(router, router.write(p2, ['x']));
  const session: SessionId = Reflect.get(opened, 'session');
  const taken = await world.answer(router, router.take(p1, operationOf(session, 1), 'b'));
  if (taken.kind !== 'result') throw new Error(taken.kind);
  const files = new Map<GroupId, Buffer>();
  for (const group of all) files.set(group, await stateOf(world, host, group));
  const map = decodeMapState(files.get(0 as GroupId) ?? Buffer.alloc(0));
  const { spaces, nextSpaceId, epoch, partitions } = map;
  return {
    host,
    restore: restoreOf(files, { spaces, nextSpaceId, epoch, backup: 'b1' }, partitions),
  };
}

function restoreOf(
  files: ReadonlyMap<GroupId, Buffer>,
  map: Restore['map'],
  partitions: number,
): Restore {
  return {
    map,
    partitions,
    async *chunksOf(partition) {
      const file = files.get(partition) ?? Buffer.alloc(0);
      for (let at = 0; at < file.length; at += 50) yield file.subarray(at, at + 50);
    },
  };
}

/** The first fields of a partition's ready tuples, oldest first. */
function words(host: PartitionHost, partition: PartitionId): unknown[] {
  const space = host.spaceOf(partition);
  const found: unknown[] = [];
  for (let row = space.oldestReady(defaultSpace); row >= 0; row = space.nextReady(row))
    found.push(decodeTuple(space.bytesOf(row))[0]);
  return found;
}

async function writes(world: HostWorld, router: TestRouter, word: string): Promise<string> {
  return (await world.answer(router, router.write(p1, [word]))).kind;
}

test('a state has all that was answered before it was asked for, and begins a partition elsewhere', async (t) => {
  const { restore, host: before } = await backup();
  const world = new HostWorld(2);
  const host = await world.start({ restore });
  t.deepEqual(words(host, p1), ['a', 'b', 'c']);
  t.deepEqual(words(host, p2), ['x']);
  t.not(host.map.cluster.clusterId, before.map.cluster.clusterId);
  t.deepEqual(host.map.cluster.spaces(), before.map.cluster.spaces());
  t.is(await writes(world, world.router(host), 'd'), 'result');
  await world.close(host);
  const later = await world.start();
  t.deepEqual(words(later, p1), ['a', 'b', 'c', 'd']);
  // The same command line again is as good.
  await world.close(later);
  await world.close(await world.start({ restore }));
  t.deepEqual(world.fatal, []);
});

test('all founders begin with the same state, and one that comes late joins them', async (t) => {
  const { restore } = await backup();
  const cluster = await HostCluster.start({ nodes: 5, restoreOf: () => restore });
  for (const partition of [p1, p2])
    t.is(new Set(await cluster.agree(partition)).size, 1, String(partition));
  const [first] = cluster.nodes;
  t.deepEqual(words(cluster.host(first as never), p1), ['a', 'b', 'c']);
  const leader = await cluster.leaderOf(p1);
  const router = cluster.router(leader);
  t.is((await cluster.answer(router, router.write(p1, ['d']))).kind, 'result');
  const [other] = cluster.others(leader);
  other?.crash(true);
  await cluster.boot(other as never);
  t.is(new Set(await cluster.agree(p1)).size, 1);
  t.deepEqual(words(cluster.host(other as never), p1), ['a', 'b', 'c', 'd']);
  t.deepEqual(cluster.fatal, []);
});

test('a founder without the backup of the others, or with one of its own, does not begin', async (t) => {
  const { restore } = await backup();
  const own: Restore = { ...restore, map: { ...restore.map, backup: 'b2' } };
  for (const [third, told] of [
    [undefined, /began with backup b1, and this node, .* was given none/],
    [own, /began with backup b1, and this node was given backup b2/],
  ] as const) {
    const restoreOf = (node: number): Restore | undefined => (node === 3 ? third : restore);
    // Node 3 may lead the map first and found it its own way: then it is the others that stop.
    const cluster = new HostCluster({ nodes: 3, restoreOf, seed: 1 });
    await cluster.boot(cluster.node(1), cluster.node(2));
    await cluster.leaderOf(p1);
    await cluster.boot(cluster.node(3));
    await cluster.until(() => cluster.fatal.length > 0, 'it stops');
    t.is(cluster.fatal.length, 1);
    t.regex(cluster.fatal[0] ?? '', told);
    t.is(cluster.node(3).host?.replicaOf(p1), undefined);
  }
});

test('a backup for a cluster that began with nothing is refused', async (t) => {
  const { restore } = await backup();
  const world = new HostWorld(3);
  await world.close(await world.start({ partitions: 2 }));
  const error = await t.throwsAsync(world.start({ restore }), { instanceOf: StartError });
  t.is(error?.reason, 'BACKUP_OTHER');
  t.regex(error?.message ?? '', /began without a backup, and this node was given backup b1/);
});

test('a crash anywhere on the way leaves nothing, or what the next start makes whole', async (t) => {
  const { restore } = await backup();
  let [refused, whole] = [0, 0];
  for (let afterMs = 1; afterMs < 60; afterMs += 1) {
    const world = new HostWorld(afterMs);
    const opening = world.start({ restore });
    opening.catch(() => undefined);
    await world.time.run(afterMs);
    world.crash();
    // Without the backup it either has everything, or says what it needs, or has founded nothing yet.
    try {
      const host = await world.start({ partitions: 2, ifEmpty: 'refuse' });
      if (host.map.cluster.backup === 'b1') {
        t.deepEqual(words(host, p1), ['a', 'b', 'c'], String(afterMs));
        whole += 1;
      }
      await world.close(host);
      continue;
    } catch (error) {
      t.true(error instanceof StartError, String(error));
      refused += Number((error as StartError).reason === 'BACKUP_OTHER');
    }
    const host = await world.start({ restore });
    t.deepEqual(words(host, p1), ['a', 'b', 'c'], String(afterMs));
    t.deepEqual(words(host, p2), ['x'], String(afterMs));
    await world.close(host);
  }
  t.true(refused > 3, `refused ${refused}`);
  t.true(whole > 3, `whole ${whole}`);
});

test('a state is handed out by who leads the group, and by nobody else', async (t) => {
  const cluster = await HostCluster.start({ nodes: 3 });
  const leader = await cluster.leaderOf(p1);
  for (const node of cluster.nodes) {
    let outcome: unknown;
    void cluster
      .host(node)
      .stateOf(p1)
      .then((state) => {
        outcome = typeof state === 'string' ? state : 'state';
      });
    await cluster.until(() => outcome !== undefined, 'it answers');
    t.is(outcome, node === leader ? 'state' : 'not-led');
  }
});
