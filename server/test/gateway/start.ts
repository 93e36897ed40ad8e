import type { ExecutionContext } from 'ava';
import { startTestNode, type TestNode, type TestNodeOptions } from '../../src/testing.ts';
import { BareClient } from './client.ts';

/** A node and one connection to it, both ended with the test. */
export interface GatewayBench {
  readonly node: TestNode;
  readonly client: BareClient;
  /** Another connection, ended with the test. */
  connect(): BareClient;
}

/** Starts one. */
export async function start(
  t: ExecutionContext,
  options: TestNodeOptions = {},
): Promise<GatewayBench> {
  const node = await startTestNode(options);
  const clients: BareClient[] = [];
  const connect = (): BareClient => {
    const client = new BareClient(node.address);
    clients.push(client);
    return client;
  };
  t.teardown(async () => {
    for (const client of clients) client.close();
    await node.close();
  });
  return { node, client: connect(), connect };
}

/** Lets messages that are on their way arrive: turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1)
    await new Promise<void>((resolve) => setImmediate(resolve));
}
