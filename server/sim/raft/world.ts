/** One run of a bare Raft group. DESIGN.md says what is in it. */
import { InvariantError } from '../../src/base/assert.ts';
import { Prng } from '../../src/base/prng.ts';
import type { RunReport } from '../run-record.ts';
import { Scheduler } from '../scheduler.ts';
import { Trace } from '../trace.ts';
import { RaftGroup } from './group.ts';
import { Quiet } from './quiet.ts';
import { Schedule } from './schedule.ts';
import { type RaftProfile, raftSettingsOf } from './settings.ts';

const safetyMs = 20_000;

/** What of a run is chosen, and who hears of it. */
export interface RaftRun {
  readonly profile?: RaftProfile | undefined;
  /** Told of each noted line. */
  readonly print?: (line: string) => void;
}

/** Runs one seed. */
export function runRaftSeed(seed: number, { profile, print }: RaftRun = {}): RunReport {
  const scheduler = new Scheduler(seed);
  const random = new Prng(seed, 'raft');
  const trace = new Trace(print);
  const group = new RaftGroup(raftSettingsOf(seed, profile), scheduler, random, trace);
  const failed = (): boolean => group.violations.length > 0;
  try {
    const schedule = new Schedule(group, scheduler, random.fork('schedule'));
    scheduler.runNow(safetyMs * 1_000, failed);
    if (!failed()) {
      schedule.stop();
      new Quiet(group, schedule, scheduler, random.fork('quiet')).run();
    }
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    group.accuse('invariant', error.stack ?? error.message);
  }
  for (const { message } of group.violations) trace.note(`violation ${message}`);
  return {
    seed,
    hash: trace.hash,
    operations: group.operations,
    events: scheduler.eventsRun,
    virtualMs: scheduler.nowMs,
    counts: group.counts,
    violations: group.violations,
  };
}
