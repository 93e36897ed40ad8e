import test from 'ava';
import { HandClock } from '../../test/router/bench.ts';
import type { GroupId } from '../base/ids.ts';
import { leaveMsMax } from '../base/limits.ts';
import { PlannedCluster } from '../cluster/testing-placement.ts';
import { handOverAll } from './hand-over-all.ts';

/** A node with replica 1 of each group of a cluster of three, which leads some of them. */
class Bench {
  readonly clock = new HandClock();
  readonly led = new Set<number>();
  readonly handedOver: string[] = [];
  /** Replicas whose nodes can be reached. */
  reached: readonly number[] = [2, 3];
  isOver = false;
  readonly #map = new PlannedCluster(Array<string>(3).fill(''), 3, 3).map;

  begin(): void {
    const host = {
      map: { cluster: this.#map },
      replicaOf: (group: GroupId) => ({
        id: 1,
        leads: this.led.has(group),
        configuration: { voters: [1, 2, 3] },
      }),
      handOver: (group: GroupId, to: number) => this.handedOver.push(`${group} to ${to}`),
    };
    const canReach = (_group: GroupId, replica: number): boolean => this.reached.includes(replica);
    void handOverAll({ clock: this.clock, host: host as never, canReach }).then(() => {
      this.isOver = true;
    });
  }

  /** Lets time pass, and whatever waits for it go on. */
  async pass(ms: number): Promise<void> {
    await settled();
    this.clock.advance(ms);
    await settled();
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('what a node leads goes to the others in turn, each group once, and it waits for them', async (t) => {
  const bench = new Bench();
  for (const group of [0, 1, 3]) bench.led.add(group);
  bench.begin();
  await bench.pass(200);
  t.deepEqual(bench.handedOver, ['0 to 2', '1 to 3', '3 to 2']);
  t.false(bench.isOver);
  bench.led.clear();
  await bench.pass(200);
  t.true(bench.isOver);
  t.is(bench.handedOver.length, 3);
});

test('nobody is waited for who cannot be reached', async (t) => {
  const bench = new Bench();
  bench.led.add(1);
  bench.reached = [];
  bench.begin();
  await bench.pass(0);
  t.true(bench.isOver);
  t.deepEqual(bench.handedOver, []);
});

test('what nobody takes is waited for for a while', async (t) => {
  const bench = new Bench();
  bench.led.add(1);
  bench.reached = [3];
  bench.begin();
  for (let ms = 0; ms < leaveMsMax - 200; ms += 100) await bench.pass(100);
  t.deepEqual(bench.handedOver, ['1 to 3']);
  t.false(bench.isOver);
  for (let ms = 0; ms < 400; ms += 100) await bench.pass(100);
  t.true(bench.isOver);
});
