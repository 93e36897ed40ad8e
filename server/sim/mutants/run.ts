/**
 * `npm run sim:mutants`: puts one deliberate bug after another into a copy of the build and runs seeds
 * until a checker complains; of the build as it is, it must not complain at that seed.
 */
import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type WorldName, worldNames } from '../worlds.ts';
import { clusterMutants } from './cluster-table.ts';
import { partitionMutants } from './partition-table.ts';
import { raftMutants } from './raft-table.ts';
import { tableOf } from './report.ts';
import { type Mutant, mutants } from './table.ts';

/** The repository: this file runs from server/dist/sim/mutants. */
const root = fileURLToPath(new URL('../../../../', import.meta.url));
/** Seeds of each world that a mutant may survive, and seconds, before it counts as alive. */
const seedsMax = 1_000;
const secondsMax = 900;

/** What became of a mutant. */
export interface Verdict {
  readonly mutant: Mutant;
  readonly outcome: 'killed' | 'alive' | 'broken';
  readonly seed: number;
  readonly checker: string;
  readonly message: string;
}

/** A copy of the build in which files can be changed. */
class Copy {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'tuplet-mutants-'));

  constructor() {
    for (const name of ['proto', 'client', 'server']) {
      mkdirSync(join(this.folder, name));
      cpSync(join(root, name, 'package.json'), join(this.folder, name, 'package.json'));
      cpSync(join(root, name, 'dist'), join(this.folder, name, 'dist'), { recursive: true });
    }
    cpSync(join(root, 'proto', 'errors.json'), join(this.folder, 'proto', 'errors.json'));
    const modules = join(this.folder, 'node_modules');
    mkdirSync(join(modules, '@tuplet'), { recursive: true });
    for (const name of readdirSync(join(root, 'node_modules'))) {
      if (name === '@tuplet' || name === 'tuplet') continue;
      symlinkSync(join(root, 'node_modules', name), join(modules, name));
    }
    symlinkSync(join(this.folder, 'proto'), join(modules, '@tuplet', 'proto'));
    symlinkSync(join(this.folder, 'client'), join(modules, '@tuplet', 'client'));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs seeds with the mutant in place, until one fails. */
  async try(mutant: Mutant): Promise<Verdict> {
    const none = { mutant, seed: 0, checker: '', message: '' };
    const originals = new Map<string, string>();
    try {
      for (const { file, find, replace } of mutant.edits) {
        const path = join(this.folder, file);
        const text = readFileSync(path, 'utf8');
        if (!originals.has(path)) originals.set(path, text);
        const parts = text.split(find);
        if (parts.length !== 2) {
          const message = `${file}: found ${parts.length - 1} times: ${find.split('\n')[0]}`;
          return { ...none, outcome: 'broken', message };
        }
        writeFileSync(path, parts.join(replace));
      }
      return { ...none, ...(await this.#run(mutant)) };
    } finally {
      for (const [path, text] of originals) writeFileSync(path, text);
    }
  }

  async #run(mutant: Mutant): Promise<Omit<Verdict, 'mutant'>> {
    const { world = 'node', profile } = mutant;
    const seeds = mutant.seeds ?? seedsMax;
    const found = await hunt(this.folder, { world, seed: 1, seeds, profile });
    if (found.outcome !== 'killed') return found;
    // What the checkers say of the build as it is kills nothing.
    const { seed, checker } = found;
    if (await isSound({ world, seed, seeds: 1, profile })) return found;
    return { ...found, outcome: 'broken', message: `seed ${seed}, ${checker}: without it, too` };
  }
}

interface Hunt {
  readonly world: WorldName;
  readonly seed: number;
  readonly seeds: number;
  readonly profile: Mutant['profile'];
}

/** By world, profile and seed: whether the build as it is passes. */
const sound = new Map<string, Promise<boolean>>();

function isSound(choice: Hunt): Promise<boolean> {
  const key = `${choice.world} ${choice.profile} ${choice.seed}`;
  const known = sound.get(key);
  if (known !== undefined) return known;
  const fresh = hunt(root, choice).then(({ outcome }) => outcome === 'alive');
  sound.set(key, fresh);
  return fresh;
}

/** Runs seeds of the build in a folder until one fails. */
async function hunt(
  folder: string,
  { world, seed, seeds, profile }: Hunt,
): Promise<Omit<Verdict, 'mutant'>> {
  const main = join(folder, 'server/dist/sim/main.js');
  const args = [
    '--max-semi-space-size=64',
    main,
    '--hunt',
    '--world',
    world,
    '--seed',
    String(seed),
  ];
  args.push('--seeds', String(seeds), '--minutes', String(secondsMax / 60));
  if (profile !== undefined) args.push('--profile', profile);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    errors += bytes.toString();
  });
  // A mutant that never comes back (an endless loop in one event) is ended from outside.
  const stop = setTimeout(() => child.kill('SIGKILL'), (secondsMax + 60) * 1000);
  await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(stop);
  const found = /^HUNT (\d+) ([^:]+): (.*)$/m.exec(output);
  if (found !== null) {
    const [, killing, checker = '', message = ''] = found;
    return { outcome: 'killed', seed: Number(killing), checker, message };
  }
  const survived = /^HUNT none (.*)$/m.exec(output);
  const message = survived?.[1] ?? errors.slice(-300).replaceAll('\n', ' ');
  return { outcome: survived ? 'alive' : 'broken', seed: 0, checker: '', message };
}

function rowOf({ mutant, outcome, seed, checker, message }: Verdict): string {
  const killer = `seed ${String(seed).padEnd(4)} ${checker.padEnd(24)} ${message.slice(0, 60)}`;
  const what = outcome === 'killed' ? killer : `${outcome} ${message}`;
  return `  ${mutant.name.padEnd(60)}${what}\n`;
}

const help = `
Ends with 0 if a named checker killed every mutant, 1 if not. A mutant that survives ${seedsMax} seeds,
or ${secondsMax} s, is alive.

Examples:
  $ npm run sim:mutants                             # all of them, about an hour
  $ npm run sim:mutants -- --only 'fence|torn tail'
  $ npm run sim:mutants -- --world raft --table docs/reference/mutants.md
  $ npm run sim:mutants -- --world node --in cluster # those of a node, among several
`;

/** The same bug, looked for elsewhere: what is drawn there is drawn without its profile. */
function inWorld({ name, edits, ...rest }: Mutant, world: WorldName | undefined): Mutant {
  return world === undefined ? { name, edits, ...rest } : { name, edits, world };
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('not a whole number');
  return count;
}

async function main(): Promise<number> {
  const values = new Command('sim:mutants')
    .description('break the product on purpose, and see a checker of the simulator notice')
    .option('--only <texts>', 'mutants whose names hold one of these texts, divided by |', '')
    .option('--workers <count>', 'mutants that are tried beside each other', countOf, 2)
    .addOption(new Option('--world <name>', 'those of one world').choices(worldNames))
    .addOption(
      new Option('--in <name>', 'tries them in this world, whichever theirs is').choices(
        worldNames,
      ),
    )
    .option('--table <file>', 'writes what killed each as a page of the documentation')
    .addHelpText('after', help)
    .parse()
    .opts<{
      only: string;
      workers: number;
      world?: WorldName;
      in?: WorldName;
      table?: string;
    }>();
  const wanted = values.only.split('|');
  const all = [...mutants, ...raftMutants, ...partitionMutants, ...clusterMutants];
  const waiting = all
    .filter(
      ({ name, world = 'node' }) =>
        wanted.some((text) => name.includes(text)) && world === (values.world ?? world),
    )
    .map((mutant) => inWorld(mutant, values.in));
  const order = [...waiting];
  const chosen = waiting.length;
  const begunMs = Date.now();
  const verdicts: Verdict[] = [];
  const work = async (): Promise<void> => {
    const copy = new Copy();
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const verdict = await copy.try(next);
        verdicts.push(verdict);
        process.stdout.write(rowOf(verdict));
      }
    } finally {
      copy.remove();
    }
  };
  await Promise.all(Array.from({ length: values.workers }, work));
  if (values.table !== undefined) {
    verdicts.sort((left, right) => order.indexOf(left.mutant) - order.indexOf(right.mutant));
    writeFileSync(values.table, tableOf(verdicts));
  }
  const killed = verdicts.filter(({ outcome }) => outcome === 'killed').length;
  const killers = new Map<string, number>();
  for (const { checker } of verdicts) {
    if (checker !== '') killers.set(checker, (killers.get(checker) ?? 0) + 1);
  }
  const by = [...killers].sort(([, one], [, other]) => other - one);
  const seconds = Math.round((Date.now() - begunMs) / 1000);
  process.stdout.write(
    `${killed === chosen ? 'ok' : 'FAILED'}: ${killed} of ${chosen} killed in ${seconds} s ` +
      `(${by.map(([checker, count]) => `${checker} ${count}`).join(', ')})\n`,
  );
  return killed === chosen ? 0 : 1;
}

process.exitCode = await main();
