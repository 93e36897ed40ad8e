/** Snapshots within messages between nodes: `RaftSnapshot` of raft.proto. See raft-codec.ts. */
import { copyBytes, malformed, type Reader } from '@tuplet/proto';
import {
  lengthTag,
  nextTag,
  numberFieldSize,
  numberSize,
  positive,
  putNumber,
  putUnlessZero,
  putVarint,
  readFlag,
  readNested,
  readPacked,
  required,
  unknownField,
  varintTag,
} from '../base/wire-fields.ts';
import type { Configuration } from '../raft/configuration.ts';
import { noBytes, type Snapshot } from '../raft/message.ts';

const snapshotTags = {
  index: varintTag(1),
  term: varintTag(2),
  configuration: lengthTag(3),
  payload: lengthTag(4),
} as const;

const configurationTags = {
  voters: lengthTag(1),
  outgoing: lengthTag(2),
  learners: lengthTag(3),
  learnersNext: lengthTag(4),
  autoLeave: varintTag(5),
} as const;

/** Bytes of a snapshot without its tag and length. */
export function snapshotSize({ index, term, configuration, payload }: Snapshot): number {
  const { length } = payload;
  return (
    numberFieldSize(index) +
    numberFieldSize(term) +
    nestedSize(configurationSize(configuration)) +
    (length === 0 ? 0 : nestedSize(length))
  );
}

/** Writes a snapshot, for which there is room; returns its end. */
export function putSnapshot(target: Uint8Array, start: number, snapshot: Snapshot): number {
  const { index, term, configuration, payload } = snapshot;
  let at = putUnlessZero(target, start, snapshotTags.index, index);
  at = putUnlessZero(target, at, snapshotTags.term, term);
  at = putNumber(target, at, snapshotTags.configuration, configurationSize(configuration));
  at = putConfiguration(target, at, configuration);
  const { length } = payload;
  if (length === 0) return at;
  at = putNumber(target, at, snapshotTags.payload, length);
  copyBytes(target, at, payload, 0, length);
  return at + length;
}

/** Reads a snapshot up to the reader's end. Its payload is a view. */
export function readSnapshot(reader: Reader): Snapshot {
  let index = 0;
  let term = 0;
  let configuration: Configuration | undefined;
  let payload = noBytes;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === snapshotTags.index) index = reader.uint64();
    else if (tag === snapshotTags.term) term = reader.uint64();
    else if (tag === snapshotTags.configuration) {
      configuration = readNested(reader, readConfiguration);
    } else if (tag === snapshotTags.payload) payload = reader.lengthDelimited();
    else throw unknownField();
  }
  return {
    index: positive(index),
    term: positive(term),
    configuration: required(configuration),
    payload,
  };
}

function configurationSize(configuration: Configuration): number {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  return (
    listFieldSize(voters) +
    listFieldSize(outgoing) +
    listFieldSize(learners) +
    listFieldSize(learnersNext) +
    (autoLeave ? 2 : 0)
  );
}

function putConfiguration(target: Uint8Array, start: number, configuration: Configuration): number {
  let at = putList(target, start, configurationTags.voters, configuration.voters);
  at = putList(target, at, configurationTags.outgoing, configuration.outgoing);
  at = putList(target, at, configurationTags.learners, configuration.learners);
  at = putList(target, at, configurationTags.learnersNext, configuration.learnersNext);
  return configuration.autoLeave ? putNumber(target, at, configurationTags.autoLeave, 1) : at;
}

function readConfiguration(reader: Reader): Configuration {
  let voters: readonly number[] = [];
  let outgoing: readonly number[] = [];
  let learners: readonly number[] = [];
  let learnersNext: readonly number[] = [];
  let autoLeave = false;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === configurationTags.voters) voters = readIds(reader);
    else if (tag === configurationTags.outgoing) outgoing = readIds(reader);
    else if (tag === configurationTags.learners) learners = readIds(reader);
    else if (tag === configurationTags.learnersNext) learnersNext = readIds(reader);
    else if (tag === configurationTags.autoLeave) autoLeave = readFlag(reader);
    else throw unknownField();
  }
  return { voters, outgoing, learners, learnersNext, autoLeave };
}

/** Ids of a list that is not empty: else it would not have been written. */
function readIds(reader: Reader): number[] {
  const ids = readPacked(reader);
  if (ids.length === 0) throw malformed('a list of ids is empty');
  let before = 0;
  for (const id of ids) {
    if (id <= before) throw malformed('ids ascend from 1');
    before = id;
  }
  return ids;
}

/** Bytes of a field with a length, from its tag on. */
function nestedSize(length: number): number {
  return 1 + numberSize(length) + length;
}

function listSize(ids: readonly number[]): number {
  let size = 0;
  // Without its tag, a number of a list is what it is in a field.
  for (const id of ids) size += numberFieldSize(id) - 1;
  return size;
}

function listFieldSize(ids: readonly number[]): number {
  return ids.length === 0 ? 0 : nestedSize(listSize(ids));
}

function putList(target: Uint8Array, start: number, tag: number, ids: readonly number[]): number {
  if (ids.length === 0) return start;
  let at = putNumber(target, start, tag, listSize(ids));
  for (const id of ids) at = putVarint(target, at, id);
  return at;
}
