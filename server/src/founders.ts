/** A node among the founders of a cluster: its links to the others, and what it shows its routers of them. */

import { DecodeError } from '@tuplet/proto';
import type { Logger } from 'pino';
import type { Clock, Random } from './base/doors.ts';
import { FormatError } from './base/format-error.ts';
import type { GroupId, NodeId } from './base/ids.ts';
import { foundedLookMs, leaveMsMax } from './base/limits.ts';
import { partitionIds } from './cluster/slots.ts';
import { addressOf } from './gateway/address.ts';
import { hostSockets } from './host/socket-door.ts';
import { Mesh } from './mesh/mesh.ts';
import { type Founding, founderAt } from './partition/founding.ts';
import type { PartitionHost } from './partition/partition-host.ts';
import { StartError } from './partition/start-error.ts';
import { membersOf } from './raft/configuration.ts';
import { Links } from './transport/links.ts';
import type { PeerCredentials } from './transport/peer-credentials.ts';

/** Which node this is, and who founds the cluster. */
export interface FoundersOptions {
  /** From 1; for ever. */
  readonly node: NodeId;
  /** All founders, this one too: where each listens to the others, `host:port`. The same on each of them. */
  readonly founders: ReadonlyMap<NodeId, string>;
  readonly credentials: PeerCredentials;
  /** How many replicas each partition of a new cluster shall have. */
  readonly replicaCount: number;
  /**
   * Whether an empty data folder founds the cluster with the others: the first time alone. One that has
   * lost its data would come back as who it was, without what it has acknowledged.
   */
  readonly mayFound: boolean;
}

/** A node's way to the others. */
export interface NodeMesh {
  readonly mesh: Mesh;
  readonly founding: Founding;
  /** Connects the host to the others; resolves when the cluster is founded and its partitions are here. */
  open(host: PartitionHost): Promise<void>;
  /** Whether no majority of the nodes can be reached. */
  isApart(): boolean;
  /** Hands all leaderships to others that can be reached, as far as there is time; then waits for no leader. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

/** Each founder has one replica of each group, with the number of its node. */
export function nodeMesh(
  options: FoundersOptions,
  doors: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
): NodeMesh {
  const { node, founders } = options;
  const { clock, logger } = doors;
  const ids = [...founders.keys()].sort((one, other) => one - other);
  const mesh = new Mesh({
    self: node,
    clock,
    nodeOf: (_group, replica) =>
      founders.has(replica as NodeId) ? (replica as NodeId) : undefined,
    onWarning: (message) => logger.warn(message),
  });
  let links: Links | undefined;
  let opened: PartitionHost | undefined;
  return {
    mesh,
    founding: {
      replica: node,
      founders: ids.map((id) => founderAt(id, founders.get(id) ?? '')),
      replicaCount: options.replicaCount,
    },
    open: async (host) => {
      opened = host;
      checkMembers(host, node, ids);
      links = await openLinks(options, { ...doors, mesh, host });
      mesh.open(host, links);
      links.setAddresses(founders);
      await founded(host, clock);
      if (links.clusterId === '') links.joinCluster(host.map.cluster.clusterId);
    },
    isApart: () => mesh.isApart(ids.length),
    leave: async () => {
      const others = ids.filter((id) => links?.isConnected(id) === true);
      if (opened !== undefined && others.length > 0) await handOverAll(opened, others, clock);
      mesh.leave();
    },
    close: async () => {
      mesh.close();
      await links?.close();
    },
  };
}

/** One hand-over a group, to the others in turn; one that nobody takes ends with an election. */
async function handOverAll(
  host: PartitionHost,
  others: readonly NodeId[],
  clock: Clock,
): Promise<void> {
  const groups = [0 as GroupId, ...partitionIds(host.map.cluster.partitions)];
  const untilMs = clock.monotonicMs() + leaveMsMax;
  let next = 0;
  for (const group of groups) {
    if (host.replicaOf(group)?.leads !== true) continue;
    host.handOver(group, others[next % others.length] as NodeId);
    next += 1;
  }
  while (groups.some((group) => host.replicaOf(group)?.leads === true)) {
    if (clock.monotonicMs() >= untilMs) return;
    await new Promise<void>((resolve) => clock.after(foundedLookMs, resolve));
  }
}

/** The data is that of this node, and of a cluster with these founders. */
function checkMembers(host: PartitionHost, node: NodeId, ids: readonly NodeId[]): void {
  const replica = host.replicaOf(0 as GroupId);
  if (replica === undefined) return;
  if (replica.id !== node) {
    const message = `the data is that of node ${replica.id}, and this was started as node ${node}`;
    throw new StartError('NODE_OTHER', message);
  }
  const members = membersOf(replica.configuration);
  if (members.length === ids.length && ids.every((id) => members.includes(id))) return;
  const message = `the data is of a cluster of the nodes ${members.join(', ')}, the founders named are ${ids.join(', ')}`;
  throw new StartError('FOUNDERS_OTHER', message);
}

async function openLinks(
  { node, founders, credentials }: FoundersOptions,
  parts: {
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
    readonly mesh: Mesh;
    readonly host: PartitionHost;
  },
): Promise<Links> {
  const { clock, random, logger, mesh, host } = parts;
  const { cluster } = host.map;
  const links = await Links.open({
    self: {
      node,
      cluster: cluster.founded ? cluster.clusterId : '',
      life: 1 + random.uint32(),
    },
    listen: addressOf(founders.get(node) ?? ''),
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
    onRefused: (peer, refusal) => logger.error({ peer, ...refusal }, 'a node refuses this one'),
    onRefusing: (caller, refusal) => logger.error({ caller, ...refusal }, 'a node was refused'),
  });
  return links;
}

/** Resolves when the map says that there is a cluster, and all its partitions have their replicas here. */
async function founded(host: PartitionHost, clock: Clock): Promise<void> {
  const { cluster } = host.map;
  const isDone = (): boolean =>
    cluster.founded &&
    partitionIds(cluster.partitions).every((id) => host.replicaOf(id) !== undefined);
  while (!isDone()) {
    await new Promise<void>((resolve) => clock.after(foundedLookMs, resolve));
  }
}
