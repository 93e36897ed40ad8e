import type { LogIndex, Term } from '../base/ids.ts';
import type { PartitionHost } from '../partition/partition-host.ts';
import type { GroupStatus } from '../transport/placement-codec.ts';

/** What this node leads, in order of group. */
export function ledStatus(host: Pick<PartitionHost, 'map' | 'replicaOf'>): GroupStatus[] {
  const led: GroupStatus[] = [];
  for (const { group } of host.map.cluster.placements()) {
    const replica = host.replicaOf(group);
    if (replica?.leads !== true) continue;
    const { id, term, committed, members } = replica.status();
    const replicas = members
      .map((member) => ({
        replica: member.id,
        match: member.match as LogIndex,
        isActive: member.active || member.id === id,
      }))
      .sort((one, other) => one.replica - other.replica);
    led.push({ group, term: term as Term, committed: committed as LogIndex, replicas });
  }
  return led;
}
