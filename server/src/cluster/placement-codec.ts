/** Nodes and placements as bytes, within the map's entries and its snapshot; see map-codec.ts. */
import type { Reader, Writer } from '@tuplet/proto';
import { unreachable } from '../base/assert.ts';
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import { replicasMax } from '../base/limits.ts';
import type { FoundingRecord } from './cluster-map.ts';
import { MapFormatError } from './map-format-error.ts';
import { isNodeKey } from './nodes.ts';
import type {
  AddNodeCommand,
  GroupPlacement,
  NodeDescription,
  NodeRecord,
  NodeState,
  PlacementCommand,
  ReplicaPlace,
  ReplicaRole,
} from './placement-types.ts';

/** The numbers of these commands among all of the map. */
export const placementKinds = {
  'begin-move': 6,
  placed: 7,
  'add-node': 8,
  'describe-node': 9,
  'set-node': 10,
  'set-replicas': 11,
} as const;
/** By number. */
const states: readonly NodeState[] = ['member', 'draining', 'gone', 'removed'];
const roles: readonly ReplicaRole[] = ['learner', 'joining', 'voter', 'leaving'];

/** Appends the content of a command. */
export function encodePlacementCommand(writer: Writer, command: PlacementCommand): void {
  switch (command.kind) {
    case 'begin-move':
      writer.uint32(command.group);
      // No node and no replica is 0.
      writer.uint32(command.add ?? 0);
      writer.uint32(command.remove ?? 0);
      return;
    case 'placed':
      writer.uint32(command.group);
      writer.uint64(command.index);
      encodeNumbers(writer, command.voters);
      encodeNumbers(writer, command.learners);
      return;
    case 'add-node':
      writer.string(command.key);
      encodeDescription(writer, command);
      return;
    case 'describe-node':
      writer.uint32(command.node);
      encodeDescription(writer, command);
      return;
    case 'set-node':
      writer.uint32(command.node);
      writer.uint32(states.indexOf(command.state));
      return;
    case 'set-replicas':
      writer.uint32(command.count);
      return;
    default:
      unreachable(command);
  }
}

/** The command of a number of `placementKinds`. Throws MapFormatError or DecodeError. */
export function decodePlacementCommand(reader: Reader, kind: number): PlacementCommand {
  switch (kind) {
    case placementKinds['begin-move']: {
      const group = reader.uint32() as GroupId;
      const add = reader.uint32();
      const remove = reader.uint32();
      return {
        kind: 'begin-move',
        group,
        add: add === 0 ? undefined : (add as NodeId),
        remove: remove === 0 ? undefined : remove,
      };
    }
    case placementKinds.placed:
      return {
        kind: 'placed',
        group: reader.uint32() as GroupId,
        index: reader.uint64() as LogIndex,
        voters: several(reader, decodeNumber),
        learners: several(reader, decodeNumber),
      };
    case placementKinds['add-node']:
      return decodeAddNode(reader);
    case placementKinds['describe-node']:
      return {
        kind: 'describe-node',
        node: reader.uint32() as NodeId,
        ...decodeDescription(reader),
      };
    case placementKinds['set-node']:
      return {
        kind: 'set-node',
        node: reader.uint32() as NodeId,
        state: oneOf(states, reader.uint32()),
      };
    case placementKinds['set-replicas']: {
      const count = reader.uint32();
      if (count < 1 || count > replicasMax) throw new MapFormatError(`${count} replicas`);
      return { kind: 'set-replicas', count };
    }
    default:
      throw new MapFormatError(`command ${kind} of the cluster map is not known to this version`);
  }
}

function decodeAddNode(reader: Reader): AddNodeCommand {
  const key = reader.string();
  if (!isNodeKey(key)) throw new MapFormatError('the key of a node is none');
  return { kind: 'add-node', key, ...decodeDescription(reader) };
}

/** Appends what a node says of itself. */
export function encodeDescription(writer: Writer, node: NodeDescription): void {
  writer.string(node.name);
  writer.string(node.zone);
  writer.string(node.peerAddress);
  writer.string(node.clientAddress);
}

/** What `encodeDescription` wrote. */
export function decodeDescription(reader: Reader): NodeDescription {
  return {
    name: reader.string(),
    zone: reader.string(),
    peerAddress: reader.string(),
    clientAddress: reader.string(),
  };
}

/** Appends a node. */
export function encodeNode(writer: Writer, node: NodeRecord): void {
  writer.uint32(node.id);
  writer.string(node.key);
  writer.uint32(states.indexOf(node.state));
  encodeDescription(writer, node);
}

/** What `encodeNode` wrote. */
export function decodeNode(reader: Reader): NodeRecord {
  return {
    id: reader.uint32() as NodeId,
    key: reader.string(),
    state: oneOf(states, reader.uint32()),
    ...decodeDescription(reader),
  };
}

/** Appends where a group lives. */
export function encodePlacement(writer: Writer, placement: GroupPlacement): void {
  writer.uint32(placement.group);
  writer.uint32(placement.nextReplica);
  writer.uint64(placement.placedAt);
  writer.uint32(placement.replicas.length);
  for (const { replica, node, role } of placement.replicas) {
    writer.uint32(replica);
    writer.uint32(node);
    writer.uint32(roles.indexOf(role));
  }
}

/** What `encodePlacement` wrote. */
export function decodePlacement(reader: Reader): GroupPlacement {
  return {
    group: reader.uint32() as GroupId,
    nextReplica: reader.uint32(),
    placedAt: reader.uint64() as LogIndex,
    replicas: several(
      reader,
      (): ReplicaPlace => ({
        replica: reader.uint32(),
        node: reader.uint32() as NodeId,
        role: oneOf(roles, reader.uint32()),
      }),
    ),
  };
}

/** Appends who founded the cluster. */
export function encodeFounding(writer: Writer, founding: FoundingRecord): void {
  const { replicaCount, founders, backup } = founding;
  writer.uint32(replicaCount);
  writer.uint32(founders.length);
  for (const { id, zone } of founders) {
    writer.uint32(id);
    writer.string(zone);
  }
  writer.string(backup);
}

/** What `encodeFounding` wrote. */
export function decodeFounding(reader: Reader): FoundingRecord {
  return {
    replicaCount: reader.uint32(),
    founders: several(reader, () => ({ id: reader.uint32() as NodeId, zone: reader.string() })),
    backup: reader.string(),
  };
}

/** A count, and as many of what `read` reads. */
export function several<T>(reader: Reader, read: (reader: Reader) => T): readonly T[] {
  const items: T[] = [];
  for (let count = reader.uint32(); count > 0; count -= 1) items.push(read(reader));
  return items;
}

function encodeNumbers(writer: Writer, numbers: readonly number[]): void {
  writer.uint32(numbers.length);
  for (const number of numbers) writer.uint32(number);
}

function decodeNumber(reader: Reader): number {
  return reader.uint32();
}

function oneOf<T>(values: readonly T[], at: number): T {
  const value = values[at];
  if (value === undefined) throw new MapFormatError(`${at} is not known to this version`);
  return value;
}
