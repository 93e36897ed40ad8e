import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { mutants } from './table.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

test('every mutant names places that the build has, each once', (t) => {
  const lost: string[] = [];
  for (const { name, edits } of mutants) {
    for (const { file, find } of edits) {
      const count = readFileSync(`${root}${file}`, 'utf8').split(find).length - 1;
      if (count !== 1) lost.push(`${name}: ${count} times in ${file}`);
    }
  }
  t.deepEqual(lost, []);
});

test('there are at least 40 mutants, each with a name of its own', (t) => {
  t.true(mutants.length >= 40);
  t.is(new Set(mutants.map(({ name }) => name)).size, mutants.length);
});
