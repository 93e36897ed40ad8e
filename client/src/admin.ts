/** Administration: spaces. Unary calls, retried while the server says that it may help. */
import { type Codec, decodeValue, encodeValue, malformed, type Timestamp } from '@tuplet/proto';
import {
  CreateSpaceRequest,
  CreateSpaceResponse,
  DescribeClusterRequest,
  DescribeNodeRequest,
  DescribeNodeResponse,
  DescribeSpaceRequest,
  DescribeSpaceResponse,
  DropSpaceRequest,
  ListSpacesRequest,
  ListSpacesResponse,
  ReadGroupRequest,
  ReadGroupResponse,
  SetNodeStateRequest,
  type SpaceDescription as SpaceMessage,
  TransferLeadershipRequest,
} from '@tuplet/proto/contract';
import { timestampOf } from './answers.ts';
import { checked } from './body.ts';
import {
  type ClusterDescription,
  type ClusterNode,
  changedNodeOf,
  clusterOf,
  type NodeState,
  wireStateOf,
} from './cluster.ts';
import { TupletError } from './error.ts';
import type { ServerStream } from './notify.ts';
import { type CallOptions, timeoutOf } from './options.ts';
import { fromStored, toStored, type Value, type Writable } from './value.ts';

const service = '/tuplet.v1.AdminService/';

/** Spreads the tuples of one tag over several slots (SPEC §6). */
export interface RoutingRule {
  /** The tag: the first field of the tuples it is for. */
  readonly tag: Writable;
  /** Over how many slots, 2 to 4,096. */
  readonly spread: number;
  /** The positions of the 1 to 8 fields that choose among them, each from 1 to 63. */
  readonly fields: readonly number[];
}

/** What a space is created with. */
export interface SpaceSettings {
  /** Routing rules, at most one for each tag, 64 in all; default none. Not with `like`. */
  readonly rules?: readonly RoutingRule[];
  /** The name of a space whose routing this one shares; default its own. */
  readonly like?: string;
  /** The largest encoded tuple, in bytes; default 1 MiB, at most 3 MiB. */
  readonly tupleBytesMax?: number;
}

/** A space. */
export interface SpaceDescription {
  readonly name: string;
  /** Never reused. */
  readonly id: number;
  /** The epoch of the cluster map that the answer was read from. */
  readonly mapEpoch: number;
  /** The name that routing hashes. */
  readonly routingName: string;
  /** The routing rules in force. */
  readonly rules: readonly (RoutingRule & { readonly tag: Value })[];
  /** The largest encoded tuple, in bytes; 0: 1 MiB. */
  readonly tupleBytesMax: number;
  readonly createdAt: Timestamp | undefined;
}

/** A space, and how many partitions its tuples are spread over. */
export interface RoutedSpaceDescription extends SpaceDescription {
  /** The cluster's, 1 to 256. */
  readonly partitions: number;
}

/** One partition as the answering node sees it. */
export interface PartitionStatus {
  readonly partition: number;
  /** The term of its leadership. */
  readonly term: number;
  /** The last position applied. */
  readonly applied: number;
  /** Ready tuples. */
  readonly ready: number;
  /** Tuples handed over and not yet acknowledged. */
  readonly handed: number;
  /** Blocked calls. */
  readonly waiters: number;
  /** Sessions served. */
  readonly sessions: number;
}

/** A node. */
export interface NodeDescription {
  /** The version of the server. */
  readonly version: string;
  readonly clusterId: string;
  /** Milliseconds for which it has been serving. */
  readonly uptimeMs: number;
  /** What it has sent to leaders on itself for the calls of its clients, since it serves. */
  readonly sentHere: number;
  /** What it has sent to leaders on other nodes: little where clients know who leads. */
  readonly sentElsewhere: number;
  readonly partitions: readonly PartitionStatus[];
}

/** What administration needs of the shell: a unary call, retried until `timeoutMs` is over. */
export type UnaryCall = (
  path: string,
  request: Uint8Array,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
) => Promise<Uint8Array>;

/** What administration needs of the shell besides: a server stream, from any node or the one at an address. */
export type OpenStream = (
  path: string,
  request: Uint8Array,
  address: string | undefined,
) => ServerStream;

/** How a group is read. */
export interface ReadGroupOptions {
  /** `host:port` of the node to ask, as `ClusterNode.clientAddress` says it; default: the one connected to. */
  readonly address?: string;
  /** Ends the reading: the loop is rejected with CANCELLED. */
  readonly signal?: AbortSignal;
}

/** Spaces, nodes and the cluster. Rejects with TupletError. */
export class Admin {
  readonly #unary: UnaryCall;
  readonly #openStream: OpenStream;

  /** Made by `connect`. */
  constructor(unary: UnaryCall, openStream: OpenStream) {
    this.#unary = unary;
    this.#openStream = openStream;
  }

  /** Creates a space; SPACE_EXISTS where the name is taken. Its routing is fixed from then on. */
  async createSpace(
    name: string,
    settings: SpaceSettings = {},
    options?: CallOptions,
  ): Promise<SpaceDescription> {
    const { like, tupleBytesMax } = settings;
    const request = checked(() => {
      const rules = settings.rules?.map((rule) => ({
        ...rule,
        tag: encodeValue(toStored(rule.tag)),
      }));
      return CreateSpaceRequest.encode({ name, settings: { rules, like, tupleBytesMax } });
    });
    const answer = await this.#call('CreateSpace', request, options);
    return oneSpace(CreateSpaceResponse, answer);
  }

  /** All spaces, by name. */
  async listSpaces(options?: CallOptions): Promise<SpaceDescription[]> {
    const answer = await this.#call('ListSpaces', ListSpacesRequest.encode({}), options);
    const { spaces, mapEpoch } = ListSpacesResponse.decode(answer);
    return spaces.map((space) => descriptionOf(space, mapEpoch));
  }

  /** One space; SPACE_NOT_FOUND where there is none of this name. */
  async describeSpace(name: string, options?: CallOptions): Promise<RoutedSpaceDescription> {
    const request = checked(() => DescribeSpaceRequest.encode({ name }));
    const answer = await this.#call('DescribeSpace', request, options);
    const { partitions } = DescribeSpaceResponse.decode(answer);
    return { ...oneSpace(DescribeSpaceResponse, answer), partitions };
  }

  /** Drops a space with all its tuples. */
  async dropSpace(name: string, options?: CallOptions): Promise<void> {
    const request = checked(() => DropSpaceRequest.encode({ name }));
    await this.#call('DropSpace', request, options);
  }

  /** Describes the node that answers. */
  async describeNode(options?: CallOptions): Promise<NodeDescription> {
    const answer = await this.#call('DescribeNode', DescribeNodeRequest.encode({}), options);
    const { uptime, ...node } = DescribeNodeResponse.decode(answer);
    const uptimeMs = uptime === null ? 0 : uptime.seconds * 1_000 + uptime.nanos / 1_000_000;
    return { ...node, uptimeMs };
  }

  /** Describes the cluster, as far as the node that answers can reach it. */
  async describeCluster(options?: CallOptions): Promise<ClusterDescription> {
    const request = DescribeClusterRequest.encode({});
    return clusterOf(await this.#call('DescribeCluster', request, options));
  }

  /**
   * Says what a node shall be to its cluster; its replicas follow, step by step. NODE_NOT_FOUND,
   * NODE_REMOVED; NODE_REACHABLE where one that is to be `gone` answers; NODE_NOT_EMPTY where one that is
   * to be `removed` has replicas.
   */
  async setNodeState(node: number, state: NodeState, options?: CallOptions): Promise<ClusterNode> {
    const request = checked(() => SetNodeStateRequest.encode({ node, state: wireStateOf(state) }));
    return changedNodeOf(await this.#call('SetNodeState', request, options));
  }

  /** Hands the leadership of a group (0: the cluster map) to a node; resolves when that one leads. */
  async transferLeadership(group: number, node: number, options?: CallOptions): Promise<void> {
    const request = checked(() => TransferLeadershipRequest.encode({ group, node }));
    await this.#call('TransferLeadership', request, options);
  }

  /**
   * Reads the state of a group (0: the cluster map) at the node that leads it, for a backup: one consistent point,
   * as bytes that the server's version understands. NO_LEADER where that node does not lead it. Reads no faster
   * than it is iterated over.
   */
  async *readGroup(
    group: number,
    { address, signal }: ReadGroupOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const request = checked(() => ReadGroupRequest.encode({ group }));
    if (signal?.aborted) throw TupletError.cancelled(signal.reason);
    const stream = this.#openStream(`${service}ReadGroup`, request, address);
    const abort = (): void => stream.cancel();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      for await (const message of stream) yield ReadGroupResponse.decode(message).chunk;
      if (signal?.aborted) throw TupletError.cancelled(signal.reason);
    } finally {
      signal?.removeEventListener('abort', abort);
      stream.cancel();
    }
  }

  #call(
    method: string,
    request: Uint8Array,
    options: CallOptions | undefined,
  ): Promise<Uint8Array> {
    const timeoutMs = timeoutOf(options);
    return this.#unary(service + method, request, { timeoutMs, signal: options?.signal });
  }
}

function oneSpace(
  codec: Codec<{ readonly space: SpaceMessage | null; readonly mapEpoch: number }, never>,
  answer: Uint8Array,
): SpaceDescription {
  const { space, mapEpoch } = codec.decode(answer);
  if (space === null) throw malformed('an answer without the space');
  return descriptionOf(space, mapEpoch);
}

function descriptionOf(message: SpaceMessage, mapEpoch: number): SpaceDescription {
  const { name, id, settings, routingName, rules, createdAt } = message;
  return {
    name,
    id,
    mapEpoch,
    routingName,
    rules: rules.map(({ tag, spread, fields }) => ({
      tag: tag === null ? null : fromStored(decodeValue(tag)),
      spread,
      fields,
    })),
    tupleBytesMax: settings?.tupleBytesMax ?? 0,
    createdAt: timestampOf(createdAt),
  };
}
