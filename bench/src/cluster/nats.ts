import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AckPolicy,
  type ConsumerMessages,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { filler, type Target, type TargetClient } from '../target.ts';
import { Inbox } from './inbox.ts';
import { eventually, freePorts, isInstalled, Processes, settings } from './processes.ts';

const queues = ['job', 'hand-off'];
const takers = 'takers';
/** Messages that a consumer has asked for: as many as there are lanes. */
const prefetch = 64;
const body = `${filler}${'y'.repeat(100 - filler.length)}`;

/** Starts servers of a JetStream cluster in a folder; undefined where it is not installed. */
export async function startNats(folder: string, count: number): Promise<Target | undefined> {
  if (!isInstalled('nats-server')) return undefined;
  const ports = await freePorts(2 * count);
  const clientPorts = ports.slice(0, count);
  const peerPorts = ports.slice(count);
  const members = peerPorts.map((port) => `"nats://127.0.0.1:${port}"`).join(', ');
  const processes = new Processes(
    clientPorts.map((port, at) => {
      const own = join(folder, name(at));
      mkdirSync(own);
      const config = join(own, 'nats.conf');
      const peerPort = peerPorts[at] ?? 0;
      const values = { name: name(at), port, peerPort, folder: own, members };
      writeFileSync(config, settings('nats.conf', values));
      return { path: 'nats-server', args: ['--config', config] };
    }),
  );
  try {
    const admin = await eventually(() => connect({ servers: servers(clientPorts) }));
    const manager = await eventually(() => jetstreamManager(admin));
    let leader = 0;
    return {
      name: 'nats r3',
      connect: async () =>
        new NatsClient(await connect({ servers: servers(clientPorts.slice(leader)) })),
      clear: async () => {
        leader = await declare(manager, count);
      },
      serverCpuUs: () => processes.cpuUs(),
      close: async () => {
        await admin.close();
        await processes.close();
      },
    };
  } catch (error) {
    await processes.close();
    throw error;
  }
}

function name(at: number): string {
  return `nats-${at + 1}`;
}

function servers(ports: readonly number[]): string[] {
  return ports.map((port) => `127.0.0.1:${port}`);
}

/** Anew; tells which server leads the first, to which clients connect. */
async function declare(manager: JetStreamManager, replicas: number): Promise<number> {
  let leader: string | undefined;
  for (const queue of [...queues].reverse()) {
    if (await exists(manager, queue)) await manager.streams.delete(queue);
    const stream = {
      name: queue,
      subjects: [queue],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      num_replicas: replicas,
    };
    // The servers may still be choosing their first leader.
    const { cluster } = await eventually(() => manager.streams.add(stream));
    await manager.consumers.add(queue, { durable_name: takers, ack_policy: AckPolicy.Explicit });
    leader = cluster?.leader;
  }
  return Math.max(0, Number(leader?.replace('nats-', '')) - 1);
}

async function exists(manager: JetStreamManager, queue: string): Promise<boolean> {
  for await (const found of manager.streams.names()) if (found === queue) return true;
  return false;
}

/** Publishes with acknowledgements; consumes with acknowledgements that are not confirmed, as is usual. */
class NatsClient implements TargetClient {
  readonly #connection: NatsConnection;
  readonly #jetstream: JetStreamClient;
  readonly #inboxes = new Map<string, Promise<Inbox<JsMsg>>>();
  readonly #consumers: ConsumerMessages[] = [];

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    this.#jetstream = jetstream(connection);
  }

  async write(): Promise<void> {
    await this.#jetstream.publish('job', body);
  }

  async takeAny(): Promise<void> {
    await this.#next('job');
  }

  async send(stamp: number): Promise<void> {
    await this.#jetstream.publish('hand-off', `${filler}${stamp}`);
  }

  async receive(): Promise<number> {
    return Number((await this.#next('hand-off')).slice(filler.length));
  }

  put(): Promise<void> {
    return Promise.reject(new Error('a queue has no keys'));
  }

  readKey(): Promise<void> {
    return Promise.reject(new Error('a queue has no keys'));
  }

  async close(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.close()));
    await this.#connection.close();
  }

  async #next(queue: string): Promise<string> {
    let inbox = this.#inboxes.get(queue);
    if (inbox === undefined) {
      inbox = this.#consume(queue);
      this.#inboxes.set(queue, inbox);
    }
    const message = await (await inbox).next();
    message.ack();
    return message.string();
  }

  async #consume(queue: string): Promise<Inbox<JsMsg>> {
    const inbox = new Inbox<JsMsg>();
    const consumer = await this.#jetstream.consumers.get(queue, takers);
    this.#consumers.push(
      await consumer.consume({
        max_messages: prefetch,
        callback: (message) => inbox.push(message),
      }),
    );
    return inbox;
  }
}
