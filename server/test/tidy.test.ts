import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { errorRows, GrpcCode } from '@tuplet/proto';
import test from 'ava';
import { repositoryRoot } from './repository.ts';

/** Every file below a folder, without built, generated and installed ones. */
function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (['node_modules', 'dist', 'gen', '.git', 'tuplet-data'].includes(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}

const all = files(repositoryRoot).map((path) => relative(repositoryRoot, path));
const text = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8');
const isTest = (path: string): boolean => path.endsWith('.test.ts');

/** Lines of the given files that a pattern finds, as `file:line: text`. */
function hits(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    text(path)
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [],
      ),
  );
}

const core = all.filter((path) =>
  /^(server\/src\/(base|raft|space|coordination|cluster)|proto\/src|client\/src\/engine)\/.*\.ts$/.test(
    path,
  ),
);

test('the core has no promises, no randomness and no clock of its own', (t) => {
  const pure = core.filter((path) => !isTest(path) && path !== 'server/src/base/doors.ts');
  const code = (line: RegExp): string[] =>
    hits(pure, line).filter((hit) => !/: (\*|\/\/|\/\*\*)/.test(hit));
  t.deepEqual(code(/\b(async|await|Promise)\b/), []);
  t.deepEqual(
    code(/Math\.random|Date\.now|new Date\b|performance\.now|setTimeout|setInterval/),
    [],
  );
  t.true(pure.length > 0);
});

test('no code waits to be finished', (t) => {
  const code = all.filter(
    (path) => /\.(ts|proto|mjs)$/.test(path) && !path.endsWith('tidy.test.ts'),
  );
  t.deepEqual(hits(code, /\b(TODO|FIXME|XXX|HACK)\b/), []);
});

test('every test runs: none is focused, skipped without a reason, or expected to fail', (t) => {
  t.deepEqual(hits(all.filter(isTest), /\btest\.(only|failing|todo|skip)\b/), []);
});

test('every reason of errors.json is said by whom its row names, and by nobody else', (t) => {
  const sources = (folder: RegExp): string =>
    all
      .filter((path) => folder.test(path) && path.endsWith('.ts') && !isTest(path))
      .map(text)
      .join('\n');
  const server = sources(/^(server|proto)\/src\//);
  const client = sources(/^client\/src\//);
  const wrong = Object.entries(errorRows).filter(([reason, { by }]) => {
    if (by === 'server') return !server.includes(`'${reason}'`);
    if (by === 'client' && !client.includes(`'${reason}'`)) return true;
    // Some reasons are names of gRPC's codes as well, which stand everywhere.
    return server.includes(`'${reason}'`) && !(reason in GrpcCode);
  });
  t.deepEqual(
    wrong.map(([reason]) => reason),
    [],
  );
});

const pages = all.filter((path) => path.endsWith('.md'));

test('each page has one title', (t) => {
  for (const page of pages) {
    const outsideCode = text(page).replace(/```[\s\S]*?```/g, '');
    t.is((outsideCode.match(/^# /gm) ?? []).length, 1, page);
  }
});

test('no link between pages is dead', (t) => {
  for (const page of pages) {
    for (const [, target] of text(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (target === undefined || /^[a-z]+:/.test(target)) continue;
      const path = resolve(repositoryRoot, dirname(page), target);
      t.notThrows(() => statSync(path), `${page} links to ${target}`);
    }
  }
});

test('what is built has a source: no stale output', (t) => {
  for (const workspace of ['proto', 'client', 'server', 'bench']) {
    const built = join(repositoryRoot, workspace, 'dist');
    for (const path of filesIn(built).filter((file) => file.endsWith('.js'))) {
      const source = join(repositoryRoot, workspace, relative(built, path).replace(/\.js$/, '.ts'));
      t.notThrows(() => statSync(source), `${path} was built from a file that is gone`);
    }
  }
});

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}
