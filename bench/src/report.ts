/** How figures are printed. */
import { arch, cpus, loadavg, release } from 'node:os';
import { type Calibration, calibrate } from './calibrate.ts';

/** Prints a line. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A calibration in one line. */
export function calibrationLine(calibration: Calibration | undefined): string {
  if (calibration === undefined) return '';
  const { cpuMops, cpuShare, syncs, echoes } = calibration;
  const cpu = `cpu ${cpuMops.toFixed(0)} Mops/s (${(cpuShare * 100).toFixed(0)}% of a CPU)`;
  return `${cpu}, ${syncs.toFixed(0)} fdatasyncs/s, ${echoes.toFixed(0)} echoes/s`;
}

/** Where figures were made, for the file of `--json`. */
export interface Machine {
  readonly node: string;
  readonly cpus: number;
  readonly model: string;
  readonly arch: string;
  readonly kernel: string;
  /** The load average of the last minute: above the number of CPUs others were at work. */
  readonly load: number;
  readonly at: string;
}

/** This machine now. */
export function machine(): Machine {
  const all = cpus();
  return {
    node: process.version,
    cpus: all.length,
    model: all[0]?.model ?? '',
    arch: arch(),
    kernel: release(),
    load: loadavg()[0] ?? 0,
    at: new Date().toISOString(),
  };
}

/** Figures of one workload with what the machine did by itself before and after. */
export interface Calibrated<Result> {
  readonly before: Calibration;
  readonly after: Calibration;
  readonly result: Result;
}

/** Runs something between two calibrations, and prints both. */
export async function calibrated<Result>(
  folder: string,
  run: () => Promise<Result>,
): Promise<Calibrated<Result>> {
  const before = await calibrate(folder);
  say(`calibration before ${calibrationLine(before)}`);
  const result = await run();
  const after = await calibrate(folder);
  say(`calibration after  ${calibrationLine(after)}`);
  return { before, after, result };
}

/** A verdict against a target, as it is printed. */
export function verdict(isMet: boolean): string {
  return isMet ? 'met' : 'MISSED';
}
