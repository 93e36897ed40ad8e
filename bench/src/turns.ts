import { connect } from '@tuplet/client';
import { type LongRun, longRunMs, type TurnReport } from './probe/messages.ts';
import { say, verdict } from './report.ts';
import { ServerProcess } from './server-process.ts';
import { fill } from './tuples.ts';
import { tupletClient } from './tuplet.ts';
import { pairs } from './workload.ts';

/** Share of turns and slices that stay below 10 ms of CPU. */
const targetShare = 0.9999;
/** Seconds after which the run ends though no snapshot was completed during it. */
const secondsMax = 300;

/** What the server's turns came to. */
export interface TurnsResult {
  readonly tuples: number;
  /** Pairs a second of 64 lanes over the tuples, closed loop. */
  readonly reachedPerSecond: number;
  /** Half of that: the rate, open loop, at which turns were measured. */
  readonly perSecond: number;
  readonly seconds: number;
  /** Of a pair, from the moment at which it was due. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Snapshots completed meanwhile. */
  readonly snapshots: number;
  readonly turns: TurnReport;
  /** Share of all runs below 10 ms of CPU, collections subtracted. */
  readonly share: number;
}

/**
 * Pairs at half the rate that this run reached, over `tuples` tuples, for `seconds` and until a
 * snapshot was completed: the CPU of each turn, tick and slice.
 */
export async function turns(
  folder: string,
  { tuples, seconds }: { readonly tuples: number; readonly seconds: number },
): Promise<TurnsResult> {
  const server = await ServerProcess.start(folder, { probe: true });
  try {
    await fill(server.address, tuples);
    const client = tupletClient(await connect(`tuplet://${server.address}`));
    const clients = [client];
    const closed = await pairs({ clients, seconds: Math.max(3, seconds / 4), pace: { lanes: 64 } });
    const reachedPerSecond = closed.operations / closed.seconds;
    const perSecond = reachedPerSecond / 2;
    say(
      `turns: ${reachedPerSecond.toFixed(0)} pairs/s reached; measured at ${perSecond.toFixed(0)}`,
    );
    const before = await server.ask('snapshots');
    await server.ask('begin-turns');
    const began = performance.now();
    let snapshots = 0;
    let last: Awaited<ReturnType<typeof pairs>> | undefined;
    for (let passed = 0; passed < seconds || (snapshots === 0 && passed < secondsMax); ) {
      last = await pairs({ clients, seconds, pace: { perSecond } });
      snapshots = (await server.ask('snapshots')).ended - before.ended;
      passed = (performance.now() - began) / 1000;
    }
    const report = await server.ask('turns');
    await client.close();
    const percentile = (percent: number): number => last?.latency.percentile(percent) ?? 0;
    const result: TurnsResult = {
      tuples,
      reachedPerSecond,
      perSecond,
      seconds: (performance.now() - began) / 1000,
      p50Ms: percentile(50),
      p99Ms: percentile(99),
      p999Ms: percentile(99.9),
      snapshots,
      turns: report,
      share: shareBelow(report),
    };
    print(result);
    return result;
  } finally {
    await server.close();
  }
}

function isTooLong({ cpuMs, collectionMs }: LongRun): boolean {
  return cpuMs - collectionMs >= longRunMs;
}

function shareBelow({ counts, long }: TurnReport): number {
  const all = counts.turn + counts.tick + counts.cut + counts.slice;
  if (counts.turn === 0) throw new Error('no turn was seen: the probe does not fit the server');
  return 1 - long.filter(isTooLong).length / all;
}

function print(result: TurnsResult): void {
  const { turns: report, share, snapshots } = result;
  const { counts, long, longestMs, collections } = report;
  say(
    `turns, ${result.tuples} tuples, ${result.seconds.toFixed(0)} s at ${result.perSecond.toFixed(0)} pairs/s, ` +
      `${snapshots} snapshots: ${(share * 100).toFixed(4)}% below ${longRunMs} ms of CPU ` +
      `(target ${targetShare * 100}%: ${verdict(share >= targetShare && snapshots > 0)}), ` +
      `longest ${longestMs.toFixed(1)} ms`,
  );
  say(
    `  ${counts.turn} turns, ${counts.tick} ticks, ${counts.cut} cuts, ${counts.slice} slices; ` +
      `pairs p50 ${result.p50Ms.toFixed(2)} p99 ${result.p99Ms.toFixed(2)} p99.9 ${result.p999Ms.toFixed(2)} ms from due`,
  );
  for (const [kind, { count, totalMs, maxMs }] of Object.entries(collections))
    say(`  ${count} ${kind}: ${totalMs.toFixed(0)} ms in all, longest ${maxMs.toFixed(1)} ms`);
  for (const { kind, cpuMs, collectionMs, wallMs } of long.slice(0, 20)) {
    const without = (cpuMs - collectionMs).toFixed(1);
    say(
      `  long ${kind}: CPU ${cpuMs.toFixed(1)} ms, of which collections ${collectionMs.toFixed(1)} ` +
        `(${without} without), wall ${wallMs.toFixed(1)} ms`,
    );
  }
}
