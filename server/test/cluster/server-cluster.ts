import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { PeerProxy } from '../../torture/peer-proxy.ts';
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
  /** Whether founders reach each other through proxies, which can be cut. */
  readonly isProxied?: boolean;
  /** In place of the product's command: see ServerProcessOptions. */
  readonly script?: string;
  /** Hears what they say on their error output, all their lives long. */
  readonly log?: (node: number, text: string) => void;
}

/** Real servers that found a cluster together, each in a process and a folder of its own, on loopback. */
export class ServerCluster {
  readonly nodes: ServerProcess[];
  /** What each node is started with. */
  readonly arguments: (readonly string[])[];
  /** The number that each has in its cluster. */
  readonly numbers: number[];
  readonly #options: ServerClusterOptions;
  /** Where each node hears the others. */
  readonly #peerPorts: number[];
  /** By `from-to`, numbers of founders: the way of one to another. */
  readonly #proxies: ReadonlyMap<string, PeerProxy>;
  #lastNumber: number;

  private constructor(
    nodes: readonly ServerProcess[],
    options: ServerClusterOptions,
    parts: Parts,
  ) {
    this.nodes = [...nodes];
    this.numbers = nodes.map((_, at) => at + 1);
    this.#lastNumber = nodes.length;
    this.arguments = [...parts.args];
    this.#options = options;
    this.#peerPorts = [...parts.peerPorts];
    this.#proxies = parts.proxies;
  }

  /** Starts all of them; resolves when each serves. One is alone, and founds nothing with others. */
  static async start(count: number, options: ServerClusterOptions = {}): Promise<ServerCluster> {
    const peerPorts = count === 1 ? [] : await freePorts(count);
    const proxies = options.isProxied === true ? await proxiesOf(peerPorts) : new Map();
    const args = (count === 1 ? [[]] : founding(peerPorts, proxies)).map((each) => [
      ...each,
      ...(options.arguments ?? []),
      ...(options.foundingArguments ?? []),
    ]);
    const started = args.map((each, at) =>
      startNode(options, { number: at + 1, args: each, first: count > 1 ? ['--found'] : [] }),
    );
    return new ServerCluster(await Promise.all(started), options, { args, peerPorts, proxies });
  }

  /** One more node, which joins; resolves when it serves. */
  async join(more: readonly string[] = []): Promise<ServerProcess> {
    const [port] = await freePorts(1);
    const seeds = this.#peerPorts.map((each) => `127.0.0.1:${each}`).join(',');
    const listen = ['--listen-peer', `127.0.0.1:${port}`, '--insecure'];
    const args = ['--join', seeds, ...listen, ...(this.#options.arguments ?? []), ...more];
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const node = await startNode(this.#options, { number, args, first: [] });
    this.nodes.push(node);
    this.numbers.push(number);
    this.arguments.push(args);
    this.#peerPorts.push(port ?? 0);
    return node;
  }

  /** A node ends for good where it runs, and with it its data. */
  async lose(at: number): Promise<void> {
    const [node] = this.nodes.splice(at, 1);
    this.numbers.splice(at, 1);
    this.arguments.splice(at, 1);
    this.#peerPorts.splice(at, 1);
    await node?.dispose();
    if (node !== undefined) rmSync(node.folder, { recursive: true, force: true });
  }

  /** Founders that are still there; they come first. */
  get foundersLeft(): number {
    return this.numbers.filter((number) => this.#proxies.has(`${number}-${number === 1 ? 2 : 1}`))
      .length;
  }

  /**
   * Cuts the founder at a place off from the other founders, or only what it dials; heals by the function
   * that is returned. Undefined: it has no proxies.
   */
  cut(at: number, isOneWay: boolean): (() => void) | undefined {
    const number = this.numbers[at];
    const ways = [...this.#proxies].filter(([key]) => {
      const [from, to] = key.split('-').map(Number);
      return from === number || (to === number && !isOneWay);
    });
    if (ways.length === 0) return undefined;
    for (const [, proxy] of ways) proxy.cut();
    return () => {
      for (const [, proxy] of ways) proxy.heal();
    };
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
    await this.closeProxies();
  }

  /** The ways between founders end. */
  async closeProxies(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
  }
}

/** What a cluster is put together of. */
interface Parts {
  readonly args: readonly (readonly string[])[];
  readonly peerPorts: readonly number[];
  readonly proxies: ReadonlyMap<string, PeerProxy>;
}

function startNode(
  { folder, log, script }: ServerClusterOptions,
  node: {
    readonly number: number;
    readonly args: readonly string[];
    readonly first: readonly string[];
  },
): Promise<ServerProcess> {
  const { number } = node;
  return ServerProcess.start({
    arguments: node.args,
    firstArguments: node.first,
    ...(folder === undefined ? {} : { folder: join(folder, `node-${number}`) }),
    ...(log === undefined ? {} : { log: (text: string) => log(number, text) }),
    ...(script === undefined ? {} : { script }),
  });
}

/** From each founder to each other one. */
async function proxiesOf(ports: readonly number[]): Promise<Map<string, PeerProxy>> {
  const proxies = new Map<string, PeerProxy>();
  for (const from of ports.keys()) {
    for (const [to, port] of ports.entries()) {
      if (from !== to) proxies.set(`${from + 1}-${to + 1}`, await PeerProxy.open(port));
    }
  }
  return proxies;
}

/** By node: how it is told who it is, and who the others are. */
function founding(ports: readonly number[], proxies: ReadonlyMap<string, PeerProxy>): string[][] {
  return ports.map((_own, at) => {
    const founders = ports.map((port, other) => {
      const way = proxies.get(`${at + 1}-${other + 1}`);
      return `${other + 1}=127.0.0.1:${way?.port ?? port}`;
    });
    return ['--node', String(at + 1), '--founders', founders.join(','), '--insecure'];
  });
}
