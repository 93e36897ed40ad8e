/**
 * Changes of the cluster map that another node leads: `MapCall` and `MapAnswer` of coordination.proto.
 * Settings and spaces are in the form that the map's own log and snapshots have. See coordination-codec.ts.
 */
import { malformed, type Reader, type Writer } from '@tuplet/proto';
import { assert, unreachable } from '../base/assert.ts';
import type { StampMs } from '../base/ids.ts';
import { refusalFieldMax, refusalTextMax } from '../base/limits.ts';
import {
  kindOfTag,
  kindsByField,
  lengthTag,
  nextTag,
  openField,
  positive,
  readNestedWith,
  required,
  unknownField,
  varintTag,
  writeBytes,
  writeNumber,
  writeString,
} from '../base/wire-fields.ts';
import {
  decodeMapEntry,
  decodeNodeRecord,
  decodeSpaceRecord,
  decodeSpaceSettings,
  encodeMapEntry,
  encodeNodeRecord,
  encodeSpaceRecord,
  encodeSpaceSettings,
} from '../cluster/map-codec.ts';
import type {
  CreateSpaceCommand,
  DropMapSpaceCommand,
  MapCommand,
  MapOutcome,
  MapProblem,
  SpaceRecord,
  SpaceSettings,
} from '../cluster/map-command.ts';
import { MapFormatError } from '../cluster/map-format-error.ts';
import { placementKinds } from '../cluster/placement-codec.ts';
import type { NodeRecord, PlacementCommand } from '../cluster/placement-types.ts';
import { spaceNameProblem, spaceSettingsProblem } from '../cluster/space-checks.ts';

/** A change of the spaces. */
export type SpaceCommand = CreateSpaceCommand | DropMapSpaceCommand;

/** A change that any node may ask for. */
export type MapCallCommand = SpaceCommand | PlacementCommand;

/** A change that the receiver, who leads the map, is to make. */
export interface MapCallItem {
  readonly kind: 'map-call';
  /** Of this sending; never used again in the sender's life. */
  readonly call: number;
  /** Its name and settings are in order: whoever sends it has looked. */
  readonly command: MapCallCommand;
}

/** What became of a change, to whoever asked. */
export interface MapAnswerItem {
  readonly kind: 'map-answer';
  readonly call: number;
  readonly outcome: MapOutcome;
}

/** Whoever leads the map gives it one. */
const noStamp = 0 as StampMs;

const commandFields: Readonly<Record<SpaceCommand['kind'] | 'placement', number>> = {
  'create-space': 2,
  'drop-space': 3,
  placement: 4,
};
const commandKinds = kindsByField(commandFields);

const outcomeFields: Readonly<Record<MapOutcome['kind'], number>> = {
  created: 2,
  dropped: 3,
  refused: 4,
  node: 5,
  done: 6,
};
const outcomeKinds = kindsByField(outcomeFields);

/** The reasons that a refusal may have. */
const reasons: Readonly<Record<MapProblem['reason'], true>> = {
  SPACE_NAME: true,
  ROUTING_RULE: true,
  VALUE_OUT_OF_RANGE: true,
  SPACE_EXISTS: true,
  SPACE_NOT_FOUND: true,
  SPACE_LIKE_NOT_FOUND: true,
  SPACES_EXHAUSTED: true,
  TOO_MANY_IN_FLIGHT: true,
  SHUTTING_DOWN: true,
  DISK_FULL: true,
  NO_LEADER: true,
  OUTCOME_UNKNOWN: true,
  NODE_DESCRIPTION: true,
  NODE_NAME_TAKEN: true,
  NODE_NOT_FOUND: true,
  NODE_NOT_EMPTY: true,
  NODE_REACHABLE: true,
  NODE_REMOVED: true,
  NODES_EXHAUSTED: true,
  MOVE_IN_PROGRESS: true,
  MOVE_STALE: true,
};

/** Appends the content of a change. */
export function writeMapCall(writer: Writer, { call, command }: MapCallItem): void {
  writeNumber(writer, 1, call);
  if (command.kind !== 'create-space' && command.kind !== 'drop-space') {
    writeBytes(writer, commandFields.placement, encodeMapEntry({ stampMs: noStamp, command }));
    return;
  }
  const mark = openField(writer, commandFields[command.kind]);
  writeString(writer, 1, command.name);
  if (command.kind === 'create-space') {
    writeBytes(writer, 2, encodeSpaceSettings(command.settings));
  }
  writer.close(mark);
}

/** Reads a change up to the reader's end. */
export function readMapCall(reader: Reader): MapCallItem {
  let call = 0;
  let command: MapCallCommand | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) call = reader.uint64();
    else if (command !== undefined) throw malformed('a change of the map is one');
    else command = readAnyCommand(reader, kindOfTag(commandKinds, tag));
  }
  return { kind: 'map-call', call: positive(call), command: required(command) };
}

function readAnyCommand(reader: Reader, kind: SpaceCommand['kind'] | 'placement'): MapCallCommand {
  if (kind !== 'placement') return readNestedWith(reader, readCommand, kind);
  const { stampMs, command } = ofTheMap(() => decodeMapEntry(reader.lengthDelimited().slice()));
  if (stampMs !== noStamp || !isPlacement(command)) throw malformed("a change is not a node's");
  return command;
}

function isPlacement(command: MapCommand): command is PlacementCommand {
  return Object.hasOwn(placementKinds, command.kind);
}

function readCommand(reader: Reader, kind: SpaceCommand['kind']): SpaceCommand {
  let name = '';
  let settings: SpaceSettings | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) name = reader.string();
    else if (tag === lengthTag(2) && kind === 'create-space') settings = readSettings(reader);
    else throw unknownField();
  }
  inOrder(spaceNameProblem(name, 'name'));
  if (kind === 'drop-space') return { kind, name };
  return { kind, name, settings: required(settings) };
}

function readSettings(reader: Reader): SpaceSettings {
  const settings = ofTheMap(() => decodeSpaceSettings(reader.lengthDelimited().slice()));
  inOrder(spaceSettingsProblem(settings));
  return settings;
}

/** Appends the content of an answer. */
export function writeMapAnswer(writer: Writer, { call, outcome }: MapAnswerItem): void {
  writeNumber(writer, 1, call);
  const mark = openField(writer, outcomeFields[outcome.kind]);
  if (outcome.kind === 'refused') writeProblem(writer, outcome.problem);
  else if (outcome.kind === 'node') writeBytes(writer, 1, encodeNodeRecord(outcome.node));
  else if (outcome.kind !== 'done') {
    writeBytes(writer, 1, encodeSpaceRecord(outcome.space));
    writeNumber(writer, 2, outcome.epoch);
  }
  writer.close(mark);
}

/** Reads an answer up to the reader's end. */
export function readMapAnswer(reader: Reader): MapAnswerItem {
  let call = 0;
  let outcome: MapOutcome | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) call = reader.uint64();
    else if (outcome !== undefined) throw malformed('an answer says one thing');
    else outcome = readNestedWith(reader, readOutcome, kindOfTag(outcomeKinds, tag));
  }
  return { kind: 'map-answer', call: positive(call), outcome: required(outcome) };
}

function readOutcome(reader: Reader, kind: MapOutcome['kind']): MapOutcome {
  switch (kind) {
    case 'created':
    case 'dropped':
      return { kind, ...readChanged(reader) };
    case 'refused':
      return { kind, problem: readProblem(reader) };
    case 'node':
      return { kind, node: readNode(reader) };
    case 'done':
      if (reader.position < reader.end) throw unknownField();
      return { kind };
    default:
      return unreachable(kind);
  }
}

function readNode(reader: Reader): NodeRecord {
  let node: NodeRecord | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag !== lengthTag(1)) throw unknownField();
    node = ofTheMap(() => decodeNodeRecord(reader.lengthDelimited().slice()));
    positive(node.id);
  }
  return required(node);
}

function readChanged(reader: Reader): { readonly space: SpaceRecord; readonly epoch: number } {
  let space: SpaceRecord | undefined;
  let epoch = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) space = readSpace(reader);
    else if (tag === varintTag(2)) epoch = reader.uint64();
    else throw unknownField();
  }
  return { space: required(space), epoch: positive(epoch) };
}

function readSpace(reader: Reader): SpaceRecord {
  const space = ofTheMap(() => decodeSpaceRecord(reader.lengthDelimited().slice()));
  const { id, name, settings, routingName, rules } = space;
  positive(id);
  inOrder(spaceNameProblem(name, 'name'));
  inOrder(spaceSettingsProblem(settings));
  inOrder(spaceNameProblem(routingName, 'routing name'));
  // The rules in force, which are another space's where it is like that.
  inOrder(spaceSettingsProblem({ ...settings, like: undefined, rules }));
  return space;
}

function writeProblem(writer: Writer, { reason, field, message, limit = 0 }: MapProblem): void {
  assert(field.length <= refusalFieldMax, 'the path of an argument is within its bound');
  assert(message.length <= refusalTextMax, 'words of a refusal are within their bound');
  writeString(writer, 1, reason);
  writeString(writer, 2, field);
  writeString(writer, 3, message);
  writeNumber(writer, 4, limit);
}

function readProblem(reader: Reader): MapProblem {
  let reason = '';
  let field = '';
  let message = '';
  let limit = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) reason = reader.string();
    else if (tag === lengthTag(2)) field = reader.string();
    else if (tag === lengthTag(3)) message = reader.string();
    else if (tag === varintTag(4)) limit = reader.uint64();
    else throw unknownField();
  }
  if (!isReason(reason)) throw malformed('a refusal of the map has no such reason');
  if (field.length > refusalFieldMax || message.length > refusalTextMax) {
    throw malformed('a refusal says too much');
  }
  return limit === 0 ? { reason, field, message } : { reason, field, message, limit };
}

function isReason(reason: string): reason is MapProblem['reason'] {
  return Object.hasOwn(reasons, reason);
}

function inOrder(problem: MapProblem | undefined): void {
  if (problem !== undefined) throw malformed(problem.message);
}

/** What the map's codec refuses is refused here as anything else that nobody writes. */
function ofTheMap<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MapFormatError) throw malformed(error.message);
    throw error;
  }
}
