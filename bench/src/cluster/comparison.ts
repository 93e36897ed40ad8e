/** Three nodes of Tuplet and, in the same rounds, of their peers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Calibration, calibrate } from '../calibrate.ts';
import { calibrationLine, say } from '../report.ts';
import { type Case, type CasePace, cases, type Row, runCase } from '../rounds.ts';
import type { Target } from '../target.ts';
import { beforeName } from '../tuplet.ts';
import { handOffInTurn } from '../workload.ts';
import { aims, beforeAims, type Outcome, outcomeOf } from './aims.ts';
import { startEtcd } from './etcd.ts';
import { startNats } from './nats.ts';
import { startRabbitmq } from './rabbitmq.ts';
import { tableOf } from './table.ts';
import { anyName, startTupletCluster } from './tuplet.ts';

/** What can stand beside a cluster. */
export type ClusterPeer = 'rabbitmq' | 'nats' | 'etcd';
/** All of them. */
export const clusterPeers: readonly ClusterPeer[] = ['rabbitmq', 'nats', 'etcd'];

type Start = (folder: string, count: number) => Promise<Target | undefined>;

const starters: Readonly<Record<ClusterPeer, Start>> = {
  rabbitmq: startRabbitmq,
  nats: startNats,
  etcd: startEtcd,
};

/** Which targets a workload is for: a queue has no keys, and only takes of ours can wait on everything. */
const targetsOf: Readonly<Record<string, readonly string[]>> = {
  'write-64': ['tuplet', beforeName, 'rabbitmq', 'nats r3', 'etcd'],
  'pairs-64': ['tuplet', beforeName, 'rabbitmq', 'nats r3', 'etcd'],
  'hand-off': ['tuplet', anyName, beforeName, 'rabbitmq', 'nats r3', 'etcd'],
  'read-key-64': ['tuplet', beforeName, 'etcd'],
};

/** A taker of ours waits until its take is durable: at a fixed rate a slow disk would make it a queue. */
const handOffCase: Pick<Case, 'says' | 'run'> = {
  says: 'one blocked taker on a second connection, one write at a time',
  run: ([producer, taker], { seconds }) => {
    if (producer === undefined || taker === undefined) throw new Error('two connections');
    return handOffInTurn(producer, taker, seconds);
  },
};

/** The workloads that a cluster is compared in. */
export const clusterCases: readonly Case[] = cases
  .filter(({ name }) => name in targetsOf)
  .map((one) => (one.name === 'hand-off' ? { ...one, ...handOffCase } : one));

/** What is compared, and how. */
export interface ClusterComparisonOptions {
  readonly nodes: number;
  readonly cases: readonly Case[];
  readonly rounds: number;
  readonly pace: CasePace;
  readonly peers: readonly ClusterPeer[];
  /** The root of another checkout, built, whose nodes are measured beside these. */
  readonly before?: string;
  /** A folder for CPU profiles of our nodes. */
  readonly profiles?: string;
}

/** Every figure of a comparison. */
export interface ClusterComparisonResult {
  readonly calibrations: readonly Calibration[];
  readonly rows: readonly Row[];
  readonly outcomes: readonly Outcome[];
}

/** In it compilers get to know the code; it is printed and not counted. */
const warmUpRound = 0;

/** Runs all rounds and prints them, and a table. Servers live through all of them, emptied before each. */
export async function compareClusters(
  folder: string,
  options: ClusterComparisonOptions,
): Promise<ClusterComparisonResult> {
  const targets: Target[] = [];
  try {
    await startTargets(folder, options, targets);
    const { rows, calibrations } = await runRounds(folder, options, targets);
    const outcomes = [...aims, ...beforeAims].flatMap((aim) => outcomeOf(aim, rows) ?? []);
    say('');
    say(`calibration first ${calibrationLine(calibrations[0])}`);
    say(`calibration last  ${calibrationLine(calibrations.at(-1))}`);
    for (const line of tableOf(rows, outcomes)) say(line);
    return { calibrations, rows, outcomes };
  } finally {
    for (const target of targets) await target.close();
  }
}

async function startTargets(
  folder: string,
  { nodes, peers, before, profiles }: ClusterComparisonOptions,
  targets: Target[],
): Promise<void> {
  const profiling = profiles === undefined ? {} : { profiles };
  targets.push(...(await startTupletCluster(folder, { nodes, ...profiling })));
  if (before !== undefined) targets.push(...(await startTupletCluster(folder, { nodes, before })));
  for (const peer of peers) {
    const own = join(folder, peer);
    mkdirSync(own);
    const target = await starters[peer](own, nodes);
    if (target === undefined) say(`${peer} is not installed: left out`);
    else targets.push(target);
  }
}

async function runRounds(
  folder: string,
  { cases: chosen, rounds, pace }: ClusterComparisonOptions,
  targets: readonly Target[],
): Promise<{ readonly rows: readonly Row[]; readonly calibrations: readonly Calibration[] }> {
  const rows: Row[] = [];
  const calibrations = [await calibrate(folder)];
  const inTurn = [...targets];
  for (let round = warmUpRound; round <= rounds; round++) {
    for (const target of inTurn) await target.clear();
    for (const one of chosen) {
      for (const target of inTurn.filter(({ name }) => targetsOf[one.name]?.includes(name))) {
        const row = { round, workload: one.name, target: target.name };
        const result = { ...row, ...(await runCase(one, target, pace)) };
        if (round > warmUpRound) rows.push(result);
        say(lineOf(result));
      }
    }
    inTurn.reverse();
    calibrations.push(await calibrate(folder));
    say(`round ${round}  calibration ${calibrationLine(calibrations.at(-1))}`);
  }
  return { rows, calibrations };
}

function lineOf({
  round,
  workload,
  target,
  perSecond,
  p50Ms,
  p99Ms,
  nodeCpuUs,
  clientCpuUs,
}: Row): string {
  const rate = `${perSecond.toFixed(0).padStart(7)}/s`;
  const latency = `p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(2)} ms`;
  const cpu = `cpu client ${clientCpuUs.toFixed(0)}, nodes ${nodeCpuUs.map((us) => us.toFixed(0)).join(' ')} µs`;
  return `round ${round}  ${workload.padEnd(12)} ${target.padEnd(11)} ${rate}  ${latency}  ${cpu}`;
}
