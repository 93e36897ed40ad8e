import { assert, present, unreachable } from '../base/assert.ts';
import type { Cancel, Clock } from '../base/doors.ts';
import type { GroupId, NodeId, PartitionId, Term } from '../base/ids.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { LeaderMove } from '../cluster/plan-leaders.ts';
import type {
  BetweenLeaders,
  CoordinatorId,
  FromLeader,
  ToLeader,
} from '../coordination/messages.ts';
import type { PartitionHost, Peers } from '../partition/partition-host.ts';
import type { Message } from '../raft/message.ts';
import type { Histories } from '../router/histories.ts';
import type { Partitions } from '../router/router.ts';
import { type CoordinationItem, readCoordinationBatch } from '../transport/coordination-codec.ts';
import { CoordinationMemory } from '../transport/coordination-memory.ts';
import type { NodeAddress } from '../transport/join-codec.ts';
import { Lane } from '../transport/lane.ts';
import type { Links } from '../transport/links.ts';
import { PayloadMemory } from '../transport/payload-memory.ts';
import type { GroupStatus } from '../transport/placement-codec.ts';
import { RaftBatchWriter, readRaftBatch } from '../transport/raft-codec.ts';
import { type HistorySources, MeshHistoryReader } from './histories.ts';
import { HistoryCalls, type HistoryHost } from './history-calls.ts';
import { IndexCalls } from './index-calls.ts';
import { Leaders } from './leaders.ts';
import { ledStatus } from './led-status.ts';
import { MapCalls } from './map-calls.ts';
import { MapLooks } from './map-looks.ts';
import { Outbox, type OutboxLinks } from './outbox.ts';
import { type PeerAnswer, PeerCalls } from './peer-calls.ts';
import { framedChunks, readChunks } from './snapshot-stream.ts';
import { MeshView } from './view.ts';

/** What the mesh needs of this node's host. */
export type MeshHost = Pick<
  PartitionHost,
  | 'attach'
  | 'send'
  | 'ready'
  | 'map'
  | 'readIndex'
  | 'receiveRaft'
  | 'receiveSnapshot'
  | 'receiveLeader'
  | 'nodeLost'
  | 'handOver'
  | 'replicaOf'
  | keyof HistoryHost
>;

/** What the mesh needs of the links. */
export type MeshLinks = OutboxLinks & Pick<Links, 'sendSnapshot'>;

/** What a mesh is made with. */
export interface MeshOptions {
  readonly self: NodeId;
  readonly clock: Clock;
  /** Where a replica lives; undefined: not known here, and what is for it is lost. */
  readonly nodeOf: (group: GroupId, replica: number) => NodeId | undefined;
  /** Another node knows of these: the map here may be behind. */
  readonly onNodes: (nodes: readonly NodeAddress[]) => void;
  /** Sentences for the operator. */
  readonly onWarning: (message: string) => void;
}

const mapGroup = 0 as GroupId;

type RouterPort = Parameters<Partitions['attach']>[0];

/**
 * The nodes of a cluster to each other: carries what replicas, routers and leaders say over the links, and
 * shows this node's routers all partitions, wherever they are led.
 */
export class Mesh implements Peers {
  readonly #options: MeshOptions;
  readonly #leaders = new Leaders();
  /** What routers here have said to leaders: here, and on other nodes. */
  readonly #sent = { here: 0, elsewhere: 0 };
  readonly #routers = new Map<CoordinatorId, RouterPort>();
  /** By node: its routers that are attached to the host here. */
  readonly #remote = new Map<NodeId, Map<CoordinatorId, Cancel>>();
  readonly #payloads = new PayloadMemory();
  readonly #memory = new CoordinationMemory();
  /** Nodes of the map here, as the others were told. */
  #knownNodes: readonly NodeAddress[] = [];
  #toldVersion = -1;
  #host: MeshHost | undefined;
  #links: MeshLinks | undefined;
  #outbox: Outbox | undefined;
  #mapCalls: MapCalls | undefined;
  #view: MeshView | undefined;
  #mapLooks: MapLooks | undefined;
  #indexCalls: IndexCalls | undefined;
  #historyCalls: HistoryCalls | undefined;
  readonly #statusCalls = new PeerCalls<readonly GroupStatus[]>((to, item) => this.#say(to, item));

  constructor(options: MeshOptions) {
    this.#options = options;
  }

  /** The host, once it serves, and the links, before they dial anybody. Once. */
  open(host: MeshHost, links: MeshLinks): void {
    assert(this.#host === undefined, 'a mesh is opened once');
    this.#host = host;
    this.#links = links;
    const { self, clock } = this.#options;
    this.#outbox = new Outbox(self, clock, links);
    const say = (to: NodeId, item: CoordinationItem): void => this.#say(to, item);
    this.#view = new MeshView(self, this.#leaders, host.map.cluster);
    const indexCalls = new IndexCalls({ self, host, say });
    this.#indexCalls = indexCalls;
    this.#historyCalls = new HistoryCalls({ clock, host, say });
    const looks = new MapLooks({
      clock,
      map: host.map.cluster,
      leader: () => this.#mapCalls?.leader,
      ask: (to, answer) => indexCalls.ask(to, mapGroup, answer),
    });
    this.#mapLooks = looks;
    this.#tellNodes(host);
    host.map.onChange(() => {
      looks.changed();
      this.#tellNodes(host);
    });
    const newLeader = (): void => looks.newLeader();
    this.#mapCalls = new MapCalls({ self, clock, map: host.map, say, newLeader });
  }

  /** The node takes no more changes of the cluster map. */
  leave(): void {
    this.#mapCalls?.leave();
  }

  /** Calls to other nodes end. */
  close(): void {
    this.#mapCalls?.close();
  }

  // What the host says.

  send(group: GroupId, message: Message): void {
    const to = this.#options.nodeOf(group, message.to);
    if (to !== undefined) this.#outbox?.raft(to, group, message);
  }

  async sendSnapshot(
    group: GroupId,
    message: Message,
    chunks: readonly Uint8Array[],
  ): Promise<'lost' | undefined> {
    const to = this.#options.nodeOf(group, message.to);
    if (to === undefined || this.#links === undefined) return 'lost';
    const header = new RaftBatchWriter(this.#options.self, to);
    header.add(group, message);
    const end = await this.#links.sendSnapshot(to, header.finish(), framedChunks(chunks));
    // One that has arrived its receiver may refuse: its host waits for an answer.
    return end === 'arrived' ? undefined : 'lost';
  }

  sendLeader(to: PartitionId, message: BetweenLeaders): void {
    const leader = this.#leaders.of(to);
    if (leader === undefined || leader.node === this.#options.self) return;
    this.#outbox?.coordination(leader.node, { kind: 'between-leaders', partition: to, message });
  }

  /** All partitions, for the routers of this node. */
  partitions(): Partitions {
    const host = present(this.#host, 'the mesh is open');
    return {
      map: host.map.cluster,
      onMapChange: (run) => host.map.onChange(run),
      lookAtMap: (run) => present(this.#mapLooks, 'the mesh is open').look(run),
      epochOf: (partition) => this.#leaders.of(partition)?.epoch,
      ready: (partition) => this.#isElsewhere(partition) || host.ready(partition),
      send: (to, from, message) => this.#sendToLeader(to, from, message),
      attach: (router) => this.#attach(host, router),
    };
  }

  /** What happened in all partitions, wherever it is kept. */
  histories(): Histories {
    const host = present(this.#host, 'the mesh is open');
    const calls = present(this.#historyCalls, 'the mesh is open');
    const { self, clock } = this.#options;
    const { cluster } = host.map;
    const votersOf = (partition: PartitionId): readonly NodeId[] =>
      (cluster.placement(partition)?.replicas ?? [])
        .filter(({ role }) => role === 'voter')
        .map(({ node }) => node);
    const sources: HistorySources = {
      clock,
      host,
      calls,
      isOwn: (partition) => votersOf(partition).includes(self),
      others: (partition) => {
        const leader = this.#leaders.of(partition)?.node;
        const linked = votersOf(partition).filter((node) => this.#remote.has(node));
        return leader === undefined || !this.#remote.has(leader)
          ? linked
          : [leader, ...linked.filter((node) => node !== leader)];
      },
      onChange: (run) => host.map.onChange(run),
    };
    return {
      clusterId: cluster.clusterId,
      open: (partition, wake) => new MeshHistoryReader(sources, partition, wake),
      nowMs: () => clock.monotonicMs(),
    };
  }

  /** The cluster map, changed wherever it is led. */
  map(): MapCalls {
    return present(this.#mapCalls, 'the mesh is open');
  }

  /** The cluster, as clients are told of it. */
  view(): ClusterView {
    return present(this.#view, 'the mesh is open');
  }

  /** Clients reach this node there; `host:port`. */
  advertise(address: string): void {
    this.#view?.heard(this.#options.self, address);
    for (const peer of this.#remote.keys()) this.#say(peer, { kind: 'client-address', address });
  }

  /** What routers of this node have said to leaders: here, and on other nodes. */
  get sent(): { here: number; readonly elsewhere: number } {
    return this.#sent;
  }

  /** Nodes that this one is linked to. */
  linked(): ReadonlySet<NodeId> {
    return new Set(this.#remote.keys());
  }

  /** Who leads which partition, as far as this node has heard and can reach them. */
  leaders(): ReadonlyMap<GroupId, NodeId> {
    return this.#leaders.nodes();
  }

  /** Asks the node that leads a group to hand it over to a replica. What comes of it nobody says. */
  handOver({ group, from, to }: LeaderMove): void {
    if (from === this.#options.self) this.#host?.handOver(group, to);
    else this.#say(from, { kind: 'hand-over', group, to });
  }

  /** What a node leads; undefined: it cannot be asked now, or the link broke before it answered. */
  statusOf(node: NodeId, answer: PeerAnswer<readonly GroupStatus[]>): void {
    if (node === this.#options.self) answer(ledStatus(present(this.#host, 'the mesh is open')));
    else this.#statusCalls.ask(node, (call) => ({ kind: 'status-ask', call }), answer);
  }

  /** Whether this node and those that it is linked to are no majority of so many nodes. */
  isApart(nodes: number): boolean {
    return (this.#remote.size + 1) * 2 <= nodes;
  }

  // What the links say.

  connected(peer: NodeId): void {
    this.#remote.set(peer, new Map());
    for (const router of this.#routers.keys()) this.#say(peer, { kind: 'router-attached', router });
    this.#say(peer, { kind: 'known-nodes', nodes: this.#knownNodes });
    const address = this.#view?.addressOf(this.#options.self);
    if (address !== undefined) this.#say(peer, { kind: 'client-address', address });
    this.#indexCalls?.connected(peer);
    this.#statusCalls.connected(peer);
    this.#historyCalls?.connected(peer);
    this.#mapCalls?.connected(peer);
  }

  broken(peer: NodeId): void {
    this.#outbox?.drop(peer);
    for (const detach of this.#remote.get(peer)?.values() ?? []) detach();
    this.#remote.delete(peer);
    const lost = this.#leaders.lost(peer);
    for (const partition of lost) {
      for (const router of this.#routers.values()) router.linkBroken(partition);
    }
    if (lost.length > 0) this.#view?.changed();
    this.#mapCalls?.broken(peer);
    const { nodeOf } = this.#options;
    this.#host?.nodeLost((group, replica) => nodeOf(group, replica) === peer);
    this.#indexCalls?.broken(peer);
    this.#statusCalls.broken(peer);
    this.#historyCalls?.broken(peer);
  }

  /** A frame. Throws DecodeError or FormatError for one that no node of this build writes. */
  frame(peer: NodeId, lane: Lane, bytes: Uint8Array): void {
    const host = this.#host;
    if (host === undefined) return;
    if (lane !== Lane.coordination) {
      const { messages } = readRaftBatch(bytes, this.#payloads);
      for (const { group, message } of messages) {
        if (this.#comesFrom(peer, group, message)) host.receiveRaft(group, message);
      }
      return;
    }
    const answers = new Map<CoordinatorId, FromLeader[]>();
    for (const item of readCoordinationBatch(bytes, this.#memory).items) {
      this.#item(host, { peer, item, answers });
    }
    for (const [router, messages] of answers) this.#routers.get(router)?.deliver(messages);
  }

  async snapshot(
    peer: NodeId,
    header: Uint8Array,
    pieces: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { messages } = readRaftBatch(header, this.#payloads);
    const chunks = await readChunks(pieces);
    for (const { group, message } of messages) {
      if (!this.#comesFrom(peer, group, message)) continue;
      this.#host?.receiveSnapshot(group, message, chunks);
    }
  }

  /** Whoever lags may have no link to the node that leads the map, and would never hear of it. */
  #tellNodes({ map: { cluster } }: MeshHost): void {
    if (this.#toldVersion === cluster.placementVersion) return;
    this.#toldVersion = cluster.placementVersion;
    const nodes = cluster
      .nodes()
      .filter(({ state }) => state !== 'removed')
      .map(({ id, peerAddress }) => ({ node: id, address: peerAddress }));
    const isNews = JSON.stringify(nodes) !== JSON.stringify(this.#knownNodes);
    this.#knownNodes = nodes;
    if (!isNews) return;
    for (const peer of this.#remote.keys()) this.#say(peer, { kind: 'known-nodes', nodes });
  }

  #item(
    host: MeshHost,
    what: {
      readonly peer: NodeId;
      readonly item: CoordinationItem;
      readonly answers: Map<CoordinatorId, FromLeader[]>;
    },
  ): void {
    const { peer, item, answers } = what;
    switch (item.kind) {
      case 'to-leader':
        // A router that is not attached is gone, or was never told of: nobody waits for an answer.
        if (this.#remote.get(peer)?.has(item.router) === true)
          host.send(item.partition, item.router, item.message);
        return;
      case 'from-leader': {
        const messages = answers.get(item.router) ?? [];
        messages.push(item.message);
        answers.set(item.router, messages);
        return;
      }
      case 'between-leaders':
        host.receiveLeader(item.partition, item.message);
        return;
      case 'router-attached':
        this.#attachRemote(host, peer, item.router);
        return;
      case 'router-detached': {
        const routers = this.#remote.get(peer);
        routers?.get(item.router)?.();
        routers?.delete(item.router);
        return;
      }
      case 'leadership':
        this.#leads(item.partition, peer, item.epoch);
        return;
      case 'client-address':
        this.#view?.heard(peer, item.address);
        return;
      case 'map-leadership':
        this.#mapCalls?.leads(peer, item.epoch);
        return;
      case 'map-call':
        this.#mapCalls?.asked(peer, item.call, item.command);
        return;
      case 'map-answer':
        this.#mapCalls?.answered(peer, item.call, item.outcome);
        return;
      case 'read-index':
        this.#indexCalls?.asked(peer, item.call, item.group);
        return;
      case 'index-answer':
        this.#indexCalls?.answered(peer, item.call, item.index);
        return;
      case 'hand-over':
        host.handOver(item.group, item.to);
        return;
      case 'known-nodes':
        this.#options.onNodes(item.nodes);
        return;
      case 'history-ask':
        this.#historyCalls?.asked(peer, item);
        return;
      case 'history-answer':
        this.#historyCalls?.answered(peer, item.call, item.outcome);
        return;
      case 'status-ask':
        this.#statusCalls.reply(peer)({
          kind: 'status-answer',
          call: item.call,
          groups: ledStatus(host),
        });
        return;
      case 'status-answer':
        this.#statusCalls.answered(peer, item.call, item.groups);
        return;
      default:
        unreachable(item);
    }
  }

  #attach(host: MeshHost, router: RouterPort): Cancel {
    const { self } = this.#options;
    const detach = host.attach({
      id: router.id,
      deliver: (messages) => router.deliver(messages),
      leadership: (partition, epoch) => this.#leads(partition, self, epoch),
    });
    this.#routers.set(router.id, router);
    for (const peer of this.#remote.keys())
      this.#say(peer, { kind: 'router-attached', router: router.id });
    return () => {
      detach();
      this.#routers.delete(router.id);
      for (const peer of this.#remote.keys())
        this.#say(peer, { kind: 'router-detached', router: router.id });
    };
  }

  #attachRemote(host: MeshHost, peer: NodeId, id: CoordinatorId): void {
    const routers = this.#remote.get(peer);
    if (routers === undefined || routers.has(id)) return;
    const detach = host.attach({
      id,
      deliver: (messages) => {
        for (const message of messages)
          this.#say(peer, { kind: 'from-leader', router: id, message });
      },
      leadership: (partition, epoch) => this.#say(peer, { kind: 'leadership', partition, epoch }),
    });
    routers.set(id, detach);
  }

  #leads(partition: PartitionId, node: NodeId, epoch: Term): void {
    if (!this.#leaders.heard(partition, { node, epoch })) return;
    for (const router of this.#routers.values()) router.leadership(partition, epoch);
    this.#view?.changed();
  }

  #sendToLeader(to: PartitionId, from: CoordinatorId, message: ToLeader): void {
    const leader = this.#leaders.of(to);
    // Whoever calls is told when one is known.
    if (leader === undefined) return;
    if (leader.node === this.#options.self) {
      this.#sent.here += 1;
      this.#host?.send(to, from, message);
    } else {
      this.#sent.elsewhere += 1;
      this.#say(leader.node, { kind: 'to-leader', partition: to, router: from, message });
    }
  }

  #say(to: NodeId, item: CoordinationItem): void {
    this.#outbox?.coordination(to, item);
  }

  #isElsewhere(partition: PartitionId): boolean {
    const leader = this.#leaders.of(partition);
    return leader !== undefined && leader.node !== this.#options.self;
  }

  /** A message is taken from the node alone on which its sender lives. */
  #comesFrom(peer: NodeId, group: GroupId, { from }: Message): boolean {
    const node = this.#options.nodeOf(group, from);
    if (node === peer) return true;
    // The map here may be behind: the message is lost, and sent again.
    if (node === undefined) return false;
    this.#options.onWarning(`node ${peer} speaks for replica ${from} of group ${group}`);
    return false;
  }
}
