import { join } from 'node:path';
import { ServerProcess } from '../process/server-process.ts';
import { freePorts } from './free-ports.ts';

/** How the servers of a cluster are started. */
export interface ServerClusterOptions {
  /** Where each has a folder of its own; without it temporary ones. */
  readonly folder?: string;
  /** Further arguments of `tuplet serve`. */
  readonly arguments?: readonly string[];
  /** And of those who found the cluster alone. */
  readonly foundingArguments?: readonly string[];
  /** Hears what they say on their error output, all their lives long. */
  readonly log?: (node: number, text: string) => void;
}

/** Real servers that found a cluster together, each in a process and a folder of its own, on loopback. */
export class ServerCluster {
  readonly nodes: ServerProcess[];
  /** What each node is started with. */
  readonly arguments: (readonly string[])[];
  readonly #options: ServerClusterOptions;
  /** Where each node hears the others. */
  readonly #peerPorts: number[];

  private constructor(
    nodes: readonly ServerProcess[],
    options: ServerClusterOptions,
    parts: { readonly args: readonly (readonly string[])[]; readonly peerPorts: readonly number[] },
  ) {
    this.nodes = [...nodes];
    this.arguments = [...parts.args];
    this.#options = options;
    this.#peerPorts = [...parts.peerPorts];
  }

  /** Starts all of them; resolves when each serves. One is alone, and founds nothing with others. */
  static async start(count: number, options: ServerClusterOptions = {}): Promise<ServerCluster> {
    const peerPorts = count === 1 ? [] : await freePorts(count);
    const args = (count === 1 ? [[]] : founding(peerPorts)).map((each) => [
      ...each,
      ...(options.arguments ?? []),
      ...(options.foundingArguments ?? []),
    ]);
    const started = args.map((each, at) =>
      startNode(options, { at, args: each, first: count > 1 ? ['--found'] : [] }),
    );
    return new ServerCluster(await Promise.all(started), options, { args, peerPorts });
  }

  /** One more node, which joins; resolves when it serves. */
  async join(more: readonly string[] = []): Promise<ServerProcess> {
    const [port] = await freePorts(1);
    const seeds = this.#peerPorts.map((each) => `127.0.0.1:${each}`).join(',');
    const listen = ['--listen-peer', `127.0.0.1:${port}`, '--insecure'];
    const args = ['--join', seeds, ...listen, ...(this.#options.arguments ?? []), ...more];
    const node = await startNode(this.#options, { at: this.nodes.length, args, first: [] });
    this.nodes.push(node);
    this.arguments.push(args);
    this.#peerPorts.push(port ?? 0);
    return node;
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

  /** Ends them where they run, and removes temporary folders. */
  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.dispose()));
  }
}

function startNode(
  { folder, log }: ServerClusterOptions,
  node: {
    readonly at: number;
    readonly args: readonly string[];
    readonly first: readonly string[];
  },
): Promise<ServerProcess> {
  const number = node.at + 1;
  return ServerProcess.start({
    arguments: node.args,
    firstArguments: node.first,
    ...(folder === undefined ? {} : { folder: join(folder, `node-${number}`) }),
    ...(log === undefined ? {} : { log: (text: string) => log(number, text) }),
  });
}

/** By node: how it is told who it is, and who the others are. */
function founding(ports: readonly number[]): string[][] {
  const founders = ports.map((port, at) => `${at + 1}=127.0.0.1:${port}`).join(',');
  return ports.map((_port, at) => {
    return ['--node', String(at + 1), '--founders', founders, '--insecure'];
  });
}
