import {
  type GroupId,
  type GroupMessage,
  type Message,
  type NodeId,
  PayloadMemory,
  RaftBatchWriter,
  readRaftBatch,
} from 'tuplet/internal';
import { BenchReplica, replicaIds } from './raft-replica.ts';

/** How messages go from node to node: as they are, or encoded as one batch a turn. */
export type Way = 'direct' | 'encoded';

type Parcel = readonly GroupMessage[] | Uint8Array;

/** Collects what goes to one node in a turn. */
interface Link {
  add(group: GroupId, message: Message): void;
  /** What was added, or undefined where nothing was. */
  take(): Parcel | undefined;
}

class DirectLink implements Link {
  #messages: GroupMessage[] = [];

  add(group: GroupId, message: Message): void {
    this.#messages.push({ group, message });
  }

  take(): Parcel | undefined {
    const messages = this.#messages;
    if (messages.length === 0) return undefined;
    this.#messages = [];
    return messages;
  }
}

class EncodedLink implements Link {
  readonly #writer: RaftBatchWriter;

  constructor(from: number, to: number) {
    this.#writer = new RaftBatchWriter(from as NodeId, to as NodeId);
  }

  add(group: GroupId, message: Message): void {
    if (!this.#writer.add(group, message)) throw new Error('a turn says more than a batch holds');
  }

  take(): Parcel | undefined {
    return this.#writer.count === 0 ? undefined : this.#writer.finish();
  }
}

/** A node with a replica of each group. */
class BenchNode {
  readonly replicas: readonly BenchReplica[];
  readonly #links: ReadonlyMap<number, Link>;
  readonly #memory: PayloadMemory = new PayloadMemory();
  #parcels: Parcel[] = [];
  /** Replicas that may have something to do. */
  #queue: BenchReplica[] = [];
  /** CPU of its turns and ticks, in microseconds. */
  usedUs = 0;
  /** Bytes that it has sent, where messages are encoded. */
  sentBytes = 0;

  constructor(id: number, groups: number, way: Way) {
    this.replicas = Array.from({ length: groups }, (_, at) => new BenchReplica(at as GroupId, id));
    this.#links = new Map(
      replicaIds
        .filter((to) => to !== id)
        .map((to) => [to, way === 'direct' ? new DirectLink() : new EncodedLink(id, to)]),
    );
  }

  deliver(parcel: Parcel): void {
    this.#parcels.push(parcel);
  }

  tick(): void {
    for (const replica of this.replicas) {
      replica.node.tick();
      this.enqueue(replica);
    }
  }

  /** The next turn looks at a replica. */
  enqueue(replica: BenchReplica): void {
    if (replica.queued) return;
    replica.queued = true;
    this.#queue.push(replica);
  }

  /** One turn; `send` takes what it says. Whether there was anything to do. */
  turn(send: (to: number, parcel: Parcel) => void): boolean {
    const parcels = this.#parcels;
    this.#parcels = [];
    for (const parcel of parcels) this.#open(parcel);
    const queue = this.#queue;
    if (queue.length === 0) return false;
    this.#queue = [];
    for (const replica of queue) {
      replica.queued = false;
      for (const message of replica.turn())
        this.#links.get(message.to)?.add(replica.group, message);
      if (replica.writes) this.enqueue(replica);
    }
    for (const [to, link] of this.#links) {
      const parcel = link.take();
      if (parcel === undefined) continue;
      if (parcel instanceof Uint8Array) this.sentBytes += parcel.length;
      send(to, parcel);
    }
    return true;
  }

  #open(parcel: Parcel): void {
    const messages =
      parcel instanceof Uint8Array ? readRaftBatch(parcel, this.#memory).messages : parcel;
    for (const { group, message } of messages) {
      const replica = this.replicas[group];
      if (replica === undefined) throw new Error(`no group ${group}`);
      replica.receive(message);
      this.enqueue(replica);
    }
  }
}

/** Groups of three on three nodes, all led by the first node. */
export class BenchCluster {
  readonly nodes: readonly BenchNode[];

  constructor(groups: number, way: Way) {
    this.nodes = replicaIds.map((id) => new BenchNode(id, groups, way));
    const [first] = this.nodes;
    for (const replica of first?.replicas ?? []) {
      replica.node.campaign();
      first?.enqueue(replica);
    }
    this.settle();
  }

  /** Proposes at the first group's leader. */
  propose(run: (leader: BenchReplica) => void): void {
    const [node] = this.nodes;
    const leader = node?.replicas[0];
    if (node === undefined || leader === undefined) throw new Error('a cluster has a group');
    run(leader);
    node.enqueue(leader);
  }

  /** A tick on each node, and what follows from it; adds to `usedUs` of each. */
  tick(): void {
    for (const node of this.nodes) measured(node, () => node.tick());
    let busy = true;
    while (busy) {
      busy = false;
      for (const node of this.nodes)
        measured(node, () => {
          if (node.turn(this.#send)) busy = true;
        });
    }
  }

  /** Turns until nothing is left to do anywhere. */
  settle(): void {
    let busy = true;
    while (busy) {
      busy = false;
      for (const node of this.nodes) if (node.turn(this.#send)) busy = true;
    }
  }

  /** Fails unless the first node leads all groups and all replicas have applied the same. */
  check(): void {
    const [first] = this.nodes;
    for (const { replicas } of this.nodes) {
      for (const [at, { node, appliedIndex }] of replicas.entries()) {
        if (node.lead !== replicaIds[0]) throw new Error('the first replica leads no longer');
        if (appliedIndex !== first?.replicas[at]?.appliedIndex) throw new Error('not all applied');
      }
    }
  }

  readonly #send = (to: number, parcel: Parcel): void => {
    this.nodes.find((_, at) => replicaIds[at] === to)?.deliver(parcel);
  };
}

function measured(node: BenchNode, run: () => void): void {
  const began = cpuUs();
  run();
  node.usedUs += cpuUs() - began;
}

/** Microseconds of CPU that this process has used. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
