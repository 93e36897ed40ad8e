/** What the seed does to a group's membership: changes of every kind, and the end of those who left. */
import type { Prng } from '../../src/base/prng.ts';
import { type Change, type ChangeStep, StepKind, Transition } from '../../src/raft/change.ts';
import { isJoint, isMember, membersOf } from '../../src/raft/configuration.ts';
import { noBytes } from '../../src/raft/message.ts';
import type { RaftGroup } from './group.ts';
import type { RaftReplica } from './replica.ts';
import { membersMax } from './settings.ts';

/** The change that leaves a joint configuration. */
export const leaving: Change = { transition: Transition.auto, steps: [], context: noBytes };

/** See the top of the file. */
export class Membership {
  readonly #group: RaftGroup;
  readonly #random: Prng;

  constructor(group: RaftGroup, random: Prng) {
    this.#group = group;
    this.#random = random;
  }

  /** Some change is proposed at a replica that leads, or believes so. */
  changeAt(leader: RaftReplica): void {
    const random = this.#random;
    const { configuration } = leader;
    if (isJoint(configuration) && random.chance(3, 4)) {
      if (!configuration.autoLeave || random.chance(1, 4)) this.propose(leader, leaving);
      return;
    }
    const steps: ChangeStep[] = [];
    const count = random.pick([1, 1, 1, 2, 2, 3]);
    for (let at = 0; at < count; at += 1) steps.push(this.#step(leader, steps));
    const transition = random.pick([
      Transition.auto,
      Transition.auto,
      Transition.implicit,
      Transition.explicit,
    ]);
    this.propose(leader, { transition, steps, context: noBytes });
  }

  /** The leader itself is to go. */
  removeLeader(leader: RaftReplica): void {
    const { voters } = leader.configuration;
    if (voters.length < 2 || isJoint(leader.configuration)) return;
    const steps = [{ kind: StepKind.remove, replica: leader.id }];
    this.propose(leader, { transition: Transition.auto, steps, context: noBytes });
  }

  propose(leader: RaftReplica, change: Change): void {
    const group = this.#group;
    group.operations += 1;
    leader.now((node) => {
      const { kind } = node.proposeChange(change);
      if (kind === 'replaced') group.count('a change refused');
      if (kind === 'transferring') group.count('a proposal refused during a transfer');
    });
  }

  /**
   * Who was removed is destroyed, once a majority of the voters has applied that for good: one that has
   * not made the commit index durable may start again before the change, and need the vote of who left.
   */
  bury(): void {
    const group = this.#group;
    for (const replica of [...group.replicas]) {
      const index = group.removedAt.get(replica.id);
      if (index !== undefined && this.#isSettled(index)) group.destroy(replica);
    }
  }

  #isSettled(index: number): boolean {
    const { voters, outgoing } = this.#group.configuration;
    return [voters, outgoing].every((half) => {
      const have = half.filter((id) => (this.#group.find(id)?.durablyCommitted ?? 0) >= index);
      return half.length === 0 || have.length > half.length / 2;
    });
  }

  #step(leader: RaftReplica, before: readonly ChangeStep[]): ChangeStep {
    const random = this.#random;
    const members = membersOf(leader.configuration);
    const joining = before.filter(({ replica }) => !members.includes(replica)).length;
    const isFull = members.length + joining >= membersMax;
    const kind = random.pick([StepKind.voter, StepKind.voter, StepKind.learner, StepKind.remove]);
    // Whoever comes is new, or was to come before and never did.
    const comes = kind !== StepKind.remove && !isFull && random.chance(2, 3);
    const replica = comes ? this.#newcomer(before).id : random.pick(members);
    return { kind, replica };
  }

  #newcomer(before: readonly ChangeStep[]): RaftReplica {
    const group = this.#group;
    const spare = group.replicas.find(
      ({ id, configuration }) =>
        configuration.voters.length === 0 &&
        !group.removedAt.has(id) &&
        !isMember(group.configuration, id) &&
        before.every((step) => step.replica !== id),
    );
    return spare ?? group.join();
  }
}
