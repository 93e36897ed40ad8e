import type { Clock } from '../base/doors.ts';
import type { Histories } from '../router/histories.ts';
import type { EventHistory } from '../space/history.ts';
import type { HistoryHost } from './history-calls.ts';

/** The histories of a host that has all partitions. */
export function ownHistories(
  host: Pick<HistoryHost, 'spaceOf' | 'onApplied'>,
  clusterId: string,
  clock: Clock,
): Histories {
  return {
    clusterId,
    open: (partition, wake) => {
      const cancel = host.onApplied(partition, wake);
      // A snapshot from a leader puts another one in its place.
      const history = (): EventHistory => host.spaceOf(partition).history;
      return {
        bounds: (answer) => answer({ last: history().lastPlace, cut: history().cutPlace }),
        read: (after, eventsMax, bytesMax) => history().read(after, eventsMax, bytesMax),
        close: cancel,
      };
    },
    nowMs: () => clock.monotonicMs(),
  };
}
