import test from 'ava';
import { addCounts, type Counts } from '../../sim/coverage.ts';
import { storageCoverage } from '../../sim/storage-coverage.ts';
import { runStorageSeed } from '../../sim/storage-world.ts';

const seeds = 130;

test('over 1,000 power cuts and crashes nothing acknowledged is lost, and writes come back whole', async (t) => {
  const counts: Counts = new Map();
  for (let seed = 1; seed <= seeds; seed++) {
    const report = await runStorageSeed(seed);
    addCounts(counts, report.counts);
    for (const { checker, message } of report.violations) {
      t.fail(`seed ${seed} ${checker}: ${message}`);
      return;
    }
  }
  t.log(Object.fromEntries(counts));
  t.true((counts.get('power cut') ?? 0) + (counts.get('process crash') ?? 0) > 1000);
  for (const name of [...storageCoverage.faults, ...storageCoverage.paths])
    t.true((counts.get(name) ?? 0) >= 20, name);
});

test('the same seed is the same run', async (t) => {
  const [one, again, other] = [
    await runStorageSeed(3),
    await runStorageSeed(3),
    await runStorageSeed(4),
  ];
  t.is(one.hash, again.hash);
  t.not(one.hash, other.hash);
});
