import test from 'ava';
import { defaultSpace, HostWorld, tupleOf } from '../../sim/host-world.ts';
import type { GroupId, LogIndex, PartitionId, SpaceId, Term } from '../base/ids.ts';
import {
  dropSettleMs,
  followerPendingBytesMax,
  idleTickMs,
  inboxMessagesMax,
} from '../base/limits.ts';
import { Entry, EntryKind, Message, MessageKind } from '../raft/message.ts';
import { foundingAll } from './founding.ts';
import { PartitionHost } from './partition-host.ts';

const mapGroup = 0 as GroupId;
const p1 = 1 as PartitionId;
const p2 = 2 as PartitionId;

test('a new data folder founds a cluster of 16 partitions with the space default [6.6]', async (t) => {
  const world = new HostWorld();
  const host = await world.start();
  t.is(host.map.cluster.partitions, 16);
  t.regex(host.map.cluster.clusterId, /^[0-9a-f]{32}$/);
  t.is(host.map.cluster.space('default')?.id, defaultSpace);
  await world.close(host);
});

test('a founded cluster refuses another count of partitions, and keeps its own [6.6]', async (t) => {
  const world = new HostWorld();
  const first = await world.start({ partitions: 3 });
  const { clusterId } = first.map.cluster;
  await world.close(first);
  const error = await t.throwsAsync(world.start({ partitions: 4 }), { name: 'StartError' });
  t.is(
    error?.message,
    'the cluster was founded with 3 partitions, which is for ever; it cannot be started with 4',
  );
  for (const more of [{}, { partitions: 3 }]) {
    const again = await world.start(more);
    t.is(again.map.cluster.partitions, 3);
    t.is(again.map.cluster.clusterId, clusterId);
    await world.close(again);
  }
});

test('counts of partitions outside of 1 to 256 are refused before anything is touched [6.6]', async (t) => {
  const world = new HostWorld();
  for (const partitions of [0, 257, 1.5, Number.NaN]) {
    await t.throwsAsync(world.start({ partitions }), { name: 'StartError' }, String(partitions));
  }
  t.deepEqual(world.disk.files(), []);
});

test('a life without history says so to whoever resumes, also from events of the life before [8.9]', async (t) => {
  const world = new HostWorld();
  const write = async (host: PartitionHost): Promise<void> => {
    const router = world.router(host);
    await world.answer(router, router.write(p1, ['a']));
  };
  const first = await world.start({ partitions: 1 });
  await write(first);
  await write(first);
  const { history } = first.spaceOf(p1);
  t.is(history.count, 2);
  const place = history.lastPlace;
  await world.close(first);

  const without = await world.start({ spaceLimits: { historyBytesMax: 0 } });
  await write(without);
  const none = without.spaceOf(p1).history;
  t.is(none.count, 0);
  t.is(none.read(place, 10, 1_000), 'compacted');
  t.deepEqual(none.read(none.lastPlace, 10, 1_000), []);
  await world.close(without);
});

test('a second host is refused the data folder of a running one', async (t) => {
  const world = new HostWorld();
  const host = await world.start();
  await t.throwsAsync(world.start(), { name: 'DiskError' });
  await world.close(host);
  await world.close(await world.start());
});

test('a write is answered once it is durable and applied, and counted then', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  const call = router.write(p1, ['a', 1]);
  const answer = await world.answer(router, call);
  t.is(answer.kind, 'result');
  t.is(answer.partition, p1);
  t.deepEqual(host.epochOf(p1), answer.epoch);
  const counted = await world.answer(router, router.count(p1));
  t.is(counted.kind === 'counted' ? counted.count : -1, 1);
  await world.close(host);
});

test('while a sync hangs nothing that rests on it is answered or seen (§4: durable before acknowledged) [4.1]', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  await world.time.run(100);
  // A slow sync takes 50 ms at least.
  world.disk.faults.slowSync = 1;
  const call = router.write(p1, ['a']);
  await world.time.run(10);
  const counted = await world.answer(router, router.count(p1));
  t.is(counted.kind === 'counted' ? counted.count : -1, 0);
  await world.time.run(35);
  t.deepEqual(router.kinds(call), []);
  t.is(host.stats().inFlightEntries, 1);
  await world.time.run(3_000);
  t.deepEqual(router.kinds(call), ['result']);
  await world.close(host);
});

test('everything proposed in a turn, of all groups, is one frame and one sync', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 16 });
  const router = world.router(host);
  await world.time.run(1_000);
  const { writes, syncs } = world.disk.counts;
  const { batches } = host.stats();
  const calls = [];
  for (let each = 0; each < 320; each += 1) {
    calls.push(router.write(((each % 16) + 1) as PartitionId, [each]));
  }
  await world.time.run(2);
  t.true(calls.every((call) => router.kinds(call).join() === 'result'));
  t.is(world.disk.counts.writes - writes, 1);
  t.is(world.disk.counts.syncs - syncs, 1);
  t.is(host.stats().batches - batches, 1);
  t.deepEqual(router.batches.at(-1), 320, 'the answers of a turn come as one batch');
  await world.close(host);
});

test('what comes while a write is in flight joins the next one: group commit without a timer', async (t) => {
  const world = new HostWorld(1, { delays: { writeMs: [0.1, 0.1], syncMs: [1, 1] } });
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  // Past the write of the first commit indexes.
  await world.time.run(1_500);
  const { syncs } = world.disk.counts;
  const calls = [router.write(p1, [0])];
  for (let each = 1; each <= 50; each += 1) {
    await world.time.run(0.02);
    calls.push(router.write(p1, [each]));
  }
  await world.time.run(3);
  t.true(calls.every((call) => router.kinds(call).join() === 'result'));
  t.is(world.disk.counts.syncs - syncs, 2);
  await world.close(host);
});

test('each start begins a new term of every group, and routers hear of it', async (t) => {
  const world = new HostWorld();
  let last = 0;
  for (let start = 0; start < 4; start += 1) {
    const host = await world.start({ partitions: 2 });
    const router = world.router(host);
    t.deepEqual([...router.epochs.keys()], [p1, p2]);
    const epoch: Term | undefined = host.epochOf(p1);
    t.true(epoch !== undefined && epoch > last, `start ${start}`);
    t.is(router.epochs.get(p1), epoch);
    last = epoch ?? 0;
    if (start % 2 === 0) await world.close(host);
    else world.crash();
  }
});

test('a term is durable before anything is proposed in it', async (t) => {
  // The power fails at each disk call of a start: no entry may carry a term that comes again.
  let cuts = 0;
  for (let cut = 1; ; cut += 1) {
    const world = new HostWorld(cut);
    await world.close(await world.start({ partitions: 1 }));
    let calls = 0;
    let done = false;
    world.disk.onCall = () => {
      calls += 1;
    };
    const start = PartitionHost.open(world.hostOptions());
    const end = (): void => {
      done = true;
    };
    start.then(end, end);
    while (calls < cut && !done) await world.time.step();
    if (done) break;
    cuts += 1;
    world.disk.onCall = undefined;
    world.crash();
    const { recovered } = await world.open({ bases: new Map() });
    for (const { hardState, entries } of recovered) {
      for (const { term } of entries) t.true(term <= hardState.term);
    }
    world.crash();
    await world.start();
  }
  t.true(cuts > 5, `${cuts} cuts`);
});

test('stamps never fall, though the wall clock jumps back between two lives (§4: time) [4.24]', async (t) => {
  const world = new HostWorld();
  const first = await world.start({ partitions: 1 });
  const router = world.router(first);
  await world.time.run(5_000);
  await world.answer(router, router.write(p1, ['a']));
  const { stampMs } = first.spaceOf(p1);
  t.true(stampMs >= world.wallFromMs + 5_000);
  await world.close(first);
  world.wallFromMs -= 86_400_000;
  const second = await world.start({ partitions: 1 });
  t.true(second.spaceOf(p1).stampMs >= stampMs);
  const before = second.spaceOf(p1).stampMs;
  await world.time.run(1_000);
  const again = world.router(second);
  await world.answer(again, again.write(p1, ['b']));
  const passed = second.spaceOf(p1).stampMs - before;
  t.true(passed >= 1_000 && passed < 1_100, `monotonic time goes on: ${passed} ms`);
  await world.close(second);
});

test('a wall clock that jumps while the node runs moves no stamp (§4: time) [4.24]', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  await world.answer(router, router.write(p1, ['a']));
  const before = host.spaceOf(p1).stampMs;
  world.wallFromMs += 3_600_000;
  await world.answer(router, router.write(p1, ['b']));
  t.true(host.spaceOf(p1).stampMs - before < 100);
  await world.close(host);
});

test('a wall clock that is ahead at a start moves the stamps up to it (§4: time)', async (t) => {
  const world = new HostWorld();
  await world.close(await world.start({ partitions: 1 }));
  world.wallFromMs += 3_600_000;
  const host = await world.start({ partitions: 1 });
  t.true(host.spaceOf(p1).stampMs >= world.wallFromMs);
  await world.close(host);
});

test('what was acknowledged is there after any crash, and nothing is there twice (§4) [4.1]', async (t) => {
  let acknowledged = 0;
  for (let seed = 1; seed <= 24; seed += 1) {
    const world = new HostWorld(seed);
    const kept = new Map<PartitionId, number>();
    const sent = new Map<PartitionId, number>();
    for (let life = 0; life < 3; life += 1) {
      const host = await world.start({ partitions: 3, snapshotTailBytes: 2_000 });
      const router = world.router(host);
      const calls: [PartitionId, number][] = [];
      const steps = 20 + (world.random.uint32() % 400);
      for (let step = 0; step < steps; step += 1) {
        if (world.random.uint32() % 4 === 0) {
          const partition = (1 + (world.random.uint32() % 3)) as PartitionId;
          calls.push([partition, router.write(partition, ['job', life, step])]);
          sent.set(partition, (sent.get(partition) ?? 0) + 1);
        }
        await world.time.step();
      }
      for (const [partition, call] of calls) {
        if (router.last(call)?.kind !== 'result') continue;
        acknowledged += 1;
        kept.set(partition, (kept.get(partition) ?? 0) + 1);
      }
      world.crash();
    }
    const host = await world.start();
    for (const partition of [1, 2, 3] as PartitionId[]) {
      const { ready } = host.spaceOf(partition).counts(defaultSpace);
      t.true(ready >= (kept.get(partition) ?? 0), `seed ${seed}`);
      t.true(ready <= (sent.get(partition) ?? 0), `seed ${seed}`);
    }
    await world.close(host);
  }
  t.true(acknowledged > 400, String(acknowledged));
});

test('closing admits nothing new, and makes durable and answers what was admitted', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  const before = Array.from({ length: 100 }, (_, each) => router.write(p1, [each]));
  const closing = host.close();
  const late = router.write(p1, ['late']);
  await world.time.until(closing);
  t.true(before.every((call) => router.kinds(call).join() === 'result'));
  const refused = router.last(late);
  t.true(refused?.kind === 'not-leader' && refused.definite);
  world.crash();
  const again = await world.start();
  t.is(again.spaceOf(p1).counts(defaultSpace).ready, 100);
  await world.close(again);
});

test('an error of the disk ends the host: told once, and nothing is answered after it', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  await world.time.run(100);
  const answered = await world.answer(router, router.write(p1, ['before']));
  t.is(answered.kind, 'result');
  world.disk.failNext('sync', 'io');
  const lost = router.write(p1, ['lost']);
  await world.time.run(1_000);
  const late = router.write(p1, ['late']);
  const counted = router.count(p1);
  await world.time.run(1_000);
  t.is(world.fatal.length, 1);
  // Not even what needs no disk: what is in memory may be more than what the disk has.
  t.deepEqual(
    [lost, late, counted].flatMap((call) => router.kinds(call)),
    [],
  );
});

test('an error of the disk while closing ends the closing, and is told', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  await world.time.run(100);
  world.disk.failNext('sync', 'io');
  const lost = router.write(p1, ['lost']);
  await world.time.until(host.close());
  t.is(world.fatal.length, 1);
  t.deepEqual(router.kinds(lost), []);
});

test('an error of the disk during the start refuses the start, and lets the folder go', async (t) => {
  const world = new HostWorld();
  world.disk.failNext('sync', 'io');
  await t.throwsAsync(world.start(), { name: 'DiskError' });
  t.deepEqual(world.fatal, []);
  world.time.forget();
  await world.close(await world.start());
});

test('beyond the bound of an inbox new work is refused, definitely; readiness ends before', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  t.true(host.ready(p1));
  const calls = Array.from({ length: inboxMessagesMax + 10 }, () => router.count(p1));
  t.false(host.ready(p1));
  t.true(host.ready(p2));
  const other = router.count(p2);
  await world.time.run(100);
  const refused = calls.filter((call) => router.last(call)?.kind === 'refused');
  t.is(refused.length, 10);
  const answer = router.last(refused[0] ?? 0);
  t.is(answer?.kind === 'refused' ? answer.reason : '', 'TOO_MANY_IN_FLIGHT');
  t.is(router.last(other)?.kind, 'counted');
  t.true(host.ready(p1));
  await world.close(host);
});

test('a full pipeline makes the inbox wait, and drops nothing', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  world.disk.faults.slowSync = 1;
  const calls = Array.from({ length: 10_000 }, (_, each) => router.write(p1, [each]));
  await world.time.run(20);
  const { inFlightEntries, inboxMessages } = host.stats();
  t.is(inFlightEntries, 8_192);
  t.is(inboxMessages, 10_000 - 8_192);
  world.disk.faults.slowSync = 0;
  await world.time.run(10_000);
  t.true(calls.every((call) => router.kinds(call).join() === 'result'));
  await world.close(host);
});

test('observers of a partition wake once a turn, however many entries it applied', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  await world.time.run(100);
  let woken = 0;
  const cancel = host.onApplied(p1, () => {
    woken += 1;
  });
  for (let each = 0; each < 100; each += 1) router.write(p1, [each]);
  router.write(p2, ['other']);
  await world.time.run(50);
  t.is(woken, 1);
  cancel();
  await world.answer(router, router.write(p1, ['again']));
  t.is(woken, 1);
  await world.close(host);
});

test('a detached router gets nothing more, and what it had sent is carried out', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  const call = router.write(p1, ['a']);
  router.detach();
  router.detach();
  await world.time.run(100);
  t.deepEqual(router.kinds(call), []);
  t.is(host.spaceOf(p1).counts(defaultSpace).ready, 1);
  await world.close(host);
});

test('an idle node takes no more turns than its coarse ticks, and writes nothing', async (t) => {
  const world = new HostWorld();
  const host = await world.start();
  await world.time.run(5_000);
  const { turns, batches } = host.stats();
  const { writes } = world.disk.counts;
  await world.time.run(10_000);
  t.true(host.stats().turns - turns <= 10_000 / idleTickMs + 1);
  t.is(host.stats().batches, batches);
  t.is(world.disk.counts.writes, writes);
  await world.close(host);
});

test('a created space is durable when it is answered, and observers of the map hear of it', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  let changes = 0;
  host.map.onChange(() => {
    changes += 1;
  });
  const created = await world.createSpace(host, 'orders');
  t.is(created.kind, 'created');
  t.true(changes > 0);
  const again = await world.createSpace(host, 'orders');
  t.is(again.kind === 'refused' ? again.problem.reason : '', 'SPACE_EXISTS');
  const invalid = await world.createSpace(host, '');
  t.is(invalid.kind === 'refused' ? invalid.problem.reason : '', 'SPACE_NAME');
  world.crash();
  const next = await world.start();
  t.truthy(next.map.cluster.space('orders'));
  await world.close(next);
});

test('the tuples of a dropped space go from every partition, and the map forgets it (§6)', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 3 });
  const router = world.router(host);
  const created = await world.createSpace(host, 'orders');
  const space = created.kind === 'created' ? created.space.id : (0 as SpaceId);
  const partitions = [1, 2, 3] as PartitionId[];
  for (const partition of partitions) {
    await world.answer(router, router.write(partition, ['a'], { space }));
    await world.answer(router, router.write(partition, ['kept']));
  }
  t.is((await world.dropSpace(host, 'orders')).kind, 'dropped');
  await world.time.run(200);
  for (const partition of partitions) {
    t.is(host.spaceOf(partition).counts(space).ready, 0);
    t.is(host.spaceOf(partition).counts(defaultSpace).ready, 1);
  }
  t.deepEqual(host.map.cluster.dropped(), [space]);
  await world.time.run(dropSettleMs + 1_000);
  t.deepEqual(host.map.cluster.dropped(), []);
  await world.close(host);
});

test('a write that a drop overtook is removed by the second asking', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const router = world.router(host);
  const created = await world.createSpace(host, 'orders');
  const space = created.kind === 'created' ? created.space.id : (0 as SpaceId);
  await world.dropSpace(host, 'orders');
  await world.time.run(1_000);
  await world.answer(router, router.write(p1, ['late'], { space }));
  t.is(host.spaceOf(p1).counts(space).ready, 1);
  await world.time.run(dropSettleMs + 1_000);
  t.is(host.spaceOf(p1).counts(space).ready, 0);
  await world.close(host);
});

test('dropping goes on after a restart until every partition has confirmed', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 3 });
  const router = world.router(host);
  const created = await world.createSpace(host, 'orders');
  const space = created.kind === 'created' ? created.space.id : (0 as SpaceId);
  await world.answer(router, router.write(p2, ['a'], { space }));
  t.is((await world.dropSpace(host, 'orders')).kind, 'dropped');
  world.crash();
  const again = await world.start();
  t.deepEqual(again.map.cluster.dropped(), [space]);
  t.is(again.spaceOf(p2).counts(space).ready, 1);
  await world.time.run(dropSettleMs + 2_000);
  t.is(again.spaceOf(p2).counts(space).ready, 0);
  t.deepEqual(again.map.cluster.dropped(), []);
  await world.close(again);
});

test('while the disk is full writes are refused, definitely, and writing goes on when there is room', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 1 });
  const router = world.router(host);
  await world.time.run(1_000);
  world.disk.capacityBytes = world.disk.usedBytes();
  const change = {
    kind: 'write' as const,
    space: defaultSpace,
    tuples: [tupleOf(p1, ['x'.repeat(8_000)])],
  };
  let written = 0;
  for (let each = 0; each < 100; each += 1) {
    const answer = await world.answer(router, router.mutate(p1, change));
    if (answer.kind === 'refused') {
      t.is(answer.reason, 'DISK_FULL');
      break;
    }
    written += 1;
  }
  t.is(host.stats().disk, 'reserve');
  t.true(written < 100);
  // What adds nothing goes on, in the reserve.
  const open = router.send(p1, { kind: 'open-session', leaseMs: 10_000, name: '' });
  t.is((await world.answer(router, open)).kind, 'session-opened');
  const space = await world.createSpace(host, 'more');
  t.is(space.kind === 'refused' ? space.problem.reason : '', 'DISK_FULL');
  world.disk.capacityBytes = Number.POSITIVE_INFINITY;
  await world.time.run(3_000);
  t.is((await world.answer(router, router.mutate(p1, change))).kind, 'result');
  t.is(host.spaceOf(p1).counts(defaultSpace).ready, written + 1);
  t.deepEqual(world.fatal, []);
  await world.close(host);
});

test('what is proposed between turns is logged as it was, whatever a tick writes before', async (t) => {
  const world = new HostWorld();
  let host: PartitionHost | undefined;
  let router: ReturnType<HostWorld['router']> | undefined;
  let count = 0;
  let isOver = false;
  // As a tick begins, a space is created; a write, in the same turn, is encoded after that.
  const clock = {
    ...world.clock,
    after: (delayMs: number, run: () => void) =>
      world.clock.after(delayMs, () => {
        if (router !== undefined && !isOver) {
          count += 1;
          const settings = { rules: [], like: undefined, tupleBytesMax: 1_000 };
          host?.map.createSpace(`space-${count}`, settings, () => undefined);
          router.write(p1, ['a', 'x'.repeat(200)]);
        }
        run();
      }),
  };
  host = await world.start({ partitions: 1, clock });
  router = world.router(host);
  await world.time.run(3_000);
  isOver = true;
  t.true(count > 100, `${count}, over more than one write of commit indexes`);
  await world.time.run(100);
  world.crash();
  const again = await world.start();
  for (let each = 1; each <= count; each += 1) {
    t.truthy(again.map.cluster.space(`space-${each}`), `space-${each}`);
  }
  t.is(again.spaceOf(p1).counts(defaultSpace).ready, count);
  await world.close(again);
});

/** A host that was alone, and has heard of others since. */
async function withPeers(world: HostWorld): Promise<PartitionHost> {
  await world.close(await world.start({ partitions: 2 }));
  const nobody = {
    send: () => undefined,
    sendSnapshot: async () => undefined,
    sendLeader: () => undefined,
  };
  const host = await world.start({ peers: nobody });
  await world.time.run(5_000);
  return host;
}

test('between turns the map answers for a leadership that is over, and proposes nothing', async (t) => {
  const world = new HostWorld();
  const host = await withPeers(world);
  t.true(host.replicaOf(mapGroup)?.leads);
  host.receiveRaft(mapGroup, new Message(MessageKind.heartbeat, 2, 1, 99));
  const outcome = await world.createSpace(host, 'late');
  t.is(outcome.kind === 'refused' ? outcome.problem.reason : outcome.kind, 'NO_LEADER');
});

test('a hand-over of the map waits for what is in flight, and ends where nobody takes it', async (t) => {
  const world = new HostWorld();
  const host = await world.start({ partitions: 2 });
  const first = world.createSpace(host, 'first');
  host.handOver(mapGroup, 2);
  t.is((await first).kind, 'created');
  await world.time.run(5_000);
  t.is((await world.createSpace(host, 'second')).kind, 'created');
});

test('a replica that leads is removed: what waited for it is answered, and holds nothing', async (t) => {
  const world = new HostWorld();
  const host = await withPeers(world);
  const router = world.router(host);
  const calls = [1, 2, 3].map((each) => router.write(p2, ['x', each]));
  await world.time.until(host.removeReplica(p2));
  await world.time.run(100);
  t.deepEqual(
    calls.map((call) => router.kinds(call)),
    [['not-leader'], ['not-leader'], ['not-leader']],
  );
  t.is(host.stats().inboxBytes, 0);
});

test('a founder that has applied nothing yet cuts its snapshot in the term of its first entries', async (t) => {
  const world = new HostWorld();
  const nobody = {
    send: () => undefined,
    sendSnapshot: async () => undefined,
    sendLeader: () => undefined,
  };
  const founding = foundingAll(1, [1, 2, 3]);
  const options = { peers: nobody, founding, partitions: 2, segmentBytes: 1024 * 1024 };
  const host = await world.start(options);
  // Its log grows by entries that nobody commits, until the founding's are snapshotted for their room.
  for (let index = 3; index < 15; index += 1) {
    const append = new Message(MessageKind.append, 2, 1, 5);
    append.index = index;
    append.logTerm = index === 3 ? 1 : 5;
    append.commit = 3;
    append.entries = [new Entry(5, index + 1, EntryKind.normal, new Uint8Array(600_000))];
    host.receiveRaft(mapGroup, append);
    await world.time.run(300);
  }
  t.deepEqual(world.fatal, []);
  t.true(host.stats().snapshots > 0);
  world.crash();
  const again = await world.start(options);
  t.is(again.replicaOf(mapGroup)?.lastIndex, 15 as LogIndex);
  t.is(again.replicaOf(mapGroup)?.committed, 3 as LogIndex);
});

test('a follower whose disk stands still passes over what its leaders send, and takes it in when it goes on', async (t) => {
  const world = new HostWorld();
  const nobody = {
    send: () => undefined,
    sendSnapshot: async () => undefined,
    sendLeader: () => undefined,
  };
  const founding = foundingAll(1, [1, 2, 3]);
  const host = await world.start({ peers: nobody, founding, partitions: 2 });
  const send = (index: number): void => {
    const append = new Message(MessageKind.append, 2, 1, 5);
    append.index = index - 1;
    append.logTerm = index === 4 ? 1 : 5;
    append.entries = [new Entry(5, index, EntryKind.normal, new Uint8Array(1_000_000))];
    host.receiveRaft(mapGroup, append);
  };
  world.disk.faults.slowSync = 1;
  for (let index = 4; index < 200; index += 1) {
    send(index);
    await world.time.run(0.01);
  }
  const last = host.replicaOf(mapGroup)?.lastIndex ?? 0;
  t.true(last * 1_000_000 < 2 * followerPendingBytesMax, `${last} entries`);
  t.true(last > 10);
  world.disk.faults.slowSync = 0;
  await world.time.run(10_000);
  send(last + 1);
  t.is(host.replicaOf(mapGroup)?.lastIndex, (last + 1) as LogIndex);
  t.deepEqual(world.fatal, []);
});
