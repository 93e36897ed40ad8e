/** What is printed: a line a round, a table at the end. */
import { addCounts, belowFloors, type Counts, noCounts } from './counts.ts';
import { type AllFaultCounts, noFaults } from './faults.ts';
import type { RoundReport } from './round.ts';

/** Violations of a round that are printed; the rest are counted. */
const shownMax = 10;

/** What of a round must not be: violations, and floors it stayed below. */
export function failuresOf(report: RoundReport): readonly string[] {
  const violations = report.violations.map(
    ({ checker, message, operations }) =>
      `${checker}: ${message}${operations.length > 0 ? ` (operations ${operations.join(', ')})` : ''}`,
  );
  const low = belowFloors(report.counts, report.seconds).map((what) => `below the floor: ${what}`);
  return [...violations, ...low];
}

function share(part: number, whole: number): string {
  return `${Math.round((part * 100) / Math.max(1, whole))}%`;
}

function number(count: number): string {
  return count.toLocaleString('en-US');
}

/** One line of progress. */
export function roundLine(report: RoundReport, rounds: number, elapsedMs: number): string {
  const { counts, faults, settings, seconds, violations } = report;
  const kinds = `${share(counts.blocking, counts.ok)} blocking, ${share(counts.unpinned, counts.ok)} unpinned`;
  const kills = `${faults.serverKills} kills, ${faults.recovered} recovered`;
  const clients = `clients: ${faults.clientKills} killed, ${faults.clientStops} stopped`;
  const nodes =
    settings.nodes > 2
      ? `; nodes: ${faults.nodeStops} stopped, ${faults.splits} splits, ${faults.slowDisks + faults.fullDisks} disks, ${faults.clockJumps} clocks, ${faults.nodesReplaced + faults.nodesDrained} replaced`
      : '';
  const bad = violations.length === 0 ? '' : `, ${violations.length} VIOLATIONS`;
  return (
    `round ${settings.number}/${rounds}: ${number(counts.invoked)} operations in ${seconds.toFixed(1)} s, ` +
    `${number(counts.ok)} ok (${kinds}); server: ${kills}${nodes}; ${clients}; ` +
    `${(elapsedMs / 1_000).toFixed(0)} s in all${bad}`
  );
}

/** Sums up rounds. */
export class Totals {
  readonly counts: Counts = noCounts();
  readonly faults: AllFaultCounts = noFaults();
  rounds = 0;
  failed = 0;
  violations = 0;
  snapshots = 0;
  slowSyncs = 0;

  add(report: RoundReport): void {
    this.rounds += 1;
    if (failuresOf(report).length > 0) this.failed += 1;
    this.violations += report.violations.length;
    this.snapshots += report.snapshots;
    this.slowSyncs += report.slowSyncs;
    addCounts(this.counts, report.counts);
    for (const key of Object.keys(this.faults) as (keyof AllFaultCounts)[]) {
      this.faults[key] += report.faults[key];
    }
  }

  /** The table, and below it one summary line. */
  text(): string {
    const { counts, faults } = this;
    const rows: (readonly [string, number])[] = [
      ...[...counts.byKind].sort(([left], [right]) => (left < right ? -1 : 1)),
      ['tuples handed over', counts.received],
      ['  after somebody had held them before', counts.redelivered],
      ['events notified', counts.events],
      ['server killed', faults.serverKills],
      ['server recovered', faults.recovered],
      ['milliseconds a recovery', Math.round(faults.recoveryMs / Math.max(1, faults.recovered))],
      ['partitions with a snapshot at the end', this.snapshots],
      ['nodes stopped for a while', faults.nodeStops],
      ['splits of the network', faults.splits],
      ['slow disks', faults.slowDisks],
      ['full disks', faults.fullDisks],
      ['jumps of a wall clock', faults.clockJumps],
      ['nodes lost with their disk, and replaced', faults.nodesReplaced],
      ['nodes drained, and replaced', faults.nodesDrained],
      ['clients killed', faults.clientKills],
      ['clients stopped beyond their lease', faults.clientStops],
      ['  killed while they stood still', faults.killedWhileStopped],
      ['watchers killed, streams resumed', faults.watcherKills],
      ['syncs of the disk beyond 100 ms', this.slowSyncs],
    ];
    const table = rows.map(([name, count]) => `  ${name.padEnd(42)}${number(count).padStart(12)}`);
    const verdict = this.failed === 0 ? 'ok' : 'FAILED';
    return [
      ...table,
      `${verdict}: ${this.rounds} rounds, ${number(counts.invoked)} operations, ` +
        `${number(counts.ok)} successful (${share(counts.blocking, counts.ok)} blocking, ` +
        `${share(counts.unpinned, counts.ok)} unpinned), ${faults.serverKills} server kills, ` +
        `${this.violations} violations, ${this.failed} rounds failed`,
      '',
    ].join('\n');
  }
}

/** What is said of a round that failed. */
export function failureText(report: RoundReport): string {
  const failures = failuresOf(report);
  const shown = failures.slice(0, shownMax).map((failure) => `  ${failure}\n`);
  const more = failures.length > shownMax ? `  and ${failures.length - shownMax} more\n` : '';
  return `${shown.join('')}${more}  data and history: ${report.settings.folder}\n`;
}
