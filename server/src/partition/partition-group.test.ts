import test from 'ava';
import { defaultSpace, tupleOf } from '../../sim/host-world.ts';
import type { Clock } from '../base/doors.ts';
import type { LogIndex, PartitionId, SessionId, Term } from '../base/ids.ts';
import { Prng } from '../base/prng.ts';
import type { FromLeader, ToLeader } from '../coordination/messages.ts';
import type { SessionOperation } from '../space/command.ts';
import { Space } from '../space/space.ts';
import { foundingStart } from './founding.ts';
import { PartitionGroup } from './partition-group.ts';
import { Payloads } from './payloads.ts';
import { Replica, type TurnBatch } from './replica.ts';
import { Slice } from './slice.ts';
import { type MakeGroup, Members } from './testing-groups.ts';

const partition = 1 as PartitionId;
/** The founding is term 1, the first election term 2. */
const term = 2 as Term;

/** A clock that stands still, so that no slice ends. */
const clock: Clock = {
  monotonicMs: () => 0,
  wallMs: () => 1_000,
  after: () => () => undefined,
  soon: () => undefined,
};

/** One partition with its log, and a disk that writes when it is told. */
class Fixture {
  readonly sent: FromLeader[] = [];
  readonly serving: Term[] = [];
  /** False: the disk is full. */
  admitsData = true;
  readonly slice = new Slice(clock);
  readonly #space = new Space({ partition });
  readonly #replica = new Replica(
    foundingStart(partition, 1, [1]),
    { send: () => undefined, stirred: () => undefined },
    { random: new Prng(1, 'partition-group') },
  );
  readonly group = new PartitionGroup({
    replica: this.#replica,
    around: { payloads: new Payloads({ isKept: false }), wallMs: () => 1_000 },
    space: this.#space,
    past: { tailBytes: 0, snapshotBytes: 0, appliedTerm: 0 },
    hooks: {
      send: (_to, message) => this.sent.push(message),
      sendLeader: () => undefined,
      admitsData: () => this.admitsData,
      serving: (_partition, epoch) => this.serving.push(epoch),
    },
    pipeline: { entries: 3, bytes: 1_000 },
    inboxTotal: { bytes: 0 },
    hashesCuts: false,
  });
  /** Elected alone; the entries of its term wait for the disk. */
  lead(): void {
    this.#space.pass(1 as LogIndex);
    this.slice.begin(1);
    this.#replica.campaign();
    while (this.group.leadTerm === undefined) this.#writeAll();
  }

  /** The disk has everything; returns how many entries that were. */
  write(): number {
    const count = this.#writeAll();
    this.#replica.collect({ entries: [], hardStates: [], works: [] });
    return count;
  }

  #writeAll(): number {
    const batch: TurnBatch = { entries: [], hardStates: [], works: [] };
    this.#replica.collect(batch);
    for (const { work } of batch.works) this.#replica.written(work);
    this.group.settleRole(0);
    return batch.entries.length;
  }

  /** A write of one small tuple waits in the inbox. */
  ask(call: number): void {
    const change = {
      kind: 'write',
      space: defaultSpace,
      tuples: [tupleOf(partition, [call])],
    } as const;
    const message = {
      kind: 'mutate',
      call,
      operation: undefined,
      epoch: term,
      m: 1,
      change,
    } as const;
    this.group.inbox.push(1, message);
  }
}

test('a leader answers nothing before the first entry of its term is applied (L1)', (t) => {
  const fixture = new Fixture();
  const { group, slice } = fixture;
  fixture.lead();
  fixture.ask(1);
  t.is(group.epoch, undefined);
  t.false(group.wantsDrain);
  group.drain(slice, 10);
  t.is(group.waitingCount, 1, 'the message waits');
  t.is(fixture.write(), 2, 'the entries with which the term and the leadership begin are alone');
  t.is(group.epoch, undefined, 'written is not applied');
  group.applyCommitted(slice, 10);
  t.is(group.epoch, term);
  t.deepEqual(fixture.serving, [term]);
  group.drain(slice, 10);
  t.is(fixture.write(), 1);
  t.deepEqual(fixture.sent, []);
  group.applyCommitted(slice, 10);
  t.deepEqual(
    fixture.sent.map(({ kind }) => kind),
    ['result'],
  );
});

test('an answer to a change comes from its application, never from its proposal', (t) => {
  const fixture = new Fixture();
  const { group, slice } = fixture;
  fixture.lead();
  fixture.write();
  group.applyCommitted(slice, 10);
  for (const call of [1, 2, 3]) fixture.ask(call);
  group.drain(slice, 10);
  group.flush(0);
  t.deepEqual(fixture.sent, []);
  fixture.write();
  group.applyCommitted(slice, 2);
  t.deepEqual(
    fixture.sent.map(({ call }) => call),
    [1, 2],
    'in the order of the log, and only as far as it was applied',
  );
});

test('a full pipeline stops the draining until entries are applied', (t) => {
  const fixture = new Fixture();
  const { group, slice } = fixture;
  fixture.lead();
  fixture.write();
  group.applyCommitted(slice, 10);
  for (const call of [1, 2, 3, 4, 5]) fixture.ask(call);
  group.drain(slice, 10);
  t.is(group.inFlightEntries, 3);
  t.is(group.waitingCount, 2);
  t.false(group.wantsDrain);
  fixture.write();
  group.applyCommitted(slice, 1);
  t.true(group.wantsDrain);
  group.drain(slice, 10);
  t.is(group.waitingCount, 1);
});

test('what there is no room for is refused definitely where it is noted; copies are passed over (T2)', (t) => {
  const fixture = new Fixture();
  const { group, slice } = fixture;
  fixture.lead();
  const session = (9 * 2 ** 44 + 1) as SessionId;
  group.propose({ kind: 'know', session }, 0);
  fixture.write();
  group.applyCommitted(slice, 10);
  const change = {
    kind: 'write',
    space: defaultSpace,
    tuples: [tupleOf(partition, ['a'])],
  } as const;
  const send = (sequence: number, of: SessionId = session): ToLeader => {
    const operation = { kind: 'session', session: of, sequence, attempt: 1, floor: 1 } as never;
    return { kind: 'mutate', call: sequence, operation, epoch: term, m: 1, change };
  };
  const told = (message: ToLeader): unknown[] => {
    group.turnAway(1, message, 'full');
    return fixture.sent.splice(0).map((each) => each.kind === 'refused' && each.inDoubt);
  };
  group.inbox.push(1, send(1));
  group.drain(slice, 10);
  t.deepEqual(told(send(1)), [], 'it was received, and is answered when it is done');
  t.deepEqual(told(send(2)), [false]);
  t.deepEqual(told(send(3, (session + 1) as SessionId)), [true], 'nothing is noted of strangers');
  const operation = { kind: 'request', requestId: '0a', space: defaultSpace } as const;
  t.deepEqual(told({ kind: 'mutate', call: 4, operation, epoch: term, m: 1, change }), [true]);
  const nobody = {
    kind: 'mutate',
    call: 5,
    operation: undefined,
    epoch: term,
    m: 1,
    change,
  } as const;
  t.deepEqual(told(nobody), [false]);
  // A copy of the refused one waited in the inbox.
  group.inbox.push(1, send(2));
  group.drain(slice, 10);
  t.is(fixture.write(), 1, 'the first one alone');
});

test('a copy of a first sending that a full disk refused does nothing when there is room again (T2)', (t) => {
  const fixture = new Fixture();
  const { group, slice } = fixture;
  fixture.lead();
  const session = (9 * 2 ** 44 + 1) as SessionId;
  group.propose({ kind: 'know', session }, 0);
  fixture.write();
  group.applyCommitted(slice, 10);
  const operation = { kind: 'session', session, sequence: 1, attempt: 1, floor: 1 } as const;
  const tuples = [tupleOf(partition, ['a'])];
  const message = {
    kind: 'mutate',
    call: 1,
    operation: operation as SessionOperation,
    epoch: term,
    m: 1,
    change: { kind: 'write', space: defaultSpace, tuples },
  } as const;
  fixture.admitsData = false;
  group.inbox.push(1, message);
  group.drain(slice, 10);
  t.like(fixture.sent.pop() ?? {}, { kind: 'refused', reason: 'DISK_FULL', inDoubt: false });
  fixture.admitsData = true;
  group.inbox.push(1, message);
  group.drain(slice, 10);
  group.flush(0);
  t.is(fixture.write(), 0, 'nothing enters the log');
  t.deepEqual(fixture.sent, []);
  // The next attempt acts.
  const again = { ...operation, attempt: 2 } as SessionOperation;
  group.inbox.push(1, { ...message, operation: again });
  group.drain(slice, 10);
  t.is(fixture.write(), 1);
});

test('what waits in the inbox when a leadership ends is answered not-leader, definitely', (t) => {
  const fixture = new Fixture();
  const { group, slice } = fixture;
  fixture.lead();
  fixture.write();
  group.applyCommitted(slice, 10);
  fixture.ask(1);
  group.drain(slice, 10);
  fixture.ask(2);
  fixture.ask(3);
  group.inbox.push(1, undefined);
  group.replica.resign();
  group.settleRole(0);
  t.is(group.waitingCount, 0);
  t.is(group.leader, undefined);
  const refused = fixture.sent.filter(({ kind }) => kind === 'not-leader');
  t.deepEqual(
    refused.map((each) => [each.call, each.kind === 'not-leader' && each.definite]),
    [
      [2, true],
      [3, true],
    ],
  );
  t.false(
    fixture.sent.some(({ call }) => call === 1),
    'what was proposed may happen yet: nothing is said of it',
  );
  for (const { epoch } of refused)
    t.is(epoch, term, 'in the name of the leadership that was asked');
});

test('a refusal never speaks for an older leadership than the one that was asked', (t) => {
  const fixture = new Fixture();
  const { group, sent } = fixture;
  const message = {
    kind: 'mutate',
    call: 1,
    operation: undefined,
    epoch: 9 as Term,
    m: 1,
    change: { kind: 'write', space: defaultSpace, tuples: [tupleOf(partition, ['a'])] },
  } as const;
  group.sayNotLeader(1, message);
  t.is(sent.pop()?.epoch, 9 as Term);
  group.sayNotLeader(1, { ...message, epoch: 0 as Term });
  t.is(sent.pop()?.epoch, group.replica.term);
});

test('a leader looks for nothing while others may have applied more than it has (I5)', (t) => {
  const sent: FromLeader[] = [];
  const make: MakeGroup<PartitionGroup> = (replica, around, passed, past) => {
    const space = new Space({ partition });
    for (let index = 1; index <= passed; index += 1) space.pass(index as LogIndex);
    const hooks = {
      send: (_to: unknown, message: FromLeader) => void sent.push(message),
      sendLeader: () => undefined,
      admitsData: () => true,
      serving: () => undefined,
    };
    const pipeline = { entries: 100, bytes: 100_000 };
    const inboxTotal = { bytes: 0 };
    const parts = { replica, around, space, past, hooks, pipeline, inboxTotal };
    return new PartitionGroup({ ...parts, hashesCuts: false });
  };
  const members = new Members<PartitionGroup>(3, make);
  const leader = members.lead(1);
  const { group, slice } = leader;
  const write = {
    kind: 'write',
    space: defaultSpace,
    tuples: [tupleOf(partition, ['a'])],
  } as const;
  const mutate = { kind: 'mutate', operation: undefined, m: 1, change: write } as const;
  const count = { kind: 'count', space: defaultSpace, template: undefined } as const;
  group.inbox.push(1, { ...mutate, call: 1, epoch: group.epoch as Term });
  group.drain(slice, 10);
  // Its own disk is slow: a majority has the entry, and another replica shows the tuple to who reads there.
  leader.isDiskHeld = true;
  members.exchange();
  members.tick(1);
  t.is(members.of(2).group.space.counts(defaultSpace).ready, 1);
  t.is(group.space.counts(defaultSpace).ready, 0);
  group.inbox.push(1, { ...count, call: 2, states: ['ready'] });
  t.false(group.wantsDrain);
  group.drain(slice, 10);
  t.is(group.waitingCount, 1, 'it waits');
  leader.isDiskHeld = false;
  leader.turn(0);
  members.exchange();
  t.true(group.wantsDrain);
  group.drain(slice, 10);
  leader.isStirred = true;
  members.exchange();
  members.tick(1);
  const counted = sent.find(({ call }) => call === 2);
  t.is(counted?.kind === 'counted' ? counted.count : undefined, 1);
});
