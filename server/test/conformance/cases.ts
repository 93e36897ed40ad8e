/**
 * The public cases of etcd-io/raft, replayed against `src/raft`. They are data of another project, kept
 * outside this one; lines of the reference's own log are not compared.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../repository.ts';
import { ChangeCases } from './change-cases.ts';
import { type Directive, parseCases } from './data-driven.ts';
import { InteractionCases } from './interaction-cases.ts';
import { runQuorumCase } from './quorum-cases.ts';

/** The kinds of cases, each in a folder of its name, and how many directives there are of each. */
export const suites = { quorum: 88, confchange: 36, interaction: 437 } as const;
export type Suite = keyof typeof suites;

/** Where an output is not what it should be. */
export interface Disagreement {
  readonly place: string;
  readonly command: string;
  readonly expected: string;
  readonly actual: string;
}

/** What became of one file. */
export interface FileResult {
  readonly name: string;
  readonly directives: number;
  readonly disagreements: readonly Disagreement[];
}

/** The folder of the cases: `RAFT_CONFORMANCE_DIR`, or beside the repository; undefined if absent. */
export function conformanceFolder(): string | undefined {
  const { RAFT_CONFORMANCE_DIR: named } = process.env;
  if (named !== undefined && named !== '') {
    if (!existsSync(named)) throw new Error(`RAFT_CONFORMANCE_DIR names no folder: ${named}`);
    return named;
  }
  const beside = join(repositoryRoot, '..', 'shared', 'raft-conformance');
  return existsSync(beside) ? beside : undefined;
}

/** Replays all files of a suite. */
export function replay(folder: string, suite: Suite): FileResult[] {
  const names = readdirSync(join(folder, suite)).filter((name) => name.endsWith('.txt'));
  return names.sort().map((name) => {
    const directives = parseCases(readFileSync(join(folder, suite, name), 'utf8'));
    const run = runnerOf(suite);
    const disagreements = directives.flatMap((directive): Disagreement[] => {
      const expected = withoutLog(directive.expected);
      const actual = withoutLog(outputOf(run, directive));
      const place = `${suite}/${name}:${directive.line}`;
      return expected === actual ? [] : [{ place, command: directive.command, expected, actual }];
    });
    return { name: `${suite}/${name}`, directives: directives.length, disagreements };
  });
}

/** Files have an environment of their own; directives of a file share it. */
function runnerOf(suite: Suite): (directive: Directive) => string {
  switch (suite) {
    case 'quorum':
      return runQuorumCase;
    case 'confchange': {
      const cases = new ChangeCases();
      return (directive) => cases.run(directive);
    }
    case 'interaction': {
      const cases = new InteractionCases();
      return (directive) => cases.run(directive);
    }
  }
}

/** A failed assertion is an output like any other, and agrees with nothing. */
function outputOf(run: (directive: Directive) => string, directive: Directive): string {
  try {
    return run(directive);
  } catch (error) {
    return error instanceof Error ? `thrown: ${error.stack ?? error.message}` : String(error);
  }
}

function withoutLog(output: string): string {
  const lines = output.split('\n').filter((line) => !/^\s*(DEBUG|INFO|WARN|ERROR) /.test(line));
  const rest = lines.join('\n').trimEnd();
  return rest === '' ? 'ok' : rest;
}
