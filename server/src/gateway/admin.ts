/** AdminService: spaces, and the state of this node. */
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { decodeValue, durationOfMs, encodeValue, limits, timestampOfMs } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import type { MapOutcome, SpaceRecord, SpaceSettings } from '../cluster/map-command.ts';
import type { ClusterAdmin } from '../placement/cluster-admin.ts';
import { type Failure, invalid } from '../router/failure.ts';
import type { SpaceDirectory } from '../router/routing.ts';
import { clusterCalls } from './cluster-admin.ts';
import { RefusedError } from './decode.ts';
import { refusalOf } from './map-failure.ts';
import { failureOf, grpcStatusOf, isRefusal } from './status.ts';

/** One partition, as a node's operator sees it. */
export interface PartitionState {
  readonly partition: number;
  readonly term: number;
  readonly applied: number;
  readonly ready: number;
  readonly handed: number;
  readonly waiters: number;
  readonly sessions: number;
}

/** What administration needs of the node. */
export interface AdminPorts {
  readonly map: {
    readonly clusterId: string;
    readonly partitions: number;
    readonly epoch: number;
    space(name: string): SpaceRecord | undefined;
    spaces(): readonly SpaceRecord[];
  };
  readonly spaces: Pick<SpaceDirectory, 'settle'>;
  createSpace(name: string, settings: SpaceSettings, answer: (outcome: MapOutcome) => void): void;
  dropSpace(name: string, answer: (outcome: MapOutcome) => void): void;
  readonly cluster: ClusterAdmin;
  partitionStates(): readonly PartitionState[];
  /** What calls of this node's clients have sent to leaders: here, and on other nodes. */
  sent(): { readonly here: number; readonly elsewhere: number };
  readonly version: string;
  uptimeMs(): number;
  /** A mistake of ours, to be logged. */
  failed(error: unknown): void;
}

type Handler = (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => void;
type Respond = (outcome: Uint8Array | Failure) => void;

/** The handlers, by the names of the contract's methods. */
export function adminHandlers(ports: AdminPorts): Record<string, Handler> {
  const cluster = Object.entries(clusterCalls).map(([name, run]) => [
    name,
    handler(ports, (bytes, respond) => run(ports.cluster, bytes, respond)),
  ]);
  return {
    ...Object.fromEntries(cluster),
    createSpace: handler(ports, (bytes, respond) => createSpace(ports, bytes, respond)),
    dropSpace: handler(ports, (bytes, respond) => dropSpace(ports, bytes, respond)),
    listSpaces: handler(ports, (bytes, respond) => {
      contract.ListSpacesRequest.decode(bytes, 'refuse');
      const byName = (a: SpaceRecord, b: SpaceRecord): number => (a.name < b.name ? -1 : 1);
      const spaces = [...ports.map.spaces()].sort(byName).map(descriptionOf);
      respond(contract.ListSpacesResponse.encode({ spaces, mapEpoch: ports.map.epoch }));
    }),
    describeSpace: handler(ports, (bytes, respond) => describeSpace(ports, bytes, respond)),
    describeNode: handler(ports, (bytes, respond) => {
      contract.DescribeNodeRequest.decode(bytes, 'refuse');
      const { here, elsewhere } = ports.sent();
      respond(
        contract.DescribeNodeResponse.encode({
          version: ports.version,
          clusterId: ports.map.clusterId,
          uptime: durationOfMs(ports.uptimeMs()),
          partitions: ports.partitionStates(),
          sentHere: here,
          sentElsewhere: elsewhere,
        }),
      );
    }),
  };
}

function handler(ports: AdminPorts, run: (bytes: Buffer, respond: Respond) => void): Handler {
  return (call, callback) => {
    const respond: Respond = (outcome) => {
      if (outcome instanceof Uint8Array)
        callback(null, Buffer.from(outcome.buffer, outcome.byteOffset, outcome.byteLength));
      else callback(grpcStatusOf(outcome));
    };
    try {
      run(call.request, respond);
    } catch (error) {
      if (!isRefusal(error)) ports.failed(error);
      respond(failureOf(error));
    }
  };
}

function createSpace(ports: AdminPorts, bytes: Buffer, respond: Respond): void {
  const { name, settings } = contract.CreateSpaceRequest.decode(bytes, 'refuse');
  ports.createSpace(name, settingsOf(settings), (outcome) => {
    if (outcome.kind !== 'created') return respond(refusalOf(outcome));
    const space = descriptionOf(outcome.space);
    respond(contract.CreateSpaceResponse.encode({ space, mapEpoch: outcome.epoch }));
  });
}

function dropSpace(ports: AdminPorts, bytes: Buffer, respond: Respond): void {
  const { name } = contract.DropSpaceRequest.decode(bytes, 'refuse');
  ports.dropSpace(name, (outcome) => {
    if (outcome.kind !== 'dropped') return respond(refusalOf(outcome));
    respond(contract.DropSpaceResponse.encode({ mapEpoch: outcome.epoch }));
  });
}

function describeSpace(ports: AdminPorts, bytes: Buffer, respond: Respond): void {
  const { name } = contract.DescribeSpaceRequest.decode(bytes, 'refuse');
  ports.spaces.settle({ name }, (failure) => {
    if (failure === undefined) describeKnown(ports, name, respond);
    else respond(failure);
  });
}

function describeKnown({ map }: AdminPorts, name: string, respond: Respond): void {
  const record = map.space(name);
  if (record === undefined) {
    const message = `no space ${name.slice(0, 128)}`;
    respond({ reason: 'SPACE_NOT_FOUND', field: 'name', message });
    return;
  }
  const space = descriptionOf(record);
  const { epoch, partitions } = map;
  respond(contract.DescribeSpaceResponse.encode({ space, mapEpoch: epoch, partitions }));
}

function settingsOf(settings: contract.SpaceSettings | null): SpaceSettings {
  const { rules = [], like = '', tupleBytesMax = 0 } = settings ?? {};
  return {
    rules: rules.map((rule, position) => ({
      tag: tagOf(rule.tag, `settings.rules[${position}].tag`),
      spread: rule.spread,
      fields: rule.fields,
    })),
    like: like === '' ? undefined : like,
    tupleBytesMax: tupleBytesMax === 0 ? limits.tupleBytesDefault : tupleBytesMax,
  };
}

function tagOf(bytes: Uint8Array | null, field: string): ReturnType<typeof decodeValue> {
  if (bytes !== null) return decodeValue(bytes);
  throw new RefusedError(invalid('ROUTING_RULE', field, 'a rule names the tag it is for'));
}

function descriptionOf(record: SpaceRecord): contract.SpaceDescriptionInit {
  const { name, id, settings, routingName, rules, createdAtMs } = record;
  return {
    name,
    id,
    settings: {
      rules: settings.rules.map(ruleOf),
      like: settings.like ?? '',
      tupleBytesMax: settings.tupleBytesMax,
    },
    routingName,
    rules: rules.map(ruleOf),
    createdAt: timestampOfMs(createdAtMs),
  };
}

function ruleOf({ tag, spread, fields }: SpaceRecord['rules'][number]): contract.RoutingRuleInit {
  return { tag: encodeValue(tag), spread, fields };
}
