import test from 'ava';
import { addressOf, type FakeCluster, makeCluster } from '../../test/fake-cluster.ts';
import type { FakeConnection } from '../../test/fake-server.ts';
import { asking, type TestOperation, writing } from '../../test/operations.ts';
import { makeWorld, type World } from '../../test/world.ts';
import { clientLimits } from './limits.ts';

const idOf = (partition: number, counter: number): number => partition * 2 ** 44 + counter;

interface ClusterWorld extends World {
  readonly cluster: FakeCluster;
  /** The connection that was made to any server. */
  readonly first: FakeConnection;
}

/** Three nodes of which each leads the partition with its number, and an engine that knows so. */
function makeClusterWorld(): ClusterWorld {
  const world = makeWorld();
  const cluster = makeCluster(world.server);
  for (const node of [1, 2, 3]) cluster.leaders.set(node, { node, epoch: 1 });
  world.run(writing(['warm', 0]));
  for (const node of [2, 3]) world.run(to(node, writing(['warm', node])));
  const [first] = world.server.connections;
  if (first === undefined) throw new Error('there is a connection');
  return { ...world, cluster, first };
}

function to(partition: number, operation: TestOperation): TestOperation {
  operation.partition = partition;
  return operation;
}

const names = (connection: FakeConnection): string[] => connection.calls.map(({ name }) => name);
const count = (connection: FakeConnection, name: string): number =>
  names(connection).filter((each) => each === name).length;

/** A write to a partition and the connections it came over. */
function wayOf(world: World, partition: number): (string | undefined)[] {
  const before = new Map(world.server.connections.map((each) => [each, each.calls.length]));
  const write = world.run(to(partition, writing(['way', partition])));
  if (write.told.kind !== 'written') throw new Error(`it is ${write.told.kind}`);
  return world.server.connections
    .filter((each) => each.calls.slice(before.get(each) ?? 0).some(({ name }) => name === 'write'))
    .map(({ address }) => address);
}

test('a call goes to the node that leads its partition, over one stream a node', (t) => {
  const world = makeClusterWorld();
  for (const round of [1, 2]) {
    t.deepEqual(wayOf(world, 1), [undefined], `round ${round}: the first stream is to node 1`);
    t.deepEqual(wayOf(world, 2), [addressOf(2)]);
    t.deepEqual(wayOf(world, 3), [addressOf(3)]);
    t.deepEqual(wayOf(world, 4), [undefined], 'who leads it is not known');
  }
  t.is(world.server.connections.length, 3);
});

test('a stream to a node is used once its server has said who it is; others stand in before', (t) => {
  const world = makeWorld();
  const cluster = makeCluster(world.server);
  cluster.leaders.set(2, { node: 2, epoch: 1 });
  world.run(writing(['warm', 0]));
  const { topology } = world.server;
  world.server.topology = (connection) =>
    connection.address === undefined ? topology(connection) : undefined;
  t.deepEqual(wayOf(world, 2), [undefined]);
  t.deepEqual(names(cluster.to(2)), [], 'it was asked, and has not answered');
  world.server.topology = topology;
  cluster.tell(2);
  world.clock.settle();
  t.deepEqual(wayOf(world, 2), [addressOf(2)]);
});

test('calls follow a leadership that moves, whoever tells of it; older news are none', (t) => {
  const world = makeClusterWorld();
  world.cluster.leaders.set(2, { node: 3, epoch: 5 });
  world.cluster.tell(1);
  world.clock.settle();
  t.deepEqual(wayOf(world, 2), [addressOf(3)]);
  world.cluster.leaders.set(2, { node: 2, epoch: 4 });
  world.cluster.tell(2);
  world.clock.settle();
  t.deepEqual(wayOf(world, 2), [addressOf(3)]);
  world.cluster.leaders.delete(2);
  world.cluster.tell();
  world.clock.settle();
  t.deepEqual(wayOf(world, 2), [addressOf(3)], 'who does not know tells nothing');
});

test('K1: what was on the stream of a node that dies goes over another under a new attempt', (t) => {
  const world = makeClusterWorld();
  const dying = world.cluster.to(2);
  world.server.instead = (call, connection) =>
    connection === dying && call.name === 'write' ? true : undefined;
  const write = world.run(to(2, writing(['a', 1])));
  t.is(write.told.kind, 'waiting');
  world.server.refuses = ({ address }) => address === addressOf(2);
  dying.break();
  world.clock.settle();
  t.is(write.told.kind, 'written');
  t.is(write.attempt, 2);
  t.is(world.first.calls.at(-1)?.identity?.attempt, 2);
  t.deepEqual(wayOf(world, 2), [undefined]);
  t.is(world.server.named('open_session').length, 1, 'the session goes on');
  world.server.refuses = false;
  world.clock.advance(10_000);
  wayOf(world, 2);
  t.deepEqual(wayOf(world, 2), [addressOf(2)], 'it is back');
});

test('an address that cannot be reached costs nothing but the dialing', (t) => {
  const world = makeWorld();
  const cluster = makeCluster(world.server);
  cluster.leaders.set(2, { node: 2, epoch: 1 });
  world.server.refuses = ({ address }) => address !== undefined;
  for (let each = 0; each < 100; each += 1) {
    t.is(world.run(to(2, writing(['a', each]))).told.kind, 'written');
    world.clock.advance(100);
  }
  const dials = world.server.connections.length - 1;
  t.true(dials > 3 && dials < 30, `${dials} in ten seconds`);
  t.is(world.server.named('open_session').length, 1);
  t.is(world.server.named('keep_session').length, 2, 'no dial that fails asks for a keep-alive');
});

test('who is met at the address of another, or of another cluster, is asked for nothing', (t) => {
  for (const lie of ['node', 'cluster'] as const) {
    const world = makeWorld();
    const cluster = makeCluster(world.server);
    cluster.leaders.set(2, { node: 2, epoch: 1 });
    if (lie === 'node') cluster.nodeAt.set(addressOf(2), 3);
    else cluster.clusterOf = (node) => (node === 2 ? 'other' : 'fake');
    for (let each = 0; each < 20; each += 1) {
      t.is(world.run(to(2, writing(['a', each]))).told.kind, 'written');
      world.clock.advance(1_000);
    }
    t.is(world.server.connections.length, 2, 'it is not dialed again');
    t.false(cluster.to(2).isOpen);
    t.deepEqual(names(cluster.to(2)), []);
  }
});

test('any one node that is left serves for all', (t) => {
  const world = makeClusterWorld();
  world.server.refuses = ({ address }) => address !== addressOf(3);
  world.first.break();
  world.cluster.to(2).break();
  world.clock.settle();
  for (const partition of [0, 1, 2, 3]) {
    t.deepEqual(wayOf(world, partition), [addressOf(3)]);
  }
  world.cluster.to(3).accepts = false;
  wayOf(world, 3);
  const held = world.run(to(1, writing(['a', 1])));
  t.is(held.told.kind, 'waiting');
  world.cluster.to(3).drain();
  world.clock.settle();
  t.is(held.told.kind, 'written');
  const any = world.server.connections.filter(({ address }) => address === undefined);
  t.is(any.length, 1, 'nobody else is looked for while one is there');
  world.server.refuses = false;
  world.cluster.to(3).break();
  world.clock.settle();
  world.clock.advance(clientLimits.backOffMaxMs);
  t.is(world.run(to(3, writing(['a', 1]))).told.kind, 'written');
  t.is(world.server.named('open_session').length, 1);
});

test('with the last stream what was told is forgotten: the next server may be of a new cluster', (t) => {
  const world = makeClusterWorld();
  for (const connection of world.server.connections) connection.break();
  world.cluster.clusterOf = () => 'restored';
  world.cluster.leaders.clear();
  world.cluster.leaders.set(2, { node: 3, epoch: 1 });
  world.clock.advance(clientLimits.backOffMaxMs);
  wayOf(world, 2);
  t.deepEqual(wayOf(world, 2), [addressOf(3)]);
});

test('a node that has lost a leadership and is silent is given up soon', (t) => {
  const world = makeClusterWorld();
  const cut = world.cluster.to(2);
  const { topology } = world.server;
  world.server.topology = (connection) => (connection === cut ? undefined : topology(connection));
  world.server.instead = (_call, connection) => (connection === cut ? true : undefined);
  const write = world.run(to(2, writing(['a', 1])));
  const take = world.run(to(2, asking('take', 'nobody')));
  world.cluster.leaders.set(2, { node: 3, epoch: 2 });
  world.cluster.tell(1);
  world.clock.advance(clientLimits.suspectMs - 1);
  t.is(write.told.kind, 'waiting');
  world.clock.advance(1);
  t.false(cut.isOpen);
  t.is(write.told.kind, 'written');
  t.is(world.cluster.to(3).calls.at(-1)?.name, 'take');
  t.is(take.attempt, 2);
});

test('a node that has lost a leadership and is well keeps what was sent to it', (t) => {
  const world = makeClusterWorld();
  const old = world.cluster.to(2);
  const take = world.run(to(2, asking('take', 'later')));
  world.cluster.leaders.set(2, { node: 3, epoch: 2 });
  world.cluster.tell(1);
  world.clock.advance(5_000);
  t.true(old.isOpen);
  t.is(take.attempt, 1);
  world.put('later', 1);
  t.is(take.told.kind, 'found');
});

test('a process that stood still gives nobody up before it has looked', (t) => {
  const world = makeClusterWorld();
  const { instead } = world.server;
  world.server.instead = () => true;
  const write = world.run(to(2, writing(['a', 1])));
  const { topology } = world.server;
  world.server.topology = () => undefined;
  world.clock.advance(clientLimits.probeMs);
  world.clock.block(clientLimits.silentMs * 2);
  world.server.topology = topology;
  world.server.instead = instead;
  world.clock.advance(clientLimits.suspectMs / 2);
  t.true(world.cluster.to(2).isOpen);
  t.is(write.told.kind, 'waiting');
});

test('a call is ended over the stream that carries it', (t) => {
  const world = makeClusterWorld();
  const take = world.run(to(2, asking('take', 'nobody')));
  world.cluster.leaders.set(2, { node: 3, epoch: 2 });
  world.cluster.tell();
  world.clock.settle();
  world.engine.cancel(take);
  world.clock.settle();
  t.is(take.reason, 'CANCELLED');
  t.is(count(world.cluster.to(2), 'end_call'), 1);
});

test('K3: a receipt goes to the node that leads the partition which gave the tuple', (t) => {
  const world = makeClusterWorld();
  const ids = [2, 3, 2].map((partition, at) => {
    world.server.nextTuple = idOf(partition, 50 + at);
    return world.put('a', partition);
  });
  for (const _ of ids) world.engine.start(asking('take', 'a'));
  world.clock.settle();
  t.deepEqual([...world.server.received].sort(), [...ids].sort());
  t.is(count(world.cluster.to(2), 'acknowledge'), 1);
  t.is(count(world.cluster.to(3), 'acknowledge'), 1);
  t.is(count(world.first, 'acknowledge'), 0);
});

test('S4: keep-alives go to the leader of the home, and over another stream when that one breaks', (t) => {
  const world = makeWorld();
  world.server.nextSession = idOf(3, 7);
  const cluster = makeCluster(world.server);
  cluster.leaders.set(3, { node: 3, epoch: 1 });
  world.run(to(3, writing(['warm', 0])));
  world.clock.advance(7_000);
  const home = cluster.to(3);
  t.is(count(home, 'keep_session'), 2);
  world.server.refuses = ({ address }) => address === addressOf(3);
  home.break();
  world.clock.advance(30_000);
  t.is(world.run(writing(['a', 1])).told.kind, 'written');
  t.is(world.server.named('open_session').length, 1);
});

test('where a stream is full the others stand in, and where all are calls wait', (t) => {
  const world = makeClusterWorld();
  world.cluster.to(2).accepts = false;
  t.deepEqual(wayOf(world, 2), [addressOf(2)], 'it takes one more');
  t.deepEqual(wayOf(world, 2), [undefined]);
  for (const connection of world.server.connections) connection.accepts = false;
  wayOf(world, 1);
  wayOf(world, 3);
  const held = world.run(to(2, writing(['a', 1])));
  t.is(held.told.kind, 'waiting');
  world.cluster.to(3).drain();
  world.clock.settle();
  t.is(held.told.kind, 'written');
});

test('a stream that nobody uses is closed, and so is one to a node that has left', (t) => {
  const world = makeClusterWorld();
  const [second, third] = [world.cluster.to(2), world.cluster.to(3)];
  for (let waitedMs = 0; waitedMs < clientLimits.idleMs; waitedMs += 10_000) {
    wayOf(world, 2);
    world.clock.advance(10_000);
  }
  world.clock.advance(1_000);
  t.true(second.isOpen);
  t.false(third.isOpen);
  const take = world.run(to(2, asking('take', 'last')));
  world.cluster.nodes = [1, 3];
  world.cluster.tell();
  world.clock.advance(10_000);
  t.true(second.isOpen, 'it still owes an answer');
  world.put('last', 1);
  world.clock.advance(10_000);
  t.is(take.told.kind, 'found');
  t.false(second.isOpen);
});

test('a server that owes prompt answers is asked after a second, one that owes others later', (t) => {
  for (const [operation, ms] of [
    [writing(['a', 1]), clientLimits.probeMs],
    [asking('read', 'nobody'), clientLimits.probeWaitingMs],
  ] as const) {
    const world = makeWorld();
    let asked = 0;
    const { topology } = world.server;
    world.server.topology = (connection) => {
      asked += 1;
      return topology(connection);
    };
    world.run(asking('read', 'nobody', { waitMs: 0 }));
    t.is(asked, 1, 'when the connection was made');
    world.server.instead = (call) => (call.name === 'write' ? true : undefined);
    world.run(operation);
    world.clock.advance(ms - 1);
    t.is(asked, 1);
    world.clock.advance(1);
    t.is(asked, 2);
  }
});
