import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const command = join(
  dirname(fileURLToPath(import.meta.url)),
  '../../../server/dist/src/cli/main.js',
);

/** `tuplet serve` as users run it, on a free port of loopback. */
export class ServerProcess {
  readonly #process: ChildProcess;
  readonly folder: string;
  readonly address: string;

  private constructor(child: ChildProcess, folder: string, address: string) {
    this.#process = child;
    this.folder = folder;
    this.address = address;
  }

  /** Starts one over a new folder below `parent`, or over `data`. */
  static async start(parent: string, data?: string): Promise<ServerProcess> {
    const folder = data ?? mkdtempSync(join(parent, 'tuplet-'));
    const args = ['serve', '--listen', '127.0.0.1:0', '--data', folder, '--log-level', 'warn'];
    const child = spawn(process.execPath, [command, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const address = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => reject(new Error('the server did not start')));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const found = /serving at (\S+),/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    return new ServerProcess(child, folder, address);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Ends the process by SIGTERM, and removes its folder unless it is kept. */
  async close({ keep = false }: { readonly keep?: boolean } = {}): Promise<void> {
    const exited = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await exited;
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }
}
