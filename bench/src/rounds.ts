import type { Target, TargetClient } from './target.ts';
import { fillKeys, handOff, type Load, type Measured, pairs, readKey, write } from './workload.ts';

/** How fast a case goes and for how long. */
export interface CasePace {
  readonly seconds: number;
  /** Open loop, so many operations a second; without it the case's own closed loop. */
  readonly rate?: number;
}

/** One workload at one width. */
export interface Case {
  readonly name: string;
  readonly says: string;
  readonly connections: number;
  readonly run: (clients: readonly TargetClient[], pace: CasePace) => Promise<Measured>;
  readonly prepare?: (client: TargetClient) => Promise<void>;
  /** Measured on the unary door, beside a bare echo, whatever else the run compares. */
  readonly isUnaryBesideEcho?: true;
}

/** What one case came to on one target. */
export interface CaseResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** CPU of this process, the client's, for each operation. */
  readonly clientCpuUs: number;
  /** All processes of the server together. */
  readonly serverCpuUs: number;
  /** Each of them, the busiest first. */
  readonly nodeCpuUs: readonly number[];
}

/** A result with where it comes from. */
export interface Row extends CaseResult {
  readonly round: number;
  readonly workload: string;
  readonly target: string;
}

function wide(workload: (load: Load) => Promise<Measured>, lanes: number): Case['run'] {
  return (clients, { seconds, rate }) =>
    workload({ clients, seconds, pace: rate === undefined ? { lanes } : { perSecond: rate } });
}

function pair(clients: readonly TargetClient[]): readonly [TargetClient, TargetClient] {
  const [producer, taker] = clients;
  if (producer === undefined || taker === undefined) throw new Error('two connections');
  return [producer, taker];
}

/** All cases, in the order in which they run. */
export const cases: readonly Case[] = [
  {
    name: 'write-64',
    says: '64 lanes, each awaits one write',
    connections: 1,
    run: wide(write, 64),
  },
  { name: 'write-256', says: '256 lanes', connections: 1, run: wide(write, 256) },
  {
    name: 'write-16x4',
    says: '16 connections with 4 lanes each',
    connections: 16,
    run: wide(write, 64),
  },
  {
    name: 'pairs-64',
    says: '64 lanes, each writes one and takes any one',
    connections: 1,
    run: wide(pairs, 64),
  },
  {
    name: 'hand-off',
    says: 'one blocked taker on a second connection, 200 writes a second',
    connections: 2,
    run: (clients, { seconds, rate = 200 }) =>
      handOff(...pair(clients), { perSecond: rate, seconds }),
  },
  {
    name: 'read-key-64',
    says: '64 lanes, random keyed reads of 10,000 tuples',
    connections: 1,
    run: wide(readKey, 64),
    prepare: fillKeys,
  },
  {
    name: 'unary-echo',
    says: '64 lanes of unary writes beside 64 lanes of a bare grpc-js unary echo',
    connections: 1,
    run: wide(write, 64),
    isUnaryBesideEcho: true,
  },
];

/** Runs one case: connects, warms up for a third of the time, measures. */
export async function runCase(one: Case, target: Target, pace: CasePace): Promise<CaseResult> {
  const clients: TargetClient[] = [];
  for (let i = 0; i < one.connections; i++) clients.push(await target.connect());
  const [first] = clients;
  if (first !== undefined) await one.prepare?.(first);
  await one.run(clients, { ...pace, seconds: pace.seconds / 3 });
  const cpu = process.cpuUsage();
  const serverCpuUs = target.serverCpuUs();
  const { operations, seconds: took, latency } = await one.run(clients, pace);
  const used = process.cpuUsage(cpu);
  const served = target.serverCpuUs().map((us, at) => (us - (serverCpuUs[at] ?? 0)) / operations);
  for (const client of clients) await client.close();
  return {
    perSecond: operations / took,
    p50Ms: latency.percentile(50),
    p99Ms: latency.percentile(99),
    p999Ms: latency.percentile(99.9),
    maxMs: latency.maxMs,
    clientCpuUs: (used.user + used.system) / operations,
    serverCpuUs: served.reduce((sum, us) => sum + us, 0),
    nodeCpuUs: served.sort((a, b) => b - a),
  };
}
