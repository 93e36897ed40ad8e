import { encodeTuple } from '@tuplet/proto';
import test from 'ava';
import { present } from '../base/assert.ts';
import type { GroupId, NodeId, PartitionId, Slot, SpaceId, Term } from '../base/ids.ts';
import type { CoordinatorId, FromLeader, ToLeader } from '../coordination/messages.ts';
import { Message, MessageKind } from '../raft/message.ts';
import { Lane } from '../transport/lane.ts';
import { Bench, one, two } from './testing-mesh.ts';

const p1 = 1 as PartitionId;
const p2 = 2 as PartitionId;

/** A router that remembers what it hears. */
class FakeRouter {
  readonly id: CoordinatorId;
  readonly delivered: FromLeader[] = [];
  readonly heard: string[] = [];
  constructor(id: CoordinatorId) {
    this.id = id;
  }
  deliver(messages: readonly FromLeader[]): void {
    this.delivered.push(...messages);
  }
  leadership(partition: PartitionId, epoch: Term): void {
    this.heard.push(`${partition}@${epoch}`);
  }
  linkBroken(partition: PartitionId): void {
    this.heard.push(`${partition} broken`);
  }
}

function write(call: number): ToLeader {
  const tuples = [{ slot: 1 as Slot, bytes: encodeTuple(['job', call]), leaseMs: undefined }];
  const change = { kind: 'write', space: 1 as SpaceId, tuples } as const;
  return { kind: 'mutate', call, operation: undefined, epoch: 3 as Term, m: 1, change };
}

test('a router reaches the leader of another node, and its answer comes back', (t) => {
  const bench = new Bench();
  const router = new FakeRouter(11);
  const partitions = bench.a.mesh.partitions();
  partitions.attach(router);
  bench.turns();
  t.deepEqual([...bench.b.host.attached.keys()], [11]);
  bench.leadsAtB(p1, 3);
  t.deepEqual(router.heard, ['1@3']);
  t.is(partitions.epochOf(p1), 3 as Term);
  partitions.send(p1, 11, write(5));
  bench.turns();
  t.deepEqual(bench.b.host.sent, [{ to: p1, from: 11, message: write(5) }]);
  const answer = { kind: 'unchanged', m: 1, call: 5, partition: p1, epoch: 3 as Term } as const;
  bench.b.host.attached.get(11)?.deliver([answer]);
  bench.turns();
  t.deepEqual(router.delivered, [answer]);
});

test('what a turn says to a node is one frame a lane', (t) => {
  const bench = new Bench();
  const partitions = bench.a.mesh.partitions();
  partitions.attach(new FakeRouter(11));
  bench.turns();
  bench.leadsAtB(p1, 3);
  for (let call = 1; call <= 50; call += 1) partitions.send(p1, 11, write(call));
  for (let group = 0; group < 20; group += 1) {
    bench.a.mesh.send(group as GroupId, new Message(MessageKind.append, 1, 2, 3));
    bench.a.mesh.send(group as GroupId, new Message(MessageKind.heartbeat, 1, 2, 3));
  }
  bench.clock.turn();
  t.deepEqual(
    bench.a.frames.map(({ lane }) => lane).sort(),
    [Lane.raft, Lane.heartbeat, Lane.coordination].sort(),
  );
  bench.turns();
  t.is(bench.b.host.sent.length, 50);
  t.is(bench.b.host.raft.length, 40);
});

test('here is led as elsewhere: the newest leadership counts, wherever it is', (t) => {
  const bench = new Bench();
  const router = new FakeRouter(11);
  const partitions = bench.a.mesh.partitions();
  partitions.attach(router);
  bench.turns();
  bench.a.host.attached.get(11)?.leadership(p1, 4 as Term);
  bench.leadsAtB(p1, 3);
  t.deepEqual(router.heard, ['1@4'], 'an older one that comes late is none');
  partitions.send(p1, 11, write(1));
  t.is(bench.a.host.sent.length, 1);
  bench.a.host.isReady = false;
  t.false(partitions.ready(p1), 'its inbox is full');
  bench.leadsAtB(p1, 5);
  t.true(partitions.ready(p1));
  partitions.send(p2, 11, write(1));
  bench.turns();
  t.is(bench.a.host.sent.length + bench.b.host.sent.length, 1, 'nobody is known to lead it');
});

test('a link breaks: its leaderships are known no more, its routers are gone, and both come back', (t) => {
  const bench = new Bench();
  const router = new FakeRouter(11);
  const partitions = bench.a.mesh.partitions();
  partitions.attach(router);
  bench.turns();
  bench.leadsAtB(p1, 3);
  partitions.send(p1, 11, write(1));
  bench.break();
  t.deepEqual(router.heard, ['1@3', '1 broken']);
  t.is(partitions.epochOf(p1), undefined);
  t.is(bench.b.host.attached.size, 0);
  partitions.send(p1, 11, write(2));
  bench.link();
  t.deepEqual(bench.b.host.sent, [], 'what waited for the old link went with it');
  bench.leadsAtB(p1, 3);
  t.deepEqual(router.heard, ['1@3', '1 broken', '1@3'], 'the same leadership again');
});

test('a router that goes is detached there too, and nothing of it is taken any more', (t) => {
  const bench = new Bench();
  const partitions = bench.a.mesh.partitions();
  const detach = partitions.attach(new FakeRouter(11));
  bench.turns();
  bench.leadsAtB(p1, 3);
  detach();
  partitions.send(p1, 11, write(1));
  bench.turns();
  t.is(bench.b.host.attached.size, 0);
  t.deepEqual(bench.b.host.sent, []);
});

test('a message between leaders goes to whoever leads', (t) => {
  const bench = new Bench();
  bench.a.mesh.partitions().attach(new FakeRouter(11));
  bench.turns();
  const question = { kind: 'ask-open', session: 2 ** 44 + 1, from: p2, epoch: 3 } as never;
  bench.a.mesh.sendLeader(p1, question);
  bench.turns();
  t.deepEqual(bench.b.host.between, [], 'nobody is known to lead it');
  bench.leadsAtB(p1, 3);
  bench.a.mesh.sendLeader(p1, question);
  bench.turns();
  t.deepEqual(bench.b.host.between, [p1]);
});

test('a replica is heard from the node alone where it lives', (t) => {
  const bench = new Bench();
  bench.a.mesh.send(4 as GroupId, new Message(MessageKind.append, 3, 2, 7));
  bench.turns();
  t.deepEqual(bench.b.host.raft, []);
  t.regex(present(bench.b.warnings[0], 'it is told'), /node 1 speaks for replica 3 of group 4/);
});

test('nodes tell each other where clients reach them, when a link comes up and when they learn it', (t) => {
  const bench = new Bench();
  bench.a.mesh.advertise('a:7447');
  bench.turns();
  const told = bench.b.mesh.view();
  t.deepEqual(told.nodes(), [{ id: one, clientAddress: 'a:7447' }]);
  bench.break();
  t.is(told.nodes().length, 1, 'it may come back');
  bench.b.mesh.advertise('b:7447');
  bench.link();
  for (const { mesh } of [bench.a, bench.b]) {
    t.deepEqual(mesh.view().nodes(), [
      { id: one, clientAddress: 'a:7447' },
      { id: two, clientAddress: 'b:7447' },
    ]);
  }
});

test('a view has the leaders that can be reached, and says when they change', (t) => {
  const bench = new Bench();
  const view = bench.a.mesh.view();
  bench.a.mesh.partitions().attach(new FakeRouter(11));
  bench.turns();
  let changes = 0;
  const stop = view.onChange(() => {
    changes += 1;
  });
  bench.leadsAtB(p1, 3);
  t.deepEqual(view.leaderOf(p1), { node: two, epoch: 3 as Term });
  t.is(changes, 1);
  bench.leadsAtB(p1, 3);
  t.is(changes, 1, 'that is no news');
  bench.break();
  t.is(view.leaderOf(p1), undefined);
  t.is(changes, 2);
  stop();
  bench.link();
  bench.leadsAtB(p1, 4);
  t.is(changes, 2);
});

test('what routers say is counted by where it goes', (t) => {
  const bench = new Bench();
  const partitions = bench.a.mesh.partitions();
  partitions.attach(new FakeRouter(11));
  bench.turns();
  bench.leadsAtB(p1, 3);
  partitions.send(p1, 11, write(5));
  partitions.send(p1, 11, write(6));
  bench.a.host.attached.get(11)?.leadership(p2, 5 as Term);
  partitions.send(p2, 11, write(7));
  t.deepEqual({ ...bench.a.mesh.sent }, { here: 1, elsewhere: 2 });
});

test('the host is told which replicas a node had whose link broke', (t) => {
  const bench = new Bench();
  bench.break();
  t.deepEqual(bench.a.host.lost, [[2]]);
  t.deepEqual(bench.b.host.lost, [[1]]);
});

test('a node is apart that is not linked to a majority', (t) => {
  const bench = new Bench();
  const isApart = [1, 2, 3, 4].map((nodes) => bench.a.mesh.isApart(nodes));
  t.deepEqual(isApart, [false, false, false, true], 'two of them are linked');
  bench.break();
  t.deepEqual(
    [1, 2, 3].map((nodes) => bench.a.mesh.isApart(nodes)),
    [false, true, true],
  );
});

test('nodes tell each other whom their maps have, when a link comes up and when there are more', (t) => {
  const bench = new Bench();
  bench.a.host.map.nodes.push(one, two);
  bench.a.host.map.apply(2);
  bench.turns();
  t.deepEqual(bench.b.heard.at(-1), [one, two]);
  const before = bench.b.heard.length;
  // A change of something else is no news.
  bench.a.host.map.apply(3);
  bench.turns();
  t.is(bench.b.heard.length, before);
  bench.break();
  bench.a.host.map.nodes.push(3 as NodeId);
  bench.a.host.map.apply(4);
  bench.link();
  t.deepEqual(bench.b.heard.at(-1), [one, two, 3 as NodeId]);
});
