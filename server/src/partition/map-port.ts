import { present } from '../base/assert.ts';
import type { Cancel } from '../base/doors.ts';
import type { SpaceId, Term } from '../base/ids.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import type { MapOutcome, SpaceSettings } from '../cluster/map-command.ts';
import type { PlacementCommand } from '../cluster/placement-types.ts';
import type { MapAnswer, MapGroup } from './map-group.ts';

/** The cluster map as the rest of the node uses it. */
export interface MapPort {
  /** Read only. */
  readonly cluster: ClusterMap;
  /** Creates a space; answered once, when it is durable or refused. */
  createSpace(name: string, settings: SpaceSettings, answer: MapAnswer): void;
  /** Drops a space; answered once, when that is durable or refused. Its tuples go in time. */
  dropSpace(name: string, answer: MapAnswer): void;
  /** Changes nodes or where replicas live; answered once. */
  place(command: PlacementCommand, answer: MapAnswer): void;
  /** Where it is led here: the map forgets a dropped space, of which no tuple is left anywhere. */
  forgetSpace(space: SpaceId): void;
  /** Calls `run` after changes, at most once a turn. */
  onChange(run: () => void): Cancel;
  /** The leadership in which group 0 serves here; undefined: it does not. */
  epoch(): Term | undefined;
  /** Calls `run` whenever a leadership of group 0 begins to serve here. */
  onServing(run: (epoch: Term) => void): Cancel;
}

/** What the host has to say of itself. */
interface MapPortHost {
  isServing(): boolean;
  nowMs(): number;
}

const notServing: MapOutcome = {
  kind: 'refused',
  problem: { reason: 'SHUTTING_DOWN', field: '', message: 'the node is not serving' },
};

/** Group 0 of a host. */
export class HostMapPort implements MapPort {
  readonly #group: MapGroup;
  readonly #host: MapPortHost;
  /** Who wants to know of leaderships here. */
  readonly #serving = new Set<(epoch: Term) => void>();

  constructor(group: MapGroup, host: MapPortHost) {
    this.#group = group;
    this.#host = host;
  }

  get cluster(): ClusterMap {
    return this.#group.map;
  }

  createSpace(name: string, settings: SpaceSettings, answer: MapAnswer): void {
    if (!this.#host.isServing()) answer(notServing);
    else this.#group.createSpace(name, settings, this.#host.nowMs(), answer);
  }

  dropSpace(name: string, answer: MapAnswer): void {
    if (!this.#host.isServing()) answer(notServing);
    else this.#group.dropSpace(name, this.#host.nowMs(), answer);
  }

  place(command: PlacementCommand, answer: MapAnswer): void {
    if (!this.#host.isServing()) answer(notServing);
    else this.#group.call(command, this.#host.nowMs(), answer);
  }

  forgetSpace(space: SpaceId): void {
    if (!this.#host.isServing()) return;
    this.#group.call({ kind: 'forget-space', space }, this.#host.nowMs(), () => undefined);
  }

  onChange(run: () => void): Cancel {
    const observer = (): void => run();
    this.#group.observers.add(observer);
    return () => void this.#group.observers.delete(observer);
  }

  epoch(): Term | undefined {
    return this.#group.epoch;
  }

  onServing(run: (epoch: Term) => void): Cancel {
    const observer = (epoch: Term): void => run(epoch);
    this.#serving.add(observer);
    return () => void this.#serving.delete(observer);
  }

  /** A leadership of the group serves here from now on. */
  serves(): void {
    const epoch = present(this.#group.epoch, 'group 0 serves');
    for (const run of this.#serving) run(epoch);
  }
}
