/** The servers of a peer: found, configured from a committed file, started and ended. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { familyCpuUs } from '../process-cpu.ts';

/** A peer needs so long at most until it serves. */
const startMsMax = 60_000;
/** And so long to end by SIGTERM; then it is killed. */
const endMsMax = 10_000;

/** A program with its arguments and what it finds in its environment. */
export interface Program {
  readonly path: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Processes that live and end together. */
export class Processes {
  readonly #children: readonly ChildProcess[];

  constructor(programs: readonly Program[]) {
    this.#children = programs.map(({ path, args, env }) =>
      spawn(path, args, { stdio: 'ignore', env: { ...process.env, ...env } }),
    );
    for (const child of this.#children) {
      child.on('error', () => {
        // Whoever waits for it sees that nothing listens.
      });
    }
  }

  /** CPU microseconds that each has used, with its children: scripts start servers. */
  cpuUs(): number[] {
    return this.#children.map(({ pid }) => familyCpuUs(pid ?? 0));
  }

  /** Ends all; resolves when they are gone. */
  async close(): Promise<void> {
    await Promise.all(this.#children.map(end));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), endMsMax);
  await gone;
  clearTimeout(timer);
}

/** Whether a program is installed. */
export function isInstalled(path: string): boolean {
  return spawnSync('which', [path], { stdio: 'ignore' }).status === 0;
}

/** The text of a file in bench/settings, its `${names}` filled in. */
export function settings(file: string, values: Readonly<Record<string, string | number>>): string {
  const path = fileURLToPath(new URL(`../../../settings/${file}`, import.meta.url));
  return readFileSync(path, 'utf8').replace(/\$\{(\w+)\}/g, (_all, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${file}: no value for ${name}`);
    return String(value);
  });
}

/** Tries until it works; rejects with what went wrong last. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const until = performance.now() + startMsMax;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > until) throw error;
      await delay(200);
    }
  }
}

/** Ports of loopback that nobody has. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listening));
  const ports = servers.map((server) => {
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listening(): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
