import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  connect,
} from 'amqplib';
import { filler, type Target, type TargetClient } from '../target.ts';
import { Inbox } from './inbox.ts';
import {
  eventually,
  freePorts,
  isInstalled,
  Processes,
  type Program,
  settings,
} from './processes.ts';

/** Debian's scripts without its wrapper, which would change the user. */
const scripts = '/usr/lib/rabbitmq/bin';
const queues = ['job', 'hand-off'];
/** Messages that a consumer has and has not acknowledged: as many as there are lanes. */
const prefetch = 64;
const body = Buffer.from(`${filler}${'y'.repeat(100 - filler.length)}`);

/** Starts brokers of a cluster with quorum queues in a folder; undefined where it is not installed. */
export async function startRabbitmq(folder: string, count: number): Promise<Target | undefined> {
  if (!isInstalled(`${scripts}/rabbitmq-server`)) return undefined;
  const [epmdPort = 0, ...ports] = await freePorts(1 + 2 * count);
  const brokers = ports.slice(0, count);
  const env = environment(folder, epmdPort);
  const epmd = new Processes([
    { path: 'epmd', args: ['-port', `${epmdPort}`, '-address', '127.0.0.1'] },
  ]);
  const processes = new Processes(
    brokers.map((port, at) =>
      broker(folder, { at, port, distPort: ports[count + at] ?? 0, env, count }),
    ),
  );
  const close = async (): Promise<void> => {
    await processes.close();
    await epmd.close();
  };
  try {
    const port = brokers[0] ?? 0;
    const admin = await eventually(() => open(port));
    await allJoined(count, env);
    const channel = await admin.createChannel();
    return {
      name: 'rabbitmq',
      connect: async () => RabbitmqClient.open(await open(port)),
      clear: () => declare(channel, count),
      serverCpuUs: () => processes.cpuUs(),
      close: async () => {
        await admin.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

type Environment = Readonly<Record<string, string>>;

/** What brokers and tools share: a home with the cookie, and a port mapper of their own. */
function environment(folder: string, epmdPort: number): Environment {
  writeFileSync(join(folder, '.erlang.cookie'), 'bench', { mode: 0o400 });
  writeFileSync(join(folder, 'enabled_plugins'), '[].\n');
  return {
    HOME: folder,
    ERL_EPMD_PORT: `${epmdPort}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
  };
}

function broker(
  folder: string,
  one: {
    readonly at: number;
    readonly port: number;
    readonly distPort: number;
    readonly env: Environment;
    readonly count: number;
  },
): Program {
  const own = join(folder, nodeName(one.at));
  mkdirSync(own);
  const members = Array.from(
    { length: one.count },
    (_, at) => `cluster_formation.classic_config.nodes.${at + 1} = ${nodeName(at)}`,
  );
  const config = join(own, 'rabbitmq.conf');
  writeFileSync(config, settings('rabbitmq.conf', { port: one.port, members: members.join('\n') }));
  return {
    path: `${scripts}/rabbitmq-server`,
    args: [],
    env: {
      ...one.env,
      RABBITMQ_NODENAME: nodeName(one.at),
      RABBITMQ_CONFIG_FILE: config,
      RABBITMQ_MNESIA_BASE: own,
      RABBITMQ_LOG_BASE: own,
      RABBITMQ_DIST_PORT: `${one.distPort}`,
      // RabbitMQ's advice for hosts with several nodes: idle schedulers sleep and do not spin.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        '+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
    },
  };
}

function nodeName(at: number): string {
  return `tuplet-bench-${at + 1}@localhost`;
}

/** Without this a queue would get as many replicas as there are brokers by then. */
function allJoined(count: number, env: Environment): Promise<void> {
  const args = ['-n', nodeName(0), 'await_online_nodes', `${count}`];
  const tool = spawn(`${scripts}/rabbitmqctl`, args, {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  });
  return new Promise((resolve, reject) => {
    tool.once('error', reject);
    tool.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error('the brokers did not find each other')),
    );
  });
}

function open(port: number): Promise<ChannelModel> {
  return connect(`amqp://guest:guest@127.0.0.1:${port}`, { noDelay: true });
}

/** Anew, with the leader on the broker that is asked, to which all clients connect. */
async function declare(channel: Channel, replicas: number): Promise<void> {
  for (const queue of queues) {
    await channel.deleteQueue(queue);
    await channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-quorum-initial-group-size': replicas },
    });
  }
}

/** Publishes with confirms; consumes with acknowledgements, which RabbitMQ does not confirm. */
class RabbitmqClient implements TargetClient {
  readonly #connection: ChannelModel;
  readonly #publisher: ConfirmChannel;
  readonly #consumer: Channel;
  readonly #inboxes = new Map<string, Promise<Inbox<ConsumeMessage>>>();

  private constructor(connection: ChannelModel, publisher: ConfirmChannel, consumer: Channel) {
    this.#connection = connection;
    this.#publisher = publisher;
    this.#consumer = consumer;
  }

  static async open(connection: ChannelModel): Promise<RabbitmqClient> {
    const consumer = await connection.createChannel();
    await consumer.prefetch(prefetch);
    return new RabbitmqClient(connection, await connection.createConfirmChannel(), consumer);
  }

  write(): Promise<void> {
    return this.#publish('job', body);
  }

  async takeAny(): Promise<void> {
    await this.#next('job');
  }

  send(stamp: number): Promise<void> {
    return this.#publish('hand-off', Buffer.from(`${filler}${stamp}`));
  }

  async receive(): Promise<number> {
    return Number((await this.#next('hand-off')).subarray(filler.length).toString());
  }

  put(): Promise<void> {
    return Promise.reject(new Error('a queue has no keys'));
  }

  readKey(): Promise<void> {
    return Promise.reject(new Error('a queue has no keys'));
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  #publish(queue: string, message: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#publisher.sendToQueue(queue, message, { persistent: true }, (error: unknown) =>
        error === null ? resolve() : reject(error),
      );
    });
  }

  async #next(queue: string): Promise<Buffer> {
    let inbox = this.#inboxes.get(queue);
    if (inbox === undefined) {
      inbox = this.#consume(queue);
      this.#inboxes.set(queue, inbox);
    }
    const message = await (await inbox).next();
    this.#consumer.ack(message);
    return message.content;
  }

  async #consume(queue: string): Promise<Inbox<ConsumeMessage>> {
    const inbox = new Inbox<ConsumeMessage>();
    await this.#consumer.consume(queue, (message) => {
      if (message !== null) inbox.push(message);
    });
    return inbox;
  }
}
