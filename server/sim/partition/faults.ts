/** What the schedule does to a cluster, its disks, its network and its clients. */
import { unreachable } from '../../src/base/assert.ts';
import type { PartitionId } from '../../src/base/ids.ts';
import { diskHungMs } from '../../src/base/limits.ts';
import { votersOf } from '../../src/raft/configuration.ts';
import type { ClusterNode } from './cluster-node.ts';
import { type ClusterFaultKind, clusterFaultKinds, electionMs } from './settings.ts';
import type { ClusterWorld } from './world.ts';

/** Onlookers come so long before their gateway is cut off. */
const onlookBeforeMs = 300;

/** Does one thing, drawn by the weights of the run. */
export function inflict(world: ClusterWorld): void {
  const { faults } = world.settings;
  const total = clusterFaultKinds.reduce((sum, kind) => sum + faults[kind], 0);
  let at = world.random.below(total);
  for (const kind of clusterFaultKinds) {
    at -= faults[kind];
    if (at >= 0) continue;
    strike(world, kind);
    return;
  }
}

function strike(world: ClusterWorld, kind: ClusterFaultKind): void {
  const { random, record } = world;
  switch (kind) {
    case 'crash':
      crashOne(world, world.cluster.pickAlive());
      return;
    case 'crash-leader':
      crashOne(world, leaderOfSome(world)?.node);
      return;
    case 'crash-before-sync': {
      const node = random.chance(1, 2) ? world.cluster.pickAlive() : leaderOfSome(world)?.node;
      if (node !== undefined) world.crashBeforeSync(node, random.between(5, 4_000));
      return;
    }
    case 'stop': {
      const node = random.chance(1, 2) ? world.cluster.pickAlive() : leaderOfSome(world)?.node;
      if (node !== undefined) world.stop(node, random.between(5, 2_000));
      return;
    }
    case 'pause-node':
      pause(world);
      return;
    case 'split':
      split(world);
      return;
    case 'cut one way':
      cutOneWay(world);
      return;
    case 'isolate leader':
      isolate(world);
      return;
    case 'isolate leader with its clients':
      isolateWithClients(world);
      return;
    case 'break link':
      breakLink(world);
      return;
    case 'transfer':
      if (transfer(world)) record.count('a leadership was handed over');
      return;
    case 'transfer under a split':
      split(world);
      if (transfer(world)) record.count('a transfer under a split');
      return;
    case 'change':
      world.membership.change();
      return;
    case 'slow-disk':
      slowDisk(world);
      return;
    case 'hang-disk':
      hangDisk(world);
      return;
    case 'space':
      world.changeSpaces();
      return;
    case 'full-disk':
      fullDisk(world);
      return;
    case 'disk-error':
      record.fault('disk error', 8_000);
      world.cluster.pickAlive()?.disk.failNext(random.pick(['write', 'sync']), 'io');
      return;
    case 'kill-gateway': {
      const node = world.cluster.pickAlive();
      if (node !== undefined) world.killGateway(node, random.between(5, 800));
      return;
    }
    default:
      strikeClient(world, kind);
  }
}

type ClientFault = Extract<
  ClusterFaultKind,
  'kill-client' | 'pause-client' | 'pause-client-beyond-lease' | 'break' | 'stall' | 'cancel'
>;

function strikeClient(world: ClusterWorld, kind: ClientFault): void {
  const { random, record, crowd, network } = world;
  const chosen = crowd.pick(random);
  if (chosen === undefined) return;
  const { process } = chosen.client;
  switch (kind) {
    case 'kill-client':
      process.kill();
      network.processGone(process);
      record.recorder.end(process.name, 'killed');
      record.fault('client killed', 0, process.name);
      crowd.replace(chosen, random.between(1, 500));
      return;
    case 'pause-client':
    case 'pause-client-beyond-lease': {
      const { leaseMs } = world.settings.base;
      const isLong = kind === 'pause-client-beyond-lease';
      const forMs = isLong ? Math.ceil(leaseMs * 1.3) : random.between(20, 900);
      process.pause(forMs);
      record.recorder.fault('pause', { process: process.name, forMs });
      record.count('client paused');
      if (isLong) record.count('client paused beyond its lease');
      return;
    }
    case 'break':
      if (network.breakOne(process)) record.fault('connection broken', 2_000, process.name);
      return;
    case 'stall': {
      const forMs = random.between(50, 3_000);
      if (network.stallOne(process, forMs)) {
        record.fault('connection stalled', forMs, process.name);
      }
      return;
    }
    case 'cancel':
      chosen.client.cancelOne(random);
      return;
    default:
      unreachable(kind);
  }
}

function crashOne(world: ClusterWorld, node: ClusterNode | undefined): void {
  const { random } = world;
  if (node === undefined) return;
  world.crash(node, random.chance(2, 3) ? 'power' : 'process', random.between(5, 4_000));
}

/** Up to five election timeouts. */
function pause(world: ClusterWorld): void {
  const { random, record } = world;
  const node = world.cluster.pickAlive();
  if (node === undefined) return;
  const forMs = random.between(20, random.pick([400, 2_000, 5 * electionMs]));
  world.pauseNode(node, forMs);
  record.fault('node paused', forMs + 6_000);
  if (forMs > 2 * electionMs) record.count('node paused beyond an election timeout');
}

/** Some nodes do not hear the others, nor these them. */
function split(world: ClusterWorld): void {
  const { random, record, cluster, wires } = world;
  const { nodes } = cluster;
  if (nodes.length < 2) return;
  const forMs = random.between(100, 5 * electionMs);
  const side = new Set(nodes.filter(() => random.chance(1, 2)));
  if (side.size === 0 || side.size === nodes.length) return;
  for (const one of nodes) {
    for (const other of nodes) {
      if (side.has(one) !== side.has(other)) wires.cut(one.id, other.id, forMs);
    }
  }
  record.fault('network split', forMs + 6_000);
}

function cutOneWay(world: ClusterWorld): void {
  const { random, record, cluster, wires } = world;
  const from = random.pick(cluster.nodes);
  const to = random.pick(cluster.nodes);
  if (from === to) return;
  const forMs = random.between(100, 5 * electionMs);
  wires.cut(from.id, to.id, forMs);
  record.fault('link cut one way', forMs + 6_000);
}

function isolate(world: ClusterWorld): void {
  const { random, record, cluster, wires } = world;
  const leader = leaderOfSome(world);
  if (leader === undefined) return;
  const forMs = random.between(500, 5 * electionMs);
  for (const other of cluster.nodes) {
    if (other === leader.node) continue;
    wires.cut(leader.node.id, other.id, forMs);
    if (random.chance(2, 3)) wires.cut(other.id, leader.node.id, forMs);
  }
  record.fault('leader isolated', forMs + 6_000);
}

/**
 * A leader and those who ask at its gateway hear nothing of the others, who elect another and go on: whoever looks
 * here must not be told what was true before.
 */
function isolateWithClients(world: ClusterWorld): void {
  const { random, record, cluster, wires } = world;
  const leader = leaderOfSome(world);
  if (leader === undefined) return;
  const { node, partition } = leader;
  if (successorsOf(world, node, partition).length === 0) return;
  const forMs = random.between(3 * electionMs, 5 * electionMs);
  world.onlook(node, partition, onlookBeforeMs + forMs);
  world.after(onlookBeforeMs, () => {
    const successors = successorsOf(world, node, partition);
    if (cluster.leaderOf(partition) !== node || successors.length === 0) return;
    for (const other of cluster.nodes) {
      if (other === node) continue;
      wires.cut(node.id, other.id, forMs);
      wires.cut(other.id, node.id, forMs);
    }
    record.fault('leader isolated with its clients', forMs + 6_000);
    // As soon as it can be elected: where the old leader checks its quorum it does not believe in itself for long.
    const successor = random.pick(successors);
    world.after(random.between(1.15 * electionMs, 1.4 * electionMs), () => {
      if (!successor.isPaused) successor.host?.replicaOf(partition)?.campaign();
    });
  });
}

/** The other voters, where they are up, hear each other, and are most: one of them can be elected. */
function successorsOf(
  { cluster }: ClusterWorld,
  leader: ClusterNode,
  partition: PartitionId,
): ClusterNode[] {
  const configuration = leader.host?.replicaOf(partition)?.configuration;
  if (configuration === undefined) return [];
  const voters = votersOf(configuration);
  const others = voters
    .map((voter) => cluster.nodeOf(partition, voter))
    .filter((node): node is ClusterNode => node?.host !== undefined && node !== leader)
    .filter((node) => !node.isPaused);
  const heard = others.filter((one) => others.every((other) => !cluster.isCut(one, other)));
  return 2 * heard.length > voters.length ? heard : [];
}

/** Between a node's routers and another node; whoever leads there goes on. */
function breakLink(world: ClusterWorld): void {
  const { random, record, cluster } = world;
  const at = random.pick(cluster.nodes);
  const node = leaderOfSome(world)?.node;
  if (node === undefined || node === at) return;
  const forMs = random.between(1, 500);
  cluster.breakLinks(at, node, forMs * 1_000);
  record.fault('link broken', forMs + 1_000);
}

function transfer(world: ClusterWorld): boolean {
  const { random } = world;
  const leader = leaderOfSome(world);
  if (leader === undefined) return false;
  const { node, partition } = leader;
  const replica = node.host?.replicaOf(partition);
  if (replica === undefined) return false;
  const others = votersOf(replica.configuration).filter((id) => id !== replica.id);
  if (others.length === 0) return false;
  node.host?.handOver(partition, random.pick(others));
  return true;
}

function slowDisk(world: ClusterWorld): void {
  const { random, record } = world;
  const node = world.cluster.pickAlive();
  if (node === undefined) return;
  const forMs = random.between(100, 3_000);
  node.disk.faults.slowSync = 0.3;
  record.fault('slow sync', forMs + 6_000);
  world.after(forMs, () => {
    node.disk.faults.slowSync = 0;
  });
}

/** Shorter and longer than what makes a leader hand over. */
function hangDisk(world: ClusterWorld): void {
  const { random, record } = world;
  const node = random.chance(1, 2) ? world.cluster.pickAlive() : leaderOfSome(world)?.node;
  if (node === undefined) return;
  const forMs = random.between(200, 4 * diskHungMs);
  node.disk.hang();
  record.fault('disk hung', forMs + 6_000);
  world.after(forMs, () => node.disk.answer());
}

function fullDisk(world: ClusterWorld): void {
  const { random, record } = world;
  const node = world.cluster.pickAlive();
  if (node === undefined || Number.isFinite(node.disk.capacityBytes)) return;
  const forMs = random.between(200, 4_000);
  node.disk.capacityBytes = node.disk.usedBytes() + random.below(4_096);
  record.fault('disk full', forMs + 6_000);
  world.after(forMs, () => {
    node.disk.capacityBytes = Number.POSITIVE_INFINITY;
  });
}

function leaderOfSome(
  world: ClusterWorld,
): { readonly node: ClusterNode; readonly partition: PartitionId } | undefined {
  const { random, settings, cluster } = world;
  const partition = random.between(1, settings.partitions) as PartitionId;
  const node = cluster.leaderOf(partition);
  return node === undefined ? undefined : { node, partition };
}
