import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Client, connect } from '@tuplet/client';
import { type FailoverNetwork, failoverNetwork } from './failover-network.ts';

const command = fileURLToPath(new URL('../../../server/dist/src/cli/main.js', import.meta.url));
const clientPort = 7447;
const peerPort = 7448;

/** Which node leads each partition, and how many ready tuples it has. */
export type Leaders = ReadonlyMap<number, { readonly node: number; readonly ready: number }>;

/** Some nodes that found a cluster, each a process that can be killed, stopped and cut off. From 1. */
export class FailoverNodes {
  readonly count: number;
  readonly network: FailoverNetwork;
  readonly #folder: string;
  readonly #processes = new Map<number, ChildProcess>();

  private constructor(folder: string, count: number) {
    this.#folder = folder;
    this.count = count;
    this.network = failoverNetwork(count);
  }

  static async start(folder: string, count: number): Promise<FailoverNodes> {
    const nodes = new FailoverNodes(folder, count);
    try {
      await Promise.all(nodes.all.map((node) => nodes.start(node, ['--found'])));
    } catch (error) {
      await nodes.close();
      throw error;
    }
    return nodes;
  }

  get all(): number[] {
    return Array.from({ length: this.count }, (_, at) => at + 1);
  }

  /** A URL of all nodes; this one first. */
  url(first: number): string {
    const others = this.all.filter((node) => node !== first);
    const hosts = [first, ...others].map((node) => `${this.network.host(node)}:${clientPort}`);
    return `tuplet://${hosts.join(',')}`;
  }

  /** Starts a node that does not run; resolves when it serves. */
  async start(node: number, more: readonly string[] = []): Promise<void> {
    const founders = this.all.map((each) => `${each}=${this.network.host(each)}:${peerPort}`);
    const [program = process.execPath, ...args] = [
      ...this.network.prefix(node),
      process.execPath,
      command,
      'serve',
      ...['--listen', `${this.network.host(node)}:${clientPort}`],
      ...['--data', join(this.#folder, `node-${node}`)],
      ...['--node', String(node), '--founders', founders.join(','), '--insecure'],
      ...['--log-level', 'error'],
      ...more,
    ];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#processes.set(node, child);
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`node ${node} did not start`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('serving at ')) resolve();
      });
    });
  }

  /** Sends a signal. Resolves when the node is gone. */
  async end(node: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#processes.get(node);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  pid(node: number): number {
    return this.#processes.get(node)?.pid ?? 0;
  }

  cut(node: number): void {
    this.network.cut(node, this.pid(node));
  }

  heal(node: number): void {
    this.network.heal(node, this.pid(node));
  }

  /** Who leads what, asked of every node; resolves when each partition has a leader. */
  async leaders(): Promise<Leaders> {
    const clients = await Promise.all(this.all.map((node) => connect(this.#ownUrl(node))));
    try {
      for (;;) {
        const leaders = await leadersBy(clients);
        if (leaders !== undefined) return leaders;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    } finally {
      await Promise.all(clients.map((client) => client.close()));
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((node) => this.end(node, 'SIGKILL')));
    this.network.close();
  }

  #ownUrl(node: number): string {
    return `tuplet://${this.network.host(node)}:${clientPort}`;
  }
}

/** Undefined: not every partition has a leader now. */
async function leadersBy(clients: readonly Client[]): Promise<Leaders | undefined> {
  const described = await Promise.all(clients.map((client) => client.admin.describeNode()));
  const terms = new Map<number, number>();
  const leaders = new Map<number, { readonly node: number; readonly ready: number }>();
  for (const [at, { partitions }] of described.entries()) {
    for (const { partition, term, ready } of partitions) {
      if (term <= (terms.get(partition) ?? 0)) continue;
      terms.set(partition, term);
      leaders.set(partition, { node: at + 1, ready });
    }
  }
  return leaders.size === described[0]?.partitions.length ? leaders : undefined;
}
