import { join } from 'node:path';
import { ServerProcess } from '../process/server-process.ts';
import { freePorts } from './free-ports.ts';

/** How the servers of a cluster are started. */
export interface ServerClusterOptions {
  /** Where each has a folder of its own; without it temporary ones. */
  readonly folder?: string;
  /** Further arguments of `tuplet serve`. */
  readonly arguments?: readonly string[];
  /** Hears what they say on their error output, all their lives long. */
  readonly log?: (node: number, text: string) => void;
}

/** Real servers that found a cluster together, each in a process and a folder of its own, on loopback. */
export class ServerCluster {
  readonly nodes: readonly ServerProcess[];
  /** What each node is started with. */
  readonly arguments: readonly (readonly string[])[];

  private constructor(nodes: readonly ServerProcess[], args: readonly (readonly string[])[]) {
    this.nodes = nodes;
    this.arguments = args;
  }

  /** Starts all of them; resolves when each serves. One is alone, and founds nothing with others. */
  static async start(count: number, options: ServerClusterOptions = {}): Promise<ServerCluster> {
    const { folder, log } = options;
    const args = (await founding(count)).map((each) => [...each, ...(options.arguments ?? [])]);
    const started = args.map((each, at) =>
      ServerProcess.start({
        arguments: each,
        firstArguments: count > 1 ? ['--found'] : [],
        ...(folder === undefined ? {} : { folder: join(folder, `node-${at + 1}`) }),
        ...(log === undefined ? {} : { log: (text: string) => log(at + 1, text) }),
      }),
    );
    return new ServerCluster(await Promise.all(started), args);
  }

  /** A URL that names all nodes, or some. */
  url(nodes: readonly ServerProcess[] = this.nodes): string {
    return `tuplet://${nodes.map(({ address }) => address).join(',')}`;
  }

  /** All nodes, beginning with another for each number. */
  urlFrom(number: number): string {
    const at = number % this.nodes.length;
    return this.url([...this.nodes.slice(at), ...this.nodes.slice(0, at)]);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.dispose()));
  }
}

/** By node: how it is told who it is, and who the others are. */
async function founding(count: number): Promise<string[][]> {
  if (count === 1) return [[]];
  const ports = await freePorts(count);
  const founders = ports.map((port, at) => `${at + 1}=127.0.0.1:${port}`).join(',');
  return ports.map((_port, at) => {
    return ['--node', String(at + 1), '--founders', founders, '--insecure'];
  });
}
