import { encodeTuple } from '@tuplet/proto';
import test from 'ava';
import { HandClock } from '../../test/router/bench.ts';
import { present } from '../base/assert.ts';
import type { Cancel } from '../base/doors.ts';
import type { GroupId, NodeId, PartitionId, Slot, SpaceId, Term } from '../base/ids.ts';
import type { CoordinatorId, FromLeader, ToLeader } from '../coordination/messages.ts';
import type { RouterPort } from '../partition/routers.ts';
import { Message, MessageKind } from '../raft/message.ts';
import { Lane } from '../transport/lane.ts';
import { Mesh, type MeshHost, type MeshLinks } from './mesh.ts';

const p1 = 1 as PartitionId;
const p2 = 2 as PartitionId;
const one = 1 as NodeId;
const two = 2 as NodeId;

/** A host that remembers what it is given. */
class FakeHost {
  readonly sent: { to: PartitionId; from: CoordinatorId; message: ToLeader }[] = [];
  readonly raft: { group: GroupId; message: Message }[] = [];
  readonly between: PartitionId[] = [];
  readonly attached = new Map<CoordinatorId, RouterPort>();
  readonly map = { cluster: {}, onChange: () => () => undefined } as never;
  isReady = true;

  send(to: PartitionId, from: CoordinatorId, message: ToLeader): void {
    this.sent.push({ to, from, message });
  }
  ready(): boolean {
    return this.isReady;
  }
  receiveRaft(group: GroupId, message: Message): void {
    this.raft.push({ group, message });
  }
  receiveSnapshot(): void {}
  receiveLeader(to: PartitionId): void {
    this.between.push(to);
  }
  attach(router: RouterPort): Cancel {
    this.attached.set(router.id, router);
    return () => void this.attached.delete(router.id);
  }
}

interface Frame {
  readonly to: NodeId;
  readonly lane: Lane;
  readonly bytes: Uint8Array;
}

/** A node of the bench. */
class BenchNode {
  readonly mesh: Mesh;
  readonly host = new FakeHost();
  readonly frames: Frame[] = [];
  readonly warnings: string[] = [];
  readonly connected = new Set<NodeId>();
  readonly links: MeshLinks = {
    isConnected: (peer) => this.connected.has(peer),
    send: (to, lane, bytes) => {
      this.frames.push({ to, lane, bytes });
      return true;
    },
    flush: () => undefined,
    sendSnapshot: () => Promise.resolve('lost'),
  };

  constructor(self: NodeId, clock: HandClock) {
    this.mesh = new Mesh({
      self,
      clock,
      nodeOf: (_group, replica) => replica as NodeId,
      onWarning: (message) => this.warnings.push(message),
    });
    this.mesh.open(this.host as unknown as MeshHost, this.links);
  }
}

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

/** Two nodes that are linked. */
class Bench {
  readonly clock = new HandClock();
  readonly a = new BenchNode(one, this.clock);
  readonly b = new BenchNode(two, this.clock);

  constructor() {
    this.link();
  }

  link(): void {
    this.a.connected.add(two);
    this.b.connected.add(one);
    this.a.mesh.connected(two);
    this.b.mesh.connected(one);
    this.turns();
  }

  break(): void {
    this.a.connected.delete(two);
    this.b.connected.delete(one);
    this.a.mesh.broken(two);
    this.b.mesh.broken(one);
    this.a.frames.length = 0;
    this.b.frames.length = 0;
  }

  /** Carries frames until there are none. */
  turns(): number {
    let carried = 0;
    for (;;) {
      this.clock.turn();
      const fromA = this.a.frames.splice(0);
      const fromB = this.b.frames.splice(0);
      if (fromA.length + fromB.length === 0) return carried;
      for (const { lane, bytes } of fromA) this.b.mesh.frame(one, lane, bytes);
      for (const { lane, bytes } of fromB) this.a.mesh.frame(two, lane, bytes);
      carried += fromA.length + fromB.length;
    }
  }

  /** Node 2 leads a partition, as its host tells everybody attached. */
  leadsAtB(partition: PartitionId, epoch: number): void {
    for (const port of this.b.host.attached.values()) port.leadership(partition, epoch as Term);
    this.turns();
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
