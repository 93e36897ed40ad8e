/** The page of the documentation that says what killed each mutant. */

import { type WorldName, worldNames } from '../worlds.ts';
import type { Verdict } from './run.ts';

const titles: Readonly<Record<WorldName, string>> = {
  node: 'One node and its clients',
  raft: 'The Raft core and what its host promises',
  partition: 'Partitions of several replicas',
  cluster: 'A cluster whose nodes come and go',
  storage: 'The log and the snapshots of a node',
};

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

function rowOf({ mutant, outcome, seed, checker }: Verdict): string {
  const profile = mutant.profile ?? 'any';
  const killer = outcome === 'killed' ? `${checker} | ${seed}` : `${outcome} | `;
  return `| ${cell(mutant.name)} | ${profile} | ${killer} |\n`;
}

/** Markdown of what a run found, world by world. */
export function tableOf(verdicts: readonly Verdict[]): string {
  const found = worldNames.filter((world) =>
    verdicts.some(({ mutant }) => (mutant.world ?? 'node') === world),
  );
  const [only] = found;
  const choice = found.length === 1 ? `--world ${only} ` : '';
  let text = `# Mutants

Bugs that are put on purpose into a copy of the build, each one known from some system or paper. A checker
of the simulator must notice, by name, and must not complain of the build as it is at that seed. A _profile_
is what the seeds dwell on; _seed_ is the first one, from 1 on, that failed. The page is written by

    npm run sim:mutants -- ${choice}--table docs/reference/mutants.md
`;
  for (const world of found) {
    const rows = verdicts.filter(({ mutant }) => (mutant.world ?? 'node') === world);
    const killed = rows.filter(({ outcome }) => outcome === 'killed').length;
    text += `\n## ${titles[world]}\n\n${killed} of ${rows.length} killed.\n\n`;
    text += '| mistake | profile | killed by | seed |\n| --- | --- | --- | ---: |\n';
    text += rows.map(rowOf).join('');
  }
  return text;
}
