/** Slots → partitions, fixed when the cluster is founded (SPEC §6). */
import { partitionOfSlot as blockOfSlot, limits } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type { PartitionId, Slot } from '../base/ids.ts';

/** The partition that owns a slot; group 0 is the map, so partitions count from 1. */
export function partitionOfSlot(slot: Slot, partitions: number): PartitionId {
  assert(slot >= 0 && slot < limits.slotCount, 'a slot is in 0..4095');
  assert(
    partitions >= 1 && partitions <= limits.partitionCountMax,
    'there are 1 to 256 partitions',
  );
  return (1 + blockOfSlot(slot, partitions)) as PartitionId;
}

/** The partitions of a cluster, 1 to n. */
export function partitionIds(partitions: number): readonly PartitionId[] {
  const ids: PartitionId[] = [];
  for (let id = 1; id <= partitions; id += 1) ids.push(id as PartitionId);
  return ids;
}
