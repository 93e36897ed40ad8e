import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { join } from 'node:path';
import { repositoryRoot } from '../repository.ts';

const command = join(repositoryRoot, 'server/dist/src/cli/main.js');

/** How a run of `tuplet` ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  /** Lines of the error output. */
  readonly said: readonly string[];
}

/** A run of `tuplet`. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when the output has so many lines, with all of them. */
  lines(count: number): Promise<readonly string[]>;
}

/** Starts `tuplet` with these arguments. */
export function startCommand(args: readonly string[], options: SpawnOptions = {}): Running {
  const child = spawn(process.execPath, [command, ...args], {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  const written: (() => void)[] = [];
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    for (const look of written) look();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, said: linesOf(err) }));
  });
  const lines = (count: number): Promise<readonly string[]> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (linesOf(out).length >= count) resolve(linesOf(out));
      };
      written.push(look);
      look();
    });
  return { child, ended, lines };
}

/** Runs `tuplet` until it ends by itself. */
export function runCommand(args: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
  return startCommand(args, options).ended;
}

/** Whole lines that are not empty. */
function linesOf(text: string): readonly string[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '');
}
