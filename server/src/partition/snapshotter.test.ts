/** What is cut so that the log can go, and what is not because it would not help. */
import test from 'ava';
import { HostWorld } from '../../sim/host-world.ts';
import type { PartitionId } from '../base/ids.ts';
import { Entry, EntryKind, Message, MessageKind, noBytes } from '../raft/message.ts';
import type { PartitionHost } from './partition-host.ts';

/** Led elsewhere: this node's replica follows. */
const followed = 1 as PartitionId;
const idle = 2 as PartitionId;
const busy = 3 as PartitionId;
const leader = 1;
const replica = 5;

/** The leader's message: entries after one that the replica has, and up to where all is committed. */
function append(after: number, count: number, commit: number): Message {
  const message = new Message(MessageKind.append, leader, replica, 7);
  message.index = after;
  message.logTerm = after === 0 ? 0 : 7;
  message.commit = commit;
  message.entries = Array.from(
    { length: count },
    (_, at) => new Entry(7, after + at + 1, EntryKind.normal, noBytes),
  );
  return message;
}

class FollowerWorld extends HostWorld {
  /** A node that follows in one partition, and leads two alone. */
  async following(): Promise<PartitionHost> {
    await this.close(await this.start({ partitions: 3 }));
    const host = await this.start({
      snapshotTailBytes: 20_000,
      spaceLimits: { historyBytesMax: 0, historyMs: 0 },
      peers: {
        send: () => undefined,
        sendSnapshot: async () => undefined,
        sendLeader: () => undefined,
      },
    });
    await this.time.until(host.removeReplica(followed));
    await this.time.until(
      new Promise<void>((made) => host.createReplica(followed, replica, () => made())),
    );
    await this.time.run(3_000);
    const router = this.router(host);
    await this.answer(router, router.write(idle, ['alone']));
    router.detach();
    return host;
  }

  /** Much passes through the log, and nothing stays. */
  async churn(host: PartitionHost): Promise<void> {
    const router = this.router(host);
    for (let round = 0; round < 30; round += 1) {
      let call = 0;
      for (let each = 0; each < 60; each += 1)
        call = router.write(busy, ['job', each, 'x'.repeat(1_000)], { leaseMs: 50 });
      await this.answer(router, call);
      await this.time.run(300);
    }
    router.detach();
    await this.time.run(5_000);
  }

  snapshotsOf(group: number): readonly string[] {
    return this.disk.files().filter((name) => name.startsWith(`snapshots/00${group}-`));
  }

  oldestSegment(): string | undefined {
    return this.disk.files().find((name) => /^log\/\d/.test(name));
  }
}

for (const applied of [0, 9]) {
  const title = `an entry that is not committed, after ${applied} that are, makes nobody cut again and again`;
  test(title, async (t) => {
    const world = new FollowerWorld(1);
    const host = await world.following();
    host.receiveRaft(followed, append(0, 10, applied));
    await world.churn(host);
    t.is(host.spaceOf(followed).appliedIndex as number, applied);
    t.is(world.oldestSegment(), 'log/000000000001', 'the entry is there');
    const { snapshots } = host.stats();
    await world.time.run(10_000);
    t.is(host.stats().snapshots, snapshots);
    t.is(world.snapshotsOf(followed).length, applied === 0 ? 0 : 1);
    t.true(world.snapshotsOf(idle).length > 0, 'others that hold the log were not forgotten');
    // Once it is committed, a snapshot covers it, and the log goes.
    host.receiveRaft(followed, append(10, 0, 10));
    await world.time.run(10_000);
    t.is(host.spaceOf(followed).appliedIndex as number, 10);
    t.true(host.stats().snapshots <= snapshots + 3, String(host.stats().snapshots - snapshots));
    t.not(world.oldestSegment(), 'log/000000000001');
    t.deepEqual(world.fatal, []);
    await world.close(host);
  });
}
