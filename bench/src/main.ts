/**
 * `npm run bench`: the workloads on Tuplet and, beside it in the same rounds, on Redis. Rounds are
 * interleaved and compared as ratios, since these figures drift with the machine; the calibration
 * before and after each round says by how much.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { type Calibration, calibrate } from './calibrate.ts';
import { median } from './latency.ts';
import { startRedis } from './redis.ts';
import { type CaseResult, cases, type Row, runCase } from './rounds.ts';
import type { Target } from './target.ts';
import { startTuplet } from './tuplet.ts';

interface Options {
  readonly workloads?: string;
  readonly rounds: string;
  readonly seconds: string;
  readonly folder: string;
  readonly peer: 'redis' | 'none';
  readonly json?: string;
}

const help = `
Workloads:
${cases.map(({ name, says }) => `  ${name.padEnd(14)} ${says}`).join('\n')}

Examples:
  $ npm run bench                                      # everything, 7 rounds
  $ npm run bench -- write-64 hand-off --rounds 3
  $ npm run bench -- --json bench/results/today.json`;

const program = new Command('bench')
  .description('measure Tuplet, and Redis with appendfsync always beside it')
  .argument('[workloads...]', 'which; default: all')
  .option('-r, --rounds <count>', 'interleaved rounds', '7')
  .option('-s, --seconds <count>', 'seconds for each workload and target in a round', '3')
  .option('--folder <path>', 'where data lies; the disk is part of the result', tmpdir())
  .addOption(new Option('--peer <name>', 'beside it').choices(['redis', 'none']).default('redis'))
  .option('--json <file>', 'also write every figure there')
  .addHelpText('after', help)
  .action((names: string[], options: Options) => main(names, options));

async function main(names: readonly string[], options: Options): Promise<void> {
  const chosen = cases.filter(({ name }) => names.length === 0 || names.includes(name));
  const unknown = names.filter((name) => !cases.some((known) => known.name === name));
  if (unknown.length > 0) throw new Error(`no such workload: ${unknown.join(', ')}`);
  const folder = mkdtempSync(join(options.folder, 'tuplet-bench-'));
  const calibrations: Calibration[] = [await calibrate(folder)];
  const rows: Row[] = [];
  try {
    for (let round = 1; round <= Number(options.rounds); round++) {
      const targets: Target[] = [await startTuplet(folder)];
      const redis = options.peer === 'redis' ? await startRedis(folder) : undefined;
      if (redis !== undefined) targets.push(redis);
      else if (options.peer === 'redis' && round === 1)
        say('redis-server is not installed: left out');
      if (round % 2 === 0) targets.reverse();
      for (const one of chosen) {
        for (const target of targets) {
          const result = await runCase(one, target, Number(options.seconds));
          rows.push({ round, workload: one.name, target: target.name, ...result });
          say(`round ${round}  ${line(one.name, target.name, result)}`);
        }
      }
      for (const target of targets) await target.close();
      calibrations.push(await calibrate(folder));
      say(`round ${round}  calibration ${calibrationLine(calibrations.at(-1))}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  summary(
    chosen.map(({ name }) => name),
    rows,
    calibrations,
  );
  if (options.json !== undefined) {
    writeFileSync(
      options.json,
      `${JSON.stringify({ node: process.version, calibrations, rows }, null, 1)}\n`,
    );
  }
}

function line(workload: string, target: string, result: CaseResult): string {
  const { perSecond, p50Ms, p99Ms, clientCpuUs, serverCpuUs } = result;
  const cpu = `cpu client ${clientCpuUs.toFixed(1)} server ${serverCpuUs.toFixed(1)} µs`;
  const latency = `p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(2)} ms`;
  return `${workload.padEnd(13)} ${target.padEnd(13)} ${perSecond.toFixed(0).padStart(7)}/s  ${latency}  ${cpu}`;
}

function calibrationLine(calibration: Calibration | undefined): string {
  if (calibration === undefined) return '';
  const { cpuMops, syncs, echoes } = calibration;
  return `cpu ${cpuMops.toFixed(0)} Mops/s, ${syncs.toFixed(0)} fdatasyncs/s, ${echoes.toFixed(0)} echoes/s`;
}

/** Medians of each target, and the median and the range of the ratios round by round. */
function summary(
  names: readonly string[],
  rows: readonly Row[],
  calibrations: readonly Calibration[],
): void {
  say('');
  say(`calibration first ${calibrationLine(calibrations[0])}`);
  say(`calibration last  ${calibrationLine(calibrations.at(-1))}`);
  for (const name of names) {
    const of = (target: string): Row[] =>
      rows.filter((row) => row.workload === name && row.target === target);
    const measure = name === 'hand-off' ? (row: Row) => row.p50Ms : (row: Row) => row.perSecond;
    const unit = name === 'hand-off' ? 'ms p50' : '/s';
    const own = of('tuplet');
    const peer = rows.find((row) => row.workload === name && row.target !== 'tuplet')?.target;
    const ownMedian = median(own.map(measure));
    const cpu = median(own.map((row) => row.clientCpuUs + row.serverCpuUs));
    let text = `${name.padEnd(13)} tuplet ${ownMedian.toFixed(2)} ${unit}, cpu ${cpu.toFixed(1)} µs`;
    if (peer !== undefined) {
      const theirs = of(peer);
      const ratios = own.map((row, i) => measure(row) / measure(theirs[i] ?? row));
      const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
      text += `; ${peer} ${median(theirs.map(measure)).toFixed(2)}; ratio ${median(ratios).toFixed(2)} (${range})`;
    }
    say(text);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await program.parseAsync();
