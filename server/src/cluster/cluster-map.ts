import { equalBytes, keyOf, limits, type RoutingRule } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { GroupId, LogIndex, NodeId, SpaceId, StampMs } from '../base/ids.ts';
import { replicasMax, spacesMax } from '../base/limits.ts';
import { type FounderPlace, placeFounding } from './founding-places.ts';
import type {
  CreateSpaceCommand,
  FoundCommand,
  MapEntry,
  MapOutcome,
  MapProblem,
  SpaceRecord,
} from './map-command.ts';
import { mapIndexZero } from './map-command.ts';
import { isNodeKey, type NodeOutcome, Nodes, nodeProblem } from './nodes.ts';
import type {
  BeginMoveCommand,
  GroupPlacement,
  NodeRecord,
  PlacementCommand,
  SetNodeCommand,
} from './placement-types.ts';
import { mapGroup, Placements } from './placements.ts';
import { partitionIds } from './slots.ts';
import { spaceNameProblem, spaceSettingsProblem } from './space-checks.ts';

/** The name of the space that every cluster has from its founding. */
export const defaultSpaceName = 'default';

/** All that the map holds; what its snapshot is made of. */
export interface ClusterMapState {
  readonly appliedIndex: LogIndex;
  readonly stampMs: StampMs;
  /** Empty before the founding. */
  readonly clusterId: string;
  /** 0 before the founding. */
  readonly partitions: number;
  readonly epoch: number;
  readonly nextSpaceId: SpaceId;
  /** In order of id. */
  readonly spaces: readonly SpaceRecord[];
  /** In order of dropping. */
  readonly dropped: readonly SpaceId[];
  /** How many replicas each partition shall have. */
  readonly replicaCount: number;
  /** Who founded the cluster, and with how many replicas a partition; empty before the founding. */
  readonly founding: FoundingRecord;
  /** In order of id, removed ones too. */
  readonly nodes: readonly NodeRecord[];
  /** In order of group; empty before the founding. */
  readonly placements: readonly GroupPlacement[];
}

/** What the first places of replicas follow from, on every node alike and for ever. */
export interface FoundingRecord {
  readonly replicaCount: number;
  /** In order of id. */
  readonly founders: readonly FounderPlace[];
  /** The backup that it was restored from, as `RestoredMap` names it; empty: it began with nothing. */
  readonly backup: string;
}

/**
 * Group 0's state machine: which cluster this is, how many partitions it has, which spaces there are.
 * Deterministic; everything that changes it comes through `apply`, on every replica alike.
 */
export class ClusterMap {
  // Invariant: a name in #byName is the name of the record in #byId with that id, and nothing else is.
  readonly #byName = new Map<string, SpaceRecord>();
  readonly #byId = new Map<SpaceId, SpaceRecord>();
  // Dropped, and not yet confirmed by every partition. Never in #byId.
  readonly #dropped = new Set<SpaceId>();
  #appliedIndex: LogIndex = mapIndexZero;
  #stampMs = 0 as StampMs;
  #clusterId = '';
  #partitions = 0;
  #epoch = 0;
  #nextSpaceId = 1 as SpaceId;
  #replicaCount = 0;
  #founding: FoundingRecord = { replicaCount: 0, founders: [], backup: '' };
  /** Computed once it is asked for, and then the same for ever. */
  #foundingPlaces: readonly (readonly NodeId[])[] | undefined;
  #nodes = new Nodes();
  #placements = new Placements();
  #placementVersion = 0;

  /** The map as a snapshot says; without one, the map before its founding. */
  constructor(state?: ClusterMapState) {
    if (state !== undefined) this.restore(state);
  }

  /** Becomes what a snapshot says, which a leader sent; whoever holds the map sees it. */
  restore(state: ClusterMapState): void {
    this.#byName.clear();
    this.#byId.clear();
    this.#dropped.clear();
    this.#appliedIndex = state.appliedIndex;
    this.#stampMs = state.stampMs;
    this.#clusterId = state.clusterId;
    this.#partitions = state.partitions;
    this.#epoch = state.epoch;
    this.#nextSpaceId = state.nextSpaceId;
    for (const space of state.spaces) this.#add(space);
    for (const id of state.dropped) this.#dropped.add(id);
    this.#replicaCount = state.replicaCount;
    this.#founding = state.founding;
    this.#nodes = new Nodes(state.nodes);
    this.#placements = new Placements(state.placements);
    this.#placementVersion += 1;
  }

  /** The last entry applied. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** The last entry's stamp. */
  get stampMs(): StampMs {
    return this.#stampMs;
  }

  /** Whether the cluster exists. */
  get founded(): boolean {
    return this.#partitions > 0;
  }

  /** 32 hex digits; empty before the founding. */
  get clusterId(): string {
    return this.#clusterId;
  }

  /** How many partitions there are, for ever; 0 before the founding. */
  get partitions(): number {
    return this.#partitions;
  }

  /** How many replicas each partition shall have. */
  get replicaCount(): number {
    return this.#replicaCount;
  }

  /** The backup that the cluster was restored from, as `RestoredMap` names it; empty: none. */
  get backup(): string {
    return this.#founding.backup;
  }

  /** Rises with every change of nodes or placements, in this life of this node alone. */
  get placementVersion(): number {
    return this.#placementVersion;
  }

  /** Nodes in order of id, removed ones too. */
  nodes(): readonly NodeRecord[] {
    return this.#nodes.all();
  }

  node(id: NodeId): NodeRecord | undefined {
    return this.#nodes.get(id);
  }

  /** Where a group lives; undefined before the founding. */
  placement(group: GroupId): GroupPlacement | undefined {
    return this.#placements.get(group);
  }

  /** Where all groups live, in order of group. */
  placements(): readonly GroupPlacement[] {
    return this.#placements.all();
  }

  /** The node of a replica that is listed. */
  nodeOf(group: GroupId, replica: number): NodeId | undefined {
    return this.#placements.nodeOf(group, replica);
  }

  /**
   * The nodes that found a group, ascending, for ever the same, whatever has moved since: of group 0 all
   * founders, of a partition as many as it has replicas.
   */
  foundersOf(group: GroupId): readonly NodeId[] {
    if (group === mapGroup) return this.#founding.founders.map(({ id }) => id);
    const { founders, replicaCount } = this.#founding;
    this.#foundingPlaces ??= placeFounding(founders, this.#partitions, replicaCount);
    return present(this.#foundingPlaces[group - 1], 'it is a partition');
  }

  /** Rises by one with every change of the spaces. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The living space of a name. */
  space(name: string): SpaceRecord | undefined {
    return this.#byName.get(name);
  }

  /** The living space of an id. */
  spaceById(id: SpaceId): SpaceRecord | undefined {
    return this.#byId.get(id);
  }

  /** Living spaces, in order of id. */
  spaces(): readonly SpaceRecord[] {
    return [...this.#byId.values()];
  }

  /** Spaces whose tuples must go, and may not all have gone. */
  dropped(): readonly SpaceId[] {
    return [...this.#dropped];
  }

  /** Everything, for a snapshot. */
  state(): ClusterMapState {
    return {
      appliedIndex: this.#appliedIndex,
      stampMs: this.#stampMs,
      clusterId: this.#clusterId,
      partitions: this.#partitions,
      epoch: this.#epoch,
      nextSpaceId: this.#nextSpaceId,
      spaces: this.spaces(),
      dropped: this.dropped(),
      replicaCount: this.#replicaCount,
      founding: this.#founding,
      nodes: this.nodes(),
      placements: this.placements(),
    };
  }

  /** The next entry means nothing here: a term began with it, or the group's configuration changed. */
  pass(index: LogIndex): void {
    assert(index === this.#appliedIndex + 1, 'entries of the map come in order');
    this.#appliedIndex = index;
  }

  /** Applies the next entry. A refused command changes nothing but index and stamp. */
  apply(index: LogIndex, entry: MapEntry): MapOutcome {
    assert(index === this.#appliedIndex + 1, 'entries of the map come in order');
    this.#appliedIndex = index;
    if (entry.stampMs > this.#stampMs) this.#stampMs = entry.stampMs;
    const { command } = entry;
    switch (command.kind) {
      case 'lead':
        return { kind: 'done' };
      case 'found':
        return this.#found(command);
      case 'create-space':
        return this.#create(command);
      case 'drop-space':
        return this.#drop(command.name);
      case 'forget-space':
        this.#dropped.delete(command.space);
        return { kind: 'done' };
      default:
        assert(this.founded, 'a cluster is founded before its nodes change');
        return this.#place(command);
    }
  }

  #place(command: PlacementCommand): MapOutcome {
    switch (command.kind) {
      case 'begin-move':
        return this.#beginMove(command);
      case 'placed': {
        const isRemoved = (node: NodeId): boolean => this.node(node)?.state === 'removed';
        if (this.#placements.placed(command, isRemoved)) this.#placementVersion += 1;
        return { kind: 'done' };
      }
      case 'add-node': {
        assert(isNodeKey(command.key), 'a key has 32 hex digits');
        const known = this.nodes().length;
        const outcome = this.#changed(nodeProblem(command) ?? this.#nodes.add(command));
        if (outcome.kind === 'node' && this.nodes().length > known)
          this.#placements.addLearner(outcome.node.id);
        return outcome;
      }
      case 'describe-node':
        return this.#changed(nodeProblem(command) ?? this.#nodes.describe(command));
      case 'set-node':
        return this.#changed(
          this.#emptyProblem(command) ?? this.#nodes.set(command.node, command.state),
        );
      case 'set-replicas':
        assert(command.count >= 1 && command.count <= replicasMax, 'there are 1 to 7 replicas');
        this.#replicaCount = command.count;
        this.#placementVersion += 1;
        return { kind: 'done' };
    }
  }

  #beginMove(command: BeginMoveCommand): MapOutcome {
    const target = command.add === undefined ? undefined : this.node(command.add);
    const problem = this.#placements.begin(command, target);
    if (problem !== undefined) return { kind: 'refused', problem };
    this.#placementVersion += 1;
    return { kind: 'done' };
  }

  #changed(outcome: NodeOutcome): MapOutcome {
    if ('reason' in outcome) return { kind: 'refused', problem: outcome };
    this.#placementVersion += 1;
    return { kind: 'node', node: outcome };
  }

  /** A node that is removed has nothing that others would miss. */
  #emptyProblem({ node, state }: SetNodeCommand): MapProblem | undefined {
    if (state !== 'removed') return undefined;
    const replicas = this.#placements.countOn(node);
    const votes = this.placement(mapGroup)?.replicas.find((place) => place.node === node);
    if (replicas === 0 && (votes === undefined || votes.role === 'learner')) return undefined;
    const what =
      replicas === 0 ? 'a vote in the cluster map' : `replicas of ${replicas} partitions`;
    const message = `node ${node} has ${what}: drain it, or say that it is gone, and wait`;
    return { reason: 'NODE_NOT_EMPTY', field: 'node', message };
  }

  #found(command: FoundCommand): MapOutcome {
    const { clusterId, partitions, replicaCount, founders, restored } = command;
    // A leader may found again, not knowing that the one before it has: the first one counts.
    if (this.founded) return { kind: 'done' };
    assert(
      partitions >= 1 && partitions <= limits.partitionCountMax,
      'there are 1 to 256 partitions',
    );
    this.#clusterId = clusterId;
    this.#partitions = partitions;
    this.#replicaCount = replicaCount;
    this.#founding = {
      replicaCount,
      founders: founders.map(({ id, zone }) => ({ id, zone })),
      backup: restored?.backup ?? '',
    };
    for (const founder of founders) this.#nodes.put({ ...founder, key: '', state: 'member' });
    for (const group of [mapGroup, ...partitionIds(partitions)])
      this.#placements.found(group, this.foundersOf(group));
    this.#placementVersion += 1;
    if (restored !== undefined) {
      for (const space of restored.spaces) this.#add(space);
      this.#nextSpaceId = restored.nextSpaceId;
      this.#epoch = restored.epoch;
      return { kind: 'done' };
    }
    const tupleBytesMax = limits.tupleBytesDefault;
    const settings = { rules: [], like: undefined, tupleBytesMax };
    return this.#create({ kind: 'create-space', name: defaultSpaceName, settings });
  }

  #create({ name, settings }: CreateSpaceCommand): MapOutcome {
    assert(this.founded, 'a cluster is founded before its spaces');
    const problem = this.#createProblem({ kind: 'create-space', name, settings });
    if (problem !== undefined) return { kind: 'refused', problem };
    const model = settings.like === undefined ? undefined : this.#byName.get(settings.like);
    const space: SpaceRecord = {
      id: this.#nextSpaceId,
      name,
      settings,
      // The model's own routing name, so that a chain of likes ends where it began, and the space
      // that gave its name may be dropped.
      routingName: model === undefined ? name : model.routingName,
      rules: model === undefined ? settings.rules : model.rules,
      createdAtMs: this.#stampMs,
    };
    this.#nextSpaceId = (this.#nextSpaceId + 1) as SpaceId;
    this.#epoch += 1;
    this.#add(space);
    return { kind: 'created', space, epoch: this.#epoch };
  }

  #createProblem({ name, settings }: CreateSpaceCommand): MapProblem | undefined {
    const problem = spaceNameProblem(name, 'name') ?? spaceSettingsProblem(settings);
    if (problem !== undefined) return problem;
    if (this.#byName.has(name)) {
      return { reason: 'SPACE_EXISTS', field: 'name', message: `there is a space ${name}` };
    }
    const { like } = settings;
    if (like !== undefined && !this.#byName.has(like)) {
      const message = `there is no space ${like} to be like`;
      return { reason: 'SPACE_LIKE_NOT_FOUND', field: 'settings.like', message };
    }
    // Dropped ones count: they hold memory until every partition has let them go.
    if (this.#byId.size + this.#dropped.size >= spacesMax) {
      const message = `there are ${spacesMax} spaces already, those being dropped included`;
      return { reason: 'SPACES_EXHAUSTED', field: 'name', message, limit: spacesMax };
    }
    return undefined;
  }

  #drop(name: string): MapOutcome {
    const space = this.#byName.get(name);
    if (space === undefined) {
      const problem: MapProblem = {
        reason: 'SPACE_NOT_FOUND',
        field: 'name',
        message: `there is no space ${name}`,
      };
      return { kind: 'refused', problem };
    }
    this.#byName.delete(name);
    this.#byId.delete(space.id);
    this.#dropped.add(space.id);
    this.#epoch += 1;
    return { kind: 'dropped', space, epoch: this.#epoch };
  }

  #add(space: SpaceRecord): void {
    assert(!this.#byName.has(space.name), 'a name is given once');
    this.#byName.set(space.name, space);
    this.#byId.set(space.id, space);
  }
}

/** Whether tuples of two spaces with equal bytes lie in the same slot: what copy and move ask for. */
export function sharesRouting(one: SpaceRecord, other: SpaceRecord): boolean {
  if (one.routingName !== other.routingName) return false;
  // A dropped name may be given again with other rules while a space like the first lives on.
  const { rules } = other;
  if (one.rules.length !== rules.length) return false;
  return one.rules.every((rule) => rules.some((its) => sameRule(rule, its)));
}

function sameRule(one: RoutingRule, other: RoutingRule): boolean {
  if (one.spread !== other.spread || one.fields.length !== other.fields.length) return false;
  if (one.fields.some((field, place) => field !== other.fields[place])) return false;
  const key = keyOf(one.tag);
  const its = keyOf(other.tag);
  return equalBytes(key, 0, key.length, its, 0, its.length);
}
