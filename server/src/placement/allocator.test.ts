import test from 'ava';
import { HandClock } from '../../test/router/bench.ts';
import type { GroupId, NodeId, Term } from '../base/ids.ts';
import { balanceLeadersMs, balanceQuietMs } from '../base/limits.ts';
import type { PlacementCommand } from '../cluster/placement-types.ts';
import type { LeaderMove } from '../cluster/plan-leaders.ts';
import { PlannedCluster } from '../cluster/testing-placement.ts';
import { Allocator } from './allocator.ts';

const replaceAfterMs = 20_000;

/** An allocator over a map whose moves are carried out at once. */
class Bench {
  readonly clock = new HandClock();
  readonly planned: PlannedCluster;
  readonly placed: PlacementCommand[] = [];
  readonly handedOver: LeaderMove[] = [];
  readonly leaders = new Map<GroupId, NodeId>();
  epoch: number | undefined = 1;
  readonly allocator: Allocator;

  constructor(nodes: number, partitions = 4) {
    this.planned = new PlannedCluster(Array<string>(nodes).fill(''), partitions, 3);
    this.allocator = new Allocator({
      self: 1 as NodeId,
      clock: this.clock,
      cluster: this.planned.map,
      epoch: () => this.epoch as Term | undefined,
      linked: () => this.planned.alive,
      leaders: () => this.leaders,
      handOver: (move) => this.handedOver.push(move),
      place: (command, answer) => {
        this.placed.push(command);
        answer(this.planned.apply(command));
      },
      replaceAfterMs,
      onPlanned: () => undefined,
    });
  }

  states(): string[] {
    return this.planned.map.nodes().map(({ state }) => state);
  }
}

test('an even cluster is left alone, and a node that joins gets its share', (t) => {
  const bench = new Bench(3);
  bench.clock.advance(60_000);
  t.deepEqual(bench.placed, []);
  bench.planned.join();
  bench.clock.advance(1_000);
  t.true(bench.placed.length > 0);
  t.true(bench.placed.every(({ kind }) => kind === 'begin-move'));
  bench.allocator.close();
  const { length } = bench.placed;
  bench.clock.advance(60_000);
  t.is(bench.placed.length, length);
});

test('whoever does not lead the map decides nothing', (t) => {
  const bench = new Bench(3);
  bench.epoch = undefined;
  bench.planned.join();
  bench.planned.alive.delete(2 as NodeId);
  bench.clock.advance(3 * replaceAfterMs);
  t.deepEqual(bench.placed, []);
});

test('a node that is away for its grace is gone, and a member again when it is back', (t) => {
  const bench = new Bench(4);
  bench.planned.alive.delete(4 as NodeId);
  bench.clock.advance(replaceAfterMs - 1_000);
  t.deepEqual(bench.states(), ['member', 'member', 'member', 'member']);
  bench.clock.advance(2_000);
  t.deepEqual(bench.states(), ['member', 'member', 'member', 'gone']);
  bench.planned.alive.add(4 as NodeId);
  bench.clock.advance(1_000);
  t.deepEqual(bench.states(), ['member', 'member', 'member', 'member']);
});

test('a leader that is new gives everybody the whole grace', (t) => {
  const bench = new Bench(4);
  bench.planned.alive.delete(4 as NodeId);
  for (let epoch = 2; epoch < 6; epoch += 1) {
    bench.clock.advance(replaceAfterMs - 2_000);
    bench.epoch = epoch;
  }
  t.is(bench.states()[3], 'member');
});

test('leaderships go elsewhere one at a time, and not while nodes come and go', (t) => {
  const bench = new Bench(3);
  for (const group of [1, 2, 3, 4]) bench.leaders.set(group as GroupId, 1 as NodeId);
  bench.clock.advance(balanceQuietMs - 500);
  t.deepEqual(bench.handedOver, []);
  bench.clock.advance(1_000);
  t.is(bench.handedOver.length, 1);
  t.is(bench.handedOver[0]?.from, 1 as NodeId);
  bench.clock.advance(3 * balanceLeadersMs);
  t.true(bench.handedOver.length >= 3 && bench.handedOver.length <= 5);
  const { length } = bench.handedOver;
  bench.planned.alive.delete(3 as NodeId);
  bench.clock.advance(balanceQuietMs - 500);
  t.true(bench.handedOver.length <= length + 1);
});
