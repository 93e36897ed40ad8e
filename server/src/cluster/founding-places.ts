/** Where the replicas of partitions are at the founding. */
import type { GroupId, NodeId } from '../base/ids.ts';
import { bestBy } from './rendezvous.ts';
import { partitionIds } from './slots.ts';

/** A founder as far as it matters to where replicas are. */
export interface FounderPlace {
  readonly id: NodeId;
  readonly zone: string;
}

/**
 * For each partition the founders that have a replica, ascending: even over nodes to within one, in as
 * many zones as there are. Deterministic: every founder computes the same, in every later life too.
 */
export function placeFounding(
  founders: readonly FounderPlace[],
  partitions: number,
  replicaCount: number,
): readonly (readonly NodeId[])[] {
  const load = new Map<NodeId, number>();
  return partitionIds(partitions).map((group) => {
    const chosen: FounderPlace[] = [];
    while (chosen.length < Math.min(replicaCount, founders.length)) {
      const next = nextFounder(group, founders, chosen, load);
      if (next === undefined) break;
      chosen.push(next);
      load.set(next.id, 1 + (load.get(next.id) ?? 0));
    }
    return chosen.map(({ id }) => id).sort((one, other) => one - other);
  });
}

function nextFounder(
  group: GroupId,
  founders: readonly FounderPlace[],
  chosen: readonly FounderPlace[],
  load: ReadonlyMap<NodeId, number>,
): FounderPlace | undefined {
  const free = founders.filter((founder) => !chosen.includes(founder));
  return bestBy(group, free, (founder) => [
    chosen.filter(({ zone }) => zone !== '' && zone === founder.zone).length,
    load.get(founder.id) ?? 0,
  ]);
}
