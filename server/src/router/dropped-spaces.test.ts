/** Dropped spaces are forgotten where the map and the partitions are led on several nodes. */
import test from 'ava';
import { HostCluster } from '../../sim/host-cluster.ts';
import type { ClusterNode } from '../../sim/partition/cluster-node.ts';
import { present } from '../base/assert.ts';
import type { PartitionId, SpaceId } from '../base/ids.ts';
import { dropSettleMs } from '../base/limits.ts';
import { partitionIds } from '../cluster/slots.ts';
import type { ToLeader } from '../coordination/messages.ts';
import { DroppedSpaces } from './dropped-spaces.ts';

/** Sees to dropped spaces on one node of a cluster; what it has asked of partitions. */
function seeTo(cluster: HostCluster, node: ClusterNode): { to: PartitionId; message: ToLeader }[] {
  const asked: { to: PartitionId; message: ToLeader }[] = [];
  const host = cluster.host(node);
  const drops = new DroppedSpaces({
    id: 10_000 + node.id,
    partitions: {
      send: (to, from, message) => {
        asked.push({ to, message });
        const leader = cluster.nodes.find((each) => each.host?.epochOf(to) !== undefined);
        leader?.host?.send(to, from, message);
      },
      attach: (router) => {
        const detach = cluster.nodes.map((each) => each.host?.attach(router));
        return () => {
          for (const each of detach) each?.();
        };
      },
    },
    map: host.map,
    clock: node.process.clock,
  });
  void drops;
  return asked;
}

function leaderOfMap(cluster: HostCluster): ClusterNode {
  const leader = cluster.nodes.find(({ host }) => host?.map.epoch() !== undefined);
  return present(leader, 'somebody leads the map');
}

/** A space with a tuple in each partition, which is then dropped. */
async function dropOne(cluster: HostCluster, partitions: readonly PartitionId[]): Promise<SpaceId> {
  const map = cluster.host(leaderOfMap(cluster)).map;
  let space = 0 as SpaceId;
  map.createSpace('jobs', { rules: [], like: undefined, tupleBytesMax: 1_000 }, (outcome) => {
    if (outcome.kind === 'created') space = outcome.space.id;
  });
  await cluster.until(() => space > 0, 'the space is created');
  for (const partition of partitions) {
    const router = cluster.router(await cluster.leaderOf(partition));
    await cluster.answer(router, router.write(partition, ['a'], { space }));
    router.detach();
  }
  map.dropSpace('jobs', () => undefined);
  await cluster.until(() => map.cluster.dropped().length === 1, 'it is dropped');
  return space;
}

/** Leaders of the map and of the partitions are on different nodes. */
async function spread(cluster: HostCluster, partitions: readonly PartitionId[]): Promise<void> {
  const map = leaderOfMap(cluster);
  for (const [at, partition] of partitions.entries()) {
    const others = cluster.others(map);
    const target = present(others[at % others.length], 'there are others');
    const leader = await cluster.leaderOf(partition);
    if (leader === target) continue;
    cluster.host(leader).handOver(partition, target.id);
    await cluster.until(() => target.host?.epochOf(partition) !== undefined, 'it is handed over');
  }
}

function left(cluster: HostCluster, partition: PartitionId, space: SpaceId): number[] {
  return cluster.nodes
    .filter(({ host }) => host !== undefined)
    .map((node) => cluster.host(node).spaceOf(partition).counts(space).ready);
}

test("the map's leader asks the leaders of all partitions, wherever they are, and only it", async (t) => {
  const partitions = partitionIds(4);
  const cluster = await HostCluster.start({ partitions: 4 });
  await cluster.until(
    () => cluster.nodes.some(({ host }) => host?.map.epoch() !== undefined),
    'the map is led',
  );
  await spread(cluster, partitions);
  const asked = new Map(cluster.nodes.map((node) => [node, seeTo(cluster, node)]));
  const leader = leaderOfMap(cluster);
  const space = await dropOne(cluster, partitions);
  await cluster.run(1_000);
  for (const each of partitions) t.deepEqual(left(cluster, each, space), [0, 0, 0]);
  t.deepEqual(cluster.host(leader).map.cluster.dropped(), [space], 'not after the first asking');
  await cluster.run(dropSettleMs + 2_000);
  for (const node of cluster.nodes) {
    t.deepEqual(cluster.host(node).map.cluster.dropped(), []);
    t.is((asked.get(node)?.length ?? 0) > 0, node === leader);
  }
  t.is(asked.get(leader)?.length, 8, 'each partition twice');
});

test('the next leader of the map goes on with what the last one had begun', async (t) => {
  const cluster = await HostCluster.start({ partitions: 2 });
  await cluster.until(
    () => cluster.nodes.some(({ host }) => host?.map.epoch() !== undefined),
    'the map is led',
  );
  const partitions = partitionIds(2);
  await spread(cluster, partitions);
  for (const node of cluster.nodes) seeTo(cluster, node);
  const first = leaderOfMap(cluster);
  const space = await dropOne(cluster, partitions);
  first.crash(false);
  await cluster.until(
    () => cluster.others(first).some(({ host }) => host?.map.epoch() !== undefined),
    'another leads the map',
  );
  await cluster.run(dropSettleMs - 500);
  t.deepEqual(cluster.host(leaderOfMap(cluster)).map.cluster.dropped(), [space]);
  await cluster.run(3_000);
  for (const node of cluster.others(first)) {
    t.deepEqual(cluster.host(node).map.cluster.dropped(), []);
    t.is(left(cluster, partitions[0] as PartitionId, space)[0], 0);
  }
});
