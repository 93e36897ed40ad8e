/** A node of a cluster: its links to the others, what it shows its routers of them, and its part in the placement. */

import { DecodeError } from '@tuplet/proto';
import type { Logger } from 'pino';
import { present } from './base/assert.ts';
import type { Cancel, Clock, Disk, Random } from './base/doors.ts';
import { FormatError } from './base/format-error.ts';
import type { NodeId } from './base/ids.ts';
import { foundedLookMs } from './base/limits.ts';
import type { ClusterMap } from './cluster/cluster-map.ts';
import { mapGroup } from './cluster/placements.ts';
import { addressOf } from './gateway/address.ts';
import { hostSockets } from './host/socket-door.ts';
import { Mesh } from './mesh/mesh.ts';
import type { Founding } from './partition/founding.ts';
import type { PartitionHost } from './partition/partition-host.ts';
import { StartError } from './partition/start-error.ts';
import { Allocator } from './placement/allocator.ts';
import { ClusterAdmin } from './placement/cluster-admin.ts';
import { handOverAll } from './placement/hand-over-all.ts';
import type { NodeStart } from './placement/node-start.ts';
import { Places } from './placement/places.ts';
import { Reconciler } from './placement/reconciler.ts';
import { SelfDescription } from './placement/self-description.ts';
import { membersOf } from './raft/configuration.ts';
import type { JoinRequest, NodeAddress } from './transport/join-codec.ts';
import { Links, type PeerAddresses } from './transport/links.ts';
import type { PeerCredentials } from './transport/peer-credentials.ts';
import type { JoinVerdict } from './transport/peer-server.ts';

/** A node of a cluster, whichever way it became one. */
export interface NodeMeshOptions {
  readonly start: NodeStart;
  readonly credentials: PeerCredentials;
  /** `host:port` at which it listens to other nodes. */
  readonly listen: string;
  /** `host:port` at which they dial it. */
  readonly advertise: string;
  /** What it is called; undefined: as the map says already. */
  readonly name: string | undefined;
  /** Where it is; undefined: as the map says already. */
  readonly zone: string | undefined;
  /** Milliseconds that a node may be away before others get its replicas. */
  readonly replaceAfterMs: number;
  /** The cluster has removed this node: the process is to end. */
  readonly onRemoved: (message: string) => void;
}

/** The doors, and whom to tell. */
interface Doors {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly logger: Logger;
}

/** A node's way to the others. */
export class NodeMesh {
  readonly mesh: Mesh;
  readonly #options: NodeMeshOptions;
  readonly #doors: Doors;
  #host: PartitionHost | undefined;
  #links: Links | undefined;
  #places: Places | undefined;
  #ends: readonly Cancel[] = [];
  #addressesVersion = -1;
  /** Nodes that others know, and the map here does not yet. */
  readonly #heard = new Map<NodeId, string>();

  constructor(options: NodeMeshOptions, doors: Doors) {
    this.#options = options;
    this.#doors = doors;
    this.mesh = new Mesh({
      self: options.start.node,
      clock: doors.clock,
      nodeOf: (group, replica) => this.#places?.nodeOf(group, replica),
      onNodes: (nodes) => this.#heardOf(nodes),
      onWarning: (message) => doors.logger.warn(message),
    });
  }

  get founding(): Founding {
    return this.#options.start.founding;
  }

  /** What an empty data folder does. */
  get ifEmpty(): 'found' | 'join' | 'refuse' {
    return this.#options.start.ifEmpty;
  }

  /** Connects the host to the others; resolves when the map is here, and the partitions that it had. */
  async open(host: PartitionHost): Promise<void> {
    const { start } = this.#options;
    const { clock } = this.#doors;
    this.#host = host;
    checkMembers(host, start);
    await start.begun?.();
    const { cluster } = host.map;
    this.#places = new Places(cluster);
    const links = await this.#openLinks(host);
    this.#links = links;
    this.mesh.open(host, links);
    this.#ends = [host.map.onChange(() => this.#mapChanged(cluster, links))];
    this.#mapChanged(cluster, links);
    while (!host.hasPartitions) {
      await new Promise<void>((resolve) => clock.after(foundedLookMs, resolve));
    }
    if (links.clusterId === '') links.joinCluster(cluster.clusterId);
    this.#begin(host);
  }

  /** What operators ask of the cluster. Once it is open. */
  admin(): ClusterAdmin {
    const { mesh } = this;
    const host = present(this.#host, 'it is open');
    const map = mesh.map();
    return new ClusterAdmin({
      self: this.#options.start.node,
      clock: this.#doors.clock,
      cluster: host.map.cluster,
      linked: () => mesh.linked(),
      clientAddressOf: (node) =>
        mesh
          .view()
          .nodes()
          .find(({ id }) => id === node)?.clientAddress ?? '',
      nodeOf: (group, replica) => this.#places?.nodeOf(group, replica),
      statusOf: (node, answer) => mesh.statusOf(node, answer),
      place: (command, answer) => map.place(command, answer),
      handOver: (move) => mesh.handOver(move),
    });
  }

  /** Whether no majority of the nodes can be reached. */
  isApart(): boolean {
    const nodes = this.#host?.map.cluster.nodes() ?? [];
    const counted = nodes.filter(({ state }) => state === 'member' || state === 'draining');
    return this.mesh.isApart(counted.length);
  }

  /** Hands all leaderships to others that can be reached, as far as there is time; then waits for no leader. */
  async leave(): Promise<void> {
    for (const end of this.#ends) end();
    this.#ends = [];
    const host = this.#host;
    if (host !== undefined) {
      await handOverAll({
        clock: this.#doors.clock,
        host,
        canReach: (group, replica) => {
          const node = this.#places?.nodeOf(group, replica);
          return node !== undefined && this.#links?.isConnected(node) === true;
        },
      });
    }
    this.mesh.leave();
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end();
    this.#ends = [];
    this.mesh.close();
    await this.#links?.close();
  }

  /** Its part in the placement begins. */
  #begin(host: PartitionHost): void {
    const { start, name, zone, advertise, replaceAfterMs } = this.#options;
    const { clock, logger } = this.#doors;
    const { cluster } = host.map;
    const map = this.mesh.map();
    const place: typeof map.place = (command, answer) => map.place(command, answer);
    const common = { self: start.node, clock, place };
    const reconciler = new Reconciler({
      ...common,
      host,
      onMade: (partition, replica) => logger.info({ partition, replica }, 'a replica came'),
      onBuried: (partition, replica) => logger.info({ partition, replica }, 'a replica went'),
    });
    const allocator = new Allocator({
      ...common,
      cluster,
      epoch: () => host.map.epoch(),
      linked: () => this.mesh.linked(),
      leaders: () => this.mesh.leaders(),
      handOver: (move) => this.mesh.handOver(move),
      replaceAfterMs,
      onPlanned: (message) => logger.info(message),
    });
    const description = new SelfDescription({
      ...common,
      cluster,
      wanted: {
        peerAddress: advertise,
        ...(name === undefined ? {} : { name }),
        ...(zone === undefined ? {} : { zone }),
      },
      onRefused: (message) => logger.error(message),
    });
    this.#ends = [
      ...this.#ends,
      () => reconciler.close(),
      () => allocator.close(),
      () => description.close(),
    ];
  }

  /** Nodes that the map here does not have yet: one of them may lead it, and bring it. */
  #heardOf(nodes: readonly NodeAddress[]): void {
    const host = this.#host;
    const links = this.#links;
    if (host === undefined || links === undefined) return;
    const { cluster } = host.map;
    for (const { node, address } of nodes)
      if (cluster.node(node) === undefined) this.#heard.set(node, address);
    this.#setAddresses(cluster, links);
  }

  #setAddresses(cluster: ClusterMap, links: Links): void {
    const addresses = new Map(addressesOf(cluster, this.#options.start));
    for (const [node, address] of this.#heard) {
      if (cluster.node(node) === undefined) addresses.set(node, address);
      else this.#heard.delete(node);
    }
    links.setAddresses(addresses);
    // Links to nodes that are not named any more end without a word.
    for (const peer of this.mesh.linked()) if (!addresses.has(peer)) this.mesh.broken(peer);
  }

  #mapChanged(cluster: ClusterMap, links: Links): void {
    const { start, onRemoved } = this.#options;
    if (this.#addressesVersion === cluster.placementVersion) return;
    this.#addressesVersion = cluster.placementVersion;
    this.#setAddresses(cluster, links);
    if (cluster.node(start.node)?.state === 'removed')
      onRemoved(`node ${start.node} was removed from the cluster, for ever`);
  }

  async #openLinks(host: PartitionHost): Promise<Links> {
    const { start, listen, credentials, onRemoved } = this.#options;
    const { clock, random, logger } = this.#doors;
    const { mesh } = this;
    const { cluster } = host.map;
    const links: Links = await Links.open({
      self: {
        node: start.node,
        cluster: cluster.founded ? cluster.clusterId : start.cluster,
        life: 1 + random.uint32(),
      },
      listen: addressOf(listen),
      sockets: hostSockets,
      credentials,
      clock,
      random,
      onFrame: (peer, lane, bytes) => {
        try {
          mesh.frame(peer, lane, bytes);
        } catch (error) {
          if (!(error instanceof DecodeError || error instanceof FormatError)) throw error;
          // Nothing of it was acted on, and nothing may be lost in silence.
          links.break(peer, `it says what is not understood: ${error.message}`);
        }
      },
      onSnapshot: (peer, header, chunks) => mesh.snapshot(peer, header, chunks),
      onConnected: (peer) => {
        logger.info({ peer }, 'linked');
        mesh.connected(peer);
      },
      onBroken: (peer, message) => {
        logger.warn({ peer, message }, 'a link broke');
        mesh.broken(peer);
      },
      onJoin: (request) => this.#admit(cluster, request),
      wasRemoved: (node) => cluster.node(node)?.state === 'removed',
      onRefused: (peer, refusal) => {
        logger.error({ peer, ...refusal }, 'a node refuses this one');
        if (refusal.reason === 'REMOVED_NODE') onRemoved(refusal.message);
      },
      onRefusing: (caller, refusal) => logger.error({ caller, ...refusal }, 'a node was refused'),
    });
    return links;
  }

  /** A node asks to become one of the cluster: the map takes it in. */
  #admit(cluster: ClusterMap, request: JoinRequest): Promise<JoinVerdict> {
    if (!cluster.founded)
      return Promise.resolve({ unavailable: 'this node has no cluster to join yet' });
    return new Promise((resolve) => {
      const command = { kind: 'add-node', ...request, clientAddress: '' } as const;
      this.mesh.map().place(command, (outcome) => {
        if (outcome.kind === 'node') {
          const { clusterId, nodes } = { clusterId: cluster.clusterId, nodes: cluster.nodes() };
          resolve({
            cluster: clusterId,
            node: outcome.node.id,
            nodes: nodes
              .filter(({ state }) => state !== 'removed')
              .map(({ id, peerAddress }) => ({ node: id, address: peerAddress })),
          });
          return;
        }
        const problem = outcome.kind === 'refused' ? outcome.problem : undefined;
        const message = problem?.message ?? 'the cluster map has given no answer';
        resolve(
          problem !== undefined && isForGood(problem.reason)
            ? { reason: 'NOT_ADMITTED', message }
            : { unavailable: message },
        );
      });
    });
  }
}

/** Reasons that asking again does not change. */
function isForGood(reason: string): boolean {
  return ['NODE_DESCRIPTION', 'NODE_NAME_TAKEN', 'NODE_REMOVED', 'NODES_EXHAUSTED'].includes(
    reason,
  );
}

/** Where all nodes are: what the command line says of a node goes before what the map says. */
function addressesOf(cluster: ClusterMap, start: NodeStart): PeerAddresses {
  if (!cluster.founded) return start.addresses;
  const addresses = new Map<NodeId, string>();
  for (const { id, state, peerAddress } of cluster.nodes()) {
    if (state === 'removed') continue;
    addresses.set(id, start.isCommanded ? (start.addresses.get(id) ?? peerAddress) : peerAddress);
  }
  return addresses;
}

/** The data is that of this node, and of a cluster with these founders. */
function checkMembers(host: PartitionHost, { node, founding }: NodeStart): void {
  const replica = host.replicaOf(mapGroup);
  if (replica === undefined) return;
  if (replica.id !== node) {
    const message = `the data is that of node ${replica.id}, and this was started as node ${node}`;
    throw new StartError('NODE_OTHER', message);
  }
  const ids = founding.founders.map(({ id }) => id);
  if (ids.length === 0) return;
  const { cluster } = host.map;
  const founders = cluster.founded
    ? cluster.foundersOf(mapGroup)
    : membersOf(replica.configuration);
  if (founders.length === ids.length && ids.every((id) => founders.includes(id))) return;
  const message = `the data is of a cluster of the nodes ${founders.join(', ')}, the founders named are ${ids.join(', ')}`;
  throw new StartError('FOUNDERS_OTHER', message);
}
