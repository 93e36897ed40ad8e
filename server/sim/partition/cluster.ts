/** The nodes of a simulated cluster, what they say to each other, and what must always hold of their groups. */
import type { GroupId, NodeId, PartitionId } from '../../src/base/ids.ts';
import type { Prng } from '../../src/base/prng.ts';
import type { ClusterView } from '../../src/cluster/cluster-view.ts';
import type {
  Accept,
  CoordinatorId,
  Decline,
  FromLeader,
} from '../../src/coordination/messages.ts';
import { MapLooks } from '../../src/mesh/map-looks.ts';
import type { PartitionHost, Peers } from '../../src/partition/partition-host.ts';
import { type Message, MessageKind } from '../../src/raft/message.ts';
import type { Histories } from '../../src/router/histories.ts';
import type { Partitions } from '../../src/router/router.ts';
import type { RunRecord } from '../run-record.ts';
import type { Scheduler } from '../scheduler.ts';
import type { PathWatch } from '../watch.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { Wires } from './wires.ts';

/** Within what time a router hears that a link of its node has broken. */
const breakHeardUsMax = 50_000;

/** Messages that only the leader of a term sends. */
const leaderKinds = new Set<number>([
  MessageKind.append,
  MessageKind.heartbeat,
  MessageKind.snapshot,
  MessageKind.timeoutNow,
]);

/** Acceptances to a partition that may come again in a later leadership. */
const repeatsMax = 128;
/** How long after its beginning. */
const repeatLateUsMax = 1_500_000;
/** How long after another offer of it was made or declined. */
const repeatSoonUsMax = 3_000;

const mapGroup = 0 as GroupId;
/** Milliseconds after which a look at the map asks whoever leads by then. */
const lookAgainMs = 500;

type Router = Parameters<Partitions['attach']>[0];

/** A leadership as a router knows it, and how often the link there had broken when it heard of it. */
interface KnownLeader {
  readonly node: ClusterNode;
  readonly epoch: number;
  readonly breaks: number;
}

/** A router somewhere, as all nodes know it. */
interface RemoteRouter {
  readonly at: ClusterNode;
  readonly router: Router;
  /** By partition: the newest leadership it has heard of, and whose it is. */
  readonly leaders: Map<PartitionId, KnownLeader>;
  readonly detach: Map<ClusterNode, () => void>;
  /** How often its link to a node has broken: what was on its way then is lost. */
  readonly breaks: Map<ClusterNode, number>;
}

/** An acceptance on its way, that the network has a copy of. */
interface SentAcceptance {
  readonly at: ClusterNode;
  readonly from: CoordinatorId;
  readonly message: Accept;
}

/** What a cluster is made with. */
export interface ClusterParts {
  readonly scheduler: Scheduler;
  readonly wires: Wires;
  readonly record: RunRecord;
  readonly watch: PathWatch;
  readonly random: Prng;
}

/** See the top of the file. */
export class Cluster {
  readonly nodes: ClusterNode[] = [];
  readonly #wires: Wires;
  readonly #record: RunRecord;
  readonly #watch: PathWatch;
  readonly #random: Prng;
  readonly #routers = new Map<CoordinatorId, RemoteRouter>();
  /** Where each replica is or was: `group/replica`. */
  readonly #places = new Map<string, ClusterNode>();
  /** Election safety: who led in each term, by `group/term`. */
  readonly #leaders = new Map<string, number>();
  /** The highest term and commit index that each life of a replica was seen with. */
  readonly #seen = new Map<string, { term: number; committed: number; applied: number }>();
  /** Replicas that were removed, and say nothing any more: `group/replica`. */
  readonly #buried = new Set<string>();
  readonly #acceptances = new Map<PartitionId, SentAcceptance[]>();
  /** By partition: the newest epoch that anybody served in. */
  readonly epochs: Map<PartitionId, number> = new Map();
  onEpoch: (partition: PartitionId, epoch: number) => void = () => undefined;

  constructor(options: ClusterParts) {
    this.#wires = options.wires;
    this.#record = options.record;
    this.#watch = options.watch;
    this.#random = options.random;
  }

  /** A replica lives on a node from now on. */
  place(group: GroupId, replica: number, node: ClusterNode): void {
    this.#places.set(`${group}/${replica}`, node);
  }

  nodeOf(group: GroupId, replica: number): ClusterNode | undefined {
    return this.#places.get(`${group}/${replica}`);
  }

  /** It is gone for good: whatever it says from now on is a lie. */
  buried(group: GroupId, replica: number): void {
    this.#buried.add(`${group}/${replica}`);
  }

  /** What clients of a node hear of the cluster; undefined: whoever serves them knows better. */
  viewOf(_node: ClusterNode): ClusterView | undefined {
    return undefined;
  }

  /** What happened, as a node tells it; undefined: what its own replicas say. */
  historiesOf(_node: ClusterNode): Histories | undefined {
    return undefined;
  }

  /** Whether a node leads a partition. */
  /** Whether a node knows that it can reach no majority; over wires nobody does. */
  isApart(_node: ClusterNode): boolean {
    return false;
  }

  leaderOfAny(node: ClusterNode): boolean {
    return node.partitionsHere().some((partition) => this.leaderOf(partition) === node);
  }

  /** The node that serves a partition in the newest epoch, if it can be spoken to. */
  leaderOf(group: GroupId): ClusterNode | undefined {
    let found: ClusterNode | undefined;
    let term = 0;
    for (const node of this.nodes) {
      const replica = node.host?.replicaOf(group);
      if (replica === undefined || !replica.leads || replica.term <= term) continue;
      found = node;
      term = replica.term;
    }
    return found;
  }

  /** What one node's host needs of the others. */
  peersOf(from: () => ClusterNode): Peers {
    return {
      send: (group, message) =>
        this.#sendRaft(from(), group, message, (to) => {
          return (copy) => to.host?.receiveRaft(group, copy);
        }),
      sendSnapshot: async (group, message, chunks) => {
        this.#sendRaft(from(), group, message, (to) => {
          return (copy) => to.host?.receiveSnapshot(group, copy, chunks);
        });
        return undefined;
      },
      sendLeader: (to, message) => {
        const leader = this.leaderOf(to);
        if (leader === undefined) return;
        this.#wires.link(from(), leader, () => leader.host?.receiveLeader(to, message));
      },
    };
  }

  /** The partitions as a router on a node sees them. */
  partitionsFor(at: ClusterNode): Partitions {
    const host = at.host;
    if (host === undefined) throw new Error('a gateway opens on a node that runs');
    let own: RemoteRouter | undefined;
    const looks = this.#looksAtMap(at, host);
    return {
      map: host.map.cluster,
      onMapChange: (run) => host.map.onChange(run),
      lookAtMap: (run) => looks.look(run),
      ready: () => true,
      epochOf: (partition) => own?.leaders.get(partition)?.epoch as never,
      send: (to, from, message) => {
        const leader = own?.leaders.get(to);
        if (leader === undefined) return;
        const { node } = leader;
        this.#watch.toLeader(to, from, message);
        if (message.kind === 'accept') this.#keep(to, { at, from, message });
        if (message.kind === 'decline') this.#repeatBeside(to, node, message);
        if (own === undefined) return;
        this.#over(own, at, node, () => node.host?.send(to, from, message));
      },
      attach: (router) => {
        own = { at, router, leaders: new Map(), detach: new Map(), breaks: new Map() };
        const remote = own;
        this.#routers.set(router.id, remote);
        for (const node of this.nodes) if (node.host !== undefined) this.#attach(remote, node);
        return () => {
          this.#routers.delete(router.id);
          for (const [node, detach] of remote.detach) {
            // The connection ends when the other side hears of it.
            this.#wires.link(at, node, detach);
          }
        };
      },
    };
  }

  /** A node's looks at the cluster map, which whoever leads it answers, unless it is gone by then. */
  #looksAtMap(at: ClusterNode, host: PartitionHost): MapLooks {
    const { clock } = at.process;
    const nodeOfLeader = (): NodeId | undefined =>
      this.leaderOf(mapGroup)?.id as NodeId | undefined;
    const looks = new MapLooks({
      clock,
      map: host.map.cluster,
      leader: nodeOfLeader,
      ask: (to, answer) => {
        clock.after(lookAgainMs, () => answer(undefined));
        const leader = this.nodes.find(({ id }) => id === to);
        if (leader === undefined) return;
        this.#wires.link(at, leader, () => {
          leader.host?.readIndex(mapGroup, (index) => {
            this.#wires.link(leader, at, () => answer(index));
          });
        });
      },
    });
    host.map.onChange(() => looks.changed());
    return looks;
  }

  /** A node runs: the routers of all nodes connect to it. */
  running(node: ClusterNode): void {
    for (const remote of this.#routers.values()) this.#attach(remote, node);
  }

  /** A node has ended: nobody is connected to it. */
  ended(node: ClusterNode, _isMachine: boolean): void {
    for (const remote of this.#routers.values()) {
      remote.detach.delete(node);
      this.#breakLink(remote, node, () => undefined);
    }
    // Mostly a dead process closes its connections; a machine without power does not.
    for (const at of this.nodes) if (this.#random.chance(2, 3)) this.#loseNode(at, node);
  }

  /** A host hears soon that its link to a node broke; by then that one may be back. */
  #loseNode(at: ClusterNode, node: ClusterNode): void {
    if (at === node) return;
    this.#wires.hear(at, this.#random.below(breakHeardUsMax), () => {
      at.host?.nodeLost((group, replica) => {
        const livesThere = this.nodeOf(group, replica) === node;
        if (livesThere) this.#record.count('a leader was lost with its connection');
        return livesThere;
      });
    });
  }

  /** The links of a node's routers to another node break; both ends see that, and they connect again. */
  breakLinks(at: ClusterNode, node: ClusterNode, againUs: number): void {
    this.#loseNode(at, node);
    this.#loseNode(node, at);
    for (const remote of this.#routers.values()) {
      const detach = remote.detach.get(node);
      if (remote.at !== at || detach === undefined) continue;
      this.#record.count('a link broke under a leadership that went on');
      remote.detach.delete(node);
      const { lives } = node;
      detach();
      this.#breakLink(remote, node, () => {
        this.#wires.hear(at, againUs, () => {
          const isThere = node.lives === lives && this.#routers.has(remote.router.id);
          if (isThere) this.#attach(remote, node);
        });
      });
    }
  }

  /** What is on its way on a router's link to a node is lost, both ways; the router hears of it soon. */
  #breakLink(remote: RemoteRouter, node: ClusterNode, heard: () => void): void {
    const { at, router, leaders } = remote;
    const breaks = (remote.breaks.get(node) ?? 0) + 1;
    remote.breaks.set(node, breaks);
    this.#wires.hear(at, this.#random.below(breakHeardUsMax), () => {
      if (!this.#routers.has(router.id)) return;
      for (const [partition, leader] of leaders) {
        if (leader.node !== node || leader.breaks >= breaks) continue;
        leaders.delete(partition);
        router.linkBroken(partition);
      }
      heard();
    });
  }

  /** Something passes a router's link to a node, or back, unless it breaks meanwhile. */
  #over(remote: RemoteRouter, from: ClusterNode, to: ClusterNode, arrive: () => void): void {
    const node = from === remote.at ? to : from;
    const breaks = remote.breaks.get(node);
    this.#wires.link(from, to, () => {
      if (remote.breaks.get(node) === breaks) arrive();
    });
  }

  /** Invariants of every replica, and what it may not take back. */
  verify(): void {
    for (const node of this.nodes) {
      if (node.host === undefined) continue;
      for (const partition of [0 as PartitionId, ...node.partitionsHere()]) {
        this.#verifyReplica(node, partition);
      }
    }
  }

  #verifyReplica(node: ClusterNode, group: GroupId): void {
    const replica = node.host?.replicaOf(group);
    if (replica === undefined) return;
    replica.verify();
    const { term, committed, applied } = replica.status();
    const key = `${group}/${replica.id}/${node.lives}`;
    const before = this.#seen.get(key) ?? { term: 0, committed: 0, applied: 0 };
    if (term < before.term || committed < before.committed || applied < before.applied) {
      const was = `${before.term} ${before.committed} ${before.applied}`;
      this.#record.say(
        'monotonic',
        `${key} was at ${was}, and is at ${term} ${committed} ${applied}`,
      );
    }
    this.#seen.set(key, { term, committed, applied });
  }

  #attach(remote: RemoteRouter, node: ClusterNode): void {
    const { at, router } = remote;
    const { host } = node;
    if (host === undefined || remote.detach.has(node) || !at.alive) return;
    const life = node.lives;
    const detach = host.attach({
      id: router.id,
      leadership: (partition, epoch) => {
        if ((this.epochs.get(partition) ?? 0) < epoch) {
          this.epochs.set(partition, epoch);
          this.onEpoch(partition, epoch);
          this.#repeat(partition, node);
        }
        this.#over(remote, node, at, () => {
          if ((remote.leaders.get(partition)?.epoch ?? 0) >= epoch || node.lives !== life) return;
          remote.leaders.set(partition, { node, epoch, breaks: remote.breaks.get(node) ?? 0 });
          if (this.#routers.has(router.id)) router.leadership(partition, epoch);
        });
      },
      deliver: (messages) => {
        for (const message of messages) {
          this.#watch.fromLeader(router.id, message);
          if (message.kind === 'offer') this.#repeatBeside(message.partition, node, message);
        }
        this.#over(remote, node, at, () => this.#deliver(remote, messages));
      },
    });
    remote.detach.set(node, () => {
      if (node.lives === life && node.alive) detach();
    });
  }

  #keep(to: PartitionId, sent: SentAcceptance): void {
    const kept = this.#acceptances.get(to) ?? [];
    this.#acceptances.set(to, kept);
    kept.push(sent);
    if (kept.length > repeatsMax) kept.shift();
  }

  /** W5: what an earlier leadership was sent comes again, at the new one, while it makes offers of its own. */
  #repeat(to: PartitionId, node: ClusterNode): void {
    for (const sent of this.#acceptances.get(to) ?? []) {
      if (this.#random.chance(1, 2)) this.#sendAgain(to, node, sent, repeatLateUsMax);
    }
  }

  /**
   * W5: and while its operation is offered something there, or accepts another partition's offer, where it
   * would be handed both.
   */
  #repeatBeside(
    to: PartitionId,
    node: ClusterNode,
    { operation, epoch }: Pick<Decline, 'operation' | 'epoch'>,
  ): void {
    const { session, sequence, attempt } = operation;
    for (const sent of this.#acceptances.get(to) ?? []) {
      const { message } = sent;
      const other = message.operation;
      if (message.epoch === epoch || other.session !== session) continue;
      if (other.sequence !== sequence || other.attempt !== attempt) continue;
      this.#sendAgain(to, node, sent, repeatSoonUsMax);
    }
  }

  #sendAgain(
    to: PartitionId,
    node: ClusterNode,
    { at, from, message }: SentAcceptance,
    laterUsMax: number,
  ): void {
    if (!at.alive) return;
    const life = node.lives;
    const arrive = (): void => {
      // A connection ends with its router.
      if (node.lives !== life || !this.#routers.has(from)) return;
      this.#record.count('an acceptance came again in a later epoch');
      node.host?.send(to, from, message);
    };
    this.#wires.link(at, node, arrive, this.#random.below(laterUsMax));
  }

  #deliver(remote: RemoteRouter, messages: readonly FromLeader[]): void {
    if (this.#routers.has(remote.router.id)) remote.router.deliver(messages);
  }

  #sendRaft(
    from: ClusterNode,
    group: GroupId,
    message: Message,
    receiver: (to: ClusterNode) => (copy: Message) => void,
  ): void {
    this.judge(group, message);
    const to = this.nodeOf(group, message.to);
    if (to === undefined) return;
    this.#wires.raft({ from, to, group }, message, receiver(to));
  }

  /** Election safety over all time (Raft §5.2), and that whoever was removed is silent. */
  protected judge(group: GroupId, { kind, from, term }: Message): void {
    if (this.#buried.has(`${group}/${from}`)) {
      this.#record.say('removed', `group ${group}: replica ${from} was buried, and speaks`);
    }
    if (!leaderKinds.has(kind)) return;
    const key = `${group}/${term}`;
    const leader = this.#leaders.get(key);
    if (leader === undefined) this.#leaders.set(key, from);
    else if (leader !== from) {
      const message = `group ${group}: ${leader} and ${from} lead in term ${term}`;
      this.#record.say('election safety', message);
    }
  }

  /** Whether what one node says does not reach another, or the other way round. */
  isCut(one: ClusterNode, other: ClusterNode): boolean {
    return this.#wires.isCutBetween(one.id, other.id);
  }

  /** One of the nodes that are up; undefined: none is. */
  pickAlive(): ClusterNode | undefined {
    const alive = this.nodes.filter((node) => node.alive && node.host !== undefined);
    return alive.length === 0 ? undefined : this.#random.pick(alive);
  }
}
