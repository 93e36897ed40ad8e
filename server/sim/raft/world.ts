/** One run of a bare Raft group. DESIGN.md says what is in it. */
import { InvariantError } from '../../src/base/assert.ts';
import { Prng } from '../../src/base/prng.ts';
import { isJoint, isVoter, membersOf } from '../../src/raft/configuration.ts';
import type { RunReport } from '../run-record.ts';
import { Scheduler } from '../scheduler.ts';
import { Trace } from '../trace.ts';
import { RaftGroup } from './group.ts';
import { leaving } from './membership.ts';
import type { RaftReplica } from './replica.ts';
import { Schedule } from './schedule.ts';
import { electionMs, raftSettingsOf } from './settings.ts';

const safetyMs = 20_000;
/** The bound of the quiet phase: who was elected by chance in it has long settled. */
const quietMs = 60 * electionMs;
const lookMs = 250;

/** Runs one seed; `print` is told of each noted line. */
export function runRaftSeed(seed: number, print?: (line: string) => void): RunReport {
  const scheduler = new Scheduler(seed);
  const random = new Prng(seed, 'raft');
  const trace = new Trace(print);
  const group = new RaftGroup(raftSettingsOf(seed), scheduler, random, trace);
  const failed = (): boolean => group.violations.length > 0;
  try {
    const schedule = new Schedule(group, scheduler, random.fork('schedule'));
    scheduler.runNow(safetyMs * 1_000, failed);
    if (!failed()) {
      schedule.stop();
      settle(group, schedule, scheduler);
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

/** Faults have stopped: somebody must lead, and all must come to agree. */
function settle(group: RaftGroup, schedule: Schedule, scheduler: Scheduler): void {
  const endMs = scheduler.nowMs + quietMs;
  let proposedIn = 0;
  for (;;) {
    scheduler.runNow((scheduler.nowMs + lookMs) * 1_000, () => group.violations.length > 0);
    if (group.violations.length > 0) return;
    schedule.membership.bury();
    const leader = group.leaders()[0];
    if (leader !== undefined && !leader.isPaused) {
      const { term } = leader.node;
      if (term === proposedIn && isSettled(group, leader)) return;
      if (isJoint(leader.configuration) && !leader.configuration.autoLeave) {
        schedule.membership.propose(leader, leaving);
      } else if (term !== proposedIn) {
        // One more entry of this term must get through.
        leader.now((node) => {
          if (node.propose([new Uint8Array(9)]).kind === 'appended') proposedIn = term;
        });
      }
    }
    if (scheduler.nowMs < endMs) continue;
    group.accuse('liveness', `no agreement ${quietMs} ms after the last fault: ${told(group)}`);
    return;
  }
}

function isSettled(group: RaftGroup, leader: RaftReplica): boolean {
  const { committed, lastIndex, configuration, term } = leader.node.status();
  if (committed !== lastIndex || isJoint(configuration)) return false;
  if (!isVoter(configuration, leader.id)) return false;
  return membersOf(configuration).every((id) => {
    const member = group.find(id);
    if (member === undefined || member.appliedIndex !== committed) return false;
    return member.node.term === term && member.state === leader.state;
  });
}

/** Where everybody is, for who reads of a group that does not agree. */
function told(group: RaftGroup): string {
  return group.replicas
    .map((replica) => {
      const { id, term, role, lead, committed, lastIndex, configuration } = replica.node.status();
      const members = `${configuration.voters}|${configuration.outgoing}|${configuration.learners}`;
      return `${id}: term ${term} role ${role} lead ${lead} ${replica.appliedIndex}/${committed}/${lastIndex} (${members})`;
    })
    .join('; ');
}
