import test from 'ava';
import { raftCoverage } from './coverage.ts';
import { runRaftSeed } from './world.ts';

const seeds = 30;

test('thirty seeds run without a violation, agree at their end, and reach every fault', (t) => {
  const reached = new Set<string>();
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { violations, counts, operations } = runRaftSeed(seed);
    t.deepEqual(violations, [], `seed ${seed}`);
    t.true(operations > 50, `seed ${seed} does something`);
    for (const name of counts.keys()) reached.add(name);
  }
  t.deepEqual(
    raftCoverage.faults.filter((name) => !reached.has(name)),
    [],
  );
});

test('a seed runs twice to one hash, and another to another', (t) => {
  const first = runRaftSeed(7);
  const lines: string[] = [];
  t.is(runRaftSeed(7, { print: (line) => lines.push(line) }).hash, first.hash);
  t.true(lines.length > 1_000);
  t.not(runRaftSeed(8).hash, first.hash);
});
