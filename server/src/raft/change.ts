/**
 * Changes of a configuration, as functions from one to the next (Ongaro 2014 §4). A simple change
 * moves at most one voter, so that old and new majorities overlap; anything more goes through a joint
 * configuration. What cannot be done is refused by name.
 */
import { unreachable } from '../base/assert.ts';
import { ascending, assertConfiguration, type Configuration, isJoint } from './configuration.ts';

/** What happens to one replica. `update` changes nothing: it only carries the context of a change. */
export const StepKind = { voter: 0, learner: 1, remove: 2, update: 3 } as const;
export type StepKind = (typeof StepKind)[keyof typeof StepKind];

/** One replica's part in a change. Replica 0 is passed over. */
export interface ChangeStep {
  readonly kind: StepKind;
  readonly replica: number;
}

/**
 * How a change is carried out. `auto`: simply where one step is asked for, else through a joint
 * configuration that is left by itself; `implicit`: always through one that is left by itself;
 * `explicit`: through one that stays until an empty change leaves it.
 */
export const Transition = { auto: 0, implicit: 1, explicit: 2 } as const;
export type Transition = (typeof Transition)[keyof typeof Transition];

/** A change as it is proposed and logged. No steps and `auto`: leave the joint configuration. */
export interface Change {
  readonly transition: Transition;
  readonly steps: readonly ChangeStep[];
  /** Opaque; the caller's own. */
  readonly context: Uint8Array;
}

/** Why a change cannot be made. */
export type ChangeRefusal =
  | 'already joint'
  | 'not joint'
  | 'joint needs voters'
  | 'no voters left'
  | 'more than one voter';

export type ChangeOutcome =
  | { readonly kind: 'changed'; readonly configuration: Configuration }
  | { readonly kind: 'refused'; readonly reason: ChangeRefusal };

/** Whether a change leaves a joint configuration. */
export function leavesJoint({ transition, steps }: Change): boolean {
  return steps.length === 0 && transition === Transition.auto;
}

/** Whether a change goes through a joint configuration. */
export function entersJoint({ transition, steps }: Change): boolean {
  return transition !== Transition.auto || steps.length > 1;
}

/** The configuration after a change. */
export function applyChange(from: Configuration, change: Change): ChangeOutcome {
  if (leavesJoint(change)) return leaveJoint(from);
  if (entersJoint(change)) {
    return enterJoint(from, change.steps, change.transition !== Transition.explicit);
  }
  return changeSimply(from, change.steps);
}

/** Steps that move at most one voter. */
export function changeSimply(from: Configuration, steps: readonly ChangeStep[]): ChangeOutcome {
  if (isJoint(from)) return refused('already joint');
  const draft = new Draft(from);
  for (const step of steps) draft.take(step);
  if (draft.voters.size === 0) return refused('no voters left');
  if (movedVoters(from.voters, draft.voters) > 1) return refused('more than one voter');
  return changed(draft, false);
}

/** Keeps the voters as the outgoing half, and changes the incoming one by any steps. */
export function enterJoint(
  from: Configuration,
  steps: readonly ChangeStep[],
  autoLeave: boolean,
): ChangeOutcome {
  if (isJoint(from)) return refused('already joint');
  if (from.voters.length === 0) return refused('joint needs voters');
  const draft = new Draft({ ...from, outgoing: from.voters });
  for (const step of steps) draft.take(step);
  if (draft.voters.size === 0) return refused('no voters left');
  return changed(draft, autoLeave);
}

/** Drops the outgoing half; who waited for that becomes a learner. */
export function leaveJoint(from: Configuration): ChangeOutcome {
  if (!isJoint(from)) return refused('not joint');
  const draft = new Draft(from);
  for (const id of draft.learnersNext) draft.learners.add(id);
  draft.learnersNext.clear();
  draft.outgoing.clear();
  return changed(draft, false);
}

/** A configuration in the making. */
class Draft {
  readonly voters: Set<number>;
  readonly outgoing: Set<number>;
  readonly learners: Set<number>;
  readonly learnersNext: Set<number>;

  constructor(from: Configuration) {
    this.voters = new Set(from.voters);
    this.outgoing = new Set(from.outgoing);
    this.learners = new Set(from.learners);
    this.learnersNext = new Set(from.learnersNext);
  }

  take({ kind, replica }: ChangeStep): void {
    if (replica === 0) return;
    switch (kind) {
      case StepKind.voter:
        this.#drop(replica);
        this.voters.add(replica);
        return;
      case StepKind.learner:
        this.#drop(replica);
        // A voter of the outgoing half keeps its vote until that half goes.
        if (this.outgoing.has(replica)) this.learnersNext.add(replica);
        else this.learners.add(replica);
        return;
      case StepKind.remove:
        this.#drop(replica);
        return;
      case StepKind.update:
        return;
      default:
        unreachable(kind);
    }
  }

  #drop(replica: number): void {
    this.voters.delete(replica);
    this.learners.delete(replica);
    this.learnersNext.delete(replica);
  }
}

function changed(draft: Draft, autoLeave: boolean): ChangeOutcome {
  const configuration: Configuration = {
    voters: ascending([...draft.voters]),
    outgoing: ascending([...draft.outgoing]),
    learners: ascending([...draft.learners]),
    learnersNext: ascending([...draft.learnersNext]),
    autoLeave,
  };
  assertConfiguration(configuration);
  return { kind: 'changed', configuration };
}

function refused(reason: ChangeRefusal): ChangeOutcome {
  return { kind: 'refused', reason };
}

/** Voters that come or go between two sets. */
function movedVoters(before: readonly number[], after: ReadonlySet<number>): number {
  let stayed = 0;
  for (const id of before) if (after.has(id)) stayed += 1;
  return before.length - stayed + (after.size - stayed);
}
