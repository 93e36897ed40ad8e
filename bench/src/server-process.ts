import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Numbered, ProbeAnswers, ProbeRequest } from './probe/messages.ts';

const here = dirname(fileURLToPath(import.meta.url));
/** From the root of a checkout. */
const command = 'server/dist/src/cli/main.js';
const preload = join(here, 'probe/preload.js');

/** How a server is started. */
export interface ServerProcessOptions {
  /** The root of another checkout, built, whose server it is; default: this one's. */
  readonly checkout?: string;
  /** The folder of its data; default: a new one. */
  readonly data?: string;
  /** Further arguments of `tuplet serve`. */
  readonly arguments?: readonly string[];
  /** Further arguments of Node. */
  readonly node?: readonly string[];
  /** Whether `ask` works: the server runs with the probe and can be made to collect its garbage. */
  readonly probe?: boolean;
}

/** `tuplet serve` as users run it, on a free port of loopback. */
export class ServerProcess {
  readonly #process: ChildProcess;
  readonly folder: string;
  readonly address: string;
  #asked = 0;

  private constructor(child: ChildProcess, folder: string, address: string) {
    this.#process = child;
    this.folder = folder;
    this.address = address;
  }

  /** Starts one; a new folder lies below `parent`. Resolves when it serves. */
  static async start(parent: string, options: ServerProcessOptions = {}): Promise<ServerProcess> {
    const folder = options.data ?? mkdtempSync(join(parent, 'tuplet-'));
    const args = ['serve', '--listen', '127.0.0.1:0', '--data', folder, '--log-level', 'warn'];
    const node = options.probe === true ? ['--import', preload] : [];
    const child = spawn(
      process.execPath,
      [
        ...node,
        ...(options.node ?? []),
        join(options.checkout ?? join(here, '../../..'), command),
        ...args,
        ...(options.arguments ?? []),
      ],
      { stdio: ['ignore', 'pipe', 'inherit', ...(node.length > 0 ? (['ipc'] as const) : [])] },
    );
    const { stdout } = child;
    if (stdout === null) throw new Error('the output is piped');
    const address = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => reject(new Error('the server did not start')));
      createInterface({ input: stdout }).on('line', (line) => {
        const found = /serving at (\S+),/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    return new ServerProcess(child, folder, address);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Asks the probe. Rejects when the server ends. */
  ask<Kind extends ProbeRequest['kind']>(kind: Kind): Promise<ProbeAnswers[Kind]> {
    this.#asked += 1;
    const number = this.#asked;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#process.off('message', heard);
        this.#process.off('exit', ended);
      };
      const heard = (message: unknown): void => {
        const answer = message as Numbered<ProbeAnswers[Kind]>;
        if (answer.number !== number) return;
        done();
        resolve(answer.body);
      };
      const ended = (): void => {
        done();
        reject(new Error('the server ended'));
      };
      this.#process.on('message', heard);
      this.#process.on('exit', ended);
      this.#process.send({ number, body: { kind } });
    });
  }

  /** Ends the process where it stands, by SIGKILL, and keeps its folder. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends the process by SIGTERM, and removes its folder. */
  async close(): Promise<void> {
    await this.#end('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill(signal);
    await exited;
  }
}
