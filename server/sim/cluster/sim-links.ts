/** The links between the nodes of a simulated cluster, as `transport/LINKS.md` promises them. */
import type { NodeId } from '../../src/base/ids.ts';
import type { Prng } from '../../src/base/prng.ts';
import type { MeshLinks } from '../../src/mesh/mesh.ts';
import { Lane, snapshotLane } from '../../src/transport/lane.ts';
import type { ClusterNode } from '../partition/cluster-node.ts';
import type { Wires } from '../partition/wires.ts';
import type { Scheduler } from '../scheduler.ts';

/** Silence in one direction that breaks a link. */
const silentUs = 1_000_000;
/** How often links are looked after. */
const lookUs = 100_000;
/** Within what time a side hears that its link is up, or broken. */
const hearUsMax = 50_000;

/** What a life of a node hears of its links. */
export interface LinkEvents {
  connected(peer: NodeId): void;
  broken(peer: NodeId): void;
  frame(peer: NodeId, lane: Lane, bytes: Uint8Array): void;
  snapshot(peer: NodeId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

/** One life of a node, as the links know it. */
interface End {
  readonly node: ClusterNode;
  readonly life: number;
  readonly events: LinkEvents;
}

/** One link, from when it is up until it breaks. */
interface Connection {
  readonly ends: readonly [End, End];
  isOpen: boolean;
  /** Since when nothing has passed in one direction, in µs; undefined: both are free. */
  silentSinceUs: number | undefined;
  /** By receiving node: from when it knows of the link, and when the last frame of each lane comes. */
  readonly upAtUs: Map<NodeId, number>;
  readonly lastUs: Map<string, number>;
  /** By receiving node: bytes of coordination on their way. */
  readonly waitingBytes: Map<NodeId, number>;
  /** Snapshots on their way: hear that they are lost. */
  readonly snapshots: Set<() => void>;
}

/** See the top of the file. */
export class SimLinks {
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #wires: Wires;
  readonly #laneBytesMax: number;
  readonly #onFault: (name: string) => void;
  /** Whether a node would speak to another. */
  readonly #knows: (node: ClusterNode, other: ClusterNode) => boolean;
  readonly #ends = new Map<ClusterNode, End>();
  readonly #connections = new Map<string, Connection>();
  /** By pair: before that no link comes up again. */
  readonly #notBeforeUs = new Map<string, number>();

  constructor(options: {
    readonly scheduler: Scheduler;
    readonly random: Prng;
    readonly wires: Wires;
    /** Bytes of coordination that may be on their way in one direction. */
    readonly laneBytesMax: number;
    readonly onFault: (name: string) => void;
    readonly knows: (node: ClusterNode, other: ClusterNode) => boolean;
  }) {
    this.#scheduler = options.scheduler;
    this.#random = options.random;
    this.#wires = options.wires;
    this.#laneBytesMax = options.laneBytesMax;
    this.#onFault = options.onFault;
    this.#knows = options.knows;
    this.#look();
  }

  /** A life of a node begins to link to the others. */
  open(node: ClusterNode, events: LinkEvents): MeshLinks {
    const end: End = { node, life: node.lives, events };
    this.#ends.set(node, end);
    return {
      isConnected: (peer) => this.#ofLife(end, peer) !== undefined,
      send: (peer, lane, bytes) => this.#send(end, peer, lane, bytes),
      flush: () => undefined,
      sendSnapshot: async (peer, header, chunks) => {
        const pieces: Uint8Array[] = [];
        for await (const piece of chunks) pieces.push(piece.slice());
        return this.#sendSnapshot(end, peer, { header: header.slice(), pieces });
      },
    };
  }

  /** A life of a node has ended; a machine that fails closes no connection. */
  ended(node: ClusterNode, isMachine: boolean): void {
    this.#ends.delete(node);
    for (const [key, connection] of [...this.#connections]) {
      if (!connection.ends.some((end) => end.node === node)) continue;
      this.#break(key, connection, isMachine ? silentUs : 0);
    }
  }

  /** The link between two nodes breaks, and does not come up before `againUs` are over. */
  break(one: ClusterNode, other: ClusterNode, againUs: number): void {
    const key = keyOf(one, other);
    this.#notBeforeUs.set(key, this.#scheduler.nowUs + againUs);
    const connection = this.#connections.get(key);
    if (connection !== undefined) this.#break(key, connection, 0);
  }

  /** Who speaks to whom no longer is cut off; who was told of another is linked; who is silent is given up. */
  #look(): void {
    const ends = [...this.#ends.values()];
    for (const [at, one] of ends.entries())
      for (const other of ends.slice(at + 1)) this.#lookAt(one, other);
    this.#scheduler.after(lookUs, () => this.#look());
  }

  #lookAt(one: End, other: End): void {
    const key = keyOf(one.node, other.node);
    const connection = this.#connections.get(key);
    const isCut = this.#wires.isCutBetween(one.node.id, other.node.id);
    const know = this.#knows(one.node, other.node) && this.#knows(other.node, one.node);
    const { nowUs } = this.#scheduler;
    if (connection === undefined) {
      const mayDial = know && !isCut && (this.#notBeforeUs.get(key) ?? 0) <= nowUs;
      if (mayDial && this.#random.chance(2, 3)) this.#connect(key, one, other);
      return;
    }
    if (!isCut) connection.silentSinceUs = undefined;
    else connection.silentSinceUs ??= nowUs;
    const isSilent = nowUs - (connection.silentSinceUs ?? nowUs) >= silentUs;
    if (isSilent) this.#onFault('a link fell silent');
    if (isSilent || !know) this.#break(key, connection, 0);
  }

  #connect(key: string, one: End, other: End): void {
    const connection: Connection = {
      ends: [one, other],
      isOpen: true,
      silentSinceUs: undefined,
      upAtUs: new Map(),
      lastUs: new Map(),
      waitingBytes: new Map(),
      snapshots: new Set(),
    };
    this.#connections.set(key, connection);
    for (const [at, end] of [one, other].entries()) {
      const peer = (at === 0 ? other : one).node.id as NodeId;
      const delayUs = 1 + this.#random.below(hearUsMax);
      connection.upAtUs.set(end.node.id as NodeId, this.#scheduler.nowUs + delayUs);
      this.#hear(end, delayUs, () => {
        if (connection.isOpen) end.events.connected(peer);
        else connection.upAtUs.delete(end.node.id as NodeId);
      });
    }
  }

  #break(key: string, connection: Connection, laterUs: number): void {
    this.#connections.delete(key);
    connection.isOpen = false;
    const [one, other] = connection.ends;
    let latestUs = 0;
    for (const [end, peer] of [
      [one, other],
      [other, one],
    ] as const) {
      const upUs = (connection.upAtUs.get(end.node.id as NodeId) ?? 0) - this.#scheduler.nowUs;
      const delayUs = Math.max(laterUs, upUs + 1) + this.#random.below(hearUsMax);
      latestUs = Math.max(latestUs, delayUs);
      this.#hear(end, delayUs, () => {
        // It never heard that it was up.
        if (connection.upAtUs.has(end.node.id as NodeId)) end.events.broken(peer.node.id as NodeId);
      });
    }
    for (const lost of connection.snapshots) lost();
    const notBeforeUs = this.#scheduler.nowUs + latestUs + 1;
    this.#notBeforeUs.set(key, Math.max(notBeforeUs, this.#notBeforeUs.get(key) ?? 0));
  }

  /** The link of a life to a peer, as far as that life knows. */
  #ofLife(end: End, peer: NodeId): Connection | undefined {
    const { id } = end.node;
    const connection = this.#connections.get(keyOfIds(id, peer));
    if (connection?.ends.includes(end) !== true) return undefined;
    const upAtUs = connection.upAtUs.get(id as NodeId) ?? Number.POSITIVE_INFINITY;
    return upAtUs <= this.#scheduler.nowUs ? connection : undefined;
  }

  #send(end: End, peer: NodeId, lane: Lane, bytes: Uint8Array): boolean {
    const connection = this.#ofLife(end, peer);
    if (connection === undefined) return false;
    // What finds no place in its lane; of the others nothing is lost.
    if (lane !== Lane.coordination && this.#wires.loses()) return true;
    if (lane === Lane.coordination && !this.#hasRoom(connection, end, peer, bytes.length))
      return false;
    const copy = bytes.slice();
    this.#pass(connection, end, lane, (to) => {
      if (lane === Lane.coordination) this.#wait(connection, peer, -copy.length);
      to.events.frame(end.node.id as NodeId, lane, copy);
    });
    return true;
  }

  /** Of what routers and leaders say nothing is lost in silence: a lane that is full breaks the link. */
  #hasRoom(connection: Connection, end: End, peer: NodeId, size: number): boolean {
    const waiting = connection.waitingBytes.get(peer) ?? 0;
    if (waiting > 0 && waiting + size > this.#laneBytesMax) {
      this.#onFault('a lane was full');
      this.#break(keyOfIds(end.node.id, peer), connection, 0);
      return false;
    }
    this.#wait(connection, peer, size);
    return true;
  }

  #wait(connection: Connection, peer: NodeId, bytes: number): void {
    connection.waitingBytes.set(peer, (connection.waitingBytes.get(peer) ?? 0) + bytes);
  }

  /** One side's message comes to the other, after those before it in its lane. */
  #pass(connection: Connection, from: End, lane: number, arrive: (to: End) => void): void {
    const [one, other] = connection.ends;
    const to = from === one ? other : one;
    const { nowUs } = this.#scheduler;
    const key = `${to.node.id}/${lane}`;
    const heldUs = this.#wires.healsAtUs(from.node.id, to.node.id);
    const upUs = connection.upAtUs.get(to.node.id as NodeId) ?? 0;
    const soonestUs = Math.max(nowUs, heldUs, upUs) + this.#wires.delayUs();
    const atUs = Math.max(soonestUs, connection.lastUs.get(key) ?? 0);
    connection.lastUs.set(key, atUs);
    this.#scheduler.after(atUs - nowUs, () => {
      this.#hear(to, 0, () => {
        if (connection.isOpen) arrive(to);
      });
    });
  }

  #sendSnapshot(
    end: End,
    peer: NodeId,
    { header, pieces }: { readonly header: Uint8Array; readonly pieces: readonly Uint8Array[] },
  ): Promise<'arrived' | 'lost'> {
    const connection = this.#ofLife(end, peer);
    if (connection === undefined) return Promise.resolve('lost');
    return new Promise((resolve) => {
      const lost = (): void => this.#hear(end, 1, () => resolve('lost'));
      connection.snapshots.add(lost);
      this.#pass(connection, end, snapshotLane, (to) => {
        connection.snapshots.delete(lost);
        to.events.snapshot(end.node.id as NodeId, header, iterate(pieces)).then(
          () => this.#hear(end, 1, () => resolve('arrived')),
          () => lost(),
        );
      });
    });
  }

  /** Runs in a life of a node, unless it has ended by then; a pause holds it up. */
  #hear(end: End, delayUs: number, run: () => void): void {
    const { process } = end.node;
    if (end.node.lives !== end.life || !process.alive) return;
    process.after(delayUs, run);
  }
}

function keyOf(one: ClusterNode, other: ClusterNode): string {
  return keyOfIds(one.id, other.id);
}

function keyOfIds(one: number, other: number): string {
  return one < other ? `${one}-${other}` : `${other}-${one}`;
}

async function* iterate(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield piece;
}
