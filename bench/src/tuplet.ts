import { type Client, connect, type Space, t } from '@tuplet/client';
import { processCpuUs } from './process-cpu.ts';
import { ServerProcess } from './server-process.ts';
import { type Door, filler, type Target, type TargetClient } from './target.ts';
import { UnaryTarget } from './unary.ts';

/** How the server of another checkout is called in a comparison. */
export const beforeName = 'before';

/**
 * Starts `tuplet serve` with its defaults in a folder of its own, used through one of its doors; `before`: the
 * root of another checkout whose server it is, used by this checkout's client.
 */
export async function startTuplet(folder: string, door: Door, before?: string): Promise<Target> {
  const server = await ServerProcess.start(
    folder,
    before === undefined ? {} : { checkout: before },
  );
  const name = door === 'exchange' ? 'tuplet' : 'tuplet unary';
  let round = 0;
  let space = 'default';
  return {
    name: before === undefined ? name : beforeName,
    connect: async () =>
      door === 'exchange'
        ? new TupletTarget(await connect(`tuplet://${server.address}`), space)
        : new UnaryTarget(server.address, space),
    clear: async () => {
      await using client = await connect(`tuplet://${server.address}`);
      if (round > 0) await client.admin.dropSpace(space);
      round += 1;
      space = `round-${round}`;
      await client.admin.createSpace(space);
    },
    serverCpuUs: () => [processCpuUs(server.pid)],
    close: () => server.close(),
  };
}

/** The default client as a workload uses it. */
export function tupletClient(client: Client): TargetClient {
  return new TupletTarget(client, 'default');
}

/** The default client: sessions, receipts and retries are on. */
export class TupletTarget implements TargetClient {
  readonly #client: Client;
  /** Where the tuples are. */
  protected readonly space: Space;

  constructor(client: Client, space: string) {
    this.#client = client;
    this.space = client.space(space);
  }

  async write(): Promise<void> {
    await this.space.write(['job', filler]);
  }

  async takeAny(): Promise<void> {
    await this.space.take(['job', t.any]);
  }

  async send(stamp: number): Promise<void> {
    await this.space.write(['hand-off', stamp, filler]);
  }

  async receive(): Promise<number> {
    const [, stamp] = await this.space.take(['hand-off', t.number, t.any]);
    return stamp;
  }

  async put(key: number): Promise<void> {
    await this.space.write(['key', key, filler]);
  }

  async readKey(key: number): Promise<void> {
    await this.space.read(['key', key, t.any]);
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
