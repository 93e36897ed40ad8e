/** The composition root of one node: the only file that knows everyone. */
import { type Logger, pino } from 'pino';
import type { Cancel, Clock, Disk, Random } from './base/doors.ts';
import type { NodeId, PartitionId } from './base/ids.ts';
import { closeMsMax, drainMs, logSegmentBytes, replaceAfterMsDefault } from './base/limits.ts';
import type { ClusterView } from './cluster/cluster-view.ts';
import { partitionIds } from './cluster/slots.ts';
import { advertisedAddress, defaultListen } from './gateway/address.ts';
import { Gateway, type GatewayLimits } from './gateway/gateway.ts';
import { hostChecksum } from './host/checksum.ts';
import { hostClock } from './host/clock.ts';
import { HostDisk } from './host/disk.ts';
import { hostRandom } from './host/random.ts';
import { ledStatus } from './mesh/led-status.ts';
import { ownHistories } from './mesh/own-histories.ts';
import { NodeMesh, type NodeMeshOptions } from './node-mesh.ts';
import type { MapPort } from './partition/map-port.ts';
import { PartitionHost } from './partition/partition-host.ts';
import type { Restore } from './partition/restoring.ts';
import { StartError } from './partition/start-error.ts';
import { ClusterAdmin } from './placement/cluster-admin.ts';
import {
  type FoundersWay,
  founderStart,
  type JoinWay,
  joinerStart,
} from './placement/node-start.ts';
import { DroppedSpaces } from './router/dropped-spaces.ts';
import { Router, type RouterLimits } from './router/router.ts';
import { version } from './version.ts';

/** How a node is one of a cluster. */
export interface ClusterOptions
  extends Omit<NodeMeshOptions, 'start' | 'name' | 'zone' | 'replaceAfterMs' | 'onRemoved'> {
  /** It founds the cluster with others, or joins one that is there. */
  readonly way: FoundersWay | Pick<JoinWay, 'kind' | 'seeds'>;
  /** Unique among the nodes. Default: what the map says, or one made up. */
  readonly name?: string;
  /** Replicas of a partition are spread over zones. Default: what the map says, or none. */
  readonly zone?: string;
  /** Milliseconds that a node may be away before others get its replicas. Default: 10 minutes. */
  readonly replaceAfterMs?: number;
  /** The cluster has removed this node. Default: logs that and ends the process with code 1. */
  readonly onRemoved?: (message: string) => void;
}

/** What a node is started with. Exactly one of `dataDir` and `disk` is given. */
export interface NodeOptions {
  /** The folder of the node's data; made where there is none. */
  readonly dataDir?: string;
  /** In place of a folder: any disk. */
  readonly disk?: Disk;
  /** `host:port`; port 0 takes a free one. Default: `127.0.0.1:7447`. */
  readonly listen?: string;
  /**
   * `host:port` at which clients reach this node, for those that were given the addresses of others.
   * Default: where it listens, unless that is every address of the machine.
   */
  readonly advertise?: string;
  /** Partitions of a new cluster, 1 to 256; of an existing one it must be what it has. Default: 16. */
  readonly partitions?: number;
  /** The backup that a new cluster begins with; the same one on all founders. */
  readonly restore?: Restore;
  /** The cluster that this node is one of; undefined: it is alone. */
  readonly cluster?: ClusterOptions;
  /** Default: silent. */
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Bytes of a segment of the log; default 64 MiB. */
  readonly segmentBytes?: number;
  /** Bytes of events that each partition keeps for `notify` (SPEC §8); 0: none. Default: 8 MiB. */
  readonly historyBytesMax?: number;
  /** Milliseconds that each partition keeps events (SPEC §8); 0: none. Default: 10 minutes. */
  readonly historyMs?: number;
  /** Bounds that tests make smaller. */
  readonly routerLimits?: Partial<RouterLimits>;
  /** Bounds that tests make smaller. */
  readonly gatewayLimits?: Partial<GatewayLimits>;
  /** Milliseconds that `close` gives the disk; default 10,000. */
  readonly closeMs?: number;
  /**
   * Nothing can be made durable any more: the process must end, and recovers from its log. Default:
   * logs the error and ends the process with code 1.
   */
  readonly onFatal?: (error: Error) => void;
}

/** A node that serves. */
export interface RunningNode {
  /** Where it listens: `host:port`. */
  readonly address: string;
  /** The cluster it founded or belongs to. */
  readonly clusterId: string;
  /**
   * Ends it: waiting calls end, those on their way are answered, the log is closed. Once or more.
   * Rejects where the disk takes longer than `closeMs`: the process may end all the same, since what
   * was acknowledged is durable.
   */
  close(): Promise<void>;
}

/**
 * Starts a node: recovers or founds its data, then listens. Rejects with what stopped it, and then
 * holds nothing.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { clock = hostClock, random = hostRandom, logger = pino({ enabled: false }) } = options;
  const disk = options.disk ?? (await HostDisk.open(dataDirOf(options)));
  const startedMs = clock.monotonicMs();
  const doors = { clock, random, disk, logger };
  const mesh = options.cluster === undefined ? undefined : await meshOf(options.cluster, doors);
  const host = await PartitionHost.open({
    disk,
    clock,
    random,
    checksum: hostChecksum,
    segmentBytes: options.segmentBytes ?? logSegmentBytes,
    ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
    ...(options.restore === undefined ? {} : { restore: options.restore }),
    spaceLimits: {
      ...(options.historyBytesMax === undefined
        ? {}
        : { historyBytesMax: options.historyBytesMax }),
      ...(options.historyMs === undefined ? {} : { historyMs: options.historyMs }),
    },
    onFatal: options.onFatal ?? ((error) => endProcess(logger, error)),
    onWarning: (message) => logger.warn(message),
    ...(mesh === undefined
      ? {}
      : {
          peers: mesh.mesh,
          founding: mesh.founding,
          ifEmpty: mesh.ifEmpty,
        }),
  });
  await joined(host, mesh);
  const sent = mesh?.mesh.sent ?? { here: 0, elsewhere: 0 };
  const partitions = mesh === undefined ? partitionsOf(host, sent) : mesh.mesh.partitions();
  const [id, idOfDrops] = routerIds(random, mesh?.founding.replica ?? 0);
  const droppedSpaces = new DroppedSpaces({ id: idOfDrops, partitions, map: host.map, clock });
  const router = new Router({
    id,
    partitions,
    clock,
    ...(options.routerLimits === undefined ? {} : { limits: options.routerLimits }),
  });
  try {
    const gateway = await Gateway.open({
      router,
      histories: mesh?.mesh.histories() ?? ownHistories(host, host.map.cluster.clusterId, clock),
      admin: adminOf({
        host,
        map: mesh?.mesh.map() ?? host.map,
        cluster: mesh?.admin() ?? loneAdmin(host, clock),
        sent,
        clock,
        startedMs,
      }),
      stateOf: (group) => host.stateOf(group),
      view: mesh?.mesh.view() ?? loneView(host),
      clock,
      ...(mesh === undefined ? {} : { isApart: () => mesh.isApart() }),
      listen: options.listen ?? defaultListen,
      failed: (error) => logger.error({ error }, 'a call failed by a fault of the server'),
      ...(options.gatewayLimits === undefined ? {} : { limits: options.gatewayLimits }),
    });
    if (mesh !== undefined) advertise(mesh, options.advertise, { gateway, logger });
    const { clusterId, partitions: count } = host.map.cluster;
    const told = { address: gateway.address, clusterId, partitions: count, version };
    logger.info(told, 'serving');
    const { closeMs = closeMsMax } = options;
    const parts = { host, router, droppedSpaces, gateway, mesh, clusterId, logger, clock, closeMs };
    return runningNode(parts);
  } catch (error) {
    droppedSpaces.close();
    router.close();
    await mesh?.close();
    await host.close();
    throw error;
  }
}

/** A node's part in its cluster; one that joins is taken in before this resolves. */
async function meshOf(
  options: ClusterOptions,
  doors: {
    readonly clock: Clock;
    readonly random: Random;
    readonly disk: Disk;
    readonly logger: Logger;
  },
): Promise<NodeMesh> {
  const { way, name, zone, credentials, advertise, replaceAfterMs, onRemoved } = options;
  const { logger } = doors;
  const onWaiting = (message: string): void => logger.warn(message);
  const start =
    way.kind === 'founders'
      ? founderStart(way)
      : await joinerStart(
          { ...way, name, zone: zone ?? '', advertise, credentials },
          { ...doors, onWaiting },
        );
  return new NodeMesh(
    {
      ...options,
      start,
      name,
      zone,
      replaceAfterMs: replaceAfterMs ?? replaceAfterMsDefault,
      onRemoved: onRemoved ?? ((message) => endRemoved(logger, message)),
    },
    doors,
  );
}

/** With others: resolves when all of them are a cluster. */
async function joined(host: PartitionHost, mesh: NodeMesh | undefined): Promise<void> {
  try {
    await mesh?.open(host);
  } catch (error) {
    await mesh?.close();
    await host.close();
    throw error;
  }
}

/**
 * Two that differ, for those of this node that speak to leaders: above 0, new in each life of each node, and
 * small integers, since every waiter has one.
 */
function routerIds(random: Random, node: number): readonly [number, number] {
  const life = 1 + (random.uint32() >>> 11);
  return [life * 512 + node, life * 512 + 256 + node];
}

function runningNode(parts: {
  readonly host: PartitionHost;
  readonly router: Router;
  readonly droppedSpaces: DroppedSpaces;
  readonly gateway: Gateway;
  readonly mesh: NodeMesh | undefined;
  readonly clusterId: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly closeMs: number;
}): RunningNode {
  const { host, router, droppedSpaces, gateway, mesh, clusterId, logger, clock, closeMs } = parts;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    gateway.leave();
    droppedSpaces.close();
    await mesh?.leave();
    router.drain();
    await gateway.close(drainMs);
    const ended = router.settled().then(() => {
      router.close();
      return host.close();
    });
    try {
      await within(clock, closeMs, ended, `the disk has not answered for ${closeMs} ms`);
    } catch (error) {
      host.abandon();
      throw error;
    } finally {
      await mesh?.close();
    }
    logger.info('stopped');
  };
  return {
    address: gateway.address,
    clusterId,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

/** What `work` comes to, or an error once its time is over. */
async function within(
  clock: Clock,
  ms: number,
  work: Promise<void>,
  message: string,
): Promise<void> {
  let cancel: Cancel = () => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(ms, () => reject(new Error(message)));
  });
  try {
    await Promise.race([work, late]);
  } finally {
    cancel();
  }
}

/** Tells the others, and through them clients, where this node is. */
function advertise(
  { mesh }: NodeMesh,
  wanted: string | undefined,
  { gateway, logger }: { readonly gateway: Gateway; readonly logger: Logger },
): void {
  const address = wanted ?? advertisedAddress(gateway.address);
  if (address === undefined) {
    logger.warn(`listening at ${gateway.address}: clients hear of no address of this node`);
  } else mesh.advertise(address);
}

/** A cluster of one: there is nothing to choose among. */
function loneView({ map: { cluster } }: PartitionHost): ClusterView {
  return {
    clusterId: cluster.clusterId,
    self: 1 as NodeId,
    partitions: cluster.partitions,
    nodes: () => [],
    leaderOf: () => undefined,
    onChange: () => () => undefined,
  };
}

function partitionsOf(
  host: PartitionHost,
  sent: { here: number },
): ConstructorParameters<typeof Router>[0]['partitions'] {
  return {
    map: host.map.cluster,
    send: (to, from, message) => {
      sent.here += 1;
      host.send(to, from, message);
    },
    epochOf: (partition) => host.epochOf(partition),
    ready: (partition) => host.ready(partition),
    onMapChange: (run) => host.map.onChange(run),
    // Its map is the cluster's own.
    lookAtMap: (run) => run(true),
    attach: (router) => host.attach(router),
  };
}

/** Administration of a cluster of one. */
function loneAdmin(host: PartitionHost, clock: Clock): ClusterAdmin {
  return new ClusterAdmin({
    self: 1 as NodeId,
    clock,
    cluster: host.map.cluster,
    linked: () => new Set(),
    clientAddressOf: () => '',
    nodeOf: () => 1 as NodeId,
    statusOf: (_node, answer) => answer(ledStatus(host)),
    place: (command, answer) => host.map.place(command, answer),
    handOver: () => undefined,
  });
}

function adminOf(parts: {
  readonly host: PartitionHost;
  readonly map: Pick<MapPort, 'cluster' | 'createSpace' | 'dropSpace'>;
  readonly cluster: ClusterAdmin;
  readonly sent: { readonly here: number; readonly elsewhere: number };
  readonly clock: Clock;
  readonly startedMs: number;
}): Parameters<typeof Gateway.open>[0]['admin'] {
  const { host, map, cluster, sent, clock, startedMs } = parts;
  return {
    map: map.cluster,
    version,
    uptimeMs: () => clock.monotonicMs() - startedMs,
    createSpace: (name, settings, answer) => map.createSpace(name, settings, answer),
    dropSpace: (name, answer) => map.dropSpace(name, answer),
    sent: () => sent,
    cluster,
    partitionStates: () =>
      partitionsHere(host).map((partition) => {
        const { ready, handed } = host.spaceOf(partition).counts();
        const { waiters, sessions } = host.leaderStats(partition) ?? { waiters: 0, sessions: 0 };
        const term = host.epochOf(partition) ?? 0;
        const applied = host.spaceOf(partition).appliedIndex;
        return { partition, term, applied, ready, handed, waiters, sessions };
      }),
  };
}

/** Partitions of which a replica is here. */
function partitionsHere(host: PartitionHost): readonly PartitionId[] {
  return partitionIds(host.map.cluster.partitions).filter((id) => host.hasReplica(id));
}

function dataDirOf({ dataDir }: NodeOptions): string {
  if (dataDir === undefined) throw new Error('a node needs a data folder or a disk');
  return dataDir;
}

function endRemoved(logger: Logger, message: string): void {
  logger.fatal(`${message}; its data is as it was, and of no use to the cluster`);
  process.exit(1);
}

function endProcess(logger: Logger, error: Error): void {
  if (error instanceof StartError) logger.fatal(`${error.message}; the process ends`);
  else logger.fatal({ error }, 'the log cannot be written any more; the process ends');
  process.exit(1);
}
