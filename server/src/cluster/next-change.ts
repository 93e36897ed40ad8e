/** The next step of a group's leader towards what the map wants of its configuration. DESIGN.md, 3 to 6. */
import type { LogIndex, NodeId } from '../base/ids.ts';
import type { GroupPlacement, PlacedCommand, ReplicaPlace } from './placement-types.ts';
import { mapGroup, stayingOf } from './placements.ts';

/** A group's configuration as its leader has it. */
export interface PlacedConfiguration {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** Whether two majorities are asked: a change is under way. */
  readonly isJoint: boolean;
  /** Up to where in the log it is known to be in force, all committed; undefined: another may be on its way. */
  readonly index: LogIndex | undefined;
}

/** What a leader knows of a group. */
export interface LedGroup {
  /** The leader's own replica. */
  readonly self: number;
  readonly configuration: PlacedConfiguration;
  /** Whether a replica answers, as far as is known. */
  isActive(replica: number): boolean;
  /** Whether a replica has all but the newest entries. */
  isCaughtUp(replica: number): boolean;
}

/** What is to be done; undefined: nothing, or nothing yet. */
export type NextChange =
  | {
      readonly kind: 'change';
      readonly voters: readonly number[];
      readonly learners: readonly number[];
      readonly removed: readonly number[];
    }
  | { readonly kind: 'hand-over'; readonly to: number }
  | PlacedCommand
  | undefined;

/** The next step of the leader of a group, towards what the map lists. */
export function nextChange(
  placement: GroupPlacement,
  led: LedGroup,
  isRemoved: (node: NodeId) => boolean,
): NextChange {
  const { voters, learners, isJoint, index } = led.configuration;
  if (isJoint || index === undefined) return undefined;
  // Somebody has a newer map than this node.
  if ([...voters, ...learners].some((replica) => replica >= placement.nextReplica))
    return undefined;
  const wanted = stayingOf(placement).map(({ replica }) => replica);
  const heard = hearing(placement, isRemoved);
  const missing = wanted.filter((replica) => !voters.includes(replica));
  const newcomer = [...missing, ...heard].find(
    (replica) => !voters.includes(replica) && !learners.includes(replica),
  );
  if (newcomer !== undefined) return change({ learners: [newcomer] });
  const idle = learners.find((replica) => !wanted.includes(replica) && !heard.includes(replica));
  if (idle !== undefined) return change({ removed: [idle] });
  const leaving = voters.filter((replica) => !wanted.includes(replica));
  if (missing.length === 0 && leaving.length === 0) return report(placement, led, isRemoved);
  if (!missing.every((replica) => led.isCaughtUp(replica))) return undefined;
  if (wanted.filter((replica) => led.isActive(replica)).length * 2 <= wanted.length)
    return undefined;
  if (leaving.includes(led.self)) {
    // Where all who vote leave, the new ones vote beside them first, so that one of them can lead.
    return missing.length === wanted.length ? change({ voters: missing }) : handOver(wanted, led);
  }
  return change({
    voters: missing,
    learners: leaving.filter((replica) => staysAsLearner(placement, replica)),
    removed: leaving.filter((replica) => !staysAsLearner(placement, replica)),
  });
}

/** Replicas that are to hear everything without a vote. */
function hearing(
  { group, replicas }: GroupPlacement,
  isRemoved: (node: NodeId) => boolean,
): readonly number[] {
  return replicas
    .filter((place) => group === mapGroup && place.role !== 'joining' && !isRemoved(place.node))
    .map(({ replica }) => replica);
}

function staysAsLearner({ group, replicas }: GroupPlacement, replica: number): boolean {
  return group === mapGroup && replicas.some((place) => place.replica === replica);
}

function handOver(wanted: readonly number[], led: LedGroup): NextChange {
  const { voters } = led.configuration;
  const to = wanted.find((replica) => voters.includes(replica) && led.isCaughtUp(replica));
  return to === undefined ? undefined : { kind: 'hand-over', to };
}

/** What the map is told once all is as it wants it; undefined where it knows. */
function report(
  placement: GroupPlacement,
  { configuration }: LedGroup,
  isRemoved: (node: NodeId) => boolean,
): NextChange {
  const { voters, learners, index } = configuration;
  if (index === undefined || !placement.replicas.some((place) => isOpen(place, isRemoved)))
    return undefined;
  return { kind: 'placed', group: placement.group, index, voters, learners };
}

function isOpen({ role, node }: ReplicaPlace, isRemoved: (node: NodeId) => boolean): boolean {
  return role === 'joining' || role === 'leaving' || isRemoved(node);
}

function change(steps: {
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  readonly removed?: readonly number[];
}): NextChange {
  return { kind: 'change', voters: [], learners: [], removed: [], ...steps };
}
