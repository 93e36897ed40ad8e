import type { Topology as TopologyMessage } from '@tuplet/proto/contract';
import type { ConnectChannel, EngineDoors } from './doors.ts';
import { clientLimits } from './limits.ts';
import { Link, type LinkOwner, type LinkParts } from './link.ts';
import { otherCluster } from './reasons.ts';
import { Topology } from './topology.ts';

/** A link that was dialed because a node leads something. */
interface NodeLink {
  readonly address: string;
  readonly link: Link;
}

/**
 * The streams of one engine: the _first_, to whichever server answers, and one to each other node that
 * leads what is asked for. What is sent where is a guess that may cost a way between nodes and nothing
 * else, so a node's stream is used once its server has said who it is, and every other one may stand in.
 */
export class Links {
  readonly #parts: Omit<LinkParts, 'connect'>;
  readonly #connect: ConnectChannel;
  readonly #learned: (addresses: readonly string[]) => void;
  readonly #first: Link;
  readonly #nodes = new Map<number, NodeLink>();
  readonly #topology = new Topology();
  /** By node: an address at which somebody else was met. It is not dialed again. */
  readonly #misleading = new Map<number, string>();

  constructor(doors: EngineDoors, owner: LinkOwner, halvedMin: number) {
    const { clock, random } = doors;
    this.#connect = doors.connect;
    this.#learned = doors.learned ?? (() => {});
    const linkOwner: LinkOwner = {
      ...owner,
      topology: (link, message, nowMs) => {
        this.#heard(link, message, nowMs);
        owner.topology(link, message, nowMs);
      },
      broken: (link, error, nowMs) => {
        // A dial that came to nothing is nobody's loss.
        if (link !== this.#first && link.node === 0) return;
        if (link.node !== 0) this.#topology.left(link.node);
        owner.broken(link, error, nowMs);
      },
    };
    this.#parts = { clock, random, owner: linkOwner, halvedMin, numbers: { next: 1 } };
    this.#first = new Link({ ...this.#parts, connect: (events) => this.#connect(events) });
  }

  /** All of them. */
  *[Symbol.iterator](): IterableIterator<Link> {
    yield this.#first;
    for (const { link } of this.#nodes.values()) yield link;
  }

  /** Whether there is no other than the first. */
  get isSingle(): boolean {
    return this.#nodes.size === 0;
  }

  /** Whether it matters which partition a call is for. */
  get isSpread(): boolean {
    return this.#topology.isSpread;
  }

  /** The node that leads a partition; 0: not known. */
  leaderOf(partition: number): number {
    return this.#topology.leaderOf(partition);
  }

  /** Whether any of them has a channel. */
  get isUp(): boolean {
    for (const link of this) if (link.isUp) return true;
    return false;
  }

  /** When the next connection may be tried where there is none. */
  get retryAtMs(): number {
    return this.#first.retryAtMs;
  }

  /** Where a message has come, of one link alone: what follows from it goes there. */
  get isHeard(): boolean {
    return this.isSingle && this.#first.isHeard;
  }

  /** Whether something is gathered, or to be ended, where it can be sent. */
  get wantsToSend(): boolean {
    for (const link of this) {
      if (link.isWritable && (link.outbox.isDue || link.endCalls.length > 0)) return true;
    }
    return false;
  }

  /**
   * A link with room for a call of so many bytes to a partition (0: any): the one to its leader, or any.
   * Undefined: none wants more now, or none is to be had.
   */
  room(partition: number, bytes: number, nowMs: number): Link | undefined {
    if (this.isSingle && !this.isSpread) {
      const first = this.#first;
      return first.ready(nowMs) && first.outbox.room(bytes) ? first : undefined;
    }
    for (;;) {
      const link = this.#toLeader(partition, nowMs) ?? this.#any(nowMs);
      // One that has no room is not writable any more.
      if (link === undefined || link.outbox.room(bytes)) return link;
    }
  }

  #toLeader(partition: number, nowMs: number): Link | undefined {
    if (partition === 0 || !this.#topology.isSpread) return undefined;
    const node = this.#topology.leaderOf(partition);
    if (node === 0) return undefined;
    const link = this.#to(node);
    if (link === undefined) this.#dial(node, nowMs);
    return link?.isWritable === true ? link : undefined;
  }

  /** The link to a node that has said who it is. */
  #to(node: number): Link | undefined {
    if (this.#first.node === node) return this.#first;
    const link = this.#nodes.get(node)?.link;
    return link?.node === node ? link : undefined;
  }

  #any(nowMs: number): Link | undefined {
    let isHeard = false;
    for (const link of this) {
      if (link.node === 0) continue;
      if (link.isWritable) return link;
      isHeard = true;
    }
    // Where others are there and full, the first is not dialed beside them.
    return !isHeard && this.#first.ready(nowMs) ? this.#first : undefined;
  }

  /** Opens a link to a node; calls go there once it has said who it is. */
  #dial(node: number, nowMs: number): void {
    const address = this.#topology.addresses.get(node);
    if (address === undefined || this.#misleading.get(node) === address) return;
    let known = this.#nodes.get(node);
    if (known?.link.isUp) return;
    if (known?.address !== address) {
      const link = new Link({
        ...this.#parts,
        connect: (events) => this.#connect(events, address),
      });
      known = { address, link };
      this.#nodes.set(node, known);
    }
    known.link.ready(nowMs);
  }

  #heard(link: Link, message: TopologyMessage, nowMs: number): void {
    const { clusterId } = this.#topology;
    const isOther = clusterId !== '' && message.clusterId !== clusterId;
    if (link !== this.#first && (isOther || this.#nodes.get(message.node)?.link !== link)) {
      this.#mislead(link);
      return;
    }
    if (isOther) {
      link.drop(otherCluster());
      return;
    }
    link.node = message.node;
    for (const loser of this.#topology.heard(message)) this.#to(loser)?.suspect(nowMs);
    this.#learned([...this.#topology.addresses.values()]);
  }

  /** Somebody else is at a node's address. Nothing was asked of him yet. */
  #mislead(link: Link): void {
    for (const [node, known] of this.#nodes) {
      if (known.link !== link) continue;
      this.#misleading.set(node, known.address);
      this.#nodes.delete(node);
    }
    link.close();
  }

  /** Sends what is gathered. */
  finish(): void {
    for (const link of this) if (link.isWritable) link.outbox.finish();
  }

  /** A batch is done on all of them. */
  batchDone(): void {
    for (const link of this) link.batchDone();
  }

  /** Looks after silent ones, and closes those that nobody needs. */
  watch(nowMs: number): void {
    for (const [node, { link }] of this.#nodes) {
      const isGone = !this.#topology.addresses.has(node);
      if (link.isBusy || (!isGone && nowMs < link.usedAtMs + clientLimits.idleMs)) continue;
      if (link.node !== 0) this.#topology.left(link.node);
      link.close();
      this.#nodes.delete(node);
    }
    for (const link of this) link.watch(nowMs);
  }

  /** When `watch` has something to do. */
  nextWatchMs(): number {
    let atMs = this.#first.nextWatchMs();
    for (const { link } of this.#nodes.values()) {
      atMs = Math.min(atMs, link.nextWatchMs());
      if (!link.isBusy) atMs = Math.min(atMs, link.usedAtMs + clientLimits.idleMs);
    }
    return atMs;
  }

  /** Ends all for good. */
  close(): void {
    for (const link of this) link.close();
  }
}
