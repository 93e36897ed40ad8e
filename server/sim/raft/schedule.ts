/** What the seed does to a group while faults are on, and how it makes them stop. */
import { InvariantError } from '../../src/base/assert.ts';
import type { Prng } from '../../src/base/prng.ts';
import type { Scheduler } from '../scheduler.ts';
import type { RaftGroup } from './group.ts';
import { Membership } from './membership.ts';
import type { Link } from './network.ts';
import type { RaftReplica } from './replica.ts';
import { electionMs } from './settings.ts';

/** Writes a number into a payload of some length, so that no two proposals are the same. */
function payloadOf(number: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(8 + bytes);
  new DataView(payload.buffer).setUint32(0, number);
  return payload;
}

/** One of some names, each as often as its weight says. */
function drawn<Weights extends Readonly<Record<keyof Weights, number>>>(
  random: Prng,
  weights: Weights,
): keyof Weights {
  const names = Object.keys(weights) as (keyof Weights)[];
  let all = 0;
  for (const name of names) all += weights[name];
  let left = random.below(all);
  for (const name of names) {
    left -= weights[name];
    if (left < 0) return name;
  }
  throw new InvariantError('weights add up');
}

/** See the top of the file. */
export class Schedule {
  readonly #group: RaftGroup;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly membership: Membership;
  #on = true;
  #proposals = 0;

  constructor(group: RaftGroup, scheduler: Scheduler, random: Prng) {
    this.#group = group;
    this.#scheduler = scheduler;
    this.#random = random;
    this.membership = new Membership(group, random);
    group.elected = (leader) => this.#elected(leader);
    group.left = (replica) => this.#left(replica);
    this.#work();
    this.#fault();
  }

  /** No fault begins any more, and those that last end: who is down starts, who is apart meets. */
  stop(): void {
    this.#on = false;
    this.#group.network.faultless = true;
    this.#group.network.heal();
    for (const replica of this.#group.replicas) {
      replica.slowUntilMs = 0;
      if (!replica.alive) this.#group.start(replica);
    }
  }

  #after(meanMs: number, run: () => void): void {
    this.#scheduler.after(1_000 * this.#random.between(1, 2 * meanMs), () => {
      if (this.#on) run();
    });
  }

  #work(): void {
    this.#after(this.#group.settings.workEveryMs, () => {
      this.#workOnce();
      this.#work();
    });
  }

  #workOnce(): void {
    const random = this.#random;
    const group = this.#group;
    const leaders = group.leaders().filter((replica) => !replica.isPaused);
    const leader = leaders.length > 0 && random.chance(5, 6) ? random.pick(leaders) : undefined;
    const replica = leader ?? group.pick(random);
    if (!replica.alive || replica.isPaused) return;
    switch (drawn(random, group.settings.work)) {
      case 'propose':
        this.#propose(replica);
        return;
      case 'read':
        this.#read(replica, group.pick(random));
        return;
      case 'cut':
        replica.cutSnapshot(() => group.count('a log was compacted'));
        return;
      case 'change':
        if (leader !== undefined) this.membership.changeAt(leader);
        return;
      case 'transfer':
        this.#transfer(replica);
        return;
      case 'recall':
        this.#recall();
        return;
      default:
        this.membership.bury();
    }
  }

  /** Reads come to whoever leads, and to those who pass them on. */
  #read(replica: RaftReplica, other: RaftReplica): void {
    const passedOn = other.alive && !other.isPaused && this.#random.chance(1, 3);
    this.#group.askRead(passedOn ? other : replica);
  }

  #propose(replica: RaftReplica): void {
    const group = this.#group;
    const random = this.#random;
    const payloads: Uint8Array[] = [];
    for (let count = random.pick([1, 1, 1, 3, 8]); count > 0; count -= 1) {
      this.#proposals += 1;
      payloads.push(payloadOf(this.#proposals, random.below(group.settings.payloadBytesMax)));
    }
    group.operations += 1;
    replica.now((node) => {
      const { kind } = node.propose(payloads);
      if (kind === 'full') group.count('a proposal refused for the uncommitted log');
      if (kind === 'transferring') group.count('a proposal refused during a transfer');
    });
  }

  #transfer(replica: RaftReplica): void {
    const group = this.#group;
    const target = this.#random.pick(group.replicas).id;
    group.operations += 1;
    replica.now((node) => {
      const outcome = node.transferLeader(target);
      if (outcome === 'begun' && group.network.isCut) group.count('a transfer under a split');
    });
  }

  #recall(to?: number): void {
    const message = this.#group.network.recall(to);
    if (message === undefined) return;
    const lives = [message.from, message.to].map((id) => this.#group.find(id)?.life ?? 0);
    if (lives.some((life) => life !== 1)) this.#group.count('message of an earlier life');
  }

  #fault(): void {
    this.#after(this.#group.settings.faultEveryMs, () => {
      this.#faultOnce();
      this.#fault();
    });
  }

  #faultOnce(): void {
    const random = this.#random;
    const group = this.#group;
    const leader = group.leaders()[0];
    const replica = leader !== undefined && random.chance(1, 3) ? leader : group.pick(random);
    switch (drawn(random, group.settings.faults)) {
      case 'crash':
        this.#crash(replica);
        return;
      case 'crash-leader':
        this.#crash(leader ?? replica);
        return;
      case 'pause':
        this.#pause(replica);
        return;
      case 'slow-sync':
        group.count('slow sync');
        replica.slowUntilMs = this.#scheduler.nowMs + random.between(100, 2_000);
        return;
      case 'split':
        this.#split();
        return;
      case 'one-way':
        this.#cutOneWay(replica);
        return;
      case 'one-link':
        this.#cutLink(leader ?? replica);
        return;
      case 'campaign':
        this.#campaign(group.pick(random));
        return;
      case 'leader-lost':
        this.#loseLeader(leader);
        return;
      case 'restart-voter':
        this.#restartVoter(leader);
        return;
      case 'isolate':
        this.#isolate(leader ?? replica);
        return;
      default:
        this.#removeCutLeader(leader);
    }
  }

  /** Some leaders do not come to see anything of theirs committed, or leave their own disk. */
  #elected(leader: RaftReplica): void {
    const random = this.#random;
    const { strikeNewPercent, delayMs, syncMs } = this.#group.settings;
    if (!random.chance(strikeNewPercent, 100)) return;
    const { life } = leader;
    const isCrash = random.chance(1, 2);
    this.#after(random.pick([1, delayMs, delayMs + syncMs]), () => {
      if (leader.life !== life) return;
      if (isCrash) this.#crash(leader);
      else this.#isolate(leader);
    });
  }

  /** Some leaders crash when others hear from them who has left, before their own disk has it. */
  #left(replica: RaftReplica): void {
    const { strikeLeftPercent } = this.#group.settings;
    const leader = this.#group.leaders()[0];
    if (leader === undefined || leader === replica) return;
    if (!this.#random.chance(strikeLeftPercent, 100)) return;
    this.#group.count('a leader crashed as another heard that it had left');
    this.#after(1, () => this.#crash(leader));
  }

  #campaign(replica: RaftReplica): void {
    if (!replica.alive || replica.isPaused) return;
    this.#group.count('an election nobody waited for');
    replica.now((node) => node.campaign());
    if (!this.#random.chance(1, 4)) return;
    // Before its own vote is durable, maybe: then it campaigns in the same term once more.
    const { delayMs, syncMs } = this.#group.settings;
    this.#after(delayMs + syncMs, () => this.#crash(replica));
  }

  #crash(replica: RaftReplica): void {
    if (!replica.alive) return;
    this.#group.crash(replica);
    this.#after(this.#random.pick([20, 300, 1_500]), () => {
      if (replica.alive) return;
      this.#group.start(replica);
      if (this.#random.chance(1, 2)) this.#haunt(replica);
    });
  }

  /** What an earlier life was told comes again while the new one begins to ask. */
  #haunt(replica: RaftReplica): void {
    for (let times = 0; times < 6; times += 1) {
      this.#after(electionMs / 6, () => this.#recall(replica.id));
      this.#after(electionMs / 6, () => {
        if (replica.alive && !replica.isPaused) this.#group.askRead(replica);
      });
    }
    if (this.#random.chance(1, 2)) this.#after(electionMs / 6, () => this.#campaign(replica));
  }

  /** Each of the others may be told, at once or soon; the leader crashes, or lives on. */
  #loseLeader(leader: RaftReplica | undefined): void {
    if (leader === undefined) return;
    const random = this.#random;
    const group = this.#group;
    const isDead = random.chance(1, 2);
    if (isDead) this.#crash(leader);
    group.count(isDead ? 'a leader that crashed was lost' : 'a leader that lives was called lost');
    for (const other of group.replicas) {
      if (other === leader || random.chance(1, 4)) continue;
      this.#after(group.settings.delayMs, () => this.#hearLost(other, leader.id));
    }
  }

  #hearLost(replica: RaftReplica, leader: number): void {
    if (!replica.alive || replica.isPaused) return;
    let isLost = false;
    replica.now((node) => {
      isLost = node.leaderLost(leader);
    });
    if (!isLost) return;
    this.#after(electionMs / 10, () => {
      if (replica.alive && !replica.isPaused) replica.now((node) => node.campaign());
    });
  }

  /** A leader and a follower lose each other; when it campaigns, one whose vote it needs has just begun anew. */
  #restartVoter(leader: RaftReplica | undefined): void {
    const group = this.#group;
    const candidate = group.pick(this.#random);
    const voter = group.pick(this.#random);
    if (leader === undefined || new Set([leader, candidate, voter]).size < 3) return;
    group.count('a voter restarted under a candidate');
    this.#cut(bothWays(leader, candidate));
    this.#scheduler.after(1_000 * this.#random.between(electionMs, 2 * electionMs), () => {
      if (!this.#on || !voter.alive || voter.isPaused) return;
      group.crash(voter);
      group.start(voter);
      this.#campaign(candidate);
    });
  }

  #pause(replica: RaftReplica): void {
    const forMs = this.#random.pick([50, 300, electionMs, 2 * electionMs, 5 * electionMs]);
    this.#group.count('replica paused');
    if (forMs > electionMs) this.#group.count('replica paused beyond an election timeout');
    if (forMs === 5 * electionMs) this.#group.count('replica paused for five election timeouts');
    replica.pause(forMs);
  }

  #split(): void {
    const random = this.#random;
    const { replicas } = this.#group;
    const left = new Set(replicas.filter(() => random.chance(1, 2)));
    const links: Link[] = [];
    for (const from of replicas) {
      for (const to of replicas) {
        if (left.has(from) !== left.has(to)) links.push({ from: from.id, to: to.id });
      }
    }
    this.#group.count('group split');
    this.#cut(links);
  }

  #cutOneWay(replica: RaftReplica): void {
    const random = this.#random;
    const inward = random.chance(1, 2);
    const links: Link[] = [];
    for (const other of this.#group.replicas) {
      if (other === replica || random.chance(1, 3)) continue;
      const [from, to] = inward ? [other.id, replica.id] : [replica.id, other.id];
      links.push({ from, to });
    }
    this.#group.count('one-way split');
    this.#cut(links);
  }

  /** One of the others and this replica no longer hear each other. */
  #cutLink(replica: RaftReplica): void {
    const other = this.#group.pick(this.#random);
    if (other === replica) return;
    this.#group.count('one link cut');
    this.#cut(bothWays(replica, other));
  }

  #isolate(leader: RaftReplica): void {
    const others = this.#group.replicas.filter((other) => other !== leader);
    this.#group.count('leader cut off');
    this.#cut(others.flatMap((other) => bothWays(leader, other)));
  }

  /** The leader proposes to go, and soon after, maybe before that is committed, is cut off. */
  #removeCutLeader(leader: RaftReplica | undefined): void {
    if (leader === undefined || leader.isPaused) return;
    this.membership.removeLeader(leader);
    this.#after(this.#group.settings.delayMs * 2, () => {
      if (this.#random.chance(1, 2)) this.#isolate(leader);
      else this.#cutOneWay(leader);
    });
  }

  /** Cuts links, and mends them a while later; others that were cut meanwhile stay so. */
  #cut(links: readonly Link[]): void {
    const { network } = this.#group;
    for (const link of links) network.cut(link);
    this.#after(this.#random.pick([200, 1_000, 2_500]), () => {
      for (const link of links) network.mend(link);
    });
  }
}

function bothWays({ id }: RaftReplica, other: RaftReplica): Link[] {
  return [
    { from: id, to: other.id },
    { from: other.id, to: id },
  ];
}
