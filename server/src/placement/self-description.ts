import type { Cancel, Clock } from '../base/doors.ts';
import type { NodeId } from '../base/ids.ts';
import { describeAgainMs } from '../base/limits.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import type { MapOutcome } from '../cluster/map-command.ts';
import type { NodeDescription, PlacementCommand } from '../cluster/placement-types.ts';

/** What a self-description is made with. */
export interface SelfDescriptionOptions {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly cluster: ClusterMap;
  /** What the map shall say; what is absent stays. */
  readonly wanted: Partial<NodeDescription>;
  readonly place: (command: PlacementCommand, answer: (outcome: MapOutcome) => void) => void;
  /** It is refused for good. */
  readonly onRefused: (message: string) => void;
}

/** Has the map say of this node what its operator says, once after each start. */
export class SelfDescription {
  readonly #options: SelfDescriptionOptions;
  #cancel: Cancel = () => undefined;
  #isClosed = false;

  constructor(options: SelfDescriptionOptions) {
    this.#options = options;
    this.#try();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #try(): void {
    const { self, cluster, wanted, place, onRefused } = this.#options;
    const record = cluster.node(self);
    if (this.#isClosed) return;
    if (record === undefined) {
      this.#later();
      return;
    }
    const { name, zone, peerAddress, clientAddress } = { ...record, ...wanted };
    if (name === record.name && zone === record.zone && peerAddress === record.peerAddress) return;
    const description = { name, zone, peerAddress, clientAddress };
    place({ kind: 'describe-node', node: self, ...description }, (outcome) => {
      if (outcome.kind !== 'refused') return;
      const { reason, message } = outcome.problem;
      if (reason.startsWith('NODE_')) onRefused(`the cluster map keeps what it says: ${message}`);
      else this.#later();
    });
  }

  #later(): void {
    if (!this.#isClosed)
      this.#cancel = this.#options.clock.after(describeAgainMs, () => this.#try());
  }
}
