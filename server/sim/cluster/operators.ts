/** What operators do to a cluster: nodes join, are drained, given up and removed. */
import type { NodeId } from '../../src/base/ids.ts';
import type { Prng } from '../../src/base/prng.ts';
import type { ClusterMap } from '../../src/cluster/cluster-map.ts';
import type { PlacementCommand } from '../../src/cluster/placement-types.ts';
import type { Changes } from '../partition/changes.ts';
import type { ClusterNode } from '../partition/cluster-node.ts';
import type { RunRecord } from '../run-record.ts';
import type { MeshCluster } from './mesh-cluster.ts';

/** What is done, drawn evenly; some of it can be done seldom. */
const changeKinds = [
  'join',
  'join',
  'drain',
  'drain',
  'undrain',
  'gone',
  'gone',
  'remove',
  'remove',
  'count',
] as const;

/** See the top of the file. */
export class Operators implements Changes {
  readonly #cluster: MeshCluster;
  readonly #record: RunRecord;
  readonly #random: Prng;
  readonly #boot: (node: ClusterNode) => void;
  readonly #founders: number;
  hasShrunk = false;

  constructor(options: {
    readonly cluster: MeshCluster;
    readonly record: RunRecord;
    readonly random: Prng;
    readonly founders: number;
    readonly replicaCount: number;
    /** A node that has joined begins. */
    readonly boot: (node: ClusterNode) => void;
  }) {
    this.#cluster = options.cluster;
    this.#record = options.record;
    this.#random = options.random;
    this.#boot = options.boot;
    this.#founders = options.founders;
    this.hasShrunk = options.replicaCount < 2;
  }

  change(): void {
    const asked = this.#someMap();
    if (asked === undefined) return;
    const spare = this.#cluster.nodes.find((node) => !this.#cluster.isTold(node));
    const kind = this.#random.pick(changeKinds);
    if (kind === 'join' && spare !== undefined) this.#join(spare);
    else if (kind === 'count') this.#count();
    else this.#setNode(kind, asked);
  }

  /** Nodes that were removed end for good, and hear so from themselves or from any other. */
  bury(): void {
    for (const node of this.#cluster.nodes) {
      if (!node.alive || !this.#isRemoved(node)) continue;
      this.#record.count('a node was removed');
      this.#record.note(`removed ${node.id}`);
      node.crash(false);
    }
  }

  /** Whether it will never run again. */
  isOver(node: ClusterNode): boolean {
    return !this.#cluster.isTold(node) || this.#isRemoved(node);
  }

  leaveAll(): void {
    // A joint change is left by its leader.
  }

  #isRemoved(node: ClusterNode): boolean {
    return this.#cluster.nodes.some(
      ({ host }) => host?.map.cluster.node(node.id as NodeId)?.state === 'removed',
    );
  }

  /** With its key, which is the same each time; the first answer counts. */
  #join(spare: ClusterNode): void {
    const at = this.#random.chance(1, 8) ? 'twice' : 'once';
    for (let each = 0; each < (at === 'twice' ? 2 : 1); each += 1) {
      const key = spare.id.toString(16).padStart(32, '0');
      const zone = this.#random.pick(['', '', 'a', 'b']);
      const described = { name: `node-${spare.id}`, zone, clientAddress: '' };
      const peerAddress = `node-${spare.id}:7448`;
      const command = { kind: 'add-node', key, ...described, peerAddress } as const;
      this.#place(command, () => {
        if (this.#cluster.isTold(spare)) return;
        this.#record.count('a node joined');
        this.#record.note(`joined ${spare.id}`);
        this.#cluster.tell(
          spare,
          this.#cluster.nodes.map(({ id }) => id),
        );
        this.#boot(spare);
      });
    }
  }

  #count(): void {
    const count = this.#random.between(1, Math.min(3, this.#founders));
    this.#place({ kind: 'set-replicas', count }, () => {
      this.#record.count('the number of replicas changed');
      if (count < 2) this.hasShrunk = true;
    });
  }

  #setNode(kind: 'join' | 'drain' | 'undrain' | 'gone' | 'remove', map: ClusterMap): void {
    const nodes = map.nodes().filter(({ id, state }) => {
      if (kind === 'undrain' || kind === 'remove') return state === 'draining';
      // Who can be reached is not given up.
      if (kind === 'gone' && this.#isUp(id)) return false;
      return state === 'member';
    });
    if (nodes.length === 0) return;
    const { id } = this.#random.pick(nodes);
    const states = {
      drain: 'draining',
      undrain: 'member',
      gone: 'gone',
      remove: 'removed',
    } as const;
    const state = kind === 'join' ? 'draining' : states[kind];
    // Somebody has to be left to take what others leave.
    if (state === 'draining' && nodes.length < 3) return;
    this.#place({ kind: 'set-node', node: id, state }, () => {
      if (state === 'draining') this.#record.count('a node was drained');
      if (state === 'gone') this.#record.count('a node was given up');
    });
  }

  #isUp(id: NodeId): boolean {
    return this.#cluster.nodes.find((node) => node.id === id)?.host !== undefined;
  }

  #place(command: PlacementCommand, done: () => void): void {
    const node = this.#cluster.pickAlive();
    const mesh = node === undefined ? undefined : this.#cluster.meshOf(node);
    mesh?.map().place(command, (outcome) => {
      this.#record.note(`${command.kind} ${JSON.stringify(outcome).slice(0, 120)}`);
      if (outcome.kind !== 'refused') done();
    });
  }

  #someMap(): ClusterMap | undefined {
    const map = this.#cluster.pickAlive()?.host?.map.cluster;
    return map?.founded === true ? map : undefined;
  }
}
