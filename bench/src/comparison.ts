/**
 * Workloads on Tuplet and, beside it in the same rounds, on a peer. Rounds are interleaved and
 * compared as ratios, since these figures drift with the machine; the calibration before and after
 * each round says by how much.
 */

import { startBare } from './bare.ts';
import { type Calibration, calibrate } from './calibrate.ts';
import { startEcho } from './echo.ts';
import { median } from './latency.ts';
import { startRedis } from './redis.ts';
import { calibrationLine, say } from './report.ts';
import { type Case, type CasePace, type CaseResult, type Row, runCase } from './rounds.ts';
import type { Door, Target } from './target.ts';
import { beforeName, startTuplet } from './tuplet.ts';

/** What is compared, and how. */
export interface ComparisonOptions {
  readonly cases: readonly Case[];
  readonly rounds: number;
  readonly pace: CasePace;
  readonly door: Door;
  readonly peer: 'redis' | 'none';
  /** Whether the bare stream and log is measured beside it. */
  readonly floor: boolean;
  /** The root of another checkout, built, whose server is measured beside this one's. */
  readonly before?: string;
}

/** Every figure of a comparison. */
export interface ComparisonResult {
  readonly calibrations: readonly Calibration[];
  readonly rows: readonly Row[];
}

/** In it compilers get to know the code; it is printed and not counted. */
const warmUpRound = 0;

/**
 * Runs all rounds and prints them. Servers live through all of them, as they do elsewhere, and are
 * emptied before each.
 */
export async function compare(
  folder: string,
  options: ComparisonOptions,
): Promise<ComparisonResult> {
  const { cases, rounds, pace, door, peer } = options;
  const calibrations: Calibration[] = [await calibrate(folder)];
  const rows: Row[] = [];
  const targets = await startTargets(folder, options);
  if (peer === 'redis' && !targets.some(({ name }) => name === 'redis always'))
    if (cases.some((one) => one.isUnaryBesideEcho !== true))
      say('redis-server is not installed: left out');
  for (let round = warmUpRound; round <= rounds; round++) {
    for (const target of targets) await target.clear();
    for (const one of cases) {
      for (const target of targets.filter(({ name }) => belongs(one, name, door))) {
        const result = await runCase(one, target, pace);
        if (round > warmUpRound)
          rows.push({ round, workload: one.name, target: target.name, ...result });
        say(`round ${round}  ${line(one.name, target.name, result)}`);
      }
    }
    targets.reverse();
    calibrations.push(await calibrate(folder));
    say(`round ${round}  calibration ${calibrationLine(calibrations.at(-1))}`);
  }
  for (const target of targets) await target.close();
  summary(cases, rows, calibrations, pace);
  return { calibrations, rows };
}

async function startTargets(
  folder: string,
  { cases, door, peer, floor, before }: ComparisonOptions,
): Promise<Target[]> {
  const targets: Target[] = [];
  const besideEcho = cases.some((one) => one.isUnaryBesideEcho === true);
  const besidePeer = cases.some((one) => one.isUnaryBesideEcho !== true);
  if (besidePeer) {
    targets.push(await startTuplet(folder, door));
    if (before !== undefined) targets.push(await startTuplet(folder, door, before));
    const redis = peer === 'redis' ? await startRedis(folder) : undefined;
    if (redis !== undefined) targets.push(redis);
    if (floor) targets.push(await startBare(folder));
  }
  if (besideEcho) {
    if (!targets.some(({ name }) => name === 'tuplet unary'))
      targets.push(await startTuplet(folder, 'unary'));
    targets.push(await startEcho());
  }
  return targets;
}

function belongs(one: Case, target: string, door: Door): boolean {
  const ownName = door === 'unary' ? 'tuplet unary' : 'tuplet';
  return one.isUnaryBesideEcho === true
    ? target === 'tuplet unary' || target === 'bare echo'
    : [ownName, beforeName, 'redis always', 'bare stream'].includes(target);
}

function line(workload: string, target: string, result: CaseResult): string {
  const { perSecond, p50Ms, p99Ms, p999Ms, clientCpuUs, serverCpuUs } = result;
  const cpu = `cpu client ${clientCpuUs.toFixed(1)} server ${serverCpuUs.toFixed(1)} µs`;
  const latency = `p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(2)} p99.9 ${p999Ms.toFixed(2)} ms`;
  return `${workload.padEnd(13)} ${target.padEnd(13)} ${perSecond.toFixed(0).padStart(7)}/s  ${latency}  ${cpu}`;
}

/** Medians of each target, and the median and the range of the ratios round by round. */
function summary(
  cases: readonly Case[],
  rows: readonly Row[],
  calibrations: readonly Calibration[],
  { rate }: CasePace,
): void {
  say('');
  say(`calibration first ${calibrationLine(calibrations[0])}`);
  say(`calibration last  ${calibrationLine(calibrations.at(-1))}`);
  for (const { name } of cases) {
    const targets = rows.filter(isPeerIn(name)).map(({ target }) => target);
    const own = rows.filter((row) => row.workload === name && row.target.startsWith('tuplet'));
    // At a fixed rate, and with one waiter, latency is the figure; otherwise it is the throughput.
    const isLatency = rate !== undefined || name === 'hand-off';
    const measure = isLatency ? (row: Row) => row.p50Ms : (row: Row) => row.perSecond;
    const unit = isLatency ? 'ms p50' : '/s';
    const cpu = median(own.map((row) => row.clientCpuUs + row.serverCpuUs));
    const digits = isLatency ? 2 : 0;
    let text = `${name.padEnd(13)} ${own[0]?.target} ${median(own.map(measure)).toFixed(digits)} ${unit}`;
    if (isLatency) text += `, p99 ${median(own.map((row) => row.p99Ms)).toFixed(2)}`;
    text += `, cpu ${cpu.toFixed(1)} µs`;
    for (const peer of new Set(targets)) {
      const theirs = rows.filter((row) => row.workload === name && row.target === peer);
      const ratios = own.map((row, i) => measure(row) / measure(theirs[i] ?? row));
      const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
      text += `; ${peer} ${median(theirs.map(measure)).toFixed(digits)}`;
      if (isLatency) text += `, p99 ${median(theirs.map((row) => row.p99Ms)).toFixed(2)}`;
      text += `; ratio ${median(ratios).toFixed(2)} (${range})`;
    }
    say(text);
  }
}

function isPeerIn(workload: string): (row: Row) => boolean {
  return (row) => row.workload === workload && !row.target.startsWith('tuplet');
}
