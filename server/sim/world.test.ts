import test from 'ava';
import type { Line } from './check/history.ts';
import { runSeed } from './world.ts';

test('a seed runs without a violation, and a second time to the same hash', async (t) => {
  const first = await runSeed(1);
  t.deepEqual(first.violations, []);
  t.true(first.operations > 100);
  const lines: Line[] = [];
  const again = await runSeed(1, { history: (line) => lines.push(line) });
  t.is(again.hash, first.hash);
  t.is(lines[0]?.kind, 'start');
  t.not((await runSeed(2)).hash, first.hash);
});
