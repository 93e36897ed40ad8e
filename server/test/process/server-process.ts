import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repositoryRoot } from '../repository.ts';

const command = join(repositoryRoot, 'server/dist/src/cli/main.js');

export interface ServerProcessOptions {
  /** Where the data lies; without it a temporary folder, removed by `dispose`. */
  readonly folder?: string;
  /** Further arguments of `tuplet serve`. */
  readonly arguments?: readonly string[];
  /** And of its first start alone. */
  readonly firstArguments?: readonly string[];
  /** How long a start may take, in milliseconds. */
  readonly startMs?: number;
  /** Hears what the server says on its error output, all its lives long. */
  readonly log?: (text: string) => void;
  /** In place of the product's command: one that takes the same arguments, and messages (`send`). */
  readonly script?: string;
}

/** A real server in a process of its own, on loopback; it keeps port and data through its lives. */
export class ServerProcess {
  readonly folder: string;
  readonly #options: ServerProcessOptions;
  readonly #temporary: boolean;
  #address = '127.0.0.1:0';
  #process: ChildProcess | undefined;
  #starts = 0;

  private constructor(options: ServerProcessOptions) {
    this.#options = options;
    this.#temporary = options.folder === undefined;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'tuplet-'));
  }

  /** Starts a server; resolves when it serves. */
  static async start(options: ServerProcessOptions = {}): Promise<ServerProcess> {
    const server = new ServerProcess(options);
    await server.restart();
    return server;
  }

  /** Host and port. */
  get address(): string {
    return this.#address;
  }

  /** The process's id while it runs. */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the server does not run');
    return pid;
  }

  /** Starts the server again on the same port and data; resolves when it serves. */
  async restart(): Promise<void> {
    const { arguments: more = [], firstArguments = [] } = this.#options;
    const args = ['serve', '--listen', this.#address, '--data', this.folder, ...more];
    if (this.#starts === 0) args.push(...firstArguments);
    this.#starts += 1;
    const { script } = this.#options;
    const child = spawn(process.execPath, [script ?? command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', ...(script === undefined ? [] : (['ipc'] as const))],
    });
    this.#process = child;
    const { log } = this.#options;
    if (log !== undefined) child.stderr?.on('data', (chunk: Buffer) => log(chunk.toString()));
    this.#address = await served(child, this.#options.startMs ?? 60_000);
  }

  /** SIGKILL: the process ends where it stands. Resolves when it is gone. */
  kill(): Promise<number | null> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM: drains. Resolves with the exit code. */
  stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** Whether the signal was sent: to a process that runs. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): boolean {
    return this.#process?.kill(signal) === true;
  }

  /** Sends a message to a script of `script`, if it runs. */
  send(message: object): void {
    if (this.#process?.connected === true) this.#process.send(message, () => undefined);
  }

  /** Resolves with the exit code once the process has ended by itself. */
  ended(): Promise<number | null> {
    const child = this.#process;
    if (child === undefined) throw new Error('the server does not run');
    if (child.exitCode !== null) return Promise.resolve(child.exitCode);
    return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  }

  /** Stops the server where it runs, and removes its temporary folder. */
  async dispose(): Promise<void> {
    if (this.#process !== undefined) await this.kill();
    if (this.#temporary) rmSync(this.folder, { recursive: true, force: true });
  }

  #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) throw new Error('the server does not run');
    // One that stands still ends no sooner than it goes on.
    child.kill('SIGCONT');
    if (child.exitCode !== null || child.signalCode !== null)
      return Promise.resolve(child.exitCode);
    return new Promise((resolve) => {
      child.once('exit', (code) => resolve(code));
      child.kill(signal);
    });
  }
}

/** The address in the line by which a server says that it serves. */
function served(child: ChildProcess, startMs: number): Promise<string> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('the output is piped');
  let said = '';
  stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4000);
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string): void =>
      reject(new Error(`the server did not start: ${why}\n${said}`));
    const timer = setTimeout(() => fail(`nothing within ${startMs} ms`), startMs);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      fail(`exit ${code ?? signal}`);
    });
    const lines = createInterface({ input: stdout });
    lines.on('line', (line) => {
      said = `${said}${line}\n`.slice(-4000);
      const address = /serving .*?(\d+\.\d+\.\d+\.\d+:\d+)/.exec(line)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}
