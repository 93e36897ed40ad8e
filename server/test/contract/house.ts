/** What tests of the contract start with: a node in this process, the SDK, and bare gRPC beside it. */
import { type Client, type ConnectOptions, connect, type Space } from '@tuplet/client';
import * as contract from '@tuplet/proto/contract';
import type { ExecutionContext } from 'ava';
import { startTestNode, type TestNode, type TestNodeOptions } from '../../src/testing.ts';
import { BareClient } from '../gateway/client.ts';

const { methods } = contract.TupleSpaceService;

/** The space of the tests, as bare calls name it. */
export const jobs = { name: 'jobs' };
/** A wait of zero, and a cursor at this moment. */
export const ifExists = { seconds: 0, nanos: 0 };
export const fromNow = { kind: 'now', value: {} } as const;

/** A node and who talks to it; all of it ends with the test. */
export interface House {
  readonly node: TestNode;
  readonly client: Client;
  /** The space `jobs`. */
  readonly space: Space;
  /** A connection that neither retries nor hides anything. */
  readonly bare: BareClient;
  /** Another one. */
  bareClient(): BareClient;
  /** Another client of the SDK. */
  sdkClient(options?: ConnectOptions): Promise<Client>;
}

/** Starts a node with the space `jobs`, or one over the disk of another life, which has it. */
export async function startHouse(
  t: ExecutionContext,
  options: TestNodeOptions = {},
): Promise<House> {
  const node = await startTestNode(options);
  const ends: (() => unknown)[] = [];
  t.teardown(async () => {
    for (const end of ends) await end();
    await node.close();
  });
  const bareClient = (): BareClient => {
    const bare = new BareClient(node.address);
    ends.push(() => bare.close());
    return bare;
  };
  const sdkClient = async (more: ConnectOptions = {}): Promise<Client> => {
    // The node's time moves by the hand of the test, the client's does not: it must not end sessions.
    const client = await connect(node.url, { sessionLeaseMs: 3_600_000, ...more });
    ends.push(() => client.close());
    return client;
  };
  const client = await sdkClient();
  if (options.disk === undefined) await client.admin.createSpace(jobs.name);
  const space = client.space(jobs.name);
  return { node, client, space, bare: bareClient(), bareClient, sdkClient };
}

/** A session of bare calls, and the identities of its operations. */
export class BareSession {
  readonly id: number;

  private constructor(id: number) {
    this.id = id;
  }

  static async open(client: BareClient, leaseSeconds = 10): Promise<BareSession> {
    const { openSession } = contract.SessionService.methods;
    const lease = { seconds: leaseSeconds, nanos: 0 };
    return new BareSession((await client.call(openSession, { lease })).sessionId);
  }

  /** One sending of one operation; its floor is 1 unless told otherwise: everything is open. */
  operation(
    sequence: number,
    { attempt = 1, floor = 1 }: { readonly attempt?: number; readonly floor?: number } = {},
  ): contract.OperationIdInit {
    const value = { sessionId: this.id, sequence, attempt, floor };
    return { kind: { kind: 'session', value } };
  }
}

/** How many tuples of the space are in a state. */
export async function countOf(
  client: BareClient,
  ...states: readonly contract.TupleState[]
): Promise<number> {
  return (await client.call(methods.count, { space: jobs, states: [...states] })).count;
}
