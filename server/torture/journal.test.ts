import test from 'ava';
import type { Line } from '../sim/check/history.ts';
import { Journal } from './journal.ts';

const msNs = 1_000_000;

/** A process whose time passes as the test says. */
class World {
  timeNs = 1_000 * msNs;
  idle = 0;
  readonly lines: Line[] = [];
  readonly soon: (() => void)[] = [];
  readonly journal: Journal = new Journal(
    {
      nowNs: () => this.timeNs,
      idleMs: () => this.idle,
      write: (text) => this.lines.push(JSON.parse(text) as Line),
      soon: (run) => this.soon.push(run),
    },
    'c3',
    3,
  );

  pass(ms: number, idleMs: number): void {
    this.timeNs += ms * msNs;
    this.idle += idleMs;
  }
}

test('ids of operations differ between processes', (t) => {
  const { journal, lines } = new World();
  const id = journal.recorder.invoke('c3', 'count', {});
  journal.recorder.complete(id, 'ok', { count: 0 }, id);
  journal.recorder.end('c3', 'lost', id);
  t.deepEqual(
    lines.map((line) => ('id' in line ? line.id : 0)),
    [3_000_001, 3_000_001, 0],
  );
  t.deepEqual(
    lines.map((line) => ('session' in line ? line.session : 0)),
    [0, 3_000_001, 3_000_001],
  );
});

test('a line is written when the call returns, an invocation before the request', (t) => {
  const world = new World();
  world.journal.recorder.invoke('c3', 'count', {});
  t.is(world.lines.length, 1);
});

test('silence is a pause from the last sign of life on', (t) => {
  const world = new World();
  world.pass(50, 50);
  world.journal.tick();
  world.pass(5_000, 5_000);
  world.journal.recorder.invoke('c3', 'count', {});
  t.deepEqual(world.lines[0], {
    kind: 'fault',
    fault: 'pause',
    process: 'c3',
    time: 1_050 * msNs,
    forMs: 5_000,
  });
  t.is(world.lines[1]?.time, 6_050 * msNs);
});

test('a loop that ticks is no pause', (t) => {
  const world = new World();
  for (let tick = 0; tick < 10; tick++) {
    world.pass(150, 100);
    world.journal.tick();
  }
  t.deepEqual(world.lines, []);
});

test('a stop while the loop waited does not hold a turn up', (t) => {
  const world = new World();
  world.pass(5_000, 4_990);
  t.is(world.journal.heldUpMs, 0);
});

test('a stop inside a turn holds up that turn alone', (t) => {
  const world = new World();
  world.pass(5_000, 10);
  t.is(world.journal.heldUpMs, 5_000);
  t.is(world.journal.heldUpMs, 5_000);
  for (const run of world.soon) run();
  t.is(world.journal.heldUpMs, 0);
});
