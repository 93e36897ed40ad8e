/**
 * `npm run sim -- --world node --seeds N --seed S`: seeds S, S+1, …; `--seed S` alone replays one and
 * prints its events; `--minutes M` runs until then; `--history FILE` keeps the history of a replay.
 */
import { fork } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Totals } from './report.ts';
import { type RunReport, runSeed } from './world.ts';

/** Processes that run seeds beside each other. */
const processes = 2;

interface Choice {
  readonly first: number;
  /** Infinity where only the time ends the run. */
  readonly seeds: number;
  readonly untilMs: number;
  readonly step: number;
}

function readOptions(): {
  world: string;
  seed: number;
  seeds: number | undefined;
  minutes: number | undefined;
  history: string | undefined;
  step: number;
  worker: boolean;
  hunt: boolean;
} {
  const { values } = parseArgs({
    options: {
      world: { type: 'string', default: 'node' },
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      history: { type: 'string' },
      step: { type: 'string', default: '1' },
      worker: { type: 'boolean', default: false },
      hunt: { type: 'boolean', default: false },
    },
  });
  const number = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : Number(text);
  return {
    world: values.world,
    seed: Number(values.seed),
    seeds: number(values.seeds),
    minutes: number(values.minutes),
    history: values.history,
    step: Number(values.step),
    worker: values.worker,
    hunt: values.hunt,
  };
}

async function runSeeds(choice: Choice, each: (report: RunReport) => void): Promise<void> {
  for (let run = 0; run < choice.seeds; run++) {
    if (Date.now() >= choice.untilMs) return;
    each(await runSeed(choice.first + run * choice.step));
  }
}

async function replay(seed: number, history: string | undefined): Promise<number> {
  const file = history === undefined ? undefined : createWriteStream(history);
  const report = await runSeed(seed, {
    print: (line) => process.stdout.write(`${line}\n`),
    history: (line) => file?.write(`${JSON.stringify(line)}\n`),
  });
  file?.end();
  const totals = new Totals();
  totals.add(report);
  process.stdout.write(`${totals.text(0)}seed ${seed} hash ${report.hash}\n`);
  return report.violations.length === 0 ? 0 : 1;
}

/** Runs seeds until one fails, and says which and by what; for the mutants. */
async function hunt(choice: Choice): Promise<number> {
  for (let seed = choice.first; seed < choice.first + choice.seeds; seed++) {
    if (Date.now() >= choice.untilMs) break;
    const { violations } = await runSeed(seed);
    const first = violations[0];
    if (first === undefined) continue;
    const message = first.message.split('\n')[0];
    process.stdout.write(`HUNT ${seed} ${first.checker} ${message}\n`);
    return 1;
  }
  process.stdout.write('HUNT none\n');
  return 0;
}

/** One of several processes; its reports go to the parent. */
function startWorker(choice: Choice, add: (report: RunReport) => void): Promise<void> {
  const args = ['--worker', '--seed', String(choice.first), '--step', String(choice.step)];
  if (Number.isFinite(choice.seeds)) args.push('--seeds', String(choice.seeds));
  if (Number.isFinite(choice.untilMs)) {
    args.push('--minutes', String((choice.untilMs - Date.now()) / 60_000));
  }
  const child = fork(fileURLToPath(import.meta.url), args, { serialization: 'advanced' });
  child.on('message', (report: RunReport) => add(report));
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`a process of the simulation ended with ${code}`));
    });
  });
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.world !== 'node') {
    process.stderr.write(`there is no world '${options.world}'; there is: node\n`);
    return 2;
  }
  const { seed, seeds, minutes, step } = options;
  if (seeds === undefined && minutes === undefined) return await replay(seed, options.history);
  const begunMs = Date.now();
  const untilMs = minutes === undefined ? Number.POSITIVE_INFINITY : begunMs + minutes * 60_000;
  const all = seeds ?? Number.POSITIVE_INFINITY;
  if (options.hunt) return await hunt({ first: seed, seeds: all, untilMs, step });
  if (options.worker) {
    await runSeeds({ first: seed, seeds: all, untilMs, step }, (report) => process.send?.(report));
    process.disconnect();
    return 0;
  }
  const totals = new Totals();
  const workers = Math.min(processes, all);
  await Promise.all(
    Array.from({ length: workers }, (_, at) => {
      const share = Number.isFinite(all) ? Math.ceil((all - at) / workers) : all;
      const choice = { first: seed + at, seeds: share, untilMs, step: workers };
      return startWorker(choice, (report) => {
        totals.add(report);
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

process.exitCode = await main();
