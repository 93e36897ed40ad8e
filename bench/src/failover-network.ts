import { spawnSync } from 'node:child_process';

/** Where the nodes of a failover run are, and how one is cut off from all others and its clients. */
export interface FailoverNetwork {
  /** How it cuts, for the report. */
  readonly says: string;
  /** The address of a node, from 1. */
  host(node: number): string;
  /** What a node's command line begins with. */
  prefix(node: number): readonly string[];
  /** From now on nothing reaches the node, and it reaches nobody. Done when it returns. */
  cut(node: number, pid: number): void;
  heal(node: number, pid: number): void;
  close(): void;
}

/** Network namespaces behind a bridge where this process may make them; else loopback, and SIGSTOP cuts. */
export function failoverNetwork(nodes: number): FailoverNetwork {
  const namespaces = Namespaces.open(nodes);
  return namespaces ?? new Loopback();
}

/** Each node in a namespace of its own, on a bridge at which this process is too. */
class Namespaces implements FailoverNetwork {
  readonly says = 'a network namespace for each node; its port is taken off the bridge';
  readonly #bridge: string;
  readonly #nodes: number;

  private constructor(bridge: string, nodes: number) {
    this.#bridge = bridge;
    this.#nodes = nodes;
  }

  static open(nodes: number): Namespaces | undefined {
    if (process.getuid?.() !== 0) return undefined;
    const network = new Namespaces(`tpl${process.pid}`, nodes);
    if (network.#make()) return network;
    network.close();
    return undefined;
  }

  host(node: number): string {
    return `10.213.77.${node}`;
  }

  prefix(node: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.#name(node)];
  }

  cut(node: number): void {
    ip('link', 'set', this.#port(node), 'nomaster');
  }

  heal(node: number): void {
    ip('link', 'set', this.#port(node), 'master', this.#bridge);
  }

  close(): void {
    for (let node = 1; node <= this.#nodes; node += 1) ip('netns', 'del', this.#name(node));
    ip('link', 'del', this.#bridge);
  }

  #make(): boolean {
    const bridge = this.#bridge;
    const isMade =
      ip('link', 'add', bridge, 'type', 'bridge') &&
      ip('address', 'add', `${this.host(254)}/24`, 'dev', bridge) &&
      ip('link', 'set', bridge, 'up');
    if (!isMade) return false;
    for (let node = 1; node <= this.#nodes; node += 1) if (!this.#add(node)) return false;
    return true;
  }

  #add(node: number): boolean {
    const name = this.#name(node);
    const port = this.#port(node);
    const inside = ['netns', 'exec', name, 'ip'];
    return (
      ip('netns', 'add', name) &&
      ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name) &&
      ip('link', 'set', port, 'master', this.#bridge, 'up') &&
      ip(...inside, 'address', 'add', `${this.host(node)}/24`, 'dev', 'eth0') &&
      ip(...inside, 'link', 'set', 'eth0', 'up') &&
      ip(...inside, 'link', 'set', 'lo', 'up')
    );
  }

  #name(node: number): string {
    return `${this.#bridge}-${node}`;
  }

  #port(node: number): string {
    return `${this.#bridge}.${node}`;
  }
}

/** Addresses of loopback that nobody else has; a node that is stopped by SIGSTOP is as silent as one cut off. */
class Loopback implements FailoverNetwork {
  readonly says = 'no network namespaces here: SIGSTOP stands in for a cut';
  readonly #net = 1 + (process.pid % 250);

  host(node: number): string {
    return `127.77.${this.#net}.${node}`;
  }

  prefix(): readonly string[] {
    return [];
  }

  cut(_node: number, pid: number): void {
    process.kill(pid, 'SIGSTOP');
  }

  heal(_node: number, pid: number): void {
    process.kill(pid, 'SIGCONT');
  }

  close(): void {}
}

function ip(...args: readonly string[]): boolean {
  return spawnSync('ip', args, { stdio: 'ignore' }).status === 0;
}
