/**
 * The code in the pages, as a reader would run it. A fenced block is run if its info string says so:
 *
 *     ```ts run        compiled strictly, and run by node
 *     ```sh run        run by bash, in the checkout's top folder, with its binaries on the PATH
 *     ```text output   what the block before it prints, whole
 *
 * Blocks say `tuplet://localhost:7447`, as a reader does; the test's node takes its place, and is in
 * the environment too, as TUPLET_SERVER.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository.ts';

/** A fenced block of a page. */
export interface CodeBlock {
  /** From the top of the checkout. */
  readonly page: string;
  /** Of its first fence, from 1. */
  readonly line: number;
  /** The info string's first word: `ts`, `sh`, … */
  readonly language: string;
  /** The info string's other words. */
  readonly tags: readonly string[];
  readonly code: string;
  /** What it must print, where the page says so. */
  readonly output: string | undefined;
}

/** How a block ended. */
export interface Run {
  /** Undefined where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const readersServer = 'tuplet://localhost:7447';
const runLimitMs = 60_000;

/** The pages for users: those at the top, of docs/ and of the client. */
export function pagesWithCode(): string[] {
  const docs = readdirSync(join(repositoryRoot, 'docs'), { recursive: true, encoding: 'utf8' });
  const top = readdirSync(repositoryRoot, { encoding: 'utf8' });
  const pages = [...top, ...docs.map((name) => join('docs', name)), 'client/README.md'];
  return pages.filter((name) => name.endsWith('.md')).sort();
}

/** The blocks of a page of the checkout that are to be run, in order. */
export function blocksToRun(page: string): CodeBlock[] {
  const text = readFileSync(join(repositoryRoot, page), 'utf8');
  return codeBlocks(page, text).filter(({ tags }) => tags.includes('run'));
}

/** All fenced blocks of a text. Throws where a fence is not closed. */
export function codeBlocks(page: string, text: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { fence: string; line: number; info: string; code: string[] } | undefined;
  for (const [at, line] of text.split('\n').entries()) {
    if (open === undefined) {
      const [, fence, info = ''] = /^(`{3,})([^`]*)$/.exec(line) ?? [];
      if (fence !== undefined) open = { fence, line: at + 1, info: info.trim(), code: [] };
    } else if (line.trimEnd() === open.fence) {
      const [language = '', ...tags] = open.info.split(/\s+/);
      const code = open.code.map((each) => `${each}\n`).join('');
      const last = blocks.at(-1);
      if (tags.includes('output') && last !== undefined)
        blocks.splice(-1, 1, { ...last, output: code });
      else blocks.push({ page, line: open.line, language, tags, code, output: undefined });
      open = undefined;
    } else open.code.push(line);
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block is not closed`);
  return blocks;
}

/** Runs a block against a server; throws, with the page's line, where it fails or prints otherwise. */
export async function runBlock(block: CodeBlock, server: string): Promise<Run> {
  const { page, line, language, output } = block;
  const run = await (language === 'sh' ? runShell(block, server) : runTypeScript(block, server));
  const said = run.stdout + run.stderr;
  if (run.code !== 0) throw new Error(`${page}:${line}: ended with ${run.code}\n${said}`);
  if (output !== undefined && run.stdout !== output)
    throw new Error(`${page}:${line}: printed\n${run.stdout}instead of\n${output}`);
  return run;
}

let folders = 0;

/** Compiles and runs a block inside the checkout, so that its imports are found as a user's are. */
async function runTypeScript({ code }: CodeBlock, server: string): Promise<Run> {
  folders += 1;
  const folder = join(repositoryRoot, 'server', 'dist', 'code-blocks', `${process.pid}-${folders}`);
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(join(folder, 'block.mts'), code.replaceAll(readersServer, server));
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings));
    const tsc = join(repositoryRoot, 'node_modules', '.bin', 'tsc');
    const built = await execute(tsc, ['-p', folder], server);
    if (built.code !== 0) return built;
    return await execute(process.execPath, [join(folder, 'block.mjs')], server);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Those of a careful reader: strict, and nothing that only this checkout asks for. */
const settings: object = {
  compilerOptions: {
    target: 'ES2023',
    lib: ['ES2023', 'ESNext.Disposable'],
    types: ['node'],
    module: 'NodeNext',
    strict: true,
    skipLibCheck: false,
    outDir: '.',
    rootDir: '.',
  },
  files: ['block.mts'],
};

function runShell({ code }: CodeBlock, server: string): Promise<Run> {
  const script = code.replaceAll(readersServer, server);
  return execute('bash', ['-eu', '-o', 'pipefail', '-c', script], server);
}

function execute(file: string, args: readonly string[], server: string): Promise<Run> {
  return new Promise((resolve, reject) => {
    const { PATH: usual = '' } = process.env;
    const path = `${join(repositoryRoot, 'node_modules', '.bin')}:${usual}`;
    const child = spawn(file, args, {
      cwd: repositoryRoot,
      env: { ...process.env, PATH: path, TUPLET_SERVER: server },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: runLimitMs,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (bytes) => {
      stdout += String(bytes);
    });
    child.stderr.on('data', (bytes) => {
      stderr += String(bytes);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
