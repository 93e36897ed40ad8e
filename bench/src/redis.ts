import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { processCpuUs } from './process-cpu.ts';
import { filler, type Target, type TargetClient } from './target.ts';

/** Starts Debian's redis-server with `appendfsync always` in a folder of its own; undefined where it is not installed. */
export async function startRedis(folder: string): Promise<Target | undefined> {
  const own = mkdtempSync(join(folder, 'redis-'));
  const port = await freePort();
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', own];
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
  const server = spawn('redis-server', [...settings, ...durable], { stdio: 'ignore' });
  if (!(await started(server, port))) {
    rmSync(own, { recursive: true });
    return undefined;
  }
  return {
    name: 'redis always',
    connect: async () => new RedisClient(new Redis({ port, host: '127.0.0.1' })),
    clear: async () => {
      const redis = new Redis({ port, host: '127.0.0.1' });
      await redis.flushall();
      await redis.quit();
    },
    serverCpuUs: () => [processCpuUs(server.pid ?? 0)],
    close: async () => {
      server.kill('SIGTERM');
      await new Promise((resolve) => server.once('exit', resolve));
      rmSync(own, { recursive: true });
    },
  };
}

class RedisClient implements TargetClient {
  readonly #redis: Redis;
  readonly #value = `${filler}${'y'.repeat(100 - filler.length)}`;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async write(): Promise<void> {
    await this.#redis.lpush('job', this.#value);
  }

  async takeAny(): Promise<void> {
    if ((await this.#redis.rpop('job')) === null) throw new Error('the list was empty');
  }

  async send(stamp: number): Promise<void> {
    await this.#redis.lpush('hand-off', `${filler}${stamp}`);
  }

  async receive(): Promise<number> {
    const popped = await this.#redis.blpop('hand-off', 0);
    if (popped === null) throw new Error('nothing came');
    return Number(popped[1].slice(filler.length));
  }

  async put(key: number): Promise<void> {
    await this.#redis.set(`key:${key}`, this.#value);
  }

  async readKey(key: number): Promise<void> {
    if ((await this.#redis.get(`key:${key}`)) === null) throw new Error('the key is gone');
  }

  async close(): Promise<void> {
    await this.#redis.quit();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function started(server: ChildProcess, port: number): Promise<boolean> {
  const missing = new Promise<false>((resolve) => server.once('error', () => resolve(false)));
  const probe = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: 100 });
  probe.on('error', () => {
    // Expected until the server listens; ioredis tries again.
  });
  const up = probe.ping().then(() => true);
  const result = await Promise.race([missing, up]);
  probe.disconnect();
  return result;
}
