import type { GroupId, NodeId } from '../base/ids.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import { mapGroup } from '../cluster/placements.ts';

/** On which node a replica lives, or lived last, as far as this process has seen. */
export class Places {
  readonly #map: Pick<ClusterMap, 'placements' | 'placementVersion'>;
  readonly #nodes = new Map<GroupId, Map<number, NodeId>>();
  #version = -1;

  constructor(map: Pick<ClusterMap, 'placements' | 'placementVersion'>) {
    this.#map = map;
  }

  /** Undefined: nobody has said so here. */
  nodeOf(group: GroupId, replica: number): NodeId | undefined {
    // Every node has one replica of group 0, with its number: known before the map is.
    if (group === mapGroup) return replica as NodeId;
    if (this.#version !== this.#map.placementVersion) this.#look();
    return this.#nodes.get(group)?.get(replica);
  }

  #look(): void {
    this.#version = this.#map.placementVersion;
    for (const { group, replicas } of this.#map.placements()) {
      const nodes = this.#nodes.get(group) ?? new Map<number, NodeId>();
      for (const { replica, node } of replicas) nodes.set(replica, node);
      this.#nodes.set(group, nodes);
    }
  }
}
