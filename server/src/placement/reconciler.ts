import type { Cancel, Clock } from '../base/doors.ts';
import type { GroupId, NodeId, PartitionId } from '../base/ids.ts';
import { placementLookMs, placementSweepMs } from '../base/limits.ts';
import type { MapOutcome } from '../cluster/map-command.ts';
import { type NextChange, nextChange } from '../cluster/next-change.ts';
import type {
  GroupPlacement,
  PlacedCommand,
  PlacementCommand,
} from '../cluster/placement-types.ts';
import { isMoving, mapGroup } from '../cluster/placements.ts';
import type { PartitionHost } from '../partition/partition-host.ts';
import type { Replica } from '../partition/replica.ts';
import { type ChangeStep, StepKind, Transition } from '../raft/change.ts';
import { noBytes } from '../raft/message.ts';
import { ledGroup } from './led-group.ts';

/** What a reconciler needs of this node's host. */
export type ReconciledHost = Pick<
  PartitionHost,
  | 'map'
  | 'replicaOf'
  | 'proposeChange'
  | 'handOver'
  | 'isConfigurationSettled'
  | 'createReplica'
  | 'removeReplica'
>;

/** What a reconciler is made with. */
export interface ReconcilerOptions {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly host: ReconciledHost;
  /** A change of the map, made wherever it is led. */
  readonly place: (command: PlacementCommand, answer: (outcome: MapOutcome) => void) => void;
  /** A replica is here from now on. */
  readonly onMade: (partition: PartitionId, replica: number) => void;
  /** A replica is gone, for ever. */
  readonly onBuried: (partition: PartitionId, replica: number) => void;
}

/** Makes true on one node what the map wants of its replicas, and of the groups that it leads. See DESIGN.md. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #cancelChange: Cancel;
  #cancelLook: Cancel = () => undefined;
  /** Groups that may have a next step here. */
  #open: readonly GroupId[] = [];
  #version = -1;
  #sweepAtMs = 0;
  /** Groups of which something is under way that ends by itself: made, buried or reported. */
  readonly #busy = new Set<GroupId>();
  #isClosed = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#cancelChange = options.host.map.onChange(() => this.#look());
    this.#tick();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelChange();
    this.#cancelLook();
  }

  #tick(): void {
    if (this.#isClosed) return;
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs >= this.#sweepAtMs) {
      this.#sweepAtMs = nowMs + placementSweepMs;
      for (const placement of this.#cluster.placements()) this.#step(placement);
    } else this.#look();
    this.#cancelLook = this.#options.clock.after(placementLookMs, () => this.#tick());
  }

  get #cluster(): ReconciledHost['map']['cluster'] {
    return this.#options.host.map.cluster;
  }

  #look(): void {
    if (this.#isClosed) return;
    const { placementVersion } = this.#cluster;
    if (this.#version !== placementVersion) {
      this.#version = placementVersion;
      this.#open = this.#cluster
        .placements()
        .filter((placement) => this.#isOpen(placement))
        .map(({ group }) => group);
    }
    for (const group of this.#open) {
      const placement = this.#cluster.placement(group);
      if (placement !== undefined) this.#step(placement);
    }
  }

  #isOpen(placement: GroupPlacement): boolean {
    // A node that comes or goes changes who hears the map, without a move.
    return placement.group === mapGroup || isMoving(placement) || this.#isOdd(placement);
  }

  /** Whether the replica here is not the one that the map lists here. */
  #isOdd({ group, replicas }: GroupPlacement): boolean {
    const here = this.#options.host.replicaOf(group)?.id;
    return here !== replicas.find(({ node }) => node === this.#options.self)?.replica;
  }

  #step(placement: GroupPlacement): void {
    const { group } = placement;
    if (this.#busy.has(group)) return;
    const replica = this.#options.host.replicaOf(group);
    if (replica === undefined) this.#make(placement);
    else if (this.#isBurial(placement, replica)) void this.#bury(group as PartitionId, replica.id);
    else if (replica.leads && replica.admitsProposals) this.#lead(placement, replica);
  }

  #make({ group, replicas }: GroupPlacement): void {
    const { self, host, onMade } = this.#options;
    const place = replicas.find(({ node, role }) => node === self && role === 'joining');
    if (place === undefined || group === mapGroup) return;
    this.#busy.add(group);
    host.createReplica(group as PartitionId, place.replica, () => {
      this.#busy.delete(group);
      onMade(group as PartitionId, place.replica);
    });
  }

  #isBurial({ group, replicas, nextReplica, placedAt }: GroupPlacement, replica: Replica): boolean {
    if (group === mapGroup || replica.id >= nextReplica) return false;
    if (replicas.some((place) => place.replica === replica.id)) return false;
    return placedAt >= replica.lastChangeIndex;
  }

  async #bury(partition: PartitionId, replica: number): Promise<void> {
    const { host, onBuried } = this.#options;
    this.#busy.add(partition);
    try {
      await host.removeReplica(partition);
      onBuried(partition, replica);
    } catch {
      // The host ended, and says why itself.
    }
    this.#busy.delete(partition);
  }

  #lead(placement: GroupPlacement, replica: Replica): void {
    const isRemoved = (node: NodeId): boolean => this.#cluster.node(node)?.state === 'removed';
    const next = nextChange(placement, ledGroup(replica.status()), isRemoved);
    if (next === undefined) return;
    const { host } = this.#options;
    if (next.kind === 'hand-over') host.handOver(placement.group, next.to);
    else if (next.kind === 'placed') this.#report(next);
    else host.proposeChange(placement.group, changeOf(next));
  }

  #report(placed: PlacedCommand): void {
    const { group } = placed;
    if (!this.#options.host.isConfigurationSettled(group)) return;
    this.#busy.add(group);
    this.#options.place(placed, () => this.#busy.delete(group));
  }
}

function changeOf(next: Extract<NextChange, { kind: 'change' }>): {
  readonly transition: Transition;
  readonly steps: readonly ChangeStep[];
  readonly context: Uint8Array;
} {
  const steps = [
    ...next.voters.map((replica) => ({ kind: StepKind.voter, replica })),
    ...next.learners.map((replica) => ({ kind: StepKind.learner, replica })),
    ...next.removed.map((replica) => ({ kind: StepKind.remove, replica })),
  ];
  // Whoever changes who votes does so over two majorities, even where one replica is all that moves.
  const transition = next.voters.length > 0 ? Transition.implicit : Transition.auto;
  return { transition, steps, context: noBytes };
}
