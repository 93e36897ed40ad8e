/** What the seed does to the configurations of a cluster's partitions: replicas come, vote, move and go. */
import type { PartitionId } from '../../src/base/ids.ts';
import type { Prng } from '../../src/base/prng.ts';
import { type ChangeStep, StepKind, Transition } from '../../src/raft/change.ts';
import {
  type Configuration,
  isJoint,
  isMember,
  isVoter,
  membersOf,
} from '../../src/raft/configuration.ts';
import { noBytes } from '../../src/raft/message.ts';
import type { RunRecord } from '../run-record.ts';
import type { Scheduler } from '../scheduler.ts';
import type { Changes } from './changes.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';

/** A removed replica stays so long after those who stay are known to have its removal (raft/DESIGN.md). */
const burialMs = 3_000;

/** See the top of the file. */
export class Membership implements Changes {
  readonly #cluster: Cluster;
  readonly #record: RunRecord;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #nextReplica = new Map<PartitionId, number>();
  /** By `partition/replica`: since when it may go, with the lives of those who know. */
  readonly #leaving = new Map<string, { readonly sinceMs: number; readonly lives: string }>();
  /** Replicas that were seen to belong to their group; a change that adds one may be under way for long. */
  readonly #joined = new Set<string>();
  /** Lives of nodes in which a replica of a partition is being made. */
  readonly #making = new Set<string>();
  readonly #buriedAt = new Set<string>();
  #burying = false;
  /** Whether a group may have had a single voter at some time. */
  hasShrunk = false;

  constructor(options: {
    cluster: Cluster;
    record: RunRecord;
    scheduler: Scheduler;
    random: Prng;
    /** Replicas of each group from the start, numbered from 1. */
    founders: number;
    partitions: readonly PartitionId[];
  }) {
    this.#cluster = options.cluster;
    this.#record = options.record;
    this.#scheduler = options.scheduler;
    this.#random = options.random;
    for (const partition of options.partitions) {
      this.#nextReplica.set(partition, options.founders + 1);
      for (let id = 1; id <= options.founders; id += 1) this.#joined.add(`${partition}/${id}`);
    }
  }

  /** Changes something somewhere, if it can be done now. */
  change(): void {
    const partition = this.#random.pick([...this.#nextReplica.keys()]);
    const leader = this.#cluster.leaderOf(partition);
    const replica = leader?.host?.replicaOf(partition);
    if (leader === undefined || replica === undefined) return;
    const { configuration } = replica;
    if (isJoint(configuration)) {
      this.#leave(leader, partition, configuration);
      return;
    }
    const free = this.#cluster.nodes.filter((node) => {
      if (node.host === undefined || this.#making.has(lifeOf(partition, node))) return false;
      return node.host.replicaOf(partition) === undefined;
    });
    const learner = configuration.learners.find((id) => this.#isUp(partition, id));
    if (learner !== undefined) this.#promote(leader, partition, configuration, learner);
    else if (free.length > 0 && this.#random.chance(4, 5)) {
      this.#addLearner(leader, partition, this.#random.pick(free));
    } else this.#remove(leader, partition, configuration);
  }

  /** Leaves joint configurations that stay until somebody does; for the end of a run. */
  leaveAll(): void {
    for (const partition of this.#nextReplica.keys()) {
      const leader = this.#cluster.leaderOf(partition);
      const configuration = leader?.host?.replicaOf(partition)?.configuration;
      if (leader === undefined || configuration === undefined) continue;
      if (isJoint(configuration)) this.#leave(leader, partition, configuration);
    }
  }

  #leave(leader: ClusterNode, partition: PartitionId, { autoLeave }: Configuration): void {
    if (!autoLeave) this.#propose(leader, partition, [], Transition.auto);
  }

  /** Buries replicas that no member needs any more; asked now and then. */
  bury(): void {
    if (this.#burying) return;
    for (const partition of this.#nextReplica.keys()) {
      const leader = this.#cluster.leaderOf(partition);
      const configuration = leader?.host?.replicaOf(partition)?.configuration;
      if (configuration === undefined) continue;
      for (const id of membersOf(configuration)) this.#joined.add(`${partition}/${id}`);
      if (isJoint(configuration)) continue;
      for (const node of this.#cluster.nodes) {
        const replica = node.host?.replicaOf(partition);
        if (replica === undefined || isMember(configuration, replica.id)) continue;
        // One that was made, and is not yet or never will be added, has heard of nobody.
        if (!this.#joined.has(`${partition}/${replica.id}`)) continue;
        if (this.#isKnown(partition, replica.id, configuration)) {
          this.#buryAt(node, partition, replica.id);
          return;
        }
      }
    }
  }

  /**
   * Whether those who stay have had a removal on disk for a while: all voters, so that no crash can take any of
   * them back before it.
   */
  #isKnown(partition: PartitionId, replica: number, configuration: Configuration): boolean {
    const key = `${partition}/${replica}`;
    const lives: string[] = [];
    for (const voter of configuration.voters) {
      const node = this.#cluster.nodeOf(partition, voter);
      const known = node?.host?.replicaOf(partition)?.configuration;
      if (node === undefined || known === undefined || isMember(known, replica) || isJoint(known)) {
        this.#leaving.delete(key);
        return false;
      }
      lives.push(`${voter}:${node.lives}`);
    }
    const since = this.#leaving.get(key);
    if (since === undefined || since.lives !== lives.join()) {
      this.#leaving.set(key, { sinceMs: this.#scheduler.nowMs, lives: lives.join() });
      return false;
    }
    return this.#scheduler.nowMs - since.sinceMs >= burialMs;
  }

  #buryAt(node: ClusterNode, partition: PartitionId, replica: number): void {
    const { host } = node;
    if (host === undefined) return;
    this.#burying = true;
    this.#record.count('a replica was buried');
    this.#record.note(`bury ${partition}/${replica}`);
    this.#buriedAt.add(`${partition}@${node.id}`);
    host
      .removeReplica(partition)
      // Until its tombstone is durable a crash brings it back, to be buried again.
      .then(() => this.#cluster.buried(partition, replica))
      .catch((error: unknown) => this.#record.note(`burial failed ${String(error)}`))
      .finally(() => {
        this.#burying = false;
      });
    // A crash ends the promise without settling it.
    this.#scheduler.after(5_000_000, () => {
      this.#burying = false;
    });
  }

  #isUp(partition: PartitionId, replica: number): boolean {
    return this.#cluster.nodeOf(partition, replica)?.host?.replicaOf(partition)?.id === replica;
  }

  #addLearner(leader: ClusterNode, partition: PartitionId, node: ClusterNode): void {
    const replica = this.#nextReplica.get(partition) ?? 0;
    this.#nextReplica.set(partition, replica + 1);
    this.#cluster.place(partition, replica, node);
    if (this.#buriedAt.has(`${partition}@${node.id}`)) {
      this.#record.count('a partition came back to a node that had buried one');
    }
    // Now and then as a voter at once, through a joint configuration in which it is behind.
    const votes = this.#random.chance(1, 2);
    const life = lifeOf(partition, node);
    this.#making.add(life);
    node.host?.createReplica(partition, replica, () => {
      this.#making.delete(life);
      const kind = votes ? StepKind.voter : StepKind.learner;
      const transition = votes ? Transition.explicit : Transition.auto;
      if (!this.#propose(leader, partition, [{ kind, replica }], transition)) return;
      this.#record.count(votes ? 'a voter was added' : 'a learner was added');
    });
  }

  #promote(
    leader: ClusterNode,
    partition: PartitionId,
    { voters }: Configuration,
    replica: number,
  ): void {
    const voter = { kind: StepKind.voter, replica };
    const own = leader.host?.replicaOf(partition)?.id;
    const transition = this.#random.pick([Transition.auto, Transition.explicit]);
    if (voters.length < 2 || this.#random.chance(1, 4)) {
      if (voters.length >= 7) return;
      if (this.#propose(leader, partition, [voter], transition)) {
        this.#record.count('a voter was added');
      }
      return;
    }
    const going = this.#random.pick(voters);
    const steps = [voter, { kind: StepKind.remove, replica: going }];
    if (!this.#propose(leader, partition, steps, transition)) return;
    this.#record.count('a voter was replaced in one joint change');
    this.#removed(leader, partition, { going, own });
  }

  #remove(leader: ClusterNode, partition: PartitionId, configuration: Configuration): void {
    const { voters } = configuration;
    if (voters.length < 2) return;
    const own = leader.host?.replicaOf(partition)?.id;
    const going = this.#random.pick(voters);
    if (!isVoter(configuration, going)) return;
    if (!this.#propose(leader, partition, [{ kind: StepKind.remove, replica: going }])) return;
    if (voters.length <= 2) this.hasShrunk = true;
    this.#record.count('a voter was removed');
    this.#removed(leader, partition, { going, own });
  }

  #removed(
    leader: ClusterNode,
    partition: PartitionId,
    { going, own }: { readonly going: number; readonly own: number | undefined },
  ): void {
    if (going === own) this.#record.count('a leader was removed');
    const node = this.#cluster.nodeOf(partition, going);
    const isAway = node?.host === undefined || this.#cluster.isCut(leader, node);
    if (isAway) this.#record.count('a replica was removed while it was cut off');
  }

  #propose(
    leader: ClusterNode,
    partition: PartitionId,
    steps: readonly ChangeStep[],
    transition: Transition = Transition.auto,
  ): boolean {
    const change = { transition, steps, context: noBytes };
    const outcome = leader.host?.proposeChange(partition, change);
    this.#record.note(`change ${partition} ${JSON.stringify(steps)} ${outcome?.kind}`);
    return outcome?.kind === 'appended';
  }
}

function lifeOf(partition: PartitionId, { id, lives }: ClusterNode): string {
  return `${partition}@${id}/${lives}`;
}
