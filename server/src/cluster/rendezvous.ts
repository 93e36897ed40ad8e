/** Rendezvous hashing (Thaler and Ravishankar 1998): who of some nodes comes first for a group. */
import { hash64, Writer } from '@tuplet/proto';
import type { GroupId, NodeId } from '../base/ids.ts';

/** The weight of a node for a group; the heaviest comes first. Published nowhere, and for ever the same. */
export function weightOf(group: GroupId, node: NodeId): bigint {
  const writer = new Writer(16);
  writer.uint32(group);
  writer.uint32(node);
  return hash64(writer.finish());
}

/** The best by some numbers, smaller being better and earlier ones deciding first; ties by weight. */
export function bestBy<T extends { readonly id: NodeId }>(
  group: GroupId,
  nodes: readonly T[],
  costsOf: (node: T) => readonly number[],
): T | undefined {
  let best: { node: T; costs: readonly number[]; weight: bigint } | undefined;
  for (const node of nodes) {
    const one = { node, costs: costsOf(node), weight: weightOf(group, node.id) };
    if (best === undefined || isBetter(one, best)) best = one;
  }
  return best?.node;
}

interface Candidate {
  readonly costs: readonly number[];
  readonly weight: bigint;
}

function isBetter(one: Candidate, other: Candidate): boolean {
  for (const [at, cost] of one.costs.entries()) {
    const its = other.costs[at] ?? 0;
    if (cost !== its) return cost < its;
  }
  return one.weight > other.weight;
}
