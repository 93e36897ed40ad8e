import { ServerProcess } from '../process/server-process.ts';
import { freePorts } from './free-ports.ts';

/** Real servers that found a cluster together, each in a process and a folder of its own, on loopback. */
export class ServerCluster {
  readonly nodes: readonly ServerProcess[];
  /** What each node is started with. */
  readonly arguments: readonly (readonly string[])[];

  private constructor(nodes: readonly ServerProcess[], args: readonly (readonly string[])[]) {
    this.nodes = nodes;
    this.arguments = args;
  }

  /** Starts all of them; resolves when each serves. */
  static async start(count: number): Promise<ServerCluster> {
    const ports = await freePorts(count);
    const founders = ports.map((port, at) => `${at + 1}=127.0.0.1:${port}`).join(',');
    const args = ports.map((_port, at) => {
      return ['--node', String(at + 1), '--founders', founders, '--insecure'];
    });
    const started = args.map((each) =>
      ServerProcess.start({ arguments: each, firstArguments: ['--found'] }),
    );
    return new ServerCluster(await Promise.all(started), args);
  }

  /** A URL that names all nodes, or some. */
  url(nodes: readonly ServerProcess[] = this.nodes): string {
    return `tuplet://${nodes.map(({ address }) => address).join(',')}`;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.dispose()));
  }
}
