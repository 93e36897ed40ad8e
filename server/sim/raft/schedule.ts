/** What the seed does to a group while faults are on, and how it makes them stop. */
import { InvariantError } from '../../src/base/assert.ts';
import type { Prng } from '../../src/base/prng.ts';
import type { Scheduler } from '../scheduler.ts';
import type { RaftGroup } from './group.ts';
import { Membership } from './membership.ts';
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
        group.askRead(replica);
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

  #recall(): void {
    const message = this.#group.network.recall();
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
      case 'isolate':
        this.#isolate(leader ?? replica);
        return;
      default:
        this.#removeCutLeader(leader);
    }
  }

  #crash(replica: RaftReplica): void {
    if (!replica.alive) return;
    this.#group.crash(replica);
    this.#after(this.#random.pick([20, 300, 1_500]), () => {
      if (!replica.alive) this.#group.start(replica);
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
    const { replicas, network } = this.#group;
    const left = new Set(replicas.filter(() => random.chance(1, 2)));
    for (const from of replicas) {
      for (const to of replicas) if (left.has(from) !== left.has(to)) network.cut(from.id, to.id);
    }
    this.#group.count('group split');
    this.#healLater();
  }

  #cutOneWay(replica: RaftReplica): void {
    const random = this.#random;
    const inward = random.chance(1, 2);
    for (const other of this.#group.replicas) {
      if (other === replica || random.chance(1, 3)) continue;
      if (inward) this.#group.network.cut(other.id, replica.id);
      else this.#group.network.cut(replica.id, other.id);
    }
    this.#group.count('one-way split');
    this.#healLater();
  }

  /** One of the others and this replica no longer hear each other. */
  #cutLink(replica: RaftReplica): void {
    const other = this.#group.pick(this.#random);
    if (other === replica) return;
    this.#group.network.cut(other.id, replica.id);
    this.#group.network.cut(replica.id, other.id);
    this.#group.count('one link cut');
    this.#healLater();
  }

  #isolate(leader: RaftReplica): void {
    for (const other of this.#group.replicas) {
      if (other === leader) continue;
      this.#group.network.cut(other.id, leader.id);
      this.#group.network.cut(leader.id, other.id);
    }
    this.#group.count('leader cut off');
    this.#healLater();
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

  #healLater(): void {
    this.#after(this.#random.pick([200, 1_000, 2_500]), () => this.#group.network.heal());
  }
}
