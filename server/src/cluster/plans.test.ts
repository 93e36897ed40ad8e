import test from 'ava';
import { present } from '../base/assert.ts';
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import { movesMax, movesToNodeMax, nodesMax, nodeTextBytesMax } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import { placeFounding } from './founding-places.ts';
import { type LedGroup, nextChange } from './next-change.ts';
import type { GroupPlacement, NodeRecord, ReplicaPlace, ReplicaRole } from './placement-types.ts';
import { isMoving, mapGroup, stayingOf } from './placements.ts';
import { nextLeaderMove } from './plan-leaders.ts';
import { nextMove } from './plan-moves.ts';
import { descriptionOf, PlannedCluster } from './testing-placement.ts';

/** Replicas of partitions by node that is a member. */
function loads(cluster: PlannedCluster): number[] {
  return cluster.map
    .nodes()
    .filter(({ state }) => state === 'member')
    .map(
      ({ id }) =>
        cluster.map
          .placements()
          .filter(({ group, replicas }) => group !== 0 && replicas.some(({ node }) => node === id))
          .length,
    );
}

/** The first two replicas of a group. */
function placesOf({ map }: PlannedCluster, group: GroupId): [ReplicaPlace, ReplicaPlace] {
  const [first, second] = map.placement(group)?.replicas ?? [];
  return [present(first, 'it has one'), second ?? present(first, 'it has one')];
}

function spreadOf(counts: readonly number[]): number {
  return Math.max(...counts) - Math.min(...counts);
}

/** What must hold whatever happens. */
function check(cluster: PlannedCluster): void {
  for (const { group, replicas } of cluster.map.placements()) {
    const nodes = replicas.map(({ node }) => node);
    if (new Set(nodes).size !== nodes.length) throw new Error(`two replicas of ${group} on a node`);
    if (replicas.filter(({ role }) => role === 'joining').length > 1)
      throw new Error(`two replicas of ${group} join at once`);
    const { voters } = cluster.configuration(group);
    if (voters.length === 0) throw new Error(`group ${group} has no voters`);
  }
}

test('founders get an even share, in different zones as far as there are any', (t) => {
  for (const [zones, count] of [
    [['', '', ''], 3],
    [['', '', '', '', ''], 3],
    [['a', 'a', 'b', 'b', 'c'], 3],
    [['a', 'b'], 3],
    [['', '', '', '', '', '', ''], 5],
  ] as const) {
    for (const partitions of [1, 16, 256]) {
      const founders = zones.map((zone, at) => ({ id: (at + 1) as NodeId, zone }));
      const places = placeFounding(founders, partitions, count);
      const size = Math.min(count, founders.length);
      t.true(places.every((nodes) => new Set(nodes).size === size));
      const load = founders.map(({ id }) => places.filter((nodes) => nodes.includes(id)).length);
      const isEven = new Set(zones).size <= 1;
      if (isEven) t.true(spreadOf(load) <= 1, `${zones} ${load}`);
      const zonesMost = Math.min(size, new Set(zones).size);
      if (zones[0] !== '')
        t.true(
          places.every((nodes) => new Set(nodes.map((id) => zones[id - 1])).size === zonesMost),
        );
      t.deepEqual(places, placeFounding(founders, partitions, count));
    }
  }
});

test('a new node gets its share with as few moves as that takes, and then nothing moves', (t) => {
  for (const partitions of [7, 16, 64]) {
    const cluster = new PlannedCluster(['', '', ''], partitions, 3);
    cluster.settle();
    t.is(cluster.moves, 0);
    cluster.join();
    cluster.settle(() => check(cluster));
    t.true(spreadOf(loads(cluster)) <= 1, `${loads(cluster)}`);
    const share = Math.ceil((partitions * 3) / 4);
    t.true(cluster.moves <= share, `${cluster.moves} moves for a share of ${share}`);
    t.is(nextMove(cluster.map, cluster.alive), undefined);
  }
});

test('a node that is drained has nothing in the end, and is removed only then', (t) => {
  const cluster = new PlannedCluster(['', '', '', ''], 16, 3);
  const node = 1 as NodeId;
  const remove = { kind: 'set-node', node, state: 'removed' } as const;
  t.like(cluster.apply(remove), { kind: 'refused', problem: { reason: 'NODE_NOT_EMPTY' } });
  cluster.apply({ kind: 'set-node', node, state: 'draining' });
  cluster.settle(() => check(cluster));
  t.true(cluster.map.placements().every(({ replicas }) => !voters(replicas).includes(1)));
  t.is(cluster.apply(remove).kind, 'node');
  cluster.settle();
  t.is(
    cluster.map.placement(mapGroup)?.replicas.some((place) => place.node === node),
    false,
  );
  t.like(cluster.apply({ kind: 'set-node', node, state: 'member' }), {
    kind: 'refused',
    problem: { reason: 'NODE_REMOVED' },
  });
});

test('five nodes are drained to three, though all of them vote on the map', (t) => {
  const cluster = new PlannedCluster(['', '', '', '', ''], 16, 3);
  const voting = (): number[] => voters(cluster.map.placement(mapGroup)?.replicas ?? []);
  t.is(voting().length, 5);
  for (const node of [4, 1] as NodeId[]) {
    cluster.apply({ kind: 'set-node', node, state: 'draining' });
    cluster.settle(() => check(cluster));
    t.is(cluster.apply({ kind: 'set-node', node, state: 'removed' }).kind, 'node', `${node}`);
    cluster.settle(() => check(cluster));
  }
  t.deepEqual(voting().sort(), [2, 3, 5]);
});

test('five votes on the map stay five while a node is away, and are so again where none is drained', (t) => {
  const cluster = new PlannedCluster(['', '', '', '', ''], 16, 3);
  const voting = (): number => voters(cluster.map.placement(mapGroup)?.replicas ?? []).length;
  const node = 4 as NodeId;
  cluster.apply({ kind: 'set-node', node, state: 'gone' });
  cluster.settle(() => check(cluster));
  t.is(voting(), 5);
  cluster.apply({ kind: 'set-node', node, state: 'draining' });
  cluster.settle(() => check(cluster));
  t.is(voting(), 3);
  cluster.apply({ kind: 'set-node', node, state: 'member' });
  cluster.settle(() => check(cluster));
  t.is(voting(), 5);
});

const voters = (replicas: readonly ReplicaPlace[]): number[] =>
  replicas.filter(({ role }) => role !== 'learner').map(({ node }) => node);

test('a node that is gone is replaced without it, also when it was the target of a move', (t) => {
  const cluster = new PlannedCluster(['', '', ''], 16, 3);
  const fourth = cluster.join();
  for (let steps = 0; steps < 30; steps += 1) cluster.step();
  cluster.alive.delete(fourth);
  cluster.settle();
  cluster.apply({ kind: 'set-node', node: fourth, state: 'gone' });
  const fifth = cluster.join();
  cluster.settle(() => check(cluster));
  t.true(cluster.map.placements().every(({ replicas }) => !voters(replicas).includes(fourth)));
  t.true(voters(cluster.map.placement(1 as GroupId)?.replicas ?? []).length === 3);
  t.true(spreadOf(loads(cluster)) <= 1);
  t.true(loads(cluster).length === 4 && fifth === 5);
});

test('plans end even, in zones, and with what is wanted, whatever nodes come and go', (t) => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = new Prng(seed, 'plans');
    const zones = random.chance(1, 2) ? [''] : ['a', 'b', 'c'];
    const founders = Array.from({ length: random.between(1, 5) }, () => random.pick(zones));
    const cluster = new PlannedCluster(
      founders,
      random.pick([1, 5, 16, 33]),
      random.pick([1, 3, 5]),
    );
    for (let change = 0; change < 6; change += 1) {
      for (let steps = random.below(40); steps > 0; steps -= 1) cluster.step();
      disturb(cluster, random, zones);
      check(cluster);
      if (random.chance(1, 3)) cluster.reload();
    }
    for (const { id, state } of cluster.map.nodes()) if (state === 'member') cluster.alive.add(id);
    cluster.settle(() => check(cluster));
    judge(cluster, seed);
  }
  t.pass();
});

/** A node joins, leaves, dies or comes back; never so that a group loses its majority. */
function disturb(cluster: PlannedCluster, random: Prng, zones: readonly string[]): void {
  const members = cluster.map.nodes().filter(({ state }) => state === 'member');
  const node = random.pick(members).id;
  const kind = random.below(4);
  if (kind === 0 || members.length <= 3) {
    if (cluster.map.nodes().length < 9) cluster.join(random.pick(zones));
  } else if (kind === 1) cluster.apply({ kind: 'set-node', node, state: 'draining' });
  else if (kind === 2) {
    cluster.settle();
    if (!cluster.canLose(node)) return;
    cluster.alive.delete(node);
    cluster.apply({ kind: 'set-node', node, state: 'gone' });
  } else cluster.apply({ kind: 'set-replicas', count: random.pick([1, 3, 5]) });
}

function judge(cluster: PlannedCluster, seed: number): void {
  const { map } = cluster;
  const members = map.nodes().filter(({ state }) => state === 'member');
  const zones = new Set(members.map(({ zone }) => zone));
  for (const placement of map.placements()) {
    const { group } = placement;
    const staying = stayingOf(placement);
    const says = `seed ${seed} group ${group} ${JSON.stringify(placement.replicas)}`;
    if (staying.length !== placement.replicas.filter(({ role }) => role !== 'learner').length)
      throw new Error(`a move has not ended: ${says}`);
    if (group === mapGroup) continue;
    const most = Math.min(map.replicaCount, members.length);
    if (staying.length < most) throw new Error(`too few replicas: ${says}`);
    if (members.length < map.replicaCount) continue;
    if (staying.length > map.replicaCount) throw new Error(`too many replicas: ${says}`);
    if (staying.some(({ node }) => map.node(node)?.state !== 'member'))
      throw new Error(`a replica on a node that is left: ${says}`);
    const used = new Set(staying.map(({ node }) => map.node(node)?.zone));
    if (used.size < Math.min(zones.size, map.replicaCount))
      throw new Error(`zones are not used: ${says}`);
  }
  if (zones.size === 1 && spreadOf(loads(cluster)) > 1)
    throw new Error(`seed ${seed} not even: ${loads(cluster)}`);
}

test('a node that asks twice to join is added once, and names are unique', (t) => {
  const cluster = new PlannedCluster(['', '', ''], 1, 3);
  const add = {
    kind: 'add-node',
    key: 'ab'.repeat(16),
    name: 'four',
    zone: '',
    peerAddress: 'four:7448',
    clientAddress: '',
  } as const;
  const first = cluster.apply(add);
  t.like(first, { kind: 'node', node: { id: 4, state: 'member' } });
  t.deepEqual(cluster.apply(add), first);
  t.is(cluster.map.nodes().length, 4);
  t.is(cluster.map.placement(mapGroup)?.replicas.length, 4);
  const taken = cluster.apply({ ...add, key: 'cd'.repeat(16) });
  t.like(taken, { kind: 'refused', problem: { reason: 'NODE_NAME_TAKEN' } });
  const unfit = cluster.apply({ ...add, key: 'cd'.repeat(16), name: 'f our' });
  t.like(unfit, { kind: 'refused', problem: { reason: 'NODE_DESCRIPTION', field: 'node.name' } });
});

test('one move of a group at a time, of replicas that are there, to nodes that take them', (t) => {
  const cluster = new PlannedCluster(['', '', '', ''], 4, 3);
  const placement = cluster.map.placement(1 as GroupId) as GroupPlacement;
  const group = placement.group;
  const away = [1, 2, 3, 4].find((id) => !voters(placement.replicas).includes(id)) as NodeId;
  const there = placement.replicas[0] as ReplicaPlace;
  const begin = (add: NodeId | undefined, remove: number | undefined): string => {
    const outcome = cluster.apply({ kind: 'begin-move', group, add, remove });
    return outcome.kind === 'refused' ? outcome.problem.reason : outcome.kind;
  };
  t.is(begin(undefined, undefined), 'MOVE_STALE');
  t.is(begin(there.node, undefined), 'MOVE_STALE');
  t.is(begin(away, 999), 'MOVE_STALE');
  t.is(begin(away, there.replica), 'done');
  t.is(begin(undefined, placement.replicas[1]?.replica), 'MOVE_IN_PROGRESS');
  t.is(begin(undefined, there.replica), 'MOVE_STALE');
  const joining = cluster.map.placement(group)?.replicas.at(-1);
  t.like(joining, { role: 'joining', node: away, replica: 256 });
  // The target is given up: both leave, and no number comes back.
  t.is(begin(undefined, 256), 'done');
  cluster.settle();
  t.true(cluster.map.placement(group)?.replicas.every(({ replica }) => replica !== 256));
});

test('an older report changes nothing, and the same one again neither', (t) => {
  const cluster = new PlannedCluster(['', '', '', ''], 1, 3);
  const group = 1 as GroupId;
  const placement = cluster.map.placement(group) as GroupPlacement;
  const away = [1, 2, 3, 4].find((id) => !voters(placement.replicas).includes(id)) as NodeId;
  const [one, two, three] = placement.replicas.map(({ replica }) => replica) as [
    number,
    number,
    number,
  ];
  const report = (index: number, ...now: number[]): void => {
    const placed = {
      kind: 'placed',
      group,
      index: index as LogIndex,
      voters: now,
      learners: [],
    } as const;
    cluster.apply(placed);
  };
  const roles = (): ReplicaRole[] | undefined =>
    cluster.map.placement(group)?.replicas.map(({ role }) => role);
  cluster.apply({ kind: 'begin-move', group, add: away, remove: one });
  report(20, two, three, 256);
  t.deepEqual(roles(), ['voter', 'voter', 'voter']);
  cluster.apply({ kind: 'begin-move', group, add: undefined, remove: two });
  report(19, three, 256);
  t.deepEqual(roles(), ['leaving', 'voter', 'voter']);
  t.is(cluster.map.placement(group)?.placedAt, 20 as LogIndex);
  report(21, three, 256);
  t.deepEqual(roles(), ['voter', 'voter']);
});

const placeOf = (replica: number, role: ReplicaRole): ReplicaPlace => ({
  replica,
  node: (replica % 10) as NodeId,
  role,
});

test('a leader adds, waits, hands over if it leaves itself, and changes all at once', (t) => {
  const replicas = [
    placeOf(1, 'leaving'),
    placeOf(2, 'voter'),
    placeOf(3, 'voter'),
    placeOf(256, 'joining'),
  ];
  const group = 1 as GroupId;
  const placement: GroupPlacement = { group, replicas, nextReplica: 257, placedAt: 3 as LogIndex };
  const active = new Set([1, 2, 3, 256]);
  const caughtUp = new Set([1, 2, 3]);
  const next = (self: number, learners: number[], ...at: [number?, boolean?]): unknown => {
    const [index, isJoint = false] = at.length === 0 ? [9] : at;
    const led: LedGroup = {
      self,
      configuration: { voters: [1, 2, 3], learners, isJoint, index: index as LogIndex },
      isActive: (replica) => active.has(replica),
      isCaughtUp: (replica) => caughtUp.has(replica),
    };
    return nextChange(placement, led, () => false);
  };
  t.deepEqual(next(2, []), { kind: 'change', voters: [], learners: [256], removed: [] });
  t.is(next(2, [256]), undefined, 'it has not caught up');
  caughtUp.add(256);
  t.deepEqual(next(1, [256]), { kind: 'hand-over', to: 2 });
  caughtUp.delete(2);
  t.deepEqual(next(1, [256]), { kind: 'hand-over', to: 3 }, 'to one that has all');
  caughtUp.add(2);
  t.deepEqual(next(2, [256]), { kind: 'change', voters: [256], learners: [], removed: [1] });
  t.is(next(2, [256, 300]), undefined, 'a newer map gave that number');
  t.is(next(2, [256], undefined), undefined, 'the last change is not committed');
  t.is(next(2, [256], 9, true), undefined, 'it is under way');
  active.clear();
  active.add(2);
  t.is(next(2, [256]), undefined, 'the new voters would have no majority');
});

test('leaderships go from who leads most to who leads least, and rest when they are even', (t) => {
  const cluster = new PlannedCluster(['', '', ''], 16, 3);
  const { map, alive } = cluster;
  const leaders = new Map<GroupId, NodeId>();
  for (const { group } of map.placements()) leaders.set(group, 1 as NodeId);
  for (let moves = 0; ; moves += 1) {
    const next = nextLeaderMove(map, leaders, alive);
    if (next === undefined) break;
    t.is(leaders.get(next.group), next.from);
    leaders.set(next.group, map.nodeOf(next.group, next.to) as NodeId);
    if (moves > 16) t.fail('it does not end');
  }
  const counts = [1, 2, 3].map(
    (id) => [...leaders].filter(([group, node]) => group !== 0 && node === id).length,
  );
  t.true(spreadOf(counts) <= 1, `${counts}`);
  alive.delete(3 as NodeId);
  t.is(nextLeaderMove(map, leaders, alive), undefined);
});

test('no leadership moves in a group that moves; a node that is drained gives its own away', (t) => {
  const cluster = new PlannedCluster(['', '', '', ''], 4, 3);
  const { map, alive } = cluster;
  const group = 1 as GroupId;
  const [place, other] = placesOf(cluster, group);
  const leaders = new Map([[group, place.node]]);
  t.is(nextLeaderMove(map, leaders, alive), undefined, 'one leadership is even');
  cluster.apply({ kind: 'set-node', node: place.node, state: 'draining' });
  t.like(nextLeaderMove(map, leaders, alive), { group, from: place.node });
  const away = map
    .nodes()
    .find(({ id }) => !voters(map.placement(group)?.replicas ?? []).includes(id));
  cluster.apply({ kind: 'begin-move', group, add: away?.id, remove: other.replica });
  t.is(nextLeaderMove(map, leaders, alive), undefined);
});

test('moves are few at a time, in all and to one node, and only to nodes that can be reached', (t) => {
  const cluster = new PlannedCluster(['', '', ''], 64, 3);
  cluster.settle();
  const begin = (): number => {
    for (;;) {
      const next = nextMove(cluster.map, cluster.alive);
      if (next === undefined) break;
      t.is(cluster.apply(next).kind, 'done');
    }
    return cluster.map.placements().filter(isMoving).length;
  };
  const fourth = cluster.join();
  cluster.alive.delete(fourth);
  t.is(begin(), 0);
  cluster.alive.add(fourth);
  t.is(begin(), movesToNodeMax);
  cluster.join();
  cluster.join();
  t.is(begin(), movesMax);
  t.true(movesMax < 3 * movesToNodeMax);
});

test('of too many replicas the one on a node that is gone goes first', (t) => {
  const cluster = new PlannedCluster(['', '', ''], 1, 3);
  const node = 2 as NodeId;
  cluster.apply({ kind: 'set-node', node, state: 'gone' });
  cluster.apply({ kind: 'set-replicas', count: 2 });
  t.like(nextMove(cluster.map, cluster.alive), { group: 1, add: undefined, remove: 2 });
});

test('nothing goes to a node that is drained, and no group loses its last replica', (t) => {
  const cluster = new PlannedCluster(['', ''], 1, 1);
  const group = 1 as GroupId;
  const [place] = placesOf(cluster, group);
  const node = (3 - place.node) as NodeId;
  const remove = { kind: 'begin-move', group, add: undefined, remove: place.replica } as const;
  t.like(cluster.apply(remove), { problem: { reason: 'MOVE_STALE', field: 'remove' } });
  cluster.apply({ kind: 'set-node', node, state: 'draining' });
  t.like(cluster.apply({ ...remove, add: node }), {
    problem: { reason: 'MOVE_STALE', field: 'add' },
  });
});

test('a node is not removed while it votes on the map, nor while it has a replica', (t) => {
  const remove = (cluster: PlannedCluster, node: NodeId): string => {
    const outcome = cluster.apply({ kind: 'set-node', node, state: 'removed' });
    if (outcome.kind !== 'refused') return outcome.kind;
    return `${outcome.problem.reason} ${outcome.problem.message}`;
  };
  const young = new PlannedCluster(['', '', '', ''], 1, 3);
  const idle = [1, 2, 3, 4].find(
    (id) => !voters(young.map.placement(1 as GroupId)?.replicas ?? []).includes(id),
  ) as NodeId;
  t.regex(remove(young, idle), /^NODE_NOT_EMPTY .* a vote in the cluster map:/);
  const grown = new PlannedCluster(['', '', ''], 16, 3);
  const fourth = grown.join();
  grown.settle();
  t.is(grown.map.placement(mapGroup)?.replicas.at(-1)?.role, 'learner');
  t.regex(remove(grown, fourth), /^NODE_NOT_EMPTY .* replicas of 12 partitions:/);
});

test('a node that was removed does not join again by its key; numbers and texts are bounded', (t) => {
  const cluster = new PlannedCluster(['', '', ''], 1, 3);
  const fourth = cluster.join();
  cluster.apply({ kind: 'set-node', node: fourth, state: 'removed' });
  const { key } = cluster.map.node(fourth) as NodeRecord;
  const add = { kind: 'add-node', key, ...descriptionOf(4) } as const;
  t.like(cluster.apply(add), { problem: { reason: 'NODE_REMOVED' } });
  const long = { ...add, key: 'ab'.repeat(16), name: 'n'.repeat(nodeTextBytesMax) };
  t.is(cluster.apply(long).kind, 'node');
  t.like(cluster.apply({ ...long, key: 'cd'.repeat(16), name: `${long.name}n` }), {
    problem: { reason: 'NODE_DESCRIPTION', field: 'node.name', limit: nodeTextBytesMax },
  });
  t.like(cluster.apply({ kind: 'set-node', node: 99 as NodeId, state: 'gone' }), {
    problem: { reason: 'NODE_NOT_FOUND' },
  });
  while (cluster.map.nodes().length < nodesMax) cluster.join();
  t.like(cluster.apply({ ...add, key: 'ef'.repeat(16), name: 'more' }), {
    problem: { reason: 'NODES_EXHAUSTED', limit: nodesMax },
  });
});
