/** `npm run sim -- --help` says what it does. */
import { fork } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Totals } from './report.ts';
import type { RunReport } from './run-record.ts';
import { type WorldName, worldNames, worldOf } from './worlds.ts';

/** Processes that run seeds beside each other. */
const processes = 2;

const help =
  (): string => `Simulates a node with its clients: real code, virtual time, seeded faults. What clients
saw is judged by checkers; the same seed gives the same run, whatever the machine.

Usage: npm run sim -- [options]

  --seed S          the first seed, or the one to replay (default 1)
  --seeds N         runs seeds S to S+N-1 and prints what they reached
  --minutes M       begins no seed after M minutes; without --seeds, seeds until then
  --world NAME      ${worldsText()}
  --profile NAME    ${profilesText()};
                    without it, half of the seeds are mixed and the others draw one of the rest
  --history FILE    of a replay: writes the history as JSON lines (check/HISTORY.md)
  --hunt            stops at the first seed that fails, and says which checker complained
  --help            this

With neither --seeds nor --minutes, one seed is replayed and its events are printed.
Ends with 0 if nothing was violated (and, from 300 seeds of all profiles on, every rare path was
reached often enough), 1 if not, 2 where the options make no sense.

Examples:
  npm run sim -- --seeds 60                           sixty seeds from 1 on
  npm run sim -- --minutes 10 --seed 100000           ten minutes of seeds not run before
  npm run sim -- --seed 17 --history /tmp/17.jsonl    one seed again, with its history
  npm run sim -- --profile sessions --seeds 20        sessions that end, more than usual
`;

function isWorld(name: string): name is WorldName {
  return worldNames.some((each) => each === name);
}

function worldsText(): string {
  const lines = worldNames.map((name) => `${name}: ${worldOf(name).about}`);
  return lines.join(';\n                    ');
}

function profilesText(): string {
  const lines: string[] = [];
  for (const name of worldNames) {
    const { profiles } = worldOf(name);
    if (profiles.length > 0) lines.push(`${name}: ${profiles.join(', ')}`);
  }
  return lines.join(';\n                    ');
}

interface Choice {
  readonly world: WorldName;
  readonly first: number;
  /** Infinity where only the time ends the run. */
  readonly seeds: number;
  readonly untilMs: number;
  readonly step: number;
  readonly profile: string | undefined;
}

interface Options {
  readonly help: boolean;
  readonly world: WorldName;
  readonly seed: number;
  readonly seeds: number | undefined;
  readonly minutes: number | undefined;
  readonly profile: string | undefined;
  readonly history: string | undefined;
  readonly step: number;
  readonly worker: boolean;
  readonly hunt: boolean;
}

/** Seeds between two signs of life of a long run. */
const progressSeeds = 100;

/** What the command line says makes no sense. */
class UsageError extends Error {}

function readOptions(): Options {
  const { values } = parsed();
  const { world, profile: name } = values;
  if (!isWorld(world)) {
    throw new UsageError(`there is no world '${world}'; there are: ${worldNames.join(', ')}`);
  }
  const { profiles, hasHistories } = worldOf(world);
  if (name !== undefined && !profiles.includes(name)) {
    const known = profiles.length === 0 ? 'it has none' : `there are: ${profiles.join(', ')}`;
    throw new UsageError(`the ${world} world has no profile '${name}'; ${known}`);
  }
  if (!hasHistories && values.history !== undefined) {
    throw new UsageError(`the ${world} world has no histories`);
  }
  return {
    help: values.help,
    world,
    seed: wholeNumber('seed', values.seed),
    seeds: values.seeds === undefined ? undefined : wholeNumber('seeds', values.seeds),
    minutes: values.minutes === undefined ? undefined : positive('minutes', values.minutes),
    profile: name,
    history: values.history,
    step: wholeNumber('step', values.step),
    worker: values.worker,
    hunt: values.hunt,
  };
}

function parsed() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', default: false },
        world: { type: 'string', default: 'node' },
        seed: { type: 'string', default: '1' },
        seeds: { type: 'string' },
        minutes: { type: 'string' },
        profile: { type: 'string' },
        history: { type: 'string' },
        step: { type: 'string', default: '1' },
        worker: { type: 'boolean', default: false },
        hunt: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw new UsageError(`--${name} takes a number above 0, not '${text}'`);
  }
  return value;
}

function wholeNumber(name: string, text: string): number {
  const value = positive(name, text);
  if (!Number.isSafeInteger(value)) {
    throw new UsageError(`--${name} takes a whole number, not '${text}'`);
  }
  return value;
}

function runOne(seed: number, { world, profile }: Choice): Promise<RunReport> {
  return worldOf(world).run(seed, profile);
}

function totalsOf({ world, profile }: Pick<Options, 'world' | 'profile'>): Totals {
  return new Totals(profile !== undefined, worldOf(world).coverage);
}

async function runSeeds(choice: Choice, each: (report: RunReport) => void): Promise<void> {
  for (let run = 0; run < choice.seeds; run++) {
    if (Date.now() >= choice.untilMs) return;
    each(await runOne(choice.first + run * choice.step, choice));
  }
}

async function replay(options: Options): Promise<number> {
  const { world, seed, history, profile } = options;
  const file = history === undefined ? undefined : createWriteStream(history);
  const report = await worldOf(world).run(seed, profile, {
    print: (line) => void process.stdout.write(`${line}\n`),
    history: (line) => void file?.write(`${JSON.stringify(line)}\n`),
  });
  file?.end();
  const totals = totalsOf(options);
  totals.add(report);
  process.stdout.write(`${totals.text(0)}seed ${seed} hash ${report.hash}\n`);
  return report.violations.length === 0 ? 0 : 1;
}

/** Runs seeds until one fails, and says which and by what; for the mutants. */
async function hunt(choice: Choice): Promise<number> {
  let seeds = 0;
  for (let seed = choice.first; seed < choice.first + choice.seeds; seed++) {
    if (Date.now() >= choice.untilMs) break;
    const { violations } = await runOne(seed, choice);
    const first = violations[0];
    seeds += 1;
    if (first === undefined) continue;
    const message = first.message.split('\n')[0];
    process.stdout.write(`HUNT ${seed} ${first.checker}: ${message}\n`);
    return 1;
  }
  process.stdout.write(`HUNT none in ${seeds} seeds\n`);
  return 0;
}

/** One of several processes; its reports go to the parent. */
function startWorker(choice: Choice, add: (report: RunReport) => void): Promise<void> {
  const args = ['--worker', '--world', choice.world, '--seed', String(choice.first)];
  args.push('--step', String(choice.step));
  if (Number.isFinite(choice.seeds)) args.push('--seeds', String(choice.seeds));
  if (Number.isFinite(choice.untilMs)) {
    args.push('--minutes', String((choice.untilMs - Date.now()) / 60_000));
  }
  if (choice.profile !== undefined) args.push('--profile', choice.profile);
  const child = fork(fileURLToPath(import.meta.url), args, {
    serialization: 'advanced',
    // A seed makes much that is soon garbage: a larger nursery lets it die young.
    execArgv: [...process.execArgv, '--max-semi-space-size=64'],
  });
  child.on('message', (report: RunReport) => add(report));
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`a process of the simulation ended with ${code}`));
    });
  });
}

/** A sign of life, apart from the report. */
function showProgress({ seeds, violations }: Totals, begunMs: number): void {
  if (seeds % progressSeeds !== 0) return;
  const seconds = Math.round((Date.now() - begunMs) / 1000);
  process.stderr.write(`${seeds} seeds, ${violations.length} violations, ${seconds} s\n`);
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(help());
    return 0;
  }
  const { world, seed, seeds, minutes, step, profile } = options;
  if (seeds === undefined && minutes === undefined) return await replay(options);
  const begunMs = Date.now();
  const untilMs = minutes === undefined ? Number.POSITIVE_INFINITY : begunMs + minutes * 60_000;
  const all = seeds ?? Number.POSITIVE_INFINITY;
  const chosen = { world, first: seed, seeds: all, untilMs, step, profile };
  if (options.hunt) return await hunt(chosen);
  if (options.worker) {
    await runSeeds(chosen, (report) => process.send?.(report));
    process.disconnect();
    return 0;
  }
  const totals = totalsOf(options);
  const workers = Math.min(processes, all);
  await Promise.all(
    Array.from({ length: workers }, (_, at) => {
      const share = Number.isFinite(all) ? Math.ceil((all - at) / workers) : all;
      const choice = { ...chosen, first: seed + at, seeds: share, step: workers };
      return startWorker(choice, (report) => {
        totals.add(report);
        showProgress(totals, begunMs);
        for (const violation of report.violations.slice(0, 3)) {
          process.stdout.write(
            `seed ${report.seed} ${violation.checker}: ${violation.message.split('\n')[0]}\n`,
          );
        }
      });
    }),
  );
  process.stdout.write(totals.text(Date.now() - begunMs));
  return totals.passed ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\nnpm run sim -- --help says what there is.\n`);
  process.exitCode = 2;
}
