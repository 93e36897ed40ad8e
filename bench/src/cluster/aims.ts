/** What three nodes are to reach beside their peers, and what a run came to. */
import { median } from '../latency.ts';
import type { Row } from '../rounds.ts';
import { beforeName } from '../tuplet.ts';
import { anyName } from './tuplet.ts';

/** A workload's figure in a row: operations a second, or where one waits milliseconds. */
export function figure(row: Row): number {
  return isLatency(row.workload) ? row.p50Ms : row.perSecond;
}

/** Whether a workload is judged by its latency. */
export function isLatency(workload: string): boolean {
  return workload === 'hand-off';
}

/** Ours to the best of some others, round by round. */
export interface Aim {
  readonly workload: string;
  readonly target: string;
  readonly beside: readonly string[];
  /** At least, for throughput; at most, for latency. */
  readonly ratio: number;
}

/** Those of ratios. */
export const aims: readonly Aim[] = [
  { workload: 'write-64', target: 'tuplet', beside: ['rabbitmq'], ratio: 2 },
  { workload: 'write-64', target: 'tuplet', beside: ['nats r3'], ratio: 1.5 },
  { workload: 'pairs-64', target: 'tuplet', beside: ['rabbitmq', 'nats r3'], ratio: 2 },
  { workload: 'hand-off', target: 'tuplet', beside: ['rabbitmq', 'nats r3'], ratio: 1 },
  { workload: 'hand-off', target: anyName, beside: ['tuplet'], ratio: 2 },
  { workload: 'read-key-64', target: 'tuplet', beside: ['etcd'], ratio: 8 },
];

/** Ours to those of another checkout: no worse. */
export const beforeAims: readonly Aim[] = ['write-64', 'pairs-64', 'hand-off', 'read-key-64'].map(
  (workload) => ({ workload, target: 'tuplet', beside: [beforeName], ratio: 1 }),
);

/** CPU microseconds of all nodes for an operation, at most. */
export const cpuAims: Readonly<Record<string, number>> = { 'write-64': 60, 'pairs-64': 120 };

/** Of rounds below three quarters of an aim there may be so many. */
const poorMax = 1;

/** What an aim came to; undefined where nothing was measured beside us. */
export interface Outcome extends Aim {
  /** By round. */
  readonly ratios: readonly number[];
  readonly median: number;
  /** Rounds that are below three quarters of the aim, or as much above it for latency. */
  readonly poor: number;
  readonly isMet: boolean;
}

/** Ratios of all rounds. */
export function outcomeOf(aim: Aim, rows: readonly Row[]): Outcome | undefined {
  const better = isLatency(aim.workload) ? Math.min : Math.max;
  const ratios = rows.filter(isOf(aim.workload, aim.target)).flatMap((own) => {
    const others = rows
      .filter(({ round }) => round === own.round)
      .filter((row) => aim.beside.some((name) => isOf(aim.workload, name)(row)))
      .map(figure);
    return others.length === 0 ? [] : [figure(own) / better(...others)];
  });
  if (ratios.length === 0) return undefined;
  const middle = median(ratios);
  const poor = ratios.filter((ratio) => !reaches(aim, ratio, 0.75)).length;
  return {
    ...aim,
    ratios,
    median: middle,
    poor,
    isMet: reaches(aim, middle, 1) && poor <= poorMax,
  };
}

function reaches({ workload, ratio: aim }: Aim, ratio: number, share: number): boolean {
  return isLatency(workload) ? ratio <= aim / share : ratio >= aim * share;
}

/** Rows of one workload on one target. */
export function isOf(workload: string, target: string): (row: Row) => boolean {
  return (row) => row.workload === workload && row.target === target;
}
