import { median } from '../latency.ts';
import { verdict } from '../report.ts';
import type { Row } from '../rounds.ts';
import { cpuAims, figure, isLatency, isOf, type Outcome } from './aims.ts';

/** A line of the table: the medians of a workload on a target. */
export interface Medians {
  readonly workload: string;
  readonly target: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly clientCpuUs: number;
  readonly serverCpuUs: number;
  /** The busiest node first. */
  readonly nodeCpuUs: readonly number[];
}

/** All lines, in the order in which they were first measured. */
export function mediansOf(rows: readonly Row[]): Medians[] {
  const firsts = rows.filter((row, at) => rows.findIndex(isOf(row.workload, row.target)) === at);
  return firsts.map(({ workload, target, nodeCpuUs }) => {
    const own = rows.filter(isOf(workload, target));
    const of = (value: (row: Row) => number): number => median(own.map(value));
    return {
      workload,
      target,
      perSecond: of((row) => row.perSecond),
      p50Ms: of((row) => row.p50Ms),
      p99Ms: of((row) => row.p99Ms),
      clientCpuUs: of((row) => row.clientCpuUs),
      serverCpuUs: of((row) => row.serverCpuUs),
      nodeCpuUs: nodeCpuUs.map((_us, at) => of((row) => row.nodeCpuUs[at] ?? 0)),
    };
  });
}

/** The medians, and what became of each aim. */
export function tableOf(rows: readonly Row[], outcomes: readonly Outcome[]): string[] {
  const head = ['workload', 'target', 'ops/s', 'p50 ms', 'p99 ms', 'cpu µs', 'by node', 'client'];
  const lines = mediansOf(rows).map((line) => [
    line.workload,
    line.target,
    line.perSecond.toFixed(0),
    line.p50Ms.toFixed(2),
    line.p99Ms.toFixed(2),
    line.serverCpuUs.toFixed(1),
    line.nodeCpuUs.map((us) => us.toFixed(0)).join(' '),
    line.clientCpuUs.toFixed(1),
  ]);
  return ['', ...aligned([head, ...lines]), '', ...outcomes.map(outcomeLine), ...cpuLines(rows)];
}

/** An aim, and what was measured. */
export function outcomeLine(outcome: Outcome): string {
  const { workload, target, beside, ratio, ratios, poor } = outcome;
  const sign = isLatency(workload) ? '≤' : '≥';
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  const what = `${workload} ${target} to ${beside.join(' or ')}`;
  return `${what}: ${outcome.median.toFixed(2)} (${range}, ${poor} poor), aim ${sign} ${ratio}: ${verdict(outcome.isMet)}`;
}

/** The CPU of our nodes beside what it may be. */
export function cpuLines(rows: readonly Row[]): string[] {
  return mediansOf(rows).flatMap(({ workload, target, serverCpuUs }) => {
    const aim = cpuAims[workload];
    if (aim === undefined || target !== 'tuplet') return [];
    const cpu = serverCpuUs.toFixed(1);
    return [
      `${workload} tuplet: ${cpu} µs of CPU on all nodes, aim ≤ ${aim}: ${verdict(serverCpuUs <= aim)}`,
    ];
  });
}

/** By round: a series for each target. */
export function seriesOf(rows: readonly Row[], workload: string): ReadonlyMap<string, number[]> {
  const series = new Map<string, number[]>();
  for (const row of rows.filter((each) => each.workload === workload)) {
    const values = series.get(row.target) ?? [];
    values[row.round - 1] = figure(row);
    series.set(row.target, values);
  }
  return series;
}

/** Columns as wide as their widest cell; the first two are words, the others figures. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_cell, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  '),
  );
}
