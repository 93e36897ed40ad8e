/**
 * The map's entries and its snapshot as bytes, and what nodes say to each other of spaces. Numbers are varints, strings and bytes have their
 * length before them; each begins with a version. Checksums are storage's: what does not decode here
 * was written by another version or by a bug, and is an error of the data folder.
 */
import { decodeValue, encodeValue, Reader, type RoutingRule, Writer } from '@tuplet/proto';
import { FormatError } from '../base/format-error.ts';
import type { LogIndex, NodeId, SpaceId, StampMs } from '../base/ids.ts';
import type { ClusterMapState } from './cluster-map.ts';
import type {
  FoundCommand,
  MapCommand,
  MapEntry,
  RestoredMap,
  SpaceRecord,
  SpaceSettings,
} from './map-command.ts';
import { MapFormatError } from './map-format-error.ts';
import {
  decodeDescription,
  decodeFounding,
  decodeNode,
  decodePlacement,
  decodePlacementCommand,
  encodeDescription,
  encodeFounding,
  encodeNode,
  encodePlacement,
  encodePlacementCommand,
  placementKinds,
  several,
} from './placement-codec.ts';
import type { NodeRecord } from './placement-types.ts';

const formatVersion = 3;
const kinds = {
  lead: 1,
  found: 2,
  'create-space': 3,
  'drop-space': 4,
  'forget-space': 5,
  ...placementKinds,
} as const;

/** One entry of group 0's log. The bytes are the caller's. */
export function encodeMapEntry(entry: MapEntry): Uint8Array {
  const writer = new Writer(64);
  writer.byte(formatVersion);
  writer.uint64(entry.stampMs);
  writer.byte(kinds[entry.command.kind]);
  encodeCommand(writer, entry.command);
  return writer.finish();
}

function encodeCommand(writer: Writer, command: MapCommand): void {
  switch (command.kind) {
    case 'lead':
      return;
    case 'found':
      writer.string(command.clusterId);
      writer.uint32(command.partitions);
      writer.uint32(command.replicaCount);
      writer.uint32(command.founders.length);
      for (const founder of command.founders) {
        writer.uint32(founder.id);
        encodeDescription(writer, founder);
      }
      encodeRestored(writer, command.restored);
      return;
    case 'create-space':
      writer.string(command.name);
      encodeSettings(writer, command.settings);
      return;
    case 'drop-space':
      writer.string(command.name);
      return;
    case 'forget-space':
      writer.uint64(command.space);
      return;
    default:
      encodePlacementCommand(writer, command);
  }
}

/** Without one, the empty name of no backup. */
function encodeRestored(writer: Writer, restored: RestoredMap | undefined): void {
  writer.string(restored?.backup ?? '');
  if (restored === undefined) return;
  writer.uint64(restored.epoch);
  writer.uint64(restored.nextSpaceId);
  writer.uint32(restored.spaces.length);
  for (const space of restored.spaces) encodeSpace(writer, space);
}

function decodeRestored(reader: Reader): RestoredMap | undefined {
  const backup = reader.string();
  if (backup === '') return undefined;
  const epoch = reader.uint64();
  const nextSpaceId = reader.uint64() as SpaceId;
  return { backup, epoch, nextSpaceId, spaces: several(reader, decodeSpace) };
}

function decodeFound(reader: Reader): FoundCommand {
  const found = {
    kind: 'found',
    clusterId: reader.string(),
    partitions: reader.uint32(),
    replicaCount: reader.uint32(),
    founders: several(reader, () => ({
      id: reader.uint32() as NodeId,
      ...decodeDescription(reader),
    })),
  } as const;
  const restored = decodeRestored(reader);
  return restored === undefined ? found : { ...found, restored };
}

function encodeSettings(writer: Writer, settings: SpaceSettings): void {
  encodeRules(writer, settings.rules);
  // No name is empty.
  writer.string(settings.like ?? '');
  writer.uint32(settings.tupleBytesMax);
}

function encodeRules(writer: Writer, rules: readonly RoutingRule[]): void {
  writer.uint32(rules.length);
  for (const rule of rules) {
    writer.lengthDelimited(encodeValue(rule.tag));
    writer.uint32(rule.spread);
    writer.uint32(rule.fields.length);
    for (const field of rule.fields) writer.uint32(field);
  }
}

/** What `encodeMapEntry` wrote. Throws FormatError, MapFormatError or DecodeError. */
export function decodeMapEntry(bytes: Uint8Array): MapEntry {
  const reader = new Reader(bytes);
  checkVersion(reader, 'entry of the cluster map');
  const stampMs = reader.uint64() as StampMs;
  const command = decodeCommand(reader);
  checkEnd(reader);
  return { stampMs, command };
}

function decodeCommand(reader: Reader): MapCommand {
  const kind = reader.uint32();
  switch (kind) {
    case kinds.lead:
      return { kind: 'lead' };
    case kinds.found:
      return decodeFound(reader);
    case kinds['create-space']:
      return { kind: 'create-space', name: reader.string(), settings: decodeSettings(reader) };
    case kinds['drop-space']:
      return { kind: 'drop-space', name: reader.string() };
    case kinds['forget-space']:
      return { kind: 'forget-space', space: reader.uint64() as SpaceId };
    default:
      return decodePlacementCommand(reader, kind);
  }
}

function decodeSettings(reader: Reader): SpaceSettings {
  const rules = decodeRules(reader);
  const like = reader.string();
  return { rules, like: like === '' ? undefined : like, tupleBytesMax: reader.uint32() };
}

function decodeRules(reader: Reader): readonly RoutingRule[] {
  const rules: RoutingRule[] = [];
  for (let count = reader.uint32(); count > 0; count -= 1) {
    const tag = decodeValue(reader.lengthDelimited());
    const spread = reader.uint32();
    const fields: number[] = [];
    for (let left = reader.uint32(); left > 0; left -= 1) fields.push(reader.uint32());
    rules.push({ tag, spread, fields });
  }
  return rules;
}

/** A space's settings by themselves. The bytes are the caller's. */
export function encodeSpaceSettings(settings: SpaceSettings): Uint8Array {
  const writer = new Writer(64);
  writer.byte(formatVersion);
  encodeSettings(writer, settings);
  return writer.finish();
}

/** What `encodeSpaceSettings` wrote. Throws FormatError, MapFormatError or DecodeError. */
export function decodeSpaceSettings(bytes: Uint8Array): SpaceSettings {
  const reader = new Reader(bytes);
  checkVersion(reader, 'settings of a space');
  const settings = decodeSettings(reader);
  checkEnd(reader);
  return settings;
}

/** A space by itself. The bytes are the caller's. */
export function encodeSpaceRecord(space: SpaceRecord): Uint8Array {
  const writer = new Writer(128);
  writer.byte(formatVersion);
  encodeSpace(writer, space);
  return writer.finish();
}

/** What `encodeSpaceRecord` wrote. Throws FormatError, MapFormatError or DecodeError. */
export function decodeSpaceRecord(bytes: Uint8Array): SpaceRecord {
  const reader = new Reader(bytes);
  checkVersion(reader, 'space of the cluster map');
  const space = decodeSpace(reader);
  checkEnd(reader);
  return space;
}

/** A node by itself. The bytes are the caller's. */
export function encodeNodeRecord(node: NodeRecord): Uint8Array {
  const writer = new Writer(256);
  writer.byte(formatVersion);
  encodeNode(writer, node);
  return writer.finish();
}

/** What `encodeNodeRecord` wrote. Throws FormatError, MapFormatError or DecodeError. */
export function decodeNodeRecord(bytes: Uint8Array): NodeRecord {
  const reader = new Reader(bytes);
  checkVersion(reader, 'node of the cluster map');
  const node = decodeNode(reader);
  checkEnd(reader);
  return node;
}

/** The whole map; a few hundred bytes a space. The bytes are the caller's. */
export function encodeMapState(state: ClusterMapState): Uint8Array {
  const writer = new Writer(4_096);
  writer.byte(formatVersion);
  writer.uint64(state.appliedIndex);
  writer.uint64(state.stampMs);
  writer.string(state.clusterId);
  writer.uint32(state.partitions);
  writer.uint64(state.epoch);
  writer.uint64(state.nextSpaceId);
  writer.uint32(state.spaces.length);
  for (const space of state.spaces) encodeSpace(writer, space);
  writer.uint32(state.dropped.length);
  for (const id of state.dropped) writer.uint64(id);
  writer.uint32(state.replicaCount);
  encodeFounding(writer, state.founding);
  writer.uint32(state.nodes.length);
  for (const node of state.nodes) encodeNode(writer, node);
  writer.uint32(state.placements.length);
  for (const placement of state.placements) encodePlacement(writer, placement);
  return writer.finish();
}

function encodeSpace(writer: Writer, space: SpaceRecord): void {
  writer.uint64(space.id);
  writer.string(space.name);
  encodeSettings(writer, space.settings);
  writer.string(space.routingName);
  encodeRules(writer, space.rules);
  writer.uint64(space.createdAtMs);
}

/** What `encodeMapState` wrote. Throws FormatError, MapFormatError or DecodeError. */
export function decodeMapState(bytes: Uint8Array): ClusterMapState {
  const reader = new Reader(bytes);
  checkVersion(reader, 'snapshot of the cluster map');
  const head = {
    appliedIndex: reader.uint64() as LogIndex,
    stampMs: reader.uint64() as StampMs,
    clusterId: reader.string(),
    partitions: reader.uint32(),
    epoch: reader.uint64(),
    nextSpaceId: reader.uint64() as SpaceId,
  };
  const spaces: SpaceRecord[] = [];
  for (let count = reader.uint32(); count > 0; count -= 1) spaces.push(decodeSpace(reader));
  const dropped: SpaceId[] = [];
  for (let count = reader.uint32(); count > 0; count -= 1) dropped.push(reader.uint64() as SpaceId);
  const replicaCount = reader.uint32();
  const founding = decodeFounding(reader);
  const nodes = several(reader, decodeNode);
  const placements = several(reader, decodePlacement);
  checkEnd(reader);
  return { ...head, spaces, dropped, replicaCount, founding, nodes, placements };
}

function decodeSpace(reader: Reader): SpaceRecord {
  return {
    id: reader.uint64() as SpaceId,
    name: reader.string(),
    settings: decodeSettings(reader),
    routingName: reader.string(),
    rules: decodeRules(reader),
    createdAtMs: reader.uint64() as StampMs,
  };
}

function checkVersion(reader: Reader, what: string): void {
  const found = reader.uint32();
  if (found !== formatVersion) throw new FormatError({ what, found, read: formatVersion });
}

function checkEnd(reader: Reader): void {
  if (reader.position !== reader.end) throw new MapFormatError('bytes follow the cluster map');
}
