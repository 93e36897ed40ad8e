import test from 'ava';
import { simulate } from './testing-simulation.ts';

const { SCHEDULES, SEED } = process.env;
/** More with SCHEDULES=…; SEED=… begins there. */
const schedules = Number(SCHEDULES ?? 2_000);
const first = Number(SEED ?? 1);

test('I1 to I9 hold in every state of random schedules [3.5, 4.13, 4.22]', (t) => {
  const totals = {
    steps: 0,
    taken: 0,
    nothing: 0,
    cancelled: 0,
    written: 0,
    unchanged: 0,
    incremented: 0,
  };
  for (let seed = first; seed < first + schedules; seed += 1) {
    const { violation, trace, counts, steps } = simulate(seed);
    if (violation !== undefined) {
      t.fail(`seed ${seed}: ${violation}\n${trace.join('\n')}`);
      return;
    }
    totals.steps += steps;
    for (const [name, count] of Object.entries(counts))
      totals[name as keyof typeof counts] += count;
  }
  t.log(JSON.stringify({ schedules, ...totals }));
  t.true(totals.taken >= schedules / 2);
});
