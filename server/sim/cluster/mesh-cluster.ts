/** The nodes of a simulated cluster with their meshes and their part in the placement. */
import type { GroupId, NodeId, PartitionId } from '../../src/base/ids.ts';
import type { ClusterMap } from '../../src/cluster/cluster-map.ts';
import type { ClusterView } from '../../src/cluster/cluster-view.ts';
import type { GroupPlacement } from '../../src/cluster/placement-types.ts';
import { Mesh } from '../../src/mesh/mesh.ts';
import type { Peers } from '../../src/partition/partition-host.ts';
import { Allocator } from '../../src/placement/allocator.ts';
import { handOverAll } from '../../src/placement/hand-over-all.ts';
import { Places } from '../../src/placement/places.ts';
import { Reconciler } from '../../src/placement/reconciler.ts';
import { isJoint } from '../../src/raft/configuration.ts';
import { DroppedSpaces } from '../../src/router/dropped-spaces.ts';
import type { Histories } from '../../src/router/histories.ts';
import type { Partitions } from '../../src/router/router.ts';
import { Cluster, type ClusterParts } from '../partition/cluster.ts';
import type { ClusterNode } from '../partition/cluster-node.ts';
import { SimLinks } from './sim-links.ts';

/** Ids of those who only look at who leads: beyond those of gateways. */
const observerIds = 1_000_000;
/** Milliseconds until a node's part in the placement begins, where its map is not here yet. */
const lookMs = 20;

/** What one life of a node has. */
interface Life {
  /** Nodes that others have told of. */
  readonly heard: Set<number>;
  readonly mesh: Mesh;
  readonly places: Places;
  /** End its part in the placement. */
  readonly ends: (() => void)[];
}

/** See the top of the file. */
export class MeshCluster extends Cluster {
  readonly #parts: ClusterParts;
  readonly #links: SimLinks;
  readonly #replaceAfterMs: number;
  readonly #lives = new Map<ClusterNode, Life>();
  /** Nodes that are told of all others before they have a map: founders, and whoever has joined. */
  readonly #told = new Map<ClusterNode, readonly number[]>();
  /** Replicas that were seen to vote: `group/replica`. */
  readonly #haveVoted = new Set<string>();
  #observers = 0;

  constructor(
    parts: ClusterParts & { readonly replaceAfterMs: number; readonly laneBytesMax: number },
  ) {
    super(parts);
    this.#parts = parts;
    this.#replaceAfterMs = parts.replaceAfterMs;
    this.#links = new SimLinks({
      scheduler: parts.scheduler,
      random: parts.random.fork('links'),
      wires: parts.wires,
      laneBytesMax: parts.laneBytesMax,
      onFault: (name) => parts.record.count(name),
      knows: (node, other) => this.#knows(node, other),
    });
  }

  /** A node begins with the addresses of these. */
  tell(node: ClusterNode, others: readonly number[]): void {
    this.#told.set(node, others);
  }

  /** Whether a node is or was one of the cluster. */
  isTold(node: ClusterNode): boolean {
    return this.#told.has(node);
  }

  /** A life's mesh, once it is open. */
  meshOf(node: ClusterNode): Mesh | undefined {
    return this.#lives.get(node)?.mesh;
  }

  /** All that a node leads is handed over, and it changes the map no more, as far as there is time. */
  async leave(node: ClusterNode): Promise<void> {
    const life = this.#lives.get(node);
    const { host } = node;
    if (life === undefined || host === undefined) return;
    for (const end of life.ends.splice(0)) end();
    await handOverAll({
      clock: node.process.clock,
      host,
      canReach: (group, replica) => {
        const to = life.places.nodeOf(group, replica);
        return to !== undefined && life.mesh.linked().has(to);
      },
    });
    life.mesh.leave();
  }

  /** Whether a node can reach no majority of the others. */
  override isApart(node: ClusterNode): boolean {
    const nodes = node.host?.map.cluster.nodes() ?? [];
    const counted = nodes.filter(({ state }) => state === 'member' || state === 'draining');
    return this.meshOf(node)?.isApart(counted.length) === true;
  }

  override viewOf(node: ClusterNode): ClusterView | undefined {
    return this.meshOf(node)?.view();
  }

  override historiesOf(node: ClusterNode): Histories | undefined {
    return this.meshOf(node)?.histories();
  }

  override nodeOf(group: GroupId, replica: number): ClusterNode | undefined {
    for (const { places } of this.#lives.values()) {
      const id = places.nodeOf(group, replica);
      const node = this.nodes.find((each) => each.id === id);
      if (node !== undefined) return node;
    }
    return undefined;
  }

  override peersOf(from: () => ClusterNode): Peers {
    return {
      send: (group, message) => {
        this.judge(group, message);
        this.meshOf(from())?.send(group, message);
      },
      sendSnapshot: async (group, message, chunks) => {
        this.judge(group, message);
        return this.meshOf(from())?.sendSnapshot(group, message, chunks) ?? 'lost';
      },
      sendLeader: (to, message) => this.meshOf(from())?.sendLeader(to, message),
    };
  }

  override partitionsFor(at: ClusterNode): Partitions {
    const mesh = this.meshOf(at);
    if (mesh === undefined) throw new Error('a gateway opens on a node that runs');
    const partitions = mesh.partitions();
    const { watch } = this.#parts;
    return {
      ...partitions,
      send: (to, from, message) => {
        watch.toLeader(to, from, message);
        partitions.send(to, from, message);
      },
      attach: (router) =>
        partitions.attach({
          id: router.id,
          leadership: (partition, epoch) => router.leadership(partition, epoch),
          linkBroken: (partition) => router.linkBroken(partition),
          deliver: (messages) => {
            for (const message of messages) watch.fromLeader(router.id, message);
            router.deliver(messages);
          },
        }),
    };
  }

  override running(node: ClusterNode): void {
    const { host } = node;
    if (host === undefined) return;
    const { clock } = node.process;
    const self = node.id as NodeId;
    const places = new Places(host.map.cluster);
    const heard = new Set<number>();
    const mesh = new Mesh({
      self,
      onNodes: (nodes) => {
        for (const { node: other } of nodes) {
          if (host.map.cluster.node(other) === undefined && !heard.has(other))
            this.#parts.record.count('a node was heard of before the map had it');
          heard.add(other);
        }
      },
      clock,
      nodeOf: (group, replica) => places.nodeOf(group, replica),
      onWarning: (message) => this.#parts.record.say('invariant', message),
    });
    const life: Life = { heard, mesh, places, ends: [] };
    this.#lives.set(node, life);
    const links = this.#links.open(node, {
      connected: (peer) => mesh.connected(peer),
      broken: (peer) => {
        this.#countLoss(node, places, peer);
        mesh.broken(peer);
      },
      frame: (peer, lane, bytes) => mesh.frame(peer, lane, bytes),
      snapshot: (peer, header, chunks) => mesh.snapshot(peer, header, chunks),
    });
    mesh.open(host, links);
    mesh.advertise(node.address);
    this.#observers += 1;
    host.attach({
      id: observerIds + this.#observers,
      deliver: () => undefined,
      leadership: (partition, epoch) => {
        if ((this.epochs.get(partition) ?? 0) >= epoch) return;
        this.epochs.set(partition, epoch);
        this.onEpoch(partition, epoch);
      },
    });
    this.#begin(node, life);
  }

  override ended(node: ClusterNode, isMachine = true): void {
    this.#lives.delete(node);
    this.#links.ended(node, isMachine);
  }

  override breakLinks(at: ClusterNode, node: ClusterNode, againUs: number): void {
    if (this.leaderOfAny(node))
      this.#parts.record.count('a link broke under a leadership that went on');
    this.#links.break(at, node, againUs);
  }

  override verify(): void {
    super.verify();
    const map = this.#newestMap();
    if (map === undefined) return;
    for (const placement of map.placements()) this.#verifyVotes(placement);
  }

  /** Nobody stops voting before whoever takes its place votes: add, and then remove, in one joint change. */
  #verifyVotes({ group, replicas }: GroupPlacement): void {
    const configuration = this.leaderOf(group)?.host?.replicaOf(group)?.configuration;
    if (configuration === undefined || isJoint(configuration)) return;
    const { voters } = configuration;
    for (const voter of voters) this.#haveVoted.add(`${group}/${voter}`);
    const comes = replicas.find(
      ({ role, replica }) => role === 'joining' && !voters.includes(replica),
    );
    // One of two that leave may have voted only until the other did: then that one still does.
    const leaving = replicas.filter(({ role }) => role === 'leaving').map(({ replica }) => replica);
    if (comes === undefined || leaving.some((replica) => voters.includes(replica))) return;
    const left = leaving.find((replica) => this.#haveVoted.has(`${group}/${replica}`));
    if (left === undefined) return;
    const message = `group ${group}: replica ${left} votes no more, and ${comes.replica} not yet`;
    this.#parts.record.say('placement', message);
  }

  #newestMap(): ClusterMap | undefined {
    let newest: ClusterMap | undefined;
    for (const { host } of this.nodes) {
      const map = host?.map.cluster;
      if (map?.founded === true && map.appliedIndex > (newest?.appliedIndex ?? 0)) newest = map;
    }
    return newest;
  }

  /** Its reconciler and allocator, once its map is here. */
  #begin(node: ClusterNode, life: Life): void {
    const { host } = node;
    const { record } = this.#parts;
    const { clock } = node.process;
    if (host === undefined || this.#lives.get(node) !== life) return;
    if (!host.hasPartitions) {
      clock.after(lookMs, () => this.#begin(node, life));
      return;
    }
    const { mesh } = life;
    this.#observers += 1;
    new DroppedSpaces({
      id: observerIds + this.#observers,
      partitions: mesh.partitions(),
      map: host.map,
      clock,
    });
    const map = mesh.map();
    const place: typeof map.place = (command, answer) => {
      map.place(command, (outcome) => {
        if (outcome.kind !== 'refused') this.#countPlaced(command.kind);
        answer(outcome);
      });
    };
    const self = node.id as NodeId;
    const reconciler = new Reconciler({
      self,
      clock,
      host,
      place,
      onMade: (partition, replica) => {
        record.note(`made ${partition}/${replica} at ${node.id}`);
        record.count('a replica came');
      },
      onBuried: (partition, replica) => {
        record.note(`buried ${partition}/${replica} at ${node.id}`);
        record.count('a replica was buried');
        this.buried(partition, replica);
      },
    });
    const allocator = new Allocator({
      self,
      clock,
      cluster: host.map.cluster,
      epoch: () => host.map.epoch(),
      linked: () => mesh.linked(),
      leaders: () => mesh.leaders(),
      handOver: (move) => {
        record.count('a leadership was balanced');
        mesh.handOver(move);
      },
      place,
      replaceAfterMs: this.#replaceAfterMs,
      onPlanned: (message) => record.note(message),
    });
    life.ends.push(
      () => reconciler.close(),
      () => allocator.close(),
    );
  }

  #countPlaced(kind: string): void {
    const { record } = this.#parts;
    if (kind === 'begin-move') record.count('a move began');
    if (kind === 'placed') record.count('a move was reported');
  }

  #countLoss(node: ClusterNode, places: Places, peer: NodeId): void {
    for (const partition of node.partitionsHere()) {
      const lead = node.host?.replicaOf(partition)?.lead ?? 0;
      if (places.nodeOf(partition as PartitionId, lead) === peer)
        this.#parts.record.count('a leader was lost with its connection');
    }
  }

  #knows(node: ClusterNode, other: ClusterNode): boolean {
    const map = node.host?.map.cluster;
    if (map?.founded !== true) return this.#told.get(node)?.includes(other.id) === true;
    const record = map.node(other.id as NodeId);
    if (record === undefined) return this.#lives.get(node)?.heard.has(other.id) === true;
    return record.state !== 'removed';
  }
}
