/**
 * After the last fault: somebody must lead and all must come to agree; and then the leader stays, though
 * disks are slow and a follower stands still for a while.
 */
import type { Prng } from '../../src/base/prng.ts';
import { isJoint, isVoter, membersOf } from '../../src/raft/configuration.ts';
import type { Scheduler } from '../scheduler.ts';
import type { RaftGroup } from './group.ts';
import { leaving } from './membership.ts';
import type { RaftReplica } from './replica.ts';
import type { Schedule } from './schedule.ts';
import { electionMs } from './settings.ts';

/** Within so long, and a round trip for each entry that somebody lacks, all agree: elections have long settled. */
const quietMs = 60 * electionMs;
const lookMs = 250;
/** Longer than any election timeout, by the slowest clock too. */
const pauseMs = 3 * electionMs;

/** See the top of the file. */
export class Quiet {
  readonly #group: RaftGroup;
  readonly #schedule: Schedule;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  #proposedIn = 0;

  constructor(group: RaftGroup, schedule: Schedule, scheduler: Scheduler, random: Prng) {
    this.#group = group;
    this.#schedule = schedule;
    this.#scheduler = scheduler;
    this.#random = random;
  }

  run(): void {
    this.#settle();
    // What was sent before faults stopped arrives now at the latest, and may still depose a leader.
    this.#pass(this.#group.settings.lateMs + lookMs);
    const leader = this.#settle();
    if (leader !== undefined) this.#stay(leader);
  }

  get #failed(): boolean {
    return this.#group.violations.length > 0;
  }

  #pass(forMs: number): void {
    this.#scheduler.runNow((this.#scheduler.nowMs + forMs) * 1_000, () => this.#failed);
  }

  /** The leader when all agree; undefined after a violation. */
  #settle(): RaftReplica | undefined {
    const group = this.#group;
    const boundMs = quietMs + this.#backlogMs();
    const endMs = this.#scheduler.nowMs + boundMs;
    for (;;) {
      this.#pass(lookMs);
      if (this.#failed) return undefined;
      this.#schedule.membership.bury();
      const leader = group.leaders()[0];
      if (leader !== undefined && !leader.isPaused && this.#leads(leader)) return leader;
      if (this.#scheduler.nowMs < endMs) continue;
      group.accuse('liveness', `no agreement ${boundMs} ms after the last fault: ${told(group)}`);
      return undefined;
    }
  }

  /** What it takes at most to send entries one by one, write and apply them. */
  #backlogMs(): number {
    const { settings, replicas } = this.#group;
    const last = Math.max(...replicas.map(({ log }) => log.lastIndex));
    const least = Math.min(...replicas.map(({ appliedIndex }) => appliedIndex));
    return (last - least) * (2 * settings.delayMs + settings.syncMs + settings.applyMs);
  }

  /** Whether all agree with a leader; else it does what is left to do. */
  #leads(leader: RaftReplica): boolean {
    const { term } = leader.node;
    if (term === this.#proposedIn && isSettled(this.#group, leader)) return true;
    if (isJoint(leader.configuration) && !leader.configuration.autoLeave) {
      this.#schedule.membership.propose(leader, leaving);
    } else if (term !== this.#proposedIn && this.#propose(leader)) {
      // One more entry of this term must get through.
      this.#proposedIn = term;
    }
    return false;
  }

  #propose(leader: RaftReplica): boolean {
    let kind = '';
    leader.now((node) => {
      ({ kind } = node.propose([new Uint8Array(9)]));
    });
    return kind === 'appended';
  }

  #stay(leader: RaftReplica): void {
    const group = this.#group;
    const { term } = leader.node;
    const { voters, learners } = leader.configuration;
    // With two voters the leader needs the other one.
    const others = [...learners, ...(voters.length > 2 ? voters : [])].filter(
      (id) => id !== leader.id,
    );
    if (others.length > 0) {
      group.find(this.#random.pick(others))?.pause(pauseMs);
      group.count('a steady leader whose follower stood still');
      this.#steady(leader, term, [250, 250, 250, 250, pauseMs]);
    }
    this.#callLost(leader, term);
    // Nothing but heartbeats tells of a leader that waits for its disk.
    leader.stallMs = pauseMs;
    group.count('a steady leader with a slow disk');
    this.#steady(leader, term, [pauseMs, lookMs]);
  }

  /** A follower loses the connection to a leader that all the others hear, and campaigns. */
  #callLost(leader: RaftReplica, term: number): void {
    const { preVote, checkQuorum } = this.#group.settings.options;
    // Without these anybody deposes anybody.
    if (!preVote || !checkQuorum) return;
    const { voters } = leader.configuration;
    const followers = voters.filter((id) => id !== leader.id);
    const follower = this.#group.find(this.#random.pick([...followers, leader.id]));
    if (follower === undefined || follower === leader || follower.isPaused) return;
    this.#group.count('a steady leader that a follower called lost');
    follower.now((node) => {
      node.leaderLost(leader.id);
      node.campaign();
    });
    this.#steady(leader, term, [lookMs, lookMs]);
  }

  #steady(leader: RaftReplica, term: number, pauses: readonly number[]): void {
    for (const pause of pauses) {
      if (this.#failed) return;
      this.#propose(leader);
      this.#pass(pause);
      if (leader.isLeading && leader.node.term === term) continue;
      this.#group.accuse(
        'steady leader',
        `${leader.id} no longer leads term ${term}: ${told(this.#group)}`,
      );
    }
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
