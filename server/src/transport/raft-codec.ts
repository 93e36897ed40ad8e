/**
 * Messages between nodes as bytes: `tuplet.internal.v1.RaftBatch`. Written by hand because every entry
 * passes here twice and each tick speaks of all groups; held to the protobufjs runtime by its test.
 * Decoding is strict. A payload is copied once on each side: into the batch, and out of it, since the
 * log keeps it for longer than what else came with it.
 */
import { copyBytes, malformed, Reader } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import { FormatError } from '../base/format-error.ts';
import type { GroupId, NodeId } from '../base/ids.ts';
import { groupMax, raftBatchBytesMax, raftBatchMessagesMax } from '../base/limits.ts';
import {
  lengthTag,
  nextTag,
  nextTagAmong,
  numberFieldSize,
  numberSize,
  positive,
  putNumber,
  putUnlessZero,
  putVarint,
  readFlag,
  readNested,
  unknownField,
  varintTag,
} from '../base/wire-fields.ts';
import {
  Entry,
  EntryKind,
  Message,
  MessageKind,
  noBytes,
  noEntries,
  type Snapshot,
} from '../raft/message.ts';
import type { PayloadMemory } from './payload-memory.ts';
import { putSnapshot, readSnapshot, snapshotSize } from './raft-snapshot-codec.ts';

/** The format that is written, and the only one that is read. */
export const raftBatchFormat = 1;

/** A message with the group whose replicas it is between. */
export interface GroupMessage {
  readonly group: GroupId;
  readonly message: Message;
}

/** What one node has to say to another. */
export interface RaftBatch {
  readonly from: NodeId;
  readonly to: NodeId;
  /** In the order in which they were added. */
  readonly messages: readonly GroupMessage[];
}

const batchTags = {
  format: varintTag(1),
  from: varintTag(2),
  to: varintTag(3),
  messages: lengthTag(4),
} as const;

const messageTags = {
  group: varintTag(1),
  kind: varintTag(2),
  from: varintTag(3),
  to: varintTag(4),
  term: varintTag(5),
  logTerm: varintTag(6),
  index: varintTag(7),
  commit: varintTag(8),
  commitTerm: varintTag(9),
  reject: varintTag(10),
  hint: varintTag(11),
  context: varintTag(12),
  forced: varintTag(13),
  entries: lengthTag(14),
  snapshot: lengthTag(15),
  /** Of two bytes: only votes have it. */
  wallMs: varintTag(16),
} as const;

const entryTags = {
  term: varintTag(1),
  index: varintTag(2),
  kind: varintTag(3),
  payload: lengthTag(4),
} as const;

const kindMax = Math.max(...Object.values(MessageKind));
const entryKindMax = Math.max(...Object.values(EntryKind));

/**
 * Collects what goes to one node. A message that is added is encoded at the end, and must stay as it is
 * until then.
 */
export class RaftBatchWriter {
  readonly #from: NodeId;
  readonly #to: NodeId;
  /** Bytes before the first message. */
  readonly #headSize: number;
  #messages: GroupMessage[] = [];
  /** Of each message, without its tag and length. */
  #sizes: number[] = [];
  #bytes: number;

  constructor(from: NodeId, to: NodeId) {
    this.#from = from;
    this.#to = to;
    this.#headSize = numberFieldSize(raftBatchFormat) + numberFieldSize(from) + numberFieldSize(to);
    this.#bytes = this.#headSize;
  }

  /** Messages that wait to be encoded. */
  get count(): number {
    return this.#messages.length;
  }

  /** Adds a message. False where it has no place beside the others: `finish` those, then add it. */
  add(group: GroupId, message: Message): boolean {
    if (this.#messages.length === raftBatchMessagesMax) return false;
    const size = messageSize(group, message);
    const bytes = this.#bytes + 1 + numberSize(size) + size;
    if (bytes > raftBatchBytesMax) {
      assert(this.#messages.length > 0, 'any message fits a batch');
      return false;
    }
    this.#bytes = bytes;
    this.#messages.push({ group, message });
    this.#sizes.push(size);
    return true;
  }

  /** The batch, which is the caller's. Begins the next. */
  finish(): Buffer {
    // Small ones share memory, which is soon let go.
    const bytes = Buffer.allocUnsafe(this.#bytes);
    let at = putNumber(bytes, 0, batchTags.format, raftBatchFormat);
    at = putNumber(bytes, at, batchTags.from, this.#from);
    at = putNumber(bytes, at, batchTags.to, this.#to);
    for (let i = 0; i < this.#messages.length; i += 1) {
      at = putNumber(bytes, at, batchTags.messages, this.#sizes[i] as number);
      const { group, message } = this.#messages[i] as GroupMessage;
      at = putMessage(bytes, at, group, message);
    }
    assert(at === bytes.length, 'a batch is as long as was reckoned');
    this.#messages = [];
    this.#sizes = [];
    this.#bytes = this.#headSize;
    return bytes;
  }
}

/**
 * A batch from its bytes, with which it shares nothing: payloads go to `memory`. Throws FormatError for one of another format,
 * DecodeError for anything else that no RaftBatchWriter writes.
 */
export function readRaftBatch(bytes: Uint8Array, memory: PayloadMemory): RaftBatch {
  if (bytes.length > raftBatchBytesMax) throw malformed('a batch has too many bytes');
  const reader = new Reader(bytes);
  // Before anything else: what follows may mean something else in another format.
  let tag = bytes.length > 0 ? nextTag(reader, 0) : 0;
  if (tag !== batchTags.format) throw malformed('a batch begins with its format');
  const found = reader.uint32();
  if (found !== raftBatchFormat) {
    throw new FormatError({ what: 'batch of Raft messages', found, read: raftBatchFormat });
  }
  let from = 0;
  let to = 0;
  const messages: GroupMessage[] = [];
  while (reader.position < reader.end) {
    tag = nextTagAmong(reader, tag, batchTags.messages);
    if (tag === batchTags.from) from = reader.uint64();
    else if (tag === batchTags.to) to = reader.uint64();
    else if (tag === batchTags.messages) messages.push(readMessage(reader, memory));
    else throw unknownField();
    if (messages.length > raftBatchMessagesMax) throw malformed('a batch has too many messages');
  }
  return { from: positive(from) as NodeId, to: positive(to) as NodeId, messages };
}

/** Bytes of a message without its tag and length. Numbers are checked here, before they are written. */
function messageSize(group: GroupId, message: Message): number {
  const { entries, snapshot } = message;
  assert(group <= groupMax, 'a group is one of a node');
  let size =
    numberFieldSize(group) +
    numberFieldSize(message.kind + 1) +
    numberFieldSize(message.from) +
    numberFieldSize(message.to) +
    numberFieldSize(message.term) +
    numberFieldSize(message.logTerm) +
    numberFieldSize(message.index) +
    numberFieldSize(message.commit) +
    numberFieldSize(message.commitTerm) +
    numberFieldSize(message.hint) +
    numberFieldSize(message.context);
  if (message.reject) size += 2;
  if (message.forced) size += 2;
  for (let i = 0; i < entries.length; i += 1) {
    const bytes = entrySize(entries[i] as Entry);
    size += 1 + numberSize(bytes) + bytes;
  }
  if (snapshot !== null) {
    const bytes = snapshotSize(snapshot);
    size += 1 + numberSize(bytes) + bytes;
  }
  if (message.wallMs > 0) size += 1 + numberFieldSize(message.wallMs);
  return size;
}

function putMessage(target: Uint8Array, start: number, group: GroupId, message: Message): number {
  const { entries, snapshot } = message;
  let at = putUnlessZero(target, start, messageTags.group, group);
  at = putNumber(target, at, messageTags.kind, message.kind + 1);
  at = putUnlessZero(target, at, messageTags.from, message.from);
  at = putUnlessZero(target, at, messageTags.to, message.to);
  at = putUnlessZero(target, at, messageTags.term, message.term);
  at = putUnlessZero(target, at, messageTags.logTerm, message.logTerm);
  at = putUnlessZero(target, at, messageTags.index, message.index);
  at = putUnlessZero(target, at, messageTags.commit, message.commit);
  at = putUnlessZero(target, at, messageTags.commitTerm, message.commitTerm);
  if (message.reject) at = putNumber(target, at, messageTags.reject, 1);
  at = putUnlessZero(target, at, messageTags.hint, message.hint);
  at = putUnlessZero(target, at, messageTags.context, message.context);
  if (message.forced) at = putNumber(target, at, messageTags.forced, 1);
  for (let i = 0; i < entries.length; i += 1) at = putEntry(target, at, entries[i] as Entry);
  if (snapshot !== null) {
    at = putNumber(target, at, messageTags.snapshot, snapshotSize(snapshot));
    at = putSnapshot(target, at, snapshot);
  }
  if (message.wallMs === 0) return at;
  return putVarint(target, putVarint(target, at, messageTags.wallMs), message.wallMs);
}

/** Bytes of an entry without its tag and length. */
function entrySize({ term, index, payload }: Entry): number {
  const { length } = payload;
  const bytes = length === 0 ? 0 : 1 + numberSize(length) + length;
  return numberFieldSize(term) + numberFieldSize(index) + 2 + bytes;
}

function putEntry(target: Uint8Array, start: number, entry: Entry): number {
  const { term, index, kind, payload } = entry;
  let at = putNumber(target, start, messageTags.entries, entrySize(entry));
  at = putUnlessZero(target, at, entryTags.term, term);
  at = putUnlessZero(target, at, entryTags.index, index);
  at = putNumber(target, at, entryTags.kind, kind + 1);
  const { length } = payload;
  if (length === 0) return at;
  at = putNumber(target, at, entryTags.payload, length);
  copyBytes(target, at, payload, 0, length);
  return at + length;
}

/** Reads a message with its length before it. */
function readMessage(batch: Reader, memory: PayloadMemory): GroupMessage {
  const size = batch.length();
  const { end } = batch;
  batch.end = batch.position + size;
  let reader = batch;
  let group = 0;
  let kind = 0;
  let from = 0;
  let to = 0;
  let term = 0;
  let logTerm = 0;
  let index = 0;
  let commit = 0;
  let commitTerm = 0;
  let reject = false;
  let hint = 0;
  let context = 0;
  let forced = false;
  let entries: Entry[] | undefined;
  let snapshot: Snapshot | null = null;
  let wallMs = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, messageTags.entries);
    if (tag === messageTags.group) group = reader.uint64();
    else if (tag === messageTags.kind) kind = reader.uint64();
    else if (tag === messageTags.from) from = reader.uint64();
    else if (tag === messageTags.to) to = reader.uint64();
    else if (tag === messageTags.term) term = reader.uint64();
    else if (tag === messageTags.logTerm) logTerm = reader.uint64();
    else if (tag === messageTags.index) index = reader.uint64();
    else if (tag === messageTags.commit) commit = reader.uint64();
    else if (tag === messageTags.commitTerm) commitTerm = reader.uint64();
    else if (tag === messageTags.reject) reject = readFlag(reader);
    else if (tag === messageTags.hint) hint = reader.uint64();
    else if (tag === messageTags.context) context = reader.uint64();
    else if (tag === messageTags.forced) forced = readFlag(reader);
    else if (tag === messageTags.wallMs) wallMs = reader.uint64();
    else if (tag === messageTags.entries || tag === messageTags.snapshot) {
      // From here on there are payloads, which are kept.
      if (reader === batch) reader = memory.copyOfRest(batch);
      if (tag === messageTags.snapshot) snapshot = readNested(reader, readSnapshot);
      else if (entries === undefined) entries = [readNested(reader, readEntry)];
      else entries.push(readNested(reader, readEntry));
    } else throw unknownField();
  }
  batch.position = batch.end;
  batch.end = end;
  if (group > groupMax) throw malformed('there is no such group');
  const message = new Message(kindOf(kind), positive(from), positive(to), term);
  message.logTerm = logTerm;
  message.index = index;
  message.commit = commit;
  message.commitTerm = commitTerm;
  message.entries = entries ?? noEntries;
  message.reject = reject;
  message.hint = hint;
  message.context = context;
  message.forced = forced;
  message.snapshot = snapshot;
  message.wallMs = wallMs;
  checkContent(message);
  return { group: group as GroupId, message };
}

/** The kind that a number of the wire means. */
function kindOf(number: number): MessageKind {
  if (number < 1 || number > kindMax + 1) throw malformed('a message has no kind of ours');
  return (number - 1) as MessageKind;
}

/** Refuses what a replica would take for a broken promise of its own. */
function checkContent({ kind, index, entries, snapshot }: Message): void {
  if ((snapshot !== null) !== (kind === MessageKind.snapshot)) {
    throw malformed('a snapshot comes in a message for it');
  }
  if (entries.length === 0) return;
  const isProposal = kind === MessageKind.propose;
  if (!isProposal && kind !== MessageKind.append) throw malformed('entries come in appends');
  for (let i = 0; i < entries.length; i += 1) {
    const entry = entries[i] as Entry;
    if (entry.index !== (isProposal ? 0 : index + 1 + i)) {
      throw malformed('entries of a message follow each other');
    }
    if ((entry.term === 0) !== isProposal) throw malformed('an entry of a log has a term');
  }
}

/** Reads an entry up to the reader's end. Its payload is a view. */
function readEntry(reader: Reader): Entry {
  let term = 0;
  let index = 0;
  let kind = 0;
  let payload = noBytes;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === entryTags.term) term = reader.uint64();
    else if (tag === entryTags.index) index = reader.uint64();
    else if (tag === entryTags.kind) kind = reader.uint64();
    else if (tag === entryTags.payload) payload = reader.lengthDelimited();
    else throw unknownField();
  }
  if (kind < 1 || kind > entryKindMax + 1) throw malformed('an entry has no kind of ours');
  return new Entry(term, index, (kind - 1) as EntryKind, payload);
}
