import type { Cancel, Clock } from '../base/doors.ts';
import type { GroupId, NodeId, Term } from '../base/ids.ts';
import { allocatorLookMs, balanceLeadersMs, balanceQuietMs } from '../base/limits.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import type { MapOutcome } from '../cluster/map-command.ts';
import type { NodeRecord, PlacementCommand } from '../cluster/placement-types.ts';
import { type LeaderMove, nextLeaderMove } from '../cluster/plan-leaders.ts';
import { nextMove } from '../cluster/plan-moves.ts';

/** What an allocator is made with. */
export interface AllocatorOptions {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly cluster: ClusterMap;
  /** The leadership in which the map is led here; undefined: it is not. */
  readonly epoch: () => Term | undefined;
  /** Nodes that a link reaches; this one need not be among them. */
  readonly linked: () => ReadonlySet<NodeId>;
  /** Who leads which partition, as far as this node has heard. */
  readonly leaders: () => ReadonlyMap<GroupId, NodeId>;
  /** Asks the node that leads a group to hand it over. */
  readonly handOver: (move: LeaderMove) => void;
  readonly place: (command: PlacementCommand, answer: (outcome: MapOutcome) => void) => void;
  /** Milliseconds that a node may be away before others get its replicas. */
  readonly replaceAfterMs: number;
  /** Sentences for the operator. */
  readonly onPlanned: (message: string) => void;
}

/** Decides, where the map is led, what it shall want next. See DESIGN.md. */
export class Allocator {
  readonly #options: AllocatorOptions;
  #cancelLook: Cancel = () => undefined;
  /** The leadership that all below is of. */
  #epoch: Term | undefined;
  /** Since when a node has been away. */
  readonly #awaySinceMs = new Map<NodeId, number>();
  #linked: ReadonlySet<NodeId> = new Set();
  #isPlacing = false;
  /** What was looked at when nothing was due. */
  #nothingDue = '';
  #balanceAtMs = 0;
  #isClosed = false;

  constructor(options: AllocatorOptions) {
    this.#options = options;
    this.#tick();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelLook();
  }

  #tick(): void {
    if (this.#isClosed) return;
    this.#look();
    this.#cancelLook = this.#options.clock.after(allocatorLookMs, () => this.#tick());
  }

  #look(): void {
    const { epoch, clock, cluster } = this.#options;
    const leadership = epoch();
    if (leadership === undefined || !cluster.founded) return;
    const nowMs = clock.monotonicMs();
    if (this.#epoch !== leadership) {
      this.#epoch = leadership;
      this.#awaySinceMs.clear();
      this.#balanceAtMs = nowMs + balanceQuietMs;
    }
    const reachable = this.#reachable(nowMs);
    if (this.#isPlacing) return;
    const next = this.#nextNode(nowMs) ?? this.#nextMove(reachable);
    if (next !== undefined) this.#place(next);
    else if (nowMs >= this.#balanceAtMs) this.#balance(nowMs, reachable);
  }

  /** The same map and the same nodes have no move due, if they had none before. */
  #nextMove(reachable: ReadonlySet<NodeId>): PlacementCommand | undefined {
    const { cluster } = this.#options;
    const seen = `${cluster.placementVersion} ${[...reachable].sort().join()}`;
    if (this.#nothingDue === seen) return undefined;
    const next = nextMove(cluster, reachable);
    if (next === undefined) this.#nothingDue = seen;
    return next;
  }

  /** This node and those that it is linked to. */
  #reachable(nowMs: number): ReadonlySet<NodeId> {
    const { self, linked, cluster } = this.#options;
    const reachable = new Set([...linked(), self]);
    const changed = [...reachable, ...this.#linked].some(
      (node) => reachable.has(node) !== this.#linked.has(node),
    );
    if (changed) this.#balanceAtMs = nowMs + balanceQuietMs;
    this.#linked = reachable;
    for (const { id } of cluster.nodes()) {
      if (reachable.has(id)) this.#awaySinceMs.delete(id);
      else if (!this.#awaySinceMs.has(id)) this.#awaySinceMs.set(id, nowMs);
    }
    return reachable;
  }

  /** A node that has been away for too long, or is back. */
  #nextNode(nowMs: number): PlacementCommand | undefined {
    for (const node of this.#options.cluster.nodes()) {
      const state = this.#stateOf(node, nowMs);
      if (state !== undefined) return { kind: 'set-node', node: node.id, state };
    }
    return undefined;
  }

  #stateOf({ id, state }: NodeRecord, nowMs: number): 'gone' | 'member' | undefined {
    const sinceMs = this.#awaySinceMs.get(id);
    if (state === 'gone') return sinceMs === undefined ? 'member' : undefined;
    if (state === 'removed' || sinceMs === undefined) return undefined;
    return nowMs - sinceMs >= this.#options.replaceAfterMs ? 'gone' : undefined;
  }

  #place(command: PlacementCommand): void {
    const { place, onPlanned } = this.#options;
    this.#isPlacing = true;
    place(command, (outcome) => {
      this.#isPlacing = false;
      if (outcome.kind !== 'refused') {
        onPlanned(sentenceOf(command));
        // What follows need not wait; not from here, where the map is being changed.
        this.#cancelLook();
        this.#cancelLook = this.#options.clock.after(0, () => this.#tick());
      }
    });
  }

  #balance(nowMs: number, reachable: ReadonlySet<NodeId>): void {
    const { cluster, leaders, handOver } = this.#options;
    const move = nextLeaderMove(cluster, leaders(), reachable);
    this.#balanceAtMs = nowMs + balanceLeadersMs;
    if (move !== undefined) handOver(move);
  }
}

function sentenceOf(command: PlacementCommand): string {
  if (command.kind === 'set-node') {
    const what = command.state === 'gone' ? 'has been away for too long' : 'is back';
    return `node ${command.node} ${what}`;
  }
  if (command.kind !== 'begin-move') return command.kind;
  const { group, add, remove } = command;
  const from = remove === undefined ? '' : ` replica ${remove} leaves`;
  const to = add === undefined ? '' : ` node ${add} gets a replica`;
  return `group ${group}:${to}${from === '' || to === '' ? '' : ','}${from}`;
}
