import test from 'ava';
import type { GroupId } from '../base/ids.ts';
import { successionJitterMs, successionStepMs, successionTriesMax } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import { configurationOf } from '../raft/configuration.ts';
import { Successions } from './successions.ts';
import type { AnyGroup } from './turn-loop.ts';

/** A group as far as its succession goes: counts when its replica asks. */
class FakeGroup {
  readonly id: GroupId;
  isRemoved = false;
  readonly askedMs: number[] = [];
  readonly replica = {
    id: 0,
    lead: 0,
    term: 5,
    configuration: configurationOf([1, 2, 3]),
    campaign: (): void => void this.askedMs.push(this.nowMs),
  };
  nowMs = 0;

  constructor(id: number, replica: number) {
    this.id = id as GroupId;
    this.replica.id = replica;
  }
}

/** Ticks of 10 ms, from 0 on. */
function pass(successions: Successions, groups: readonly FakeGroup[], untilMs: number): void {
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 10) {
    for (const group of groups) group.nowMs = nowMs;
    successions.tick(nowMs);
  }
}

function begun(groups: readonly FakeGroup[], lost = 1): Successions {
  const successions = new Successions(new Prng(1, 'successions'));
  for (const group of groups) successions.begin(group as unknown as AnyGroup, lost, 0);
  return successions;
}

test('one of those who are left asks at once and the other a step later, by turns of the groups', (t) => {
  for (const id of [0, 1, 2, 3]) {
    const both = [2, 3].map((replica) => new FakeGroup(id, replica));
    // Each on a node of its own.
    for (const group of both) pass(begun([group]), [group], 2 * successionStepMs);
    const firsts = both.map(({ askedMs }) => askedMs[0] ?? -1);
    const [early, late] = id % 2 === 0 ? firsts : firsts.reverse();
    t.true((early ?? -1) >= 0 && (early ?? -1) <= successionJitterMs + 10, `${firsts}`);
    t.true((late ?? -1) >= successionStepMs, `${firsts}`);
    t.true((late ?? -1) <= successionStepMs + successionJitterMs + 10, `${firsts}`);
  }
});

test('who knows a leader again, and a group that is gone, ask no more', (t) => {
  const [led, gone] = [new FakeGroup(1, 3), new FakeGroup(2, 3)] as const;
  const successions = begun([led, gone]);
  t.is(successions.size, 2);
  led.replica.lead = 2;
  gone.isRemoved = true;
  pass(successions, [led, gone], 1_000);
  t.deepEqual([led.askedMs, gone.askedMs], [[], []]);
  t.is(successions.size, 0);
});

test('somebody else asks already: it waits for that to be decided', (t) => {
  const group = new FakeGroup(0, 2);
  const successions = begun([group]);
  group.replica.term = 6;
  pass(successions, [group], successionStepMs - 10);
  t.deepEqual(group.askedMs, []);
  pass(successions, [group], 10 * successionStepMs);
  t.true(group.askedMs.length > 0);
});

test('it asks some times, a step or more apart, and leaves the rest to the election timeout', (t) => {
  const group = new FakeGroup(0, 2);
  const successions = begun([group]);
  pass(successions, [group], 60_000);
  t.is(group.askedMs.length, successionTriesMax);
  t.is(successions.size, 0);
  for (const [at, askedMs] of group.askedMs.entries()) {
    if (at > 0) t.true(askedMs - (group.askedMs[at - 1] ?? 0) >= successionStepMs);
  }
});
