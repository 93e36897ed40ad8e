import { cpuSpeed } from './calibrate.ts';
import { median } from './latency.ts';
import { BenchCluster, cpuUs } from './raft-cluster.ts';
import { replicaIds } from './raft-replica.ts';
import { say, verdict } from './report.ts';

/** Rounds of the calibration's loop in a microsecond of CPU on the quiet machine (results/README.md). */
const referenceMops = 152;
/** Proposals of one figure: a tenth of a second at least. */
const proposals = 20_480;
const payloadBytes = 128;
const groups = 256;
/** Ticks of one figure: without proposals nothing but heartbeats. */
const ticks = 400;
const calibrationMs = 100;

/** Microseconds of CPU a proposal, scaled to the reference: at most, and what we aim at. */
const targets: readonly Target[] = [
  { batch: 1, mostUs: 20, aimUs: 15 },
  { batch: 16, mostUs: 10, aimUs: 6 },
  { batch: 64, mostUs: 6, aimUs: 3 },
];

interface Target {
  readonly batch: number;
  readonly mostUs: number;
  readonly aimUs: number;
}

/** One figure in three units. */
export interface CpuFigure {
  /** Microseconds of this process's CPU. */
  readonly us: number;
  /** Rounds of the calibration's loop in that time, in the same run. */
  readonly loops: number;
  /** The microseconds in which the reference machine does so many rounds. */
  readonly scaledUs: number;
}

/** What a proposal costs all three replicas together. */
export interface BatchResult {
  readonly batch: number;
  /** One call proposes them, messages are handed over as they are. */
  readonly direct: CpuFigure;
  /** The same with messages encoded and decoded. */
  readonly encoded: CpuFigure;
  /** A call for each, messages as they are. */
  readonly oneByOne: CpuFigure;
}

/** What an idle tick of 256 groups costs one node: with the Readys that it leads to. */
export interface TickResult {
  readonly leader: CpuFigure;
  readonly follower: CpuFigure;
  readonly leaderEncoded: CpuFigure;
  readonly followerEncoded: CpuFigure;
  /** Bytes from a leader's node to one follower's. */
  readonly batchBytes: number;
}

/** All of it. */
export interface RaftCoreResult {
  readonly referenceMops: number;
  readonly proposals: readonly BatchResult[];
  readonly tick: TickResult;
}

/** Figures by name, one a round. */
class Figures {
  readonly #rounds: Map<string, CpuFigure[]> = new Map();

  add(name: string, us: number, mops: number): void {
    const loops = us * mops;
    const figure = { us, loops, scaledUs: loops / referenceMops };
    this.#rounds.set(name, [...(this.#rounds.get(name) ?? []), figure]);
  }

  median(name: string): CpuFigure {
    const rounds = this.#rounds.get(name) ?? [];
    return {
      us: median(rounds.map(({ us }) => us)),
      loops: median(rounds.map(({ loops }) => loops)),
      scaledUs: median(rounds.map(({ scaledUs }) => scaledUs)),
    };
  }
}

/**
 * Raft groups of three in this process, without disk and sockets: microseconds of its CPU, collections
 * and compilation included. The first round warms up and is not counted.
 */
export function raftCore(rounds: number): RaftCoreResult {
  const figures = new Figures();
  const one = { direct: new BenchCluster(1, 'direct'), encoded: new BenchCluster(1, 'encoded') };
  const many = {
    direct: new BenchCluster(groups, 'direct'),
    encoded: new BenchCluster(groups, 'encoded'),
  };
  for (let round = 0; round <= rounds; round += 1) {
    const counted = round === 0 ? new Figures() : figures;
    for (const { batch } of targets) {
      measurePropose(counted, `direct ${batch}`, () => propose(one.direct, batch));
      measurePropose(counted, `encoded ${batch}`, () => propose(one.encoded, batch));
      measurePropose(counted, `one by one ${batch}`, () => proposeOneByOne(one.direct, batch));
    }
    measureTicks(counted, '', many.direct);
    measureTicks(counted, ' encoded', many.encoded);
  }
  for (const cluster of [one.direct, one.encoded, many.direct, many.encoded]) cluster.check();
  const result = resultOf(figures, many.encoded);
  print(result);
  return result;
}

function resultOf(figures: Figures, encoded: BenchCluster): RaftCoreResult {
  return {
    referenceMops,
    proposals: targets.map(({ batch }) => ({
      batch,
      direct: figures.median(`direct ${batch}`),
      encoded: figures.median(`encoded ${batch}`),
      oneByOne: figures.median(`one by one ${batch}`),
    })),
    tick: {
      leader: figures.median('leader'),
      follower: figures.median('follower'),
      leaderEncoded: figures.median('leader encoded'),
      followerEncoded: figures.median('follower encoded'),
      batchBytes: heartbeatBytes(encoded),
    },
  };
}

/** The loop's rounds in a microsecond of CPU, now: others who are at work do not count. */
function mopsNow(): number {
  const { cpuMops, cpuShare } = cpuSpeed(calibrationMs);
  return cpuMops / cpuShare;
}

/** Measures all proposals of a figure between two calibrations. */
function measurePropose(figures: Figures, name: string, run: () => void): void {
  const before = mopsNow();
  const began = cpuUs();
  run();
  const us = (cpuUs() - began) / proposals;
  figures.add(name, us, (before + mopsNow()) / 2);
}

const payload = new Uint8Array(payloadBytes).fill(1);

/** The next batch begins when all three replicas have applied the last. */
function propose(cluster: BenchCluster, batch: number): void {
  const payloads = Array.from({ length: batch }, () => payload);
  for (let done = 0; done < proposals; done += batch) {
    cluster.propose(({ node }) => {
      if (node.propose(payloads).kind !== 'appended') throw new Error('a proposal was refused');
    });
    cluster.settle();
  }
}

function proposeOneByOne(cluster: BenchCluster, batch: number): void {
  const payloads = [payload];
  for (let done = 0; done < proposals; done += batch) {
    cluster.propose(({ node }) => {
      for (let at = 0; at < batch; at += 1) node.propose(payloads);
    });
    cluster.settle();
  }
}

/** The first node leads all groups, the second follows in all. */
function measureTicks(figures: Figures, way: string, cluster: BenchCluster): void {
  const [leader, follower] = cluster.nodes;
  if (leader === undefined || follower === undefined) throw new Error('a cluster has nodes');
  const before = mopsNow();
  leader.usedUs = 0;
  follower.usedUs = 0;
  for (let done = 0; done < ticks; done += 1) cluster.tick();
  const mops = (before + mopsNow()) / 2;
  figures.add(`leader${way}`, leader.usedUs / ticks, mops);
  figures.add(`follower${way}`, follower.usedUs / ticks, mops);
}

/** Bytes from the leaders' node to one other in a tick. */
function heartbeatBytes(cluster: BenchCluster): number {
  const [leader] = cluster.nodes;
  if (leader === undefined) throw new Error('a cluster has nodes');
  leader.sentBytes = 0;
  cluster.tick();
  return leader.sentBytes / (replicaIds.length - 1);
}

function print({ proposals: batches, tick }: RaftCoreResult): void {
  say(
    `raft-core: microseconds of CPU a proposal of ${payloadBytes} bytes, three replicas together, ` +
      `scaled to ${referenceMops} Mops/s (as measured; rounds of the calibration's loop)`,
  );
  for (const { batch, direct, encoded, oneByOne } of batches) {
    const target = targets.find((each) => each.batch === batch);
    if (target === undefined) continue;
    const { mostUs, aimUs } = target;
    say(
      `  batch ${String(batch).padStart(2)}: ${text(direct)}, at most ${mostUs}: ` +
        `${verdict(direct.scaledUs <= mostUs)}, aim ${aimUs}: ${verdict(direct.scaledUs <= aimUs)}; ` +
        `encoded ${text(encoded)}; one call each ${text(oneByOne)}`,
    );
  }
  say(`idle tick of ${groups} groups, with the Readys and answers that follow from it:`);
  say(`  leader   ${text(tick.leader)}, encoded ${text(tick.leaderEncoded)}`);
  say(`  follower ${text(tick.follower)}, encoded ${text(tick.followerEncoded)}`);
  say(`  ${tick.batchBytes} bytes from the leader to each follower`);
}

function text({ us, loops, scaledUs }: CpuFigure): string {
  return `${scaledUs.toFixed(1)} us (${us.toFixed(1)}; ${loops.toFixed(0)})`;
}
