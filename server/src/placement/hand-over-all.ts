import type { Clock } from '../base/doors.ts';
import type { GroupId } from '../base/ids.ts';
import { foundedLookMs, leaveMsMax } from '../base/limits.ts';
import type { PartitionHost } from '../partition/partition-host.ts';

/**
 * A node that leaves hands over all that it leads: one hand-over a group, to nodes in turn; one that nobody takes
 * ends with an election. Resolves when it leads nothing more that others could take, `leaveMsMax` later at most.
 */
export async function handOverAll(options: {
  readonly clock: Clock;
  readonly host: Pick<PartitionHost, 'map' | 'replicaOf' | 'handOver'>;
  /** Whether the node of a group's replica can be reached. */
  readonly canReach: (group: GroupId, replica: number) => boolean;
}): Promise<void> {
  const { clock, host, canReach } = options;
  const untilMs = clock.monotonicMs() + leaveMsMax;
  const leads = (group: GroupId): boolean => host.replicaOf(group)?.leads === true;
  const led = host.map.cluster
    .placements()
    .map(({ group }) => group)
    .filter(leads);
  let next = 0;
  for (const group of led) {
    const replica = host.replicaOf(group);
    const others = (replica?.configuration.voters ?? []).filter(
      (voter) => voter !== replica?.id && canReach(group, voter),
    );
    const to = others[next % Math.max(1, others.length)];
    if (to === undefined) continue;
    next += 1;
    host.handOver(group, to);
  }
  if (next === 0) return;
  while (led.some(leads)) {
    if (clock.monotonicMs() >= untilMs) return;
    await new Promise<void>((resolve) => clock.after(foundedLookMs, resolve));
  }
}
