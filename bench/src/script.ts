import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { processCpuUs } from './process-cpu.ts';

/** A server of ours in a process of its own. */
export interface Script {
  /** What it printed first. */
  readonly address: string;
  /** CPU microseconds that it has used. */
  cpuUs(): number;
  close(): Promise<void>;
}

/** Starts a script of this folder that prints its address; rejects where it ends instead. */
export async function startScript(name: string, args: readonly string[]): Promise<Script> {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`${name} did not start`)));
    createInterface({ input: child.stdout }).once('line', resolve);
  });
  return {
    address,
    cpuUs: () => processCpuUs(child.pid ?? 0),
    close: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
