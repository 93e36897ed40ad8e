/** Where the replicas of each group live, as the map says. DESIGN.md says how that changes. */
import { assert, present } from '../base/assert.ts';
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import type { MapProblem } from './map-command.ts';
import type {
  BeginMoveCommand,
  GroupPlacement,
  NodeRecord,
  PlacedCommand,
  ReplicaPlace,
} from './placement-types.ts';

/** The group of the map itself. */
export const mapGroup = 0 as GroupId;

/** Replicas that come after the founding count from here: founders' ones have the numbers of nodes. */
export const firstLaterReplica = 256;

/** Whether a move of a group is under way. */
export function isMoving({ replicas }: GroupPlacement): boolean {
  return replicas.some(({ role }) => role === 'joining' || role === 'leaving');
}

/** Replicas that vote when all is done. */
export function stayingOf({ replicas }: GroupPlacement): readonly ReplicaPlace[] {
  return replicas.filter(({ role }) => role === 'voter' || role === 'joining');
}

/** All groups' placements. */
export class Placements {
  readonly #byGroup = new Map<GroupId, GroupPlacement>();

  constructor(placements: readonly GroupPlacement[] = []) {
    for (const placement of placements) this.#byGroup.set(placement.group, placement);
  }

  /** In order of group. */
  all(): readonly GroupPlacement[] {
    return [...this.#byGroup.values()];
  }

  get(group: GroupId): GroupPlacement | undefined {
    return this.#byGroup.get(group);
  }

  /** A group begins, with the replicas of its founders. */
  found(group: GroupId, founders: readonly NodeId[]): void {
    assert(!this.#byGroup.has(group), 'a group is founded once');
    const replicas = founders.map((node): ReplicaPlace => ({ replica: node, node, role: 'voter' }));
    const nextReplica = group === mapGroup ? 1 + Math.max(...founders) : firstLaterReplica;
    this.#byGroup.set(group, { group, replicas, nextReplica, placedAt: 0 as LogIndex });
  }

  /** A new node hears group 0. */
  addLearner(node: NodeId): void {
    const placement = this.#present(mapGroup);
    assert(node >= placement.nextReplica, 'a node has one life in group 0');
    const learner: ReplicaPlace = { replica: node, node, role: 'learner' };
    const replicas = [...placement.replicas, learner];
    this.#byGroup.set(mapGroup, { ...placement, replicas, nextReplica: node + 1 });
  }

  /** Begins a move; a problem: it does not fit the placement as it is. */
  begin(command: BeginMoveCommand, target: NodeRecord | undefined): MapProblem | undefined {
    const { group, add, remove } = command;
    const placement = this.#byGroup.get(group);
    if (placement === undefined) return stale('group', `there is no group ${group}`);
    if (add === undefined && remove === undefined) return stale('add', 'nothing is to move');
    const leaving = placement.replicas.find(({ replica }) => replica === remove);
    const problem =
      leavingProblem(placement, remove, leaving) ?? addProblem(placement, add, target);
    if (problem !== undefined) return problem;
    const kept = placement.replicas.map((place) =>
      place === leaving ? { ...place, role: 'leaving' as const } : place,
    );
    const replicas = add === undefined ? kept : withJoining(placement, kept, add);
    if (stayingOf({ ...placement, replicas }).length === 0)
      return stale('remove', 'a group keeps a replica');
    const isNew = add !== undefined && group !== mapGroup;
    const nextReplica = placement.nextReplica + (isNew ? 1 : 0);
    this.#byGroup.set(group, { ...placement, replicas, nextReplica });
    return undefined;
  }

  /** A report of a configuration. Whether it has changed anything. */
  placed(command: PlacedCommand, isRemoved: (node: NodeId) => boolean): boolean {
    const { group, index } = command;
    const placement = this.#byGroup.get(group);
    if (placement === undefined || index < placement.placedAt) return false;
    const replicas = placement.replicas.flatMap((place) => placedAs(command, place, isRemoved));
    this.#byGroup.set(group, { ...placement, replicas, placedAt: index });
    const isShorter = replicas.length < placement.replicas.length;
    return isShorter || replicas.some((place, at) => place !== placement.replicas[at]);
  }

  /** The node of a replica that is listed. */
  nodeOf(group: GroupId, replica: number): NodeId | undefined {
    return this.#byGroup.get(group)?.replicas.find((place) => place.replica === replica)?.node;
  }

  /** Replicas of partitions on a node. */
  countOn(node: NodeId): number {
    let count = 0;
    for (const { group, replicas } of this.#byGroup.values()) {
      if (group !== mapGroup && replicas.some((place) => place.node === node)) count += 1;
    }
    return count;
  }

  #present(group: GroupId): GroupPlacement {
    return present(this.#byGroup.get(group), 'the group is founded');
  }
}

function leavingProblem(
  placement: GroupPlacement,
  remove: number | undefined,
  leaving: ReplicaPlace | undefined,
): MapProblem | undefined {
  if (remove !== undefined && (leaving === undefined || leaving.role === 'leaving'))
    return stale('remove', `group ${placement.group} has no replica ${remove} that could leave`);
  if (leaving?.role === 'learner') return stale('remove', `replica ${remove} does not vote`);
  // Only a target that did not come may be given up for another while a move goes on.
  if (isMoving(placement) && leaving?.role !== 'joining') {
    const message = `a move of group ${placement.group} is under way`;
    return { reason: 'MOVE_IN_PROGRESS', field: 'group', message };
  }
  return undefined;
}

function addProblem(
  { group, replicas }: GroupPlacement,
  add: NodeId | undefined,
  target: NodeRecord | undefined,
): MapProblem | undefined {
  if (add === undefined) return undefined;
  if (target?.state !== 'member') return stale('add', `node ${add} takes no replicas`);
  const there = replicas.find(({ node }) => node === add);
  const isFree = group === mapGroup ? there?.role === 'learner' : there === undefined;
  return isFree ? undefined : stale('add', `node ${add} has a replica of group ${group}`);
}

function withJoining(
  { group, nextReplica }: GroupPlacement,
  kept: readonly ReplicaPlace[],
  node: NodeId,
): readonly ReplicaPlace[] {
  if (group !== mapGroup) return [...kept, { replica: nextReplica, node, role: 'joining' }];
  return kept.map((place) =>
    place.node === node ? { ...place, role: 'joining' as const } : place,
  );
}

/** What a replica is once a configuration is reported: itself where nothing changes, or nothing. */
function placedAs(
  { group, voters, learners }: PlacedCommand,
  place: ReplicaPlace,
  isRemoved: (node: NodeId) => boolean,
): readonly ReplicaPlace[] {
  const { replica, node, role } = place;
  const votes = voters.includes(replica);
  const isThere = votes || learners.includes(replica);
  if (role === 'joining' && votes) return [{ ...place, role: 'voter' }];
  if (role === 'leaving' && group === mapGroup && !votes) return [{ ...place, role: 'learner' }];
  if (role === 'leaving' && !isThere) return [];
  if (role === 'learner' && !isThere && isRemoved(node)) return [];
  return [place];
}

function stale(field: string, message: string): MapProblem {
  return { reason: 'MOVE_STALE', field, message };
}
