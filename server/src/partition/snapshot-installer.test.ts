/** A leader's snapshot on its way into one node: what a power cut or a full disk may leave of it. */
import test from 'ava';
import { HostWorld } from '../../sim/host-world.ts';
import type { DiskFile } from '../base/doors.ts';
import type { GroupId, LogIndex, PartitionId } from '../base/ids.ts';
import { configurationOf } from '../raft/configuration.ts';
import { Entry, EntryKind, Message, MessageKind, noBytes, type Snapshot } from '../raft/message.ts';
import type { HostOptions, PartitionHost } from './partition-host.ts';

const p2 = 2 as PartitionId;
const leader = 1;
const leaderTerm = 7;
/** This node's replica of the partition: a learner of another node's group. */
const replica = 5;

interface Content {
  readonly snapshot: Snapshot;
  readonly chunks: readonly Uint8Array[];
  readonly stateHash: bigint;
}

/** A state that a leader elsewhere has, with so many tuples. */
async function contentOf(count: number): Promise<Content> {
  const world = new HostWorld(7);
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  let call = 0;
  for (let each = 0; each < count; each += 1)
    call = router.write(p2, ['job', each, 'x'.repeat(100)]);
  await world.answer(router, call);
  const space = host.spaceOf(p2);
  const cut = space.beginSnapshot();
  const chunks: Uint8Array[] = [];
  for (let chunk = cut.next(4_096); chunk !== undefined; chunk = cut.next(4_096))
    chunks.push(chunk);
  const configuration = configurationOf([leader], [replica]);
  const snapshot = { index: space.appliedIndex, term: 2, configuration, payload: noBytes };
  const content = { snapshot, chunks, stateHash: space.stateHash() };
  await world.close(host);
  return content;
}

/** A node with its own map, and an empty replica of a partition that is led elsewhere. */
class Receiver extends HostWorld {
  readonly sent: { readonly group: GroupId; readonly message: Message }[] = [];
  /** Files whose names begin so are never made: whoever asks waits. */
  held: string | undefined;
  readonly #options: Partial<HostOptions> = {
    disk: new Proxy(this.disk, {
      get: (disk, key) => {
        if (key === 'create') return (name: string) => this.#create(name);
        const value: unknown = Reflect.get(disk, key, disk);
        return typeof value === 'function' ? value.bind(disk) : value;
      },
    }),
    snapshotTailBytes: 100_000,
    peers: {
      send: (group, message) => void this.sent.push({ group, message }),
      sendSnapshot: async () => undefined,
      sendLeader: () => undefined,
    },
  };

  #create(name: string): Promise<DiskFile> {
    if (this.held === undefined || !name.startsWith(this.held)) return this.disk.create(name);
    return new Promise(() => undefined);
  }

  /** Begins a life. */
  async life(): Promise<PartitionHost> {
    return await this.start(this.#options);
  }

  /** The first life, up to where the leader may send. */
  async joined(): Promise<PartitionHost> {
    await this.close(await this.start({ partitions: 2 }));
    const host = await this.life();
    await this.time.until(host.removeReplica(p2));
    await this.time.until(
      new Promise<void>((made) => host.createReplica(p2, replica, () => made())),
    );
    return host;
  }

  /** A copy of the leader's message comes in. */
  receive(host: PartitionHost, { snapshot, chunks }: Content): void {
    const message = new Message(MessageKind.snapshot, leader, replica, leaderTerm);
    message.snapshot = { ...snapshot };
    host.receiveSnapshot(p2, message, chunks);
  }

  /** Entries of a leader that was deposed before they were committed are the replica's whole log. */
  async diverge(host: PartitionHost): Promise<void> {
    const append = new Message(MessageKind.append, 2, replica, leaderTerm - 1);
    append.entries = [1, 2, 3].map(
      (index) => new Entry(leaderTerm - 1, index, EntryKind.normal, noBytes),
    );
    host.receiveRaft(p2, append);
    await this.time.run(20);
    if (host.replicaOf(p2)?.lastIndex !== 3) throw new Error('it has no such log');
  }

  /** Whether the leader was told that the replica has all up to an index. */
  hasAcknowledged(index: number): boolean {
    return this.sent.some(
      ({ group, message }) =>
        group === p2 &&
        message.kind === MessageKind.appendAnswer &&
        !message.reject &&
        message.index === index,
    );
  }

  /** Runs until the snapshot is the state, for at most a second. */
  async untilInstalled(host: PartitionHost, content: Content): Promise<void> {
    for (
      let steps = 0;
      steps < 5_000 && !this.hasAcknowledged(content.snapshot.index);
      steps += 1
    ) {
      if (!(await this.time.step())) break;
    }
    await this.time.run(5);
    if (host.installedCount(p2) !== 1) throw new Error('it was not installed');
  }

  /** Files of the partition's snapshots, with those on their way. */
  snapshotFiles(): readonly string[] {
    return this.disk.files().filter((name) => name.startsWith('snapshots/002-'));
  }
}

test('a snapshot from a leader becomes the state, is acknowledged, and is there after a start', async (t) => {
  const content = await contentOf(200);
  t.true(content.chunks.length > 3);
  const world = new Receiver(1);
  const host = await world.joined();
  world.receive(host, content);
  await world.untilInstalled(host, content);
  t.is(host.spaceOf(p2).stateHash(), content.stateHash);
  t.deepEqual(host.replicaOf(p2)?.configuration, content.snapshot.configuration);
  t.is(world.snapshotFiles().length, 1);
  // The log goes on behind it.
  const { index, term } = content.snapshot;
  const append = new Message(MessageKind.append, leader, replica, leaderTerm);
  append.index = index;
  append.logTerm = term;
  append.entries = [new Entry(leaderTerm, index + 1, EntryKind.normal, noBytes)];
  host.receiveRaft(p2, append);
  await world.time.run(10);
  t.true(world.hasAcknowledged(index + 1));
  world.crash();
  const again = await world.life();
  t.is(again.replicaOf(p2)?.lastIndex, (index + 1) as LogIndex);
  t.is(again.spaceOf(p2).stateHash(), content.stateHash);
  t.is(again.spaceOf(p2).appliedIndex, content.snapshot.index as LogIndex);
  t.deepEqual(again.replicaOf(p2)?.configuration, content.snapshot.configuration);
  t.is(again.replicaOf(p2)?.term, leaderTerm as never, 'the term came with it');
  t.deepEqual(world.fatal, []);
});

test('a power cut at any step leaves the old state or the new one, and the new one where it was acknowledged', async (t) => {
  const content = await contentOf(200);
  const seen = { old: 0, whole: 0, acknowledged: 0 };
  let isDone = false;
  for (let cut = 1; !isDone; cut += 1) {
    const world = new Receiver(cut);
    const host = await world.joined();
    await world.diverge(host);
    let calls = 0;
    world.disk.onCall = () => {
      calls += 1;
    };
    world.receive(host, content);
    while (calls < cut && !isDone) {
      await world.time.step();
      isDone = host.installedCount(p2) === 1 && world.hasAcknowledged(content.snapshot.index);
    }
    world.disk.onCall = undefined;
    const wasAcknowledged = world.hasAcknowledged(content.snapshot.index);
    world.crash();
    const again = await world.life();
    const space = again.spaceOf(p2);
    const { index } = content.snapshot;
    if (space.appliedIndex === 0) {
      seen.old += 1;
      t.false(wasAcknowledged, `cut ${cut}`);
      t.deepEqual(world.snapshotFiles(), [], 'what was not finished is gone');
      world.sent.length = 0;
      world.receive(again, content);
      await world.untilInstalled(again, content);
    } else {
      seen.whole += 1;
      if (wasAcknowledged) seen.acknowledged += 1;
      t.is(space.appliedIndex, index as LogIndex, `cut ${cut}`);
      t.is(
        again.replicaOf(p2)?.term,
        leaderTerm as never,
        'no log ends in a later term than its own',
      );
    }
    t.is(again.spaceOf(p2).stateHash(), content.stateHash, `cut ${cut}`);
    t.deepEqual(again.replicaOf(p2)?.configuration, content.snapshot.configuration);
    again.replicaOf(p2)?.verify();
    t.deepEqual(world.fatal, []);
  }
  t.true(seen.old > 3, `${seen.old} cuts before it counted`);
  t.true(seen.whole > 1, `${seen.whole} cuts after it counted`);
  t.true(seen.acknowledged > 0, 'one after it was acknowledged');
});

test('a snapshot that comes twice is installed once; a late copy costs no file', async (t) => {
  const content = await contentOf(50);
  const world = new Receiver(1);
  const host = await world.joined();
  world.receive(host, content);
  world.receive(host, content);
  await world.time.run(1);
  world.receive(host, content);
  await world.untilInstalled(host, content);
  const names: string[] = [];
  world.disk.onCall = (_call, name) => names.push(name);
  world.sent.length = 0;
  world.receive(host, content);
  await world.time.run(5);
  t.true(world.hasAcknowledged(content.snapshot.index), 'it is answered all the same');
  t.false(
    names.some((name) => name.startsWith('snapshots/002-')),
    names.join(),
  );
  t.is(host.installedCount(p2), 1);
  t.deepEqual(world.fatal, []);
});

test('copies of a snapshot may come at any moment of its way', async (t) => {
  const content = await contentOf(200);
  const world = new Receiver(1);
  const host = await world.joined();
  for (let steps = 0; steps < 400; steps += 1) {
    world.receive(host, content);
    await world.time.step();
  }
  t.deepEqual(world.fatal, []);
  t.is(host.installedCount(p2), 1);
  t.is(host.spaceOf(p2).stateHash(), content.stateHash);
});

test('without room a snapshot is given up, and taken when it comes again', async (t) => {
  const content = await contentOf(200);
  const world = new Receiver(1);
  const host = await world.joined();
  let hits = 0;
  // What was kept free for a snapshot is not enough either.
  world.disk.onCall = (call, name) => {
    if (call !== 'write' || !name.startsWith('snapshots/002-')) return;
    hits += 1;
    world.disk.failNext('write', 'full');
  };
  world.receive(host, content);
  await world.time.run(200);
  world.disk.onCall = undefined;
  t.true(hits > 0);
  t.is(host.installedCount(p2), 0);
  t.false(world.hasAcknowledged(content.snapshot.index));
  t.deepEqual(world.fatal, [], 'nobody ends for it');
  world.receive(host, content);
  await world.untilInstalled(host, content);
  t.is(host.spaceOf(p2).stateHash(), content.stateHash);
  t.is(world.snapshotFiles().length, 1);
});

test('an installation does not wait for what another group cuts', async (t) => {
  const content = await contentOf(50);
  const world = new Receiver(1);
  const host = await world.joined();
  await world.time.run(3_500);
  const router = world.router(host);
  const p1 = 1 as PartitionId;
  world.held = 'snapshots/001-';
  for (let each = 0; each < 150; each += 1) {
    await world.answer(router, router.write(p1, ['a', each, 'y'.repeat(1_000)]));
  }
  await world.time.run(100);
  t.is(host.stats().snapshots, 0, 'one is due, and does not get on');
  world.receive(host, content);
  await world.untilInstalled(host, content);
  t.is(host.spaceOf(p2).stateHash(), content.stateHash);
});

test('a snapshot that the replica has no use for any more leaves nothing behind', async (t) => {
  const content = await contentOf(50);
  const world = new Receiver(1);
  const host = await world.joined();
  world.receive(host, content);
  // Its leader is deposed before it is here.
  const heartbeat = new Message(MessageKind.heartbeat, 2, replica, leaderTerm + 1);
  host.receiveRaft(p2, heartbeat);
  await world.time.run(200);
  t.is(host.installedCount(p2), 0);
  t.deepEqual(world.snapshotFiles(), []);
  t.deepEqual(world.fatal, []);
});

test('a snapshot that cannot be read is told of, and costs nothing that is there', async (t) => {
  const content = await contentOf(50);
  const world = new Receiver(1);
  const host = await world.joined();
  const chunks = content.chunks.map((chunk) => chunk.map((byte) => byte ^ 0xff));
  world.receive(host, { ...content, chunks });
  await world.time.run(200);
  t.deepEqual(world.fatal, []);
  t.deepEqual(world.snapshotFiles(), []);
  t.regex(world.warnings.join(), /snapshot of group 2 from its leader cannot be read/);
  world.receive(host, content);
  await world.untilInstalled(host, content);
  t.is(host.spaceOf(p2).stateHash(), content.stateHash);
});

/** An append of one empty entry behind an index, 0 at first. */
function appendAfter(index: number): Message {
  const append = new Message(MessageKind.append, leader, replica, leaderTerm);
  append.index = index;
  append.logTerm = index === 0 ? 0 : leaderTerm;
  append.entries = [new Entry(leaderTerm, index + 1, EntryKind.normal, noBytes)];
  return append;
}

for (const waitMs of [0, 0.05, 0.5, 1, 1.5, 2, 3, 5]) {
  test(`a replica is removed ${waitMs} ms after a snapshot came: nothing is left of it`, async (t) => {
    const content = await contentOf(200);
    const world = new Receiver(1);
    const host = await world.joined();
    world.receive(host, content);
    await world.time.run(waitMs);
    await world.time.until(host.removeReplica(p2));
    await world.time.run(50);
    t.deepEqual(world.fatal, []);
    t.deepEqual(world.snapshotFiles(), []);
    world.crash();
    const again = await world.life();
    t.is(again.replicaOf(p2), undefined);
    t.deepEqual(world.fatal, []);
  });
}

test('a replica is removed while it writes: it writes and says nothing more', async (t) => {
  const world = new Receiver(1);
  const host = await world.joined();
  host.receiveRaft(p2, appendAfter(0));
  await world.time.run(0.2);
  host.receiveRaft(p2, appendAfter(1));
  world.sent.length = 0;
  await world.time.until(host.removeReplica(p2));
  await world.time.run(2_500);
  t.deepEqual(world.fatal, []);
  t.deepEqual(
    world.sent.filter(({ group }) => group === p2),
    [],
  );
  world.crash();
  t.is((await world.life()).replicaOf(p2), undefined);
});

for (const waitMs of [0, 0.05, 0.5, 1, 1.5, 2, 3]) {
  test(`a node closes ${waitMs} ms after a snapshot came, and starts from what it had or from that`, async (t) => {
    const content = await contentOf(200);
    const world = new Receiver(1);
    const host = await world.joined();
    await world.diverge(host);
    world.receive(host, content);
    await world.time.run(waitMs);
    await world.time.until(host.close());
    t.deepEqual(world.fatal, []);
    const { writes, syncs } = world.disk.counts;
    await world.time.run(50);
    t.deepEqual(
      [world.disk.counts.writes, world.disk.counts.syncs],
      [writes, syncs],
      'it is still',
    );
    world.time.forget();
    const again = await world.life();
    const { appliedIndex } = again.spaceOf(p2);
    t.true([0, content.snapshot.index].includes(appliedIndex), `${appliedIndex}`);
    t.is(again.replicaOf(p2)?.committed, appliedIndex, 'what was not committed is not');
  });
}
