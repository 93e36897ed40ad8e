import type { Cancel, Clock } from '../base/doors.ts';
import type { SpaceId, Term } from '../base/ids.ts';
import { dropLookMs } from '../base/limits.ts';
import type { CoordinatorId } from '../coordination/messages.ts';
import type { Partitions } from './router.ts';
import { SpaceDrops } from './space-drops.ts';

/** Group 0, as whoever sees to its dropped spaces uses it. */
export interface DroppingMap {
  readonly cluster: {
    readonly partitions: number;
    /** Spaces whose tuples must go, and may not all have gone. */
    dropped(): readonly SpaceId[];
  };
  /** The leadership in which it serves here; undefined: it does not. */
  epoch(): Term | undefined;
  /** Calls `run` after changes, and after a leadership here began to serve. */
  onChange(run: () => void): Cancel;
  /** Where it is led here: lets it forget a dropped space. What it comes to is seen in the map. */
  forgetSpace(space: SpaceId): void;
}

/**
 * Has the map forget dropped spaces: the node that leads group 0 asks the leaders of all partitions, as a router
 * of its own. Soft: the next leader of the map begins anew with what the map remembers.
 */
export class DroppedSpaces {
  readonly #map: DroppingMap;
  readonly #clock: Clock;
  readonly #cancels: readonly Cancel[];
  readonly #drops: SpaceDrops;
  #timer: Cancel | undefined;

  constructor(options: {
    /** As a router's: new in each life, above 0. */
    readonly id: CoordinatorId;
    readonly partitions: Pick<Partitions, 'attach' | 'send'>;
    readonly map: DroppingMap;
    readonly clock: Clock;
  }) {
    const { id, partitions, map, clock } = options;
    this.#map = map;
    this.#clock = clock;
    this.#drops = new SpaceDrops({
      partitions: map.cluster.partitions,
      send: (to, message) => partitions.send(to, id, message),
      forget: (space) => map.forgetSpace(space),
    });
    const detach = partitions.attach({
      id,
      deliver: (messages) => {
        for (const message of messages) this.#drops.answered(message, clock.monotonicMs());
      },
      leadership: () => undefined,
      // What is not answered is asked again.
      linkBroken: () => undefined,
    });
    const look = (): void => this.#look();
    this.#cancels = [detach, map.onChange(look)];
    this.#look();
  }

  close(): void {
    this.#timer?.();
    for (const cancel of this.#cancels) cancel();
  }

  /** What the map remembers is seen to, where that is this node's business. */
  #look(): void {
    this.#timer?.();
    this.#timer = undefined;
    // Another leader of the map begins anew, and so does this node when it leads again.
    const dropped = this.#map.epoch() === undefined ? [] : this.#map.cluster.dropped();
    this.#drops.remembered(dropped);
    this.#drops.tick(this.#clock.monotonicMs());
    if (dropped.length > 0) this.#timer = this.#clock.after(dropLookMs, () => this.#look());
  }
}
