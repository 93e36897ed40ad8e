/**
 * Between a router and the leaders. On one node they hand messages over in the turn loop; between
 * nodes these travel, and PROTOCOL lets the network delay, repeat and reorder them. The bus does so on
 * one node already.
 */
import type { Cancel } from '../src/base/doors.ts';
import type { PartitionId } from '../src/base/ids.ts';
import type { Prng } from '../src/base/prng.ts';
import type { CoordinatorId, FromLeader, ToLeader } from '../src/coordination/messages.ts';
import type { PartitionHost } from '../src/partition/partition-host.ts';
import type { Partitions } from '../src/router/router.ts';
import type { SimProcess } from './scheduler.ts';

/** How the bus behaves: one message in so many; 0: none. */
export interface BusOptions {
  readonly lateOneIn: number;
  readonly lateMsMax: number;
  readonly twiceOneIn: number;
}

/** Watches what passes, for the table of rare paths. */
export interface BusWatch {
  toLeader(to: PartitionId, from: CoordinatorId, message: ToLeader): void;
  fromLeader(to: CoordinatorId, message: FromLeader): void;
  fault(name: 'message repeated' | 'message delayed'): void;
}

/** Kinds that make something new each time: a repeat would be another call, which no network makes. */
const oncePerCall = new Set<ToLeader['kind']>(['open-session', 'drop-space', 'read', 'count']);

/** The partitions as one router sees them. */
export function busFor(
  process: SimProcess,
  host: PartitionHost,
  random: Prng,
  options: BusOptions,
  watch: BusWatch,
): Partitions {
  let attached = true;
  const pass = (arrive: () => void, repeatable: boolean): void => {
    const late = options.lateOneIn > 0 && random.chance(1, options.lateOneIn);
    const twice = repeatable && options.twiceOneIn > 0 && random.chance(1, options.twiceOneIn);
    const later = (run: () => void): void => {
      // A link that is down carries nothing more: what a dead router sent does not come after its end.
      const delayUs = random.between(1, options.lateMsMax * 1000);
      process.after(delayUs, () => {
        if (attached) run();
      });
    };
    if (late) {
      watch.fault('message delayed');
      later(arrive);
    } else arrive();
    if (!twice) return;
    watch.fault('message repeated');
    later(arrive);
  };
  return {
    map: host.map.cluster,
    epochOf: (partition) => host.epochOf(partition),
    ready: (partition) => host.ready(partition),
    onMapChange: (run) => host.map.onChange(run),
    lookAtMap: (run) => run(true),
    send: (to, from, message) => {
      const repeatable = !oncePerCall.has(message.kind) && hasIdentity(message);
      const arrive = (): void => {
        watch.toLeader(to, from, message);
        host.send(to, from, message);
      };
      pass(arrive, repeatable);
    },
    attach: (router): Cancel => {
      const detach = host.attach({
        id: router.id,
        leadership: (partition, epoch) => router.leadership(partition, epoch),
        deliver: (messages) => {
          const onTime: FromLeader[] = [];
          for (const message of messages) {
            watch.fromLeader(router.id, message);
            if (options.lateOneIn === 0 && options.twiceOneIn === 0) onTime.push(message);
            else pass(() => router.deliver([message]), true);
          }
          if (onTime.length > 0) router.deliver(onTime);
        },
      });
      return () => {
        attached = false;
        detach();
      };
    },
  };
}

/** Whether a repeat is known as one: by its session's sequence, or because it changes nothing. */
function hasIdentity(message: ToLeader): boolean {
  return message.kind !== 'mutate' || message.operation?.kind === 'session';
}
