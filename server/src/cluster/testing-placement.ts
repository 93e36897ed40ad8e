/** A map whose moves are carried out at once, as far as nodes are alive: for tests of plans. */
import { assert, present } from '../base/assert.ts';
import type { GroupId, LogIndex, NodeId, StampMs } from '../base/ids.ts';
import { ClusterMap } from './cluster-map.ts';
import { decodeMapEntry, decodeMapState, encodeMapEntry, encodeMapState } from './map-codec.ts';
import type { MapCommand, MapOutcome } from './map-command.ts';
import { nextChange } from './next-change.ts';
import type { GroupPlacement, NodeDescription } from './placement-types.ts';
import { nextMove } from './plan-moves.ts';

interface Configuration {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  readonly index: LogIndex;
}

/** A node's description by its number. */
export function descriptionOf(id: number, zone = ''): NodeDescription {
  const at = `node-${id}.example`;
  return { name: `node-${id}`, zone, peerAddress: `${at}:7448`, clientAddress: `${at}:7447` };
}

/** A cluster of words: what the map wants is what is, one step after the other. */
export class PlannedCluster {
  readonly map: ClusterMap = new ClusterMap();
  /** Nodes that are alive. */
  readonly alive: Set<NodeId> = new Set();
  /** How many moves were begun. */
  moves = 0;
  readonly #configurations = new Map<GroupId, Configuration>();

  constructor(zones: readonly string[], partitions: number, replicaCount: number) {
    const founders = zones.map((zone, at) => ({
      id: (at + 1) as NodeId,
      ...descriptionOf(at + 1, zone),
    }));
    this.apply({ kind: 'lead' });
    const clusterId = '0'.repeat(32);
    this.apply({ kind: 'found', clusterId, partitions, replicaCount, founders });
    for (const { id } of founders) this.alive.add(id);
    for (const { group, replicas } of this.map.placements()) {
      const voters = replicas.map(({ replica }) => replica);
      this.#configurations.set(group, { voters, learners: [], index: voters.length as LogIndex });
    }
  }

  /** Applies a command, through bytes as a replica would. */
  apply(command: MapCommand): MapOutcome {
    const stampMs = (this.map.stampMs + 1) as StampMs;
    const entry = decodeMapEntry(encodeMapEntry({ stampMs, command }));
    return this.map.apply((this.map.appliedIndex + 1) as LogIndex, entry);
  }

  /** A node joins. */
  join(zone = ''): NodeId {
    const id = this.map.nodes().length + 1;
    const key = id.toString(16).padStart(32, '0');
    const outcome = this.apply({ kind: 'add-node', key, ...descriptionOf(id, zone) });
    assert(outcome.kind === 'node', 'a node joins');
    this.alive.add(outcome.node.id);
    return outcome.node.id;
  }

  /** Carries on until there is nothing left to do; throws where that does not end. */
  settle(check: () => void = () => undefined): void {
    for (let round = 0; round < 20_000; round += 1) {
      if (!this.step()) return;
      check();
    }
    throw new Error('the plans do not end');
  }

  /** One step of some group, or the next plan; whether there was any. */
  step(): boolean {
    for (const placement of this.map.placements()) if (this.#stepOf(placement)) return true;
    const next = nextMove(this.map, this.alive);
    if (next === undefined) return false;
    const outcome = this.apply(next);
    if (outcome.kind === 'refused') throw new Error(outcome.problem.message);
    this.moves += 1;
    return true;
  }

  /** Voters of a group, as its log has them. */
  configuration(group: GroupId): Configuration {
    return present(this.#configurations.get(group), 'the group is founded');
  }

  /** Whether every group keeps a majority that is alive without a node. */
  canLose(node: NodeId): boolean {
    return this.map.placements().every(({ group }) => {
      const { voters } = this.configuration(group);
      const left = voters.filter((replica) => {
        const its = this.map.nodeOf(group, replica);
        return its !== undefined && its !== node && this.alive.has(its);
      });
      return left.length * 2 > voters.length;
    });
  }

  /** A snapshot of the map and back. */
  reload(): void {
    this.map.restore(decodeMapState(encodeMapState(this.map.state())));
  }

  #stepOf(placement: GroupPlacement): boolean {
    const { group } = placement;
    const { voters, learners, index } = this.configuration(group);
    const isActive = (replica: number): boolean => {
      const node = this.map.nodeOf(group, replica);
      return node !== undefined && this.alive.has(node);
    };
    const self = voters.find(isActive);
    // Without a majority nobody leads.
    if (self === undefined || voters.filter(isActive).length * 2 <= voters.length) return false;
    const led = {
      self,
      configuration: { voters, learners, isJoint: false, index },
      isActive,
      isCaughtUp: (replica: number): boolean =>
        isActive(replica) && (voters.includes(replica) || learners.includes(replica)),
    };
    const isRemoved = (node: NodeId): boolean => this.map.node(node)?.state === 'removed';
    const next = nextChange(placement, led, isRemoved);
    if (next === undefined) return false;
    if (next.kind === 'placed') {
      this.apply(next);
      return true;
    }
    const steps =
      next.kind === 'change'
        ? next
        : present(
            nextChange(placement, { ...led, self: next.to }, isRemoved),
            'who takes over goes on',
          );
    assert(steps.kind === 'change', 'a leader that stays changes the configuration');
    const gone = new Set([...steps.voters, ...steps.learners, ...steps.removed]);
    this.#configurations.set(group, {
      voters: [...voters.filter((voter) => !gone.has(voter)), ...steps.voters],
      learners: [...learners.filter((learner) => !gone.has(learner)), ...steps.learners],
      index: (index + 1) as LogIndex,
    });
    return true;
  }
}
