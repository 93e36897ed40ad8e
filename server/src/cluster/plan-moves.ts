/** Which replica moves next, as a function of the map. DESIGN.md says in which order. */
import type { NodeId } from '../base/ids.ts';
import { movesMax, movesToNodeMax } from '../base/limits.ts';
import type { ClusterMap } from './cluster-map.ts';
import type {
  BeginMoveCommand,
  GroupPlacement,
  NodeRecord,
  ReplicaPlace,
} from './placement-types.ts';
import { isMoving, mapGroup, stayingOf } from './placements.ts';
import { bestBy } from './rendezvous.ts';

/** What plans look at. */
export type PlannedMap = Pick<
  ClusterMap,
  'nodes' | 'node' | 'placements' | 'placement' | 'replicaCount'
>;

/** The next move, where one is due; `reachable`: nodes that could take a replica now. */
export function nextMove(
  map: PlannedMap,
  reachable: ReadonlySet<NodeId>,
): BeginMoveCommand | undefined {
  const plan = new Plan(map, reachable);
  return (
    plan.retarget() ??
    plan.fromNodes('gone') ??
    plan.count() ??
    plan.fromNodes('draining') ??
    plan.spread() ??
    plan.balance()
  );
}

/** One look at a map. */
class Plan {
  readonly #map: PlannedMap;
  readonly #targets: readonly NodeRecord[];
  /** Replicas of partitions that stay, by node. */
  readonly #load = new Map<NodeId, number>();
  /** Replicas that are joining, by node. */
  readonly #joining = new Map<NodeId, number>();
  readonly #hasRoom: boolean;

  constructor(map: PlannedMap, reachable: ReadonlySet<NodeId>) {
    this.#map = map;
    const moving = map.placements().filter(isMoving).length;
    this.#hasRoom = moving < movesMax;
    for (const placement of map.placements()) this.#countLoad(placement);
    this.#targets = map
      .nodes()
      .filter(({ id, state }) => state === 'member' && reachable.has(id) && this.#mayTake(id));
  }

  /** A move whose target will not come gets another one. */
  retarget(): BeginMoveCommand | undefined {
    for (const placement of this.#map.placements()) {
      const lost = placement.replicas.find(
        ({ role, node }) => role === 'joining' && this.#map.node(node)?.state !== 'member',
      );
      if (lost === undefined) continue;
      const add = this.#target(placement, lost)?.id;
      // A group may go on with those that vote; it gets another replica when there is a node.
      const stays = stayingOf(placement).some(({ role }) => role === 'voter');
      if (add !== undefined || stays) return move(placement, add, lost.replica);
    }
    return undefined;
  }

  /** Replicas leave nodes of a state. */
  fromNodes(state: NodeRecord['state']): BeginMoveCommand | undefined {
    return this.#first((placement) => {
      const leaving = stayingOf(placement).find(
        ({ node }) => this.#map.node(node)?.state === state,
      );
      if (leaving === undefined) return undefined;
      const add = this.#target(placement, leaving)?.id;
      return add === undefined ? undefined : move(placement, add, leaving.replica);
    });
  }

  /** A group has as many replicas as it shall. */
  count(): BeginMoveCommand | undefined {
    return this.#first((placement) => {
      const staying = stayingOf(placement);
      const wanted = wantedVoters(this.#map, placement);
      if (staying.length < wanted) {
        const add = this.#target(placement, undefined)?.id;
        return add === undefined ? undefined : move(placement, add, undefined);
      }
      if (staying.length === wanted) return undefined;
      const surplus = staying.reduce((one, other) =>
        this.#surplusOf(other) > this.#surplusOf(one) ? other : one,
      );
      return move(placement, undefined, surplus.replica);
    });
  }

  /** Replicas of a group that share a zone go to one that has none. */
  spread(): BeginMoveCommand | undefined {
    return this.#first((placement) => {
      const crowded = stayingOf(placement).find((place) => this.#crowd(placement, place) > 0);
      if (crowded === undefined) return undefined;
      const target = this.#target(placement, crowded);
      if (target === undefined || this.#sharing(placement, crowded, target.zone) > 0)
        return undefined;
      return move(placement, target.id, crowded.replica);
    });
  }

  /** The fullest node gives to the emptiest. */
  balance(): BeginMoveCommand | undefined {
    const bySize = [...this.#targets].sort((a, b) => this.#loadOf(a.id) - this.#loadOf(b.id));
    const fullestFirst = this.#map
      .nodes()
      .filter(({ state }) => state === 'member')
      .sort((a, b) => this.#loadOf(b.id) - this.#loadOf(a.id));
    for (const from of fullestFirst) {
      for (const to of bySize) {
        if (this.#loadOf(from.id) - this.#loadOf(to.id) < 2) break;
        const found = this.#between(from.id, to);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  #between(from: NodeId, to: NodeRecord): BeginMoveCommand | undefined {
    return this.#first((placement) => {
      if (placement.group === mapGroup || isOn(placement, to.id)) return undefined;
      const place = stayingOf(placement).find(({ node }) => node === from);
      if (place === undefined) return undefined;
      // A move for balance alone puts no two replicas into one zone that were in two.
      const isCrowding = this.#sharing(placement, place, to.zone) > this.#crowd(placement, place);
      return isCrowding ? undefined : move(placement, to.id, place.replica);
    });
  }

  /** The first move that a rule finds among groups that do not move yet. */
  #first(
    rule: (placement: GroupPlacement) => BeginMoveCommand | undefined,
  ): BeginMoveCommand | undefined {
    if (!this.#hasRoom) return undefined;
    for (const placement of this.#map.placements()) {
      if (isMoving(placement)) continue;
      const found = rule(placement);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The node that takes a replica of a group, in place of one or as one more. */
  #target(placement: GroupPlacement, leaving: ReplicaPlace | undefined): NodeRecord | undefined {
    const free = this.#targets.filter(({ id }) =>
      placement.group === mapGroup ? isLearner(placement, id) : !isOn(placement, id),
    );
    return bestBy(placement.group, free, ({ id, zone }) => [
      this.#sharing(placement, leaving, zone),
      this.#loadOf(id),
    ]);
  }

  /** How many others of a group stay in a zone. */
  #sharing(placement: GroupPlacement, but: ReplicaPlace | undefined, zone: string): number {
    if (zone === '') return 0;
    return stayingOf(placement).filter(
      (place) => place !== but && this.#map.node(place.node)?.zone === zone,
    ).length;
  }

  /** How many others of a group stay in a replica's zone. */
  #crowd(placement: GroupPlacement, place: ReplicaPlace): number {
    return this.#sharing(placement, place, this.#map.node(place.node)?.zone ?? '');
  }

  /** Who goes first where there are too many: whoever is on a node that others leave, then on a full one. */
  #surplusOf({ node }: ReplicaPlace): number {
    return this.#map.node(node)?.state === 'member' ? this.#loadOf(node) : Number.POSITIVE_INFINITY;
  }

  #mayTake(node: NodeId): boolean {
    return (this.#joining.get(node) ?? 0) < movesToNodeMax;
  }

  #loadOf(node: NodeId): number {
    return this.#load.get(node) ?? 0;
  }

  #countLoad(placement: GroupPlacement): void {
    for (const { node, role } of stayingOf(placement)) {
      if (role === 'joining') this.#joining.set(node, 1 + (this.#joining.get(node) ?? 0));
      if (placement.group !== mapGroup) this.#load.set(node, 1 + this.#loadOf(node));
    }
  }
}

/** How many replicas of a group shall vote: of the map, five where five nodes stay, else three. */
export function wantedVoters(map: PlannedMap, { group }: GroupPlacement): number {
  if (group !== mapGroup) return map.replicaCount;
  // Nodes that are away count: they may come back, and the map shall not shrink to what is left. Nodes that
  // drain do not: of five, nobody could take their vote, and they would never be empty.
  const staying = map.nodes().filter(({ state }) => state === 'member' || state === 'gone').length;
  return staying >= 5 ? 5 : 3;
}

function isOn({ replicas }: GroupPlacement, id: NodeId): boolean {
  return replicas.some(({ node }) => node === id);
}

function isLearner({ replicas }: GroupPlacement, id: NodeId): boolean {
  return replicas.some(({ node, role }) => node === id && role === 'learner');
}

function move(
  { group }: GroupPlacement,
  add: NodeId | undefined,
  remove: number | undefined,
): BeginMoveCommand {
  return { kind: 'begin-move', group, add, remove };
}
