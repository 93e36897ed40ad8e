/** Which leadership goes to another node next, so that all nodes lead alike. */
import type { GroupId, NodeId } from '../base/ids.ts';
import { isMoving, mapGroup } from './placements.ts';
import type { PlannedMap } from './plan-moves.ts';

/** A leadership that is to be handed over. */
export interface LeaderMove {
  readonly group: GroupId;
  readonly from: NodeId;
  /** The replica that shall lead. */
  readonly to: number;
}

/**
 * The next one, from a node that leads two or more above another that votes in one of its groups, or
 * from one that is draining; `leaders`: who leads what, as far as is known.
 */
export function nextLeaderMove(
  map: PlannedMap,
  leaders: ReadonlyMap<GroupId, NodeId>,
  reachable: ReadonlySet<NodeId>,
): LeaderMove | undefined {
  const counts = new Map<NodeId, number>();
  for (const { id, state } of map.nodes())
    if (state === 'member' && reachable.has(id)) counts.set(id, 0);
  for (const [group, node] of leaders) {
    const count = counts.get(node);
    if (group !== mapGroup && count !== undefined) counts.set(node, count + 1);
  }
  let best: { readonly move: LeaderMove; readonly gain: number } | undefined;
  for (const placement of map.placements()) {
    const { group, replicas } = placement;
    const from = leaders.get(group);
    if (group === mapGroup || from === undefined || isMoving(placement)) continue;
    // A node that is drained shall lead nothing; one that cannot be reached hands nothing over.
    const isDraining = map.node(from)?.state === 'draining' && reachable.has(from);
    const its = isDraining ? Number.POSITIVE_INFINITY : (counts.get(from) ?? 0);
    for (const { node, replica, role } of replicas) {
      const count = counts.get(node);
      if (role !== 'voter' || count === undefined || node === from) continue;
      const gain = its - count;
      if (gain >= 2 && gain > (best?.gain ?? 0))
        best = { move: { group, from, to: replica }, gain };
    }
  }
  return best?.move;
}
