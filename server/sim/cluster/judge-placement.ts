/** What must hold of the placement after the quiet phase. */
import type { GroupId, NodeId } from '../../src/base/ids.ts';
import { isMoving } from '../../src/cluster/placements.ts';
import { nextMove } from '../../src/cluster/plan-moves.ts';
import type { RunRecord } from '../run-record.ts';
import type { MeshCluster } from './mesh-cluster.ts';

/** Nothing moves, nothing is due, and every node has what the map lists and nothing else. */
export function judgePlacement(cluster: MeshCluster, record: RunRecord): void {
  const map = cluster.leaderOf(0 as GroupId)?.host?.map.cluster;
  if (map === undefined) return;
  const up = cluster.nodes.filter(({ host }) => host !== undefined);
  const due = nextMove(map, new Set(up.map(({ id }) => id as NodeId)));
  if (due !== undefined) record.say('placement', `a move is due: ${JSON.stringify(due)}`);
  for (const { id, host } of up) {
    const applied = host?.map.cluster.appliedIndex ?? 0;
    if (applied !== map.appliedIndex)
      record.say(
        'placement',
        `node ${id} has the map at ${applied}, its leader at ${map.appliedIndex}`,
      );
  }
  for (const placement of map.placements()) {
    const { group, replicas } = placement;
    if (isMoving(placement))
      record.say('placement', `group ${group} moves for ever: ${JSON.stringify(replicas)}`);
    for (const node of up) {
      const here = node.host?.replicaOf(group)?.id;
      const listed = replicas.find((place) => place.node === node.id)?.replica;
      if (here !== listed) {
        const message = `group ${group}: node ${node.id} has replica ${here}, the map lists ${listed}`;
        record.say('placement', message);
      }
    }
  }
}
