import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { clusterMutants } from './cluster-table.ts';
import { partitionMutants } from './partition-table.ts';
import { raftMutants } from './raft-table.ts';
import { mutants } from './table.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

test('every mutant names places that the build has, each once', (t) => {
  const lost: string[] = [];
  for (const { name, edits } of [
    ...mutants,
    ...raftMutants,
    ...partitionMutants,
    ...clusterMutants,
  ]) {
    for (const { file, find } of edits) {
      const count = readFileSync(`${root}${file}`, 'utf8').split(find).length - 1;
      if (count !== 1) lost.push(`${name}: ${count} times in ${file}`);
    }
  }
  t.deepEqual(lost, []);
});

test('there are at least 40 mutants of a node and 30 of Raft, each with a name of its own', (t) => {
  t.true(mutants.length >= 40);
  t.true(raftMutants.length >= 30);
  for (const each of [mutants, raftMutants, partitionMutants]) {
    t.is(new Set(each.map(({ name }) => name)).size, each.length);
  }
});
