import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { conformance } from './conformance.ts';

/** A checkout with these files and no others. */
function checkout(t: ExecutionContext, files: { readonly [path: string]: string }): string {
  const root = mkdtempSync(join(tmpdir(), 'tuplet-conformance-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const semantics = [
  '# Semantics',
  '- **1.1** A tuple | has fields.',
  'A paragraph that names 1.2 is no sentence.',
  '- **1.2** Null < bool.',
  '- **3.12** An overflow changes nothing.',
].join('\n');
const page = 'docs/reference/semantics.md';
/** Written so that these examples are not taken for tests of this checkout. */
const call = 'test';

test('the table has each sentence with the tests whose titles carry its anchor', (t) => {
  const root = checkout(t, {
    [page]: semantics,
    'proto/src/a.test.ts': `${call}('a tuple [1.1]', (t) => t.pass());\n`,
    'server/src/space/b.test.ts': `${call}(\n  \`both of them [1.1, 3.12]\`,\n  (t) => t.pass(),\n);\n`,
  });
  const { page: table, unshown, unknown } = conformance(root);
  t.deepEqual(table.split('\n').slice(-4), [
    '| 1.1 | A tuple \\| has fields. | a tuple [1.1] (`proto/src/a.test.ts`)<br>both of them [1.1, 3.12] (`server/src/space/b.test.ts`) |',
    '| 1.2 | Null &lt; bool. |  |',
    '| 3.12 | An overflow changes nothing. | both of them [1.1, 3.12] (`server/src/space/b.test.ts`) |',
    '',
  ]);
  t.deepEqual(unshown, ['1.2']);
  t.deepEqual(unknown, []);
});

test('an anchor that the page does not have is told, and so is a contract test without one', (t) => {
  const root = checkout(t, {
    [page]: semantics,
    'client/src/a.test.ts': `${call}('it’s [1.1, 9.9]', (t) => t.pass());\n`,
    'server/test/contract/b.test.ts': `${call}('bare', (t) => t.pass());\n${call}.serial('it isn\\'t [1.2]', (t) => t.pass());\n`,
    'server/test/c.test.ts': `${call}('free to be bare', (t) => t.pass());\n`,
  });
  const { unshown, unknown, bare } = conformance(root);
  t.deepEqual(unshown, ['3.12']);
  t.deepEqual(unknown, ['9.9: it’s [1.1, 9.9]']);
  t.deepEqual(bare, ['server/test/contract/b.test.ts: bare']);
});

test('an anchor in a comment or in the text of a test shows nothing', (t) => {
  const root = checkout(t, {
    [page]: semantics,
    'server/src/a.test.ts': `// [1.1]\n${call}('a tuple', (t) => t.pass('[1.2]'));\nconst x = '[3.12]';\n`,
  });
  t.deepEqual(conformance(root).unshown, ['1.1', '1.2', '3.12']);
});
