/** The table of many runs, and whether they pass. */
import type { Violation } from './check/history.ts';
import { addCounts, type Counts, type Coverage, nodeCoverage } from './coverage.ts';
import type { RunReport } from './run-record.ts';

/** Violations printed; the rest are counted. */
const shownMax = 20;

/** Sums up runs. */
export class Totals {
  readonly counts: Counts = new Map();
  readonly violations: { readonly seed: number; readonly violation: Violation }[] = [];
  /** Seeds of one profile do not reach everything: nothing has a floor. */
  readonly #isPartial: boolean;
  readonly #coverage: Coverage;
  seeds = 0;
  operations = 0;
  events = 0;
  virtualMs = 0;
  /** A number over all hashes, whatever order the runs came in. */
  hash = 0n;

  constructor(isPartial = false, coverage: Coverage = nodeCoverage) {
    this.#coverage = coverage;
    this.#isPartial = isPartial;
  }

  add(report: RunReport): void {
    this.seeds++;
    this.operations += report.operations;
    this.events += report.events;
    this.virtualMs += report.virtualMs;
    this.hash ^= BigInt(`0x${report.hash}`) * (2n * BigInt(report.seed) + 1n);
    this.hash = BigInt.asUintN(64, this.hash);
    addCounts(this.counts, report.counts);
    for (const violation of report.violations) {
      this.violations.push({ seed: report.seed, violation });
    }
  }

  /** Names of faults and paths that were reached less often than they must be. */
  get belowFloor(): readonly string[] {
    const floor = this.#floor;
    const { faults, paths } = this.#coverage;
    return [...faults, ...paths].filter((name) => (this.counts.get(name) ?? 0) < floor);
  }

  /** Fewer operations a seed than a run must have, on average. */
  get tooFewOperations(): boolean {
    return this.#floor > 0 && this.operations < this.#coverage.operationsLeast * this.seeds;
  }

  get #floor(): number {
    return this.#isPartial ? 0 : this.#coverage.floorFor(this.seeds);
  }

  get passed(): boolean {
    const reached = this.belowFloor.length === 0 && !this.tooFewOperations;
    return this.violations.length === 0 && reached;
  }

  /** The table, and below it one summary line. */
  text(elapsedMs: number): string {
    const lines: string[] = [];
    const floor = this.#floor;
    const row = (name: string): void => {
      const count = this.counts.get(name) ?? 0;
      const mark = count < floor ? `  below its floor of ${floor}` : '';
      lines.push(`  ${name.padEnd(46)}${String(count).padStart(9)}${mark}`);
    };
    lines.push('faults');
    for (const name of this.#coverage.faults) row(name);
    lines.push('rare paths, reached by the schedule');
    for (const name of this.#coverage.paths) row(name);
    for (const { seed, violation } of this.violations.slice(0, shownMax)) {
      lines.push(`VIOLATION seed ${seed} ${violation.checker}: ${violation.message}`);
    }
    const perMinute = Math.round((this.seeds * 60_000) / Math.max(1, elapsedMs));
    const perSeed = Math.round(this.operations / Math.max(1, this.seeds));
    const hash = this.hash.toString(16).padStart(16, '0');
    const short = this.belowFloor.length;
    lines.push(
      `${this.passed ? 'ok' : 'FAILED'}: ${this.seeds} seeds, ${perSeed} operations a seed, ` +
        `${this.events} events, ${Math.round(this.virtualMs / 1000)} virtual seconds, ` +
        `${perMinute} seeds/minute, ${this.violations.length} violations, ` +
        `${short} counts below their floor, hash ${hash}`,
    );
    return `${lines.join('\n')}\n`;
  }
}
