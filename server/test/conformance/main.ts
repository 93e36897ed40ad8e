/** `npm run test:conformance`: replays the public cases, and fails unless every directive agrees. */
import { conformanceFolder, replay, type Suite, suites } from './cases.ts';

function main(): number {
  const folder = conformanceFolder();
  if (folder === undefined) {
    process.stdout.write(
      'skipped: the public cases are not here (RAFT_CONFORMANCE_DIR names their folder)\n',
    );
    return 0;
  }
  let agreed = 0;
  let known = 0;
  let wrong = 0;
  for (const [suite, count] of Object.entries(suites) as [Suite, number][]) {
    known += count;
    for (const { name, directives, disagreements } of replay(folder, suite)) {
      agreed += directives - disagreements.length;
      wrong += disagreements.length;
      if (disagreements.length > 0) {
        process.stdout.write(`${name}: ${disagreements.length} of ${directives} disagree\n`);
      }
      for (const { place, command, expected, actual } of disagreements.slice(0, 1)) {
        process.stdout.write(
          `--- ${place} ${command}\nexpected:\n${expected}\nactual:\n${actual}\n`,
        );
      }
    }
  }
  process.stdout.write(`${agreed} of ${known} directives\n`);
  return wrong === 0 && agreed === known ? 0 : 1;
}

process.exitCode = main();
