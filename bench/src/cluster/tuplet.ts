import { mkdirSync } from 'node:fs';
import { connect, t } from '@tuplet/client';
import { processCpuUs } from '../process-cpu.ts';
import { ServerProcess } from '../server-process.ts';
import { filler, type Target } from '../target.ts';
import { beforeName, TupletTarget } from '../tuplet.ts';
import { freePorts } from './processes.ts';

/** The cluster with takes that match in every partition. */
export const anyName = 'tuplet any';
/** So many first fields that every partition has tuples. */
const tags = 64;

/** How the nodes are started. */
export interface TupletClusterOptions {
  readonly nodes: number;
  /** The root of another checkout, built, whose servers they are: it is called `before`. */
  readonly before?: string;
  /** A folder for the CPU profile of each node, written when it ends. */
  readonly profiles?: string;
}

/**
 * Starts nodes that found a cluster, with defaults (16 partitions, three replicas). Two targets are one
 * cluster: the first is a queue, all of it in one partition; the takers of the second wait on all of them.
 */
export async function startTupletCluster(
  folder: string,
  { nodes: count, before, profiles }: TupletClusterOptions,
): Promise<Target[]> {
  const ports = await freePorts(count);
  const founders = ports.map((port, at) => `${at + 1}=127.0.0.1:${port}`).join(',');
  const founding = ['--founders', founders, '--insecure', '--found'];
  const nodes = await Promise.all(
    ports.map((_port, at) =>
      ServerProcess.start(folder, {
        arguments: ['--node', `${at + 1}`, ...founding],
        ...(before === undefined ? {} : { checkout: before }),
        ...(profiles === undefined ? {} : { node: profiling(profiles, at + 1) }),
      }),
    ),
  );
  const url = `tuplet://${nodes.map(({ address }) => address).join(',')}`;
  let round = 0;
  let space = 'default';
  const shared = {
    serverCpuUs: () => nodes.map(({ pid }) => processCpuUs(pid)),
    close: async () => {
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
  const clear = async (): Promise<void> => {
    await using client = await connect(url);
    if (round > 0) await client.admin.dropSpace(space);
    round += 1;
    space = `round-${round}`;
    await client.admin.createSpace(space);
  };
  const queue: Target = {
    ...shared,
    name: before === undefined ? 'tuplet' : beforeName,
    connect: async () => new TupletTarget(await connect(url), space),
    clear,
  };
  if (before !== undefined) return [queue];
  return [
    queue,
    {
      name: anyName,
      connect: async () => new AnyTarget(await connect(url), space),
      serverCpuUs: shared.serverCpuUs,
      clear: () => Promise.resolve(),
      close: () => Promise.resolve(),
    },
  ];
}

function profiling(folder: string, node: number): string[] {
  mkdirSync(folder, { recursive: true });
  return ['--cpu-prof', '--cpu-prof-dir', folder, '--cpu-prof-name', `node-${node}.cpuprofile`];
}

/** Its hand-offs may be in any partition, and its takes wait on all of them. */
class AnyTarget extends TupletTarget {
  #sent = 0;

  override async send(stamp: number): Promise<void> {
    this.#sent += 1;
    await this.space.write([`any-${this.#sent % tags}`, stamp, filler, 'any']);
  }

  override async receive(): Promise<number> {
    const [, stamp] = await this.space.take([t.string, t.number, t.any, 'any']);
    return stamp;
  }
}
