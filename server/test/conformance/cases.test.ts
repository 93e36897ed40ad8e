import test from 'ava';
import { conformanceFolder, replay, type Suite, suites } from './cases.ts';

const folder = conformanceFolder();

for (const [suite, count] of Object.entries(suites) as [Suite, number][]) {
  test(`the public ${suite} cases agree`, (t) => {
    if (folder === undefined) {
      t.log('skipped: the public cases are not here (RAFT_CONFORMANCE_DIR names their folder)');
      t.pass();
      return;
    }
    const results = replay(folder, suite);
    t.deepEqual(
      results.flatMap(({ disagreements }) => disagreements),
      [],
    );
    const directives = results.reduce((sum, result) => sum + result.directives, 0);
    t.is(directives, count, 'all of them were replayed');
  });
}
