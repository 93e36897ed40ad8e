/** `npm run bench`: comparisons with a peer, and workloads that look into one server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  type ClusterPeer,
  clusterCases,
  clusterPeers,
  compareClusters,
} from './cluster/comparison.ts';
import { writePage } from './cluster/page.ts';
import { compare } from './comparison.ts';
import { type FailoverKind, failover, failoverKinds } from './failover.ts';
import { memory } from './memory.ts';
import { raftCore } from './raft-core.ts';
import { calibrated, machine } from './report.ts';
import { restart } from './restart.ts';
import { cases } from './rounds.ts';
import type { Door } from './target.ts';
import { turns } from './turns.ts';
import { waiters } from './waiters.ts';

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly folder: string;
  readonly peer: 'redis' | 'none';
  readonly peers: ClusterPeer[];
  readonly profiles?: string;
  readonly html?: string;
  readonly door: Door;
  readonly floor: boolean;
  readonly before?: string;
  readonly rate?: number;
  readonly tuples: number;
  readonly times: number;
  readonly waiters: number;
  readonly wakes: number;
  readonly races: number;
  readonly nodes?: number;
  readonly faults: FailoverKind[];
  readonly json?: string;
}

/** A workload that looks into one server; it prints its figures and returns them. */
interface Inspection {
  readonly name: string;
  readonly says: string;
  readonly run: (folder: string, options: Options) => Promise<unknown>;
}

const inspections: readonly Inspection[] = [
  {
    name: 'memory',
    says: 'bytes of RSS a tuple, two shapes indexed: history off, and at the defaults',
    run: (folder, { tuples }) => memory(folder, tuples),
  },
  {
    name: 'restart',
    says: 'time to serve again after SIGKILL, beside reading and checksumming the same bytes',
    run: (folder, { tuples, times }) => restart(folder, { tuples, times }),
  },
  {
    name: 'turns',
    says: 'CPU of turns and slices at half the pairs rate, over those tuples, through a snapshot',
    run: (folder, { tuples, seconds }) => turns(folder, { tuples, seconds }),
  },
  {
    name: 'waiters',
    says: 'bytes a blocked take, what a write costs among them, races that conserve every tuple',
    run: (folder, options) => waiters(folder, options),
  },
  {
    name: 'failover',
    says: 'how long a partition is not served when its leader is killed, cut off or stopped',
    run: (folder, { nodes = 3, times, faults }) =>
      failover(folder, { nodes, times, kinds: faults }),
  },
  {
    name: 'raft-core',
    says: 'CPU of a proposal in a Raft group of three, and of an idle tick of 256 groups; no server',
    run: (_folder, { rounds }) => Promise.resolve(raftCore(rounds)),
  },
];

const listed = [...cases, ...inspections]
  .map(({ name, says }) => `  ${name.padEnd(14)} ${says}`)
  .join('\n');

const help = `
Workloads:
${listed}

Without names: the first ${cases.length}, which are compared. Operations are one at a time in each lane; with
--rate they begin at that rate, and latencies count from the moment at which each was due. With --nodes 3 the
comparison is with three brokers, servers or members of each peer, in ${clusterCases.map(({ name }) => name).join(', ')}.

Examples:
  $ npm run bench                                      # all comparisons, 7 rounds
  $ npm run bench -- write-64 hand-off --rounds 3
  $ npm run bench -- write-64 pairs-64 --rate 5000     # open loop
  $ npm run bench -- write-64 --door unary --peer none
  $ npm run bench -- write-64 read-key-64 --floor
  $ npm run bench -- write-64 pairs-64 --before ../older --peer none
  $ npm run bench -- unary-echo                        # the unary door beside a bare echo
  $ npm run bench -- --nodes 3 --html three-nodes.html # beside RabbitMQ, NATS JetStream and etcd
  $ npm run bench -- write-64 --nodes 3 --peers nats
  $ npm run bench -- memory --tuples 100000
  $ npm run bench -- raft-core
  $ npm run bench -- failover --nodes 3 --times 50
  $ npm run bench -- --json bench/results/today.json`;

const program = new Command('bench')
  .description('measure Tuplet, and its peers beside it')
  .argument('[workloads...]', 'which; default: all that are compared')
  .option('-r, --rounds <count>', 'interleaved rounds', positive, 7)
  .option('-s, --seconds <count>', 'seconds for each workload and target in a round', positive, 3)
  .option('--folder <path>', 'where data lies; the disk is part of the result', tmpdir())
  .addOption(new Option('--peer <name>', 'beside it').choices(['redis', 'none']).default('redis'))
  .addOption(
    new Option('--peers <names...>', 'beside --nodes').choices(clusterPeers).default(clusterPeers),
  )
  .option('--profiles <folder>', 'with --nodes: a CPU profile of each of our nodes')
  .option('--html <file>', 'with --nodes: also a page with table and plots')
  .addOption(
    new Option('--door <name>', 'the SDK, or plain unary gRPC calls without sessions')
      .choices(['exchange', 'unary'])
      .default('exchange'),
  )
  .option('--floor', 'also a bare grpc-js stream and log, with nothing in it', false)
  .option('--before <path>', 'also the server of another checkout, built, with this client')
  .option('--rate <count>', 'open loop: operations a second', positive)
  .option('--tuples <count>', 'tuples of memory, restart and turns', positive, 1_000_000)
  .option('--times <count>', 'restarts, or faults of each kind', positive, 5)
  .option(
    '--nodes <count>',
    'compare clusters of so many; nodes of failover (default: 3)',
    positive,
  )
  .addOption(
    new Option('--faults <kinds...>', 'of failover')
      .choices(Object.keys(failoverKinds))
      .default(Object.keys(failoverKinds)),
  )
  .option('--waiters <count>', 'blocked takes of waiters', positive, 100_000)
  .option('--wakes <count>', 'writes that wake one of them, for each kind', positive, 1_000)
  .option('--races <count>', 'races of cancel, deadline and write', positive, 10_000)
  .option('--json <file>', 'also write every figure there')
  .addHelpText('after', help)
  .action((names: string[], options: Options) => main(names, options));

async function main(names: readonly string[], options: Options): Promise<void> {
  const known = [...cases, ...inspections].map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no such workload: ${unknown.join(', ')}`);
  const inspected = inspections.filter(({ name }) => names.includes(name));
  const folder = mkdtempSync(join(options.folder, 'tuplet-bench-'));
  const figures = new Map<string, unknown>();
  try {
    const compared = await comparison(folder, names, options);
    if (compared !== undefined) figures.set('comparison', compared);
    for (const { name, run } of inspected)
      figures.set(name, await calibrated(folder, () => run(folder, options)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (options.json !== undefined) {
    const all = {
      command: process.argv.slice(2),
      machine: machine(),
      ...Object.fromEntries(figures),
    };
    writeFileSync(options.json, `${JSON.stringify(all, null, 1)}\n`);
  }
}

/** Compares what is named, one server or clusters; undefined: no name is of such a workload. */
async function comparison(
  folder: string,
  names: readonly string[],
  options: Options,
): Promise<unknown> {
  const { rounds, seconds, rate, nodes } = options;
  const chosen = (nodes === undefined ? cases : clusterCases).filter(
    ({ name }) => names.length === 0 || names.includes(name),
  );
  if (chosen.length === 0) return undefined;
  const pace = { seconds, ...(rate === undefined ? {} : { rate }) };
  const older = options.before === undefined ? {} : { before: options.before };
  if (nodes === undefined) {
    const { door, peer, floor } = options;
    return compare(folder, { cases: chosen, rounds, pace, door, peer, floor, ...older });
  }
  const { peer, profiles, html } = options;
  const peers = peer === 'none' ? [] : options.peers;
  const profiling = profiles === undefined ? {} : { profiles };
  const result = await compareClusters(folder, {
    ...{ nodes, cases: chosen, rounds, pace, peers },
    ...older,
    ...profiling,
  });
  if (html !== undefined) writePage(html, { machine: machine(), nodes, ...result });
  return result;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('a number above 0');
  return value;
}

await program.parseAsync();
