import { assert } from '../base/assert.ts';
import type { Cancel, Clock, Random } from '../base/doors.ts';
import type { NodeId } from '../base/ids.ts';
import { linkTickMs } from '../base/limits.ts';
import type { IncomingConnection } from './incoming-connection.ts';
import type { JoinRequest } from './join-codec.ts';
import { type Lane, type LaneRules, laneRules } from './lane.ts';
import type { SnapshotEnd } from './outgoing-snapshot.ts';
import type { PeerCredentials } from './peer-credentials.ts';
import { type LinkPorts, type LinkState, PeerLink } from './peer-link.ts';
import { type JoinVerdict, PeerServer } from './peer-server.ts';
import { type Refusal, refusalOfHello, type Self, type Standing } from './refusal.ts';
import type { SocketDoor } from './socket-door.ts';

/** Where the other nodes are, as `host:port`. Names are resolved at each dial. */
export type PeerAddresses = ReadonlyMap<NodeId, string>;

/** What links are made with. Nothing is called back during a call of
 * `Links`, nor after `close`. */
export interface LinksOptions {
  readonly self: Self;
  /** Where to listen; port 0: any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly sockets: SocketDoor;
  readonly credentials: PeerCredentials;
  readonly clock: Clock;
  readonly random: Random;
  /** Queues that differ from `laneRules`. */
  readonly rules?: Partial<LaneRules>;
  /**
   * A frame: a view of what the connection has read, to be copied by whoever keeps it. It throws nothing:
   * where the frame is not understood, it calls `break`.
   */
  readonly onFrame: (peer: NodeId, lane: Lane, bytes: Uint8Array) => void;
  /** A snapshot comes in; see `TakeSnapshot`. */
  readonly onSnapshot: (
    peer: NodeId,
    header: Uint8Array,
    chunks: AsyncIterable<Uint8Array>,
  ) => Promise<void>;
  /** Frames can be sent to it, and come from it, from now on. */
  readonly onConnected: (peer: NodeId) => void;
  /** Anything sent to it or by it since `onConnected` may be lost. */
  readonly onBroken: (peer: NodeId, message: string) => void;
  /** For the operator: the peer refuses this node, or another one answers at its address. */
  readonly onRefused?: (peer: NodeId, refusal: Refusal) => void;
  /** A node wants to become one of the cluster. Never rejects. Undefined: nobody joins here. */
  readonly onJoin?: (request: JoinRequest) => Promise<JoinVerdict>;
  /** Whether a node that is not named was one of the cluster once. */
  readonly wasRemoved?: (node: NodeId) => boolean;
  /** For the operator: this node has refused a caller, whoever that says it is. */
  readonly onRefusing?: (caller: NodeId | undefined, refusal: Refusal) => void;
}

/**
 * The links of a node to all others. They come and go by themselves; `onConnected` and `onBroken` of a
 * peer alternate.
 */
export class Links {
  readonly #options: LinksOptions;
  readonly #ports: LinkPorts;
  readonly #links: Map<NodeId, PeerLink> = new Map();
  #self: Self;
  #server: PeerServer | undefined;
  #cancelTick: Cancel | undefined;
  #isClosed = false;

  private constructor(options: LinksOptions) {
    this.#options = options;
    this.#self = options.self;
    this.#ports = {
      clock: options.clock,
      random: options.random,
      credentials: options.credentials,
      rules: { ...laneRules, ...options.rules },
      self: () => this.#self,
      connected: (peer) => options.onConnected(peer),
      broken: (peer, message) => {
        if (!this.#isClosed) options.onBroken(peer, message);
      },
      frame: (peer, lane, bytes) => options.onFrame(peer, lane, bytes),
      snapshot: (peer, header, chunks) => options.onSnapshot(peer, header, chunks),
      refused: (peer, refusal) => options.onRefused?.(peer, refusal),
    };
  }

  /** Listens. Rejects where the address cannot be had. Nobody is dialled before `setAddresses`. */
  static async open(options: LinksOptions): Promise<Links> {
    const links = new Links(options);
    await links.#listen();
    links.#tick();
    return links;
  }

  /** The port at which it listens. */
  get port(): number {
    return this.#server?.port ?? 0;
  }

  /** All links, in the order in which their peers were named. */
  get states(): readonly LinkState[] {
    return [...this.#links.values()].map(({ state }) => state);
  }

  /** Who the other nodes are, and where: all of them. Whoever is not named any more is cut off, unheard. */
  setAddresses(addresses: PeerAddresses): void {
    for (const [node, link] of this.#links) {
      if (addresses.has(node)) continue;
      link.close();
      this.#links.delete(node);
    }
    for (const [node, address] of addresses) {
      if (node === this.#self.node || this.#isClosed) continue;
      const link = this.#links.get(node);
      if (link === undefined) this.#links.set(node, new PeerLink(node, address, this.#ports));
      else link.moveTo(address);
    }
  }

  /** The cluster that the node is one of; empty: none yet. */
  get clusterId(): string {
    return this.#self.cluster;
  }

  /** The node has become one of a cluster. Links that stand go on. */
  joinCluster(cluster: string): void {
    assert(this.#self.cluster === '', 'a node belongs to one cluster for ever');
    this.#self = { ...this.#self, cluster };
  }

  /** Whether `send` has anybody to send to. */
  isConnected(peer: NodeId): boolean {
    return this.#links.get(peer)?.isConnected === true;
  }

  /**
   * Queues a frame, which must stay as it is until it has left. False: there is no link to that peer;
   * or there was one, and it breaks now because too much waits (coordination alone). True promises
   * nothing: `onBroken` tells of a loss, but a lane that drops does not.
   */
  send(peer: NodeId, lane: Lane, bytes: Uint8Array): boolean {
    return this.#links.get(peer)?.send(lane, bytes) ?? false;
  }

  /** Breaks the link to a peer that says what nobody understands; it is made anew. `onBroken` follows. */
  break(peer: NodeId, message: string): void {
    this.#links.get(peer)?.break(message);
  }

  /** Writes what was queued: at the end of each turn. */
  flush(): void {
    for (const link of this.#links.values()) link.flush();
  }

  /**
   * Sends a snapshot: a header for the receiver's `onSnapshot`, and its content, which is pulled as the
   * connection takes it. The signal gives it up. Never rejects.
   */
  sendSnapshot(
    peer: NodeId,
    header: Uint8Array,
    chunks: AsyncIterable<Uint8Array>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<SnapshotEnd> {
    const link = this.#links.get(peer);
    return link?.sendSnapshot({ header, chunks }, options.signal) ?? Promise.resolve('lost');
  }

  /** Cuts everything. What was queued is lost, and so are snapshots. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTick?.();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    await this.#server?.close();
  }

  async #listen(): Promise<void> {
    const { listen, sockets, credentials, clock, onRefusing } = this.#options;
    this.#server = await PeerServer.open({
      listen,
      sockets,
      credentials,
      clock,
      admits: (hello) =>
        refusalOfHello(
          hello,
          this.#self,
          (node) => this.#standingOf(node),
          (node) => this.#links.get(node)?.life,
        ),
      join: (request) => this.#options.onJoin?.(request) ?? nobodyJoins(),
      welcome: () => this.#self,
      onConnection: (connection) => this.#accept(connection),
      onRefused: (refusal, hello) => onRefusing?.(hello?.from, refusal),
    });
  }

  #standingOf(node: NodeId): Standing {
    if (this.#links.has(node)) return 'known';
    return this.#options.wasRemoved?.(node) === true ? 'removed' : 'unknown';
  }

  #accept(connection: IncomingConnection): void {
    const link = this.#links.get(connection.node);
    if (link === undefined || this.#isClosed) connection.close();
    else link.accept(connection);
  }

  #tick(): void {
    if (this.#isClosed) return;
    for (const link of this.#links.values()) link.tick();
    this.#cancelTick = this.#options.clock.after(linkTickMs, () => this.#tick());
  }
}

function nobodyJoins(): Promise<JoinVerdict> {
  return Promise.resolve({ unavailable: 'this node has no cluster to join yet' });
}
