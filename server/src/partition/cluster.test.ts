/** Three hosts and what they owe each other, over simulated disks and wires. */
import test from 'ava';
import { HostCluster } from '../../sim/host-cluster.ts';
import { defaultSpace, operationOf, type TestRouter, tupleOf } from '../../sim/host-world.ts';
import type { ClusterNode } from '../../sim/partition/cluster-node.ts';
import type { GroupId, LogIndex, PartitionId, SessionId, Term } from '../base/ids.ts';
import { commitTellMs, diskHungMs, raftTickMs } from '../base/limits.ts';
import type { CallId, FromLeader } from '../coordination/messages.ts';
import { StepKind } from '../raft/change.ts';
import { Message, MessageKind } from '../raft/message.ts';
import { Role } from '../raft/state.ts';
import type { SessionOperation } from '../space/command.ts';

const p1 = 1 as PartitionId;
const p2 = 2 as PartitionId;

/** How many ready tuples a node's own replica shows. */
function shown(node: ClusterNode, partition = p1): number {
  return node.host?.spaceOf(partition).counts(defaultSpace).ready ?? -1;
}

/** The write of one tuple in a session. */
function writeIn(router: TestRouter, operation: SessionOperation, m = 1): CallId {
  const epoch = router.epochs.get(p1) as Term;
  const tuples = [tupleOf(p1, ['once', operation.sequence])];
  const change = { kind: 'write', space: defaultSpace, tuples } as const;
  return router.send(p1, { kind: 'mutate', operation, epoch, m, change });
}

/** Opens a session at home in partition 1. */
async function sessionAt(cluster: HostCluster, leader: ClusterNode): Promise<SessionId> {
  const router = cluster.router(leader);
  const opened = await cluster.answer(router, router.openSession(p1, 60_000));
  if (opened.kind !== 'session-opened') throw new Error(opened.kind);
  return opened.session;
}

/** Writes so many tuples of about 200 bytes through a leader. */
async function load(cluster: HostCluster, leader: ClusterNode, count: number): Promise<void> {
  const router = cluster.router(leader);
  for (let from = 0; from < count; from += 10) {
    let call = 0;
    for (let each = from; each < from + 10; each += 1) {
      call = router.write(p1, ['job', each, 'x'.repeat(200)]);
    }
    await cluster.answer(router, call);
    await cluster.run(20);
  }
  router.detach();
}

test('a write is answered when a majority has it, and by nobody who is cut off from one', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const [first, second] = cluster.others(leader) as [ClusterNode, ClusterNode];
  const router = cluster.router(leader);
  cluster.wires.cut(leader.id, first.id, 500);
  const call = router.write(p1, ['a']);
  t.is((await cluster.answer(router, call)).kind, 'result');
  t.is(second.host?.replicaOf(p1)?.lastIndex, leader.host?.replicaOf(p1)?.lastIndex);
  cluster.isolate(leader);
  const alone = router.write(p1, ['b']);
  await cluster.run(5_000);
  t.notDeepEqual(router.kinds(alone), ['result']);
  t.is(leader.host?.epochOf(p1), undefined, 'a leader that hears of no majority serves nobody');
  t.deepEqual(cluster.fatal, []);
});

test('a leader crashes: the same operation at the next one finds its result [4.11]', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const session = await sessionAt(cluster, leader);
  const operation = operationOf(session, 1);
  const router = cluster.router(leader);
  const result = await cluster.answer(router, writeIn(router, operation));
  t.is(result.kind, 'result');
  leader.crash(true);
  const next = await cluster.leaderOf(p1, cluster.others(leader));
  const again = cluster.router(next);
  const found = await cluster.answer(again, writeIn(again, operation, 2));
  t.is(found.kind, 'result');
  if (found.kind !== 'result' || result.kind !== 'result') return;
  t.deepEqual(found.result, result.result, 'the same tuple, the same revision');
  t.is(shown(next), 1);
});

test('a leader crashes before anybody has its write: sent again it happens once', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const session = await sessionAt(cluster, leader);
  const operation = operationOf(session, 1);
  const router = cluster.router(leader);
  cluster.isolate(leader);
  const lost = writeIn(router, operation);
  await cluster.run(50);
  t.deepEqual(router.kinds(lost), []);
  leader.crash(false);
  cluster.heal();
  const next = await cluster.leaderOf(p1, cluster.others(leader));
  const again = cluster.router(next);
  t.is((await cluster.answer(again, writeIn(again, operation, 2))).kind, 'result');
  await cluster.boot(leader);
  const [hash, ...others] = await cluster.agree(p1);
  t.true(others.every((other) => other === hash));
  t.is(shown(leader), 1);
});

test('an index is read where a group is led, and not by a leader that is no more', async (t) => {
  const cluster = await HostCluster.start();
  const old = await cluster.leaderOf(p1);
  const told: (LogIndex | undefined)[] = [];
  const ask = (node: ClusterNode): void =>
    cluster.host(node).readIndex(p1, (index) => told.push(index));
  ask(old);
  await cluster.until(() => told.length === 1, 'the leader answers');
  t.is(told[0], old.host?.spaceOf(p1).appliedIndex);
  const [follower] = cluster.others(old);
  if (follower === undefined) return t.fail();
  ask(follower);
  t.deepEqual(told.splice(0)[1], undefined, 'it does not lead');
  cluster.isolate(old);
  await cluster.run(10);
  ask(old);
  const next = await cluster.leaderOf(p1, cluster.others(old));
  const newer = cluster.router(next);
  t.is((await cluster.answer(newer, newer.write(p1, ['new']))).kind, 'result');
  await cluster.until(() => told.length === 1, 'the old leader learns that it is none');
  t.deepEqual(told, [undefined]);
  ask(next);
  await cluster.until(() => told.length === 2, 'the next leader answers');
  t.is(told[1], next.host?.spaceOf(p1).appliedIndex);
});

test('a deposed leader answers no read, also while it does not know (L3)', async (t) => {
  const cluster = await HostCluster.start();
  const old = await cluster.leaderOf(p1);
  const router = cluster.router(old);
  t.is((await cluster.answer(router, router.count(p1))).kind, 'counted');
  cluster.isolate(old);
  await cluster.run(10);
  const asked = router.count(p1);
  const next = await cluster.leaderOf(p1, cluster.others(old));
  const newer = cluster.router(next);
  t.is((await cluster.answer(newer, newer.write(p1, ['new']))).kind, 'result');
  cluster.heal();
  await cluster.run(3_000);
  t.false(router.kinds(asked).includes('counted'), router.kinds(asked).join());
  t.is(old.host?.epochOf(p1), undefined);
  const later = router.count(p1);
  const refused = await cluster.answer(router, later);
  t.is(refused.kind, 'not-leader');
  t.is(refused.epoch, next.host?.epochOf(p1) ?? (0 as Term));
});

test('what a leader hears before its turn counts before what it was asked', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const [other] = cluster.others(leader) as [ClusterNode];
  const router = cluster.router(leader);
  const call = router.write(p1, ['a']);
  const host = cluster.host(leader);
  const later = (host.epochOf(p1) ?? 0) + 1;
  host.receiveRaft(p1, new Message(MessageKind.heartbeat, other.id, leader.id, later));
  const answer = await cluster.answer(router, call);
  t.is(answer.kind, 'not-leader');
  t.true(answer.kind === 'not-leader' && answer.definite);
  await cluster.leaderOf(p1);
  t.is(new Set(await cluster.agree(p1)).size, 1);
  t.is(shown(leader), 0);
});

test('a follower that is far behind gets a snapshot, and agrees', async (t) => {
  const cluster = await HostCluster.start({ snapshotTailBytes: 4_000 });
  const leader = await cluster.leaderOf(p1);
  const [behind] = cluster.others(leader) as [ClusterNode];
  behind.crash(true);
  await load(cluster, leader, 200);
  t.true((leader.host?.stats().snapshots ?? 0) >= 2);
  await cluster.boot(behind);
  const [hash, ...others] = await cluster.agree(p1);
  t.is(behind.host?.installedCount(p1), 1);
  t.true(others.every((other) => other === hash));
  t.is(shown(behind), 200);
  // What it installed is what it starts from.
  behind.crash(true);
  await cluster.boot(behind);
  const again = await cluster.agree(p1);
  t.deepEqual(new Set(again), new Set([hash]));
  t.is(behind.host?.installedCount(p1), 0, 'its own disk has it');
  t.deepEqual(cluster.fatal, []);
});

test('a partition moves: replica, learner, voter, and back, with nothing left where it was', async (t) => {
  const cluster = await HostCluster.start({ nodes: 4, founders: 3, snapshotTailBytes: 4_000 });
  const joiner = cluster.node(4);
  await load(cluster, await cluster.leaderOf(p1), 60);
  await cluster.boot(joiner);
  const create = async (replica: number): Promise<void> => {
    cluster.place(1, replica, joiner);
    let isMade = false;
    cluster.host(joiner).createReplica(p1, replica, () => {
      isMade = true;
    });
    await cluster.until(() => isMade, 'the replica is made');
    await cluster.change(p1, { kind: StepKind.learner, replica });
    await cluster.change(p1, { kind: StepKind.voter, replica });
  };
  await create(4);
  t.is(new Set(await cluster.agree(p1)).size, 1);
  t.is(shown(joiner), 60);
  const { configuration } = cluster.host(joiner).replicaOf(p1) ?? {};
  t.deepEqual(configuration?.voters, [1, 2, 3, 4]);

  t.true(filesOf(joiner).length > 0, 'it has a snapshot of its leader, or of its own');
  joiner.crash(true);
  await cluster.boot(joiner);
  await cluster.change(p1, { kind: StepKind.remove, replica: 4 });
  await cluster.run(3_000);
  await bury(cluster, joiner);
  t.is(joiner.host?.replicaOf(p1), undefined);
  t.deepEqual(filesOf(joiner), []);

  // A later one begins from nothing, with a higher id, in the life that had recovered the first.
  await create(5);
  t.is(new Set(await cluster.agree(p1)).size, 1);
  t.is(shown(joiner), 60);
  t.deepEqual(cluster.host(joiner).replicaOf(p1)?.configuration.voters, [1, 2, 3, 5]);
  joiner.crash(true);
  await cluster.boot(joiner);
  t.is(new Set(await cluster.agree(p1)).size, 1);

  // A founder that buried its replica makes none anew.
  const founder = cluster.node(3);
  await cluster.change(p1, { kind: StepKind.remove, replica: 3 });
  await cluster.run(3_000);
  await bury(cluster, founder);
  t.deepEqual(filesOf(founder), []);
  founder.crash(true);
  await cluster.boot(founder);
  await cluster.run(2_000);
  t.is(founder.host?.replicaOf(p1), undefined);
  t.deepEqual(filesOf(founder), []);
  t.deepEqual(cluster.fatal, []);
});

/** A node's replica of partition 1 is removed from it. */
async function bury(cluster: HostCluster, node: ClusterNode): Promise<void> {
  let isBuried = false;
  const burial = cluster.host(node).removeReplica(p1);
  void burial.then(() => {
    isBuried = true;
  });
  await cluster.until(() => isBuried, 'the replica is buried');
}

/** Snapshots of partition 1 in a node's data folder. */
function filesOf(node: ClusterNode): readonly string[] {
  return node.disk.files().filter((name) => name.startsWith('snapshots/001-'));
}

for (const machine of [false, true]) {
  const how = machine ? 'the power of all fails' : 'all processes end';
  test(`${how}: what was answered is there afterwards, and terms go on`, async (t) => {
    const cluster = await HostCluster.start({ snapshotTailBytes: 4_000 });
    for (let life = 1; life <= 3; life += 1) {
      const leader = await cluster.leaderOf(p1);
      const epoch = leader.host?.epochOf(p1) ?? 0;
      await load(cluster, leader, 40);
      for (const node of cluster.nodes) node.crash(machine);
      await cluster.boot(...cluster.nodes);
      const next = await cluster.leaderOf(p1);
      t.true((next.host?.epochOf(p1) ?? 0) > epoch);
      t.is(new Set(await cluster.agree(p1)).size, 1);
      t.is(shown(next), 40 * life);
    }
    t.deepEqual(cluster.fatal, []);
  });
}

test('a cluster is founded once, with one id, whoever begins first and however often', async (t) => {
  const cluster = new HostCluster({ seed: 5 });
  await cluster.boot(cluster.node(2));
  await cluster.run(5_000);
  t.false(cluster.host(cluster.node(2)).map.cluster.founded, 'one of three founds nothing');
  await cluster.boot(cluster.node(1));
  await cluster.leaderOf(p1);
  await cluster.boot(cluster.node(3));
  const ids = (): Set<string> =>
    new Set(cluster.nodes.map(({ host }) => host?.map.cluster.clusterId ?? ''));
  await cluster.until(() => ids().size === 1 && !ids().has(''), 'all know the id');
  const [id] = ids();
  for (const node of cluster.nodes) node.crash(true);
  await cluster.boot(...cluster.nodes);
  await cluster.leaderOf(p2);
  t.deepEqual([...ids()], [id]);
  // The second founding adds no entries: both replicas of the first have the founders as voters.
  for (const node of cluster.nodes) {
    t.deepEqual(node.host?.replicaOf(0 as GroupId)?.configuration.voters, [1, 2, 3]);
    t.deepEqual(node.host?.replicaOf(p1)?.configuration.voters, [1, 2, 3]);
  }
});

test('founders whose power fails at any call of their first life found one cluster all the same', async (t) => {
  const cuts = { starting: 0, founding: 0, electing: 0 };
  for (let cut = 1; ; cut += 1) {
    const cluster = new HostCluster({ seed: cut, partitions: 1 });
    const [one, two] = [cluster.node(1), cluster.node(2)];
    let calls = 0;
    for (const { disk } of [one, two]) {
      disk.onCall = () => {
        calls += 1;
      };
    }
    for (const node of cluster.nodes) void node.boot();
    const isServed = (): boolean =>
      cluster.nodes.some(({ host }) => host?.epochOf(p1) !== undefined);
    await cluster.until(() => calls >= cut || isServed(), 'the cut is due');
    if (calls < cut) break;
    if (cluster.nodes.some(({ host }) => host === undefined)) cuts.starting += 1;
    else if (cluster.nodes.every(({ host }) => host?.replicaOf(p1) === undefined))
      cuts.founding += 1;
    else cuts.electing += 1;
    for (const node of [one, two]) {
      node.disk.onCall = undefined;
      node.crash(true);
    }
    await cluster.boot(one, two);
    const leader = await cluster.leaderOf(p1);
    const router = cluster.router(leader);
    t.is((await cluster.answer(router, router.write(p1, ['a']))).kind, 'result', `cut ${cut}`);
    const hasAll = ({ host }: ClusterNode): boolean => host?.replicaOf(p1) !== undefined;
    await cluster.until(() => cluster.nodes.every(hasAll), 'all found the partition');
    t.is(new Set(await cluster.agree(p1)).size, 1);
    const ids = new Set(cluster.nodes.map(({ host }) => host?.map.cluster.clusterId));
    t.is(ids.size, 1, `cut ${cut}: ${[...ids].join()}`);
    t.deepEqual(cluster.fatal, []);
  }
  t.true(cuts.starting > 20);
  t.true(cuts.founding > 10);
  t.true(cuts.electing > 10);
});

test('a node that joins founds nothing, and a commit index is written in time', async (t) => {
  const cluster = await HostCluster.start({ nodes: 4, founders: 3 });
  const leader = await cluster.leaderOf(p1);
  const router = cluster.router(leader);
  await cluster.answer(router, router.write(p1, ['a']));
  await cluster.run(2_500);
  const committed = cluster.nodes.slice(0, 3).map((node) => node.host?.replicaOf(p1)?.committed);
  t.is(new Set(committed).size, 1);
  for (const node of cluster.nodes.slice(0, 3)) node.crash(true);
  await cluster.boot(...cluster.nodes.slice(0, 2));
  // Before any election: the disk knows what was committed.
  for (const node of cluster.nodes.slice(0, 2)) {
    t.is(node.host?.spaceOf(p1).appliedIndex, committed[0] as LogIndex);
  }
});

test('a leadership’s stamps begin at the middle of the voters’ clocks [4.24]', async (t) => {
  const base = 1_700_000_000_000;
  const cluster = await HostCluster.start({ wallMs: [base, base + 1_000_000_000, base + 500] });
  for (let life = 0; life < 4; life += 1) {
    const leader = await cluster.leaderOf(p1);
    const router = cluster.router(leader);
    await cluster.answer(router, router.write(p1, [life]));
    const stampMs = leader.host?.spaceOf(p1).stampMs ?? 0;
    const trueMs = base + cluster.scheduler.nowMs;
    t.true(stampMs > trueMs - 5_000, `${stampMs - trueMs}`);
    t.true(stampMs < trueMs + 5_000, `${stampMs - trueMs}`);
    const [target] = cluster.others(leader) as [ClusterNode];
    leader.host?.handOver(p1, target.id);
    await cluster.until(() => target.host?.epochOf(p1) !== undefined, 'it was handed over');
  }
});

/** The kinds of the answers that a router has to some calls. */
function kindsOf(
  router: TestRouter,
  calls: readonly CallId[],
): Set<FromLeader['kind'] | undefined> {
  return new Set(calls.map((call) => router.last(call)?.kind));
}

test('a hand-over under load answers all that was admitted, and says not-leader to the rest', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const [target] = cluster.others(leader) as [ClusterNode];
  const router = cluster.router(leader);
  const before = [1, 2, 3, 4, 5].map((each) => router.write(p1, ['before', each]));
  await cluster.run(0.3);
  leader.host?.handOver(p1, target.id);
  const after = [1, 2, 3].map((each) => router.write(p1, ['after', each]));
  await cluster.until(() => target.host?.epochOf(p1) !== undefined, 'it was handed over');
  await cluster.run(500);
  t.deepEqual(kindsOf(router, before), new Set(['result'] as const));
  t.deepEqual(kindsOf(router, after), new Set(['not-leader'] as const));
  t.is(new Set(await cluster.agree(p1)).size, 1);
  t.is(shown(target), 5);
});

test('a leader that is cut off closes all the same, and answers nothing that is in doubt', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const router = cluster.router(leader);
  cluster.isolate(leader);
  const call = router.write(p1, ['a']);
  await cluster.run(20);
  let isClosed = false;
  void cluster
    .host(leader)
    .close()
    .then(() => {
      isClosed = true;
    });
  await cluster.until(() => isClosed, 'it closes');
  t.false(router.kinds(call).includes('result'));
  t.deepEqual(cluster.fatal, []);
});

test('whoever leads group 0 says so, and so does the next one when it begins to serve', async (t) => {
  const cluster = await HostCluster.start();
  const leading = (): ClusterNode[] =>
    cluster.nodes.filter(({ host }) => host?.map.epoch() !== undefined);
  await cluster.until(() => leading().length === 1, 'the map is led');
  const [leader] = leading() as [ClusterNode];
  const epoch = cluster.host(leader).map.epoch() as Term;
  const heard: { readonly id: number; readonly epoch: Term; readonly now: Term | undefined }[] = [];
  const cancels = cluster.nodes.map((node) => {
    const { map } = cluster.host(node);
    return map.onServing((begun) => heard.push({ id: node.id, epoch: begun, now: map.epoch() }));
  });
  leader.crash(true);
  await cluster.until(() => leading().length === 1, 'the map is led again');
  const [next] = leading() as [ClusterNode];
  t.not(next, leader);
  const now = cluster.host(next).map.epoch() as Term;
  t.true(now > epoch);
  t.deepEqual(heard, [{ id: next.id, epoch: now, now }]);
  for (const cancel of cancels) cancel();
  await cluster.boot(leader);
  next.crash(true);
  await cluster.until(() => leading().length === 1, 'the map is led once more');
  t.is(heard.length, 1, 'it wants to know no more');
});

/** How long it takes from now until a partition is served by one of some nodes. */
async function servedAfterMs(
  cluster: HostCluster,
  among: readonly ClusterNode[],
  partition = p1,
): Promise<number> {
  const fromUs = cluster.scheduler.nowUs;
  await cluster.leaderOf(partition, among);
  return (cluster.scheduler.nowUs - fromUs) / 1000;
}

for (const seed of [1, 2, 3, 4, 5]) {
  test(`a leader whose connections broke is followed long before an election timeout (${seed})`, async (t) => {
    const cluster = await HostCluster.start({ seed });
    await cluster.run(seed * 170);
    const leader = await cluster.leaderOf(p1);
    const others = cluster.others(leader);
    leader.crash(true);
    cluster.lose(leader, others);
    t.true((await servedAfterMs(cluster, others)) < 200);
  });
}

test('a connection that broke although the leader lives changes nothing', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const [other] = cluster.others(leader) as [ClusterNode];
  const epoch = cluster.host(leader).epochOf(p1);
  cluster.lose(leader, [other]);
  t.is(cluster.host(other).replicaOf(p1)?.lead, 0);
  await cluster.run(3_000);
  t.is(cluster.host(leader).epochOf(p1), epoch);
  t.is(cluster.host(other).replicaOf(p1)?.lead, leader.id);
});

test('groups that lose the same leader are led by those who are left in equal parts', async (t) => {
  const cluster = await HostCluster.start({ partitions: 8, seed: 3 });
  const [first, ...others] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  for (let id = 1; id <= 8; id += 1) {
    const partition = id as PartitionId;
    const leader = await cluster.leaderOf(partition);
    if (leader !== first) leader.host?.handOver(partition, first.id);
    await cluster.leaderOf(partition, [first]);
  }
  first.crash(true);
  cluster.lose(first, others);
  const counts = new Map<ClusterNode, number>();
  for (let id = 1; id <= 8; id += 1) {
    const leader = await cluster.leaderOf(id as PartitionId, others);
    counts.set(leader, (counts.get(leader) ?? 0) + 1);
  }
  t.deepEqual([...counts.values()], [4, 4]);
});

test('a leader whose disk hangs hands over, leads nothing meanwhile, and takes part again', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const others = cluster.others(leader);
  const router = cluster.router(leader);
  await cluster.answer(router, router.write(p1, ['before']));
  leader.disk.hang();
  router.write(p1, ['in flight']);
  const tookMs = await servedAfterMs(cluster, others);
  t.true(tookMs >= diskHungMs, `${tookMs}`);
  t.true(tookMs < diskHungMs + 200, `${tookMs}`);
  const next = await cluster.leaderOf(p1, others);
  const there = cluster.router(next);
  await cluster.answer(there, there.write(p1, ['after']));
  // For long it could campaign, and be elected by the votes of the others, which it may not.
  const term = cluster.host(next).replicaOf(p1)?.term;
  await cluster.run(8_000);
  t.is(cluster.host(next).replicaOf(p1)?.term, term);
  t.is(cluster.host(leader).epochOf(p1), undefined);
  leader.disk.answer();
  await cluster.until(() => shown(leader) === 3, 'it has what the others have');
  t.is(new Set(await cluster.agree(p1)).size, 1);
});

test('a disk that hangs while nobody else can lead: the leader goes on when it answers', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const others = cluster.others(leader);
  for (const other of others) other.crash(true);
  leader.disk.hang();
  const router = cluster.router(leader);
  router.write(p1, ['a']);
  await cluster.run(5_000);
  leader.disk.answer();
  await cluster.boot(...others);
  const next = await cluster.leaderOf(p1);
  const there = cluster.router(next);
  await cluster.answer(there, there.write(p1, ['b']));
  t.deepEqual(cluster.fatal, []);
});

test('who has a disk that hangs asks for nobody’s vote: it could not give its own', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const [hung, other] = cluster.others(leader) as [ClusterNode, ClusterNode];
  hung.disk.hang();
  const router = cluster.router(leader);
  await cluster.answer(router, router.write(p1, ['a']));
  await cluster.run(2 * diskHungMs);
  leader.crash(true);
  const replica = cluster.host(hung).replicaOf(p1);
  for (let each = 0; each < 50; each += 1) {
    await cluster.run(100);
    t.is(replica?.status().role, Role.follower);
  }
  hung.disk.answer();
  t.true([hung, other].includes(await cluster.leaderOf(p1, [hung, other])));
});

test('followers apply what is committed within a moment, without more entries and before a heartbeat', async (t) => {
  const cluster = await HostCluster.start();
  const leader = await cluster.leaderOf(p1);
  const router = cluster.router(leader);
  // Just after a heartbeat: the next one is far.
  await cluster.answer(router, router.write(p1, ['first']));
  await cluster.run(raftTickMs);
  const call = router.write(p1, ['a']);
  await cluster.answer(router, call);
  const index = cluster.host(leader).spaceOf(p1).appliedIndex;
  t.true(
    cluster.others(leader).every((node) => cluster.host(node).spaceOf(p1).appliedIndex < index),
  );
  await cluster.run(commitTellMs + 10);
  for (const node of cluster.others(leader))
    t.is(cluster.host(node).spaceOf(p1).appliedIndex, index);
});
