import test from 'ava';
import type { PartitionId, SpaceId, Term } from '../base/ids.ts';
import { dropAgainMs, dropSettleMs } from '../base/limits.ts';
import type { DropSpace, FromLeader } from '../coordination/messages.ts';
import { SpaceDrops } from './space-drops.ts';

const space = 300 as SpaceId;

class Fixture {
  readonly sent: [PartitionId, DropSpace][] = [];
  readonly forgotten: SpaceId[] = [];
  readonly drops = new SpaceDrops({
    partitions: 256,
    send: (partition, message) => this.sent.push([partition, message]),
    forget: (each) => this.forgotten.push(each),
  });

  /** Sends what is due at a time; returns what that was. */
  tick(nowMs: number): readonly [PartitionId, DropSpace][] {
    this.sent.length = 0;
    this.drops.tick(nowMs);
    return [...this.sent];
  }

  answer([partition, { call }]: [PartitionId, DropSpace], nowMs: number): void {
    const answer: FromLeader = { kind: 'done', call, partition, epoch: 1 as Term };
    this.drops.answered(answer, nowMs);
  }
}

test('every partition is asked twice, the second time after the settling time, before the map forgets', (t) => {
  const fixture = new Fixture();
  fixture.drops.remembered([space]);
  const first = fixture.tick(0);
  t.is(first.length, 256);
  t.true(first.every(([, message]) => message.space === space));
  t.is(new Set(first.map(([, { call }]) => call)).size, 256);
  for (const each of first) fixture.answer(each, 10);
  t.deepEqual(fixture.tick(dropSettleMs), []);
  const second = fixture.tick(10 + dropSettleMs);
  t.is(second.length, 256);
  for (const each of second.slice(1)) fixture.answer(each, 6_000);
  t.deepEqual(fixture.forgotten, []);
  fixture.answer(second[0] ?? [1 as PartitionId, { kind: 'drop-space', call: 0, space }], 6_000);
  t.deepEqual(fixture.forgotten, [space]);
  t.deepEqual(fixture.tick(6_000 + dropAgainMs - 1), []);
  t.deepEqual(fixture.forgotten, [space]);
  t.deepEqual(fixture.tick(6_000 + dropAgainMs), [], 'the map was asked in vain');
  t.deepEqual(fixture.forgotten, [space, space]);
  fixture.drops.remembered([]);
  t.is(fixture.drops.size, 0);
});

test('a partition that has not answered is asked again, and it alone', (t) => {
  const fixture = new Fixture();
  fixture.drops.remembered([space]);
  const [late, ...others] = fixture.tick(0);
  for (const each of others) fixture.answer(each, 10);
  t.deepEqual(fixture.tick(dropAgainMs - 1), []);
  t.deepEqual(fixture.tick(dropAgainMs), late === undefined ? [] : [late]);
});

test('an answer of the first asking that comes late does not count for the second', (t) => {
  const fixture = new Fixture();
  fixture.drops.remembered([space]);
  const first = fixture.tick(0);
  for (const each of first) fixture.answer(each, 10);
  fixture.tick(10 + dropSettleMs);
  for (const each of first) fixture.answer(each, 10 + dropSettleMs);
  t.deepEqual(fixture.forgotten, []);
});

test('a space that is being dropped already is not begun again', (t) => {
  const fixture = new Fixture();
  fixture.drops.remembered([space]);
  for (const each of fixture.tick(0)) fixture.answer(each, 0);
  fixture.drops.remembered([space]);
  t.deepEqual(fixture.tick(1), []);
});
