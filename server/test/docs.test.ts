import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { conformance } from './conformance.ts';
import { generatedPages } from './docs/pages.ts';
import { repositoryRoot } from './repository.ts';

for (const { path, text } of generatedPages()) {
  test(`${path} is what npm run docs writes`, (t) => {
    t.is(readFileSync(join(repositoryRoot, path), 'utf8'), text);
  });
}

test('no title carries an anchor that the semantics do not have', (t) => {
  t.deepEqual(conformance().unknown, []);
});

test('every sentence of the semantics has a test', (t) => {
  t.deepEqual(conformance().unshown, []);
});

test('every test of the contract says which sentence it shows', (t) => {
  t.deepEqual(conformance().bare, []);
});
