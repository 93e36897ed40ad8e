/**
 * What routers and leaders on different nodes say to each other as bytes:
 * `tuplet.internal.v1.CoordinationBatch`. Written by hand because every operation that another node
 * leads passes here; held to the protobufjs runtime by its test. Decoding is strict. Items are encoded
 * when they are added, so that what they are made of is nobody's afterwards; what was read shares no
 * memory with the batch that brought it.
 */
import { malformed, Reader, Writer } from '@tuplet/proto';
import { assert, unreachable } from '../base/assert.ts';
import { FormatError } from '../base/format-error.ts';
import type { NodeId, PartitionId, Term } from '../base/ids.ts';
import {
  addressCharactersMax,
  coordinationBatchBytesMax,
  coordinationBatchItemsMax,
  coordinationBufferBytesMax,
  groupMax,
} from '../base/limits.ts';
import {
  kindOfTag,
  kindsByField,
  lengthTag,
  nextTag,
  nextTagAmong,
  openField,
  positive,
  readNestedWith,
  readUpTo,
  unknownField,
  varintTag,
  writeNumber,
} from '../base/wire-fields.ts';
import type { CoordinatorId } from '../coordination/messages.ts';
import {
  type BetweenLeadersItem,
  readBetweenLeaders,
  writeBetweenLeaders,
} from './between-leaders-codec.ts';
import type { CoordinationMemory } from './coordination-memory.ts';
import { type FromLeaderItem, readFromLeader, writeFromLeader } from './from-leader-codec.ts';
import {
  type HistoryAnswerItem,
  type HistoryAskItem,
  readHistoryAnswer,
  readHistoryAsk,
  writeHistoryAnswer,
  writeHistoryAsk,
} from './history-codec.ts';
import {
  type MapAnswerItem,
  type MapCallItem,
  readMapAnswer,
  readMapCall,
  writeMapAnswer,
  writeMapCall,
} from './map-call-codec.ts';
import {
  type HandOverItem,
  type KnownNodesItem,
  readHandOver,
  readKnownNodes,
  readStatusAnswer,
  type StatusAnswerItem,
  type StatusAskItem,
  writeHandOver,
  writeKnownNodes,
  writeStatusAnswer,
} from './placement-codec.ts';
import {
  type IndexAnswerItem,
  type ReadIndexItem,
  readIndexAnswer,
  readReadIndex,
  writeIndexAnswer,
  writeReadIndex,
} from './read-index-codec.ts';
import { readToLeader, type ToLeaderItem, writeToLeader } from './to-leader-codec.ts';

/** The format that is written, and the only one that is read. */
export const coordinationBatchFormat = 1;

/** One thing that a node says to another about its routers and leaders. */
export type CoordinationItem =
  | ToLeaderItem
  | FromLeaderItem
  | BetweenLeadersItem
  /** A router of the sender's exists, or is gone. */
  | { readonly kind: 'router-attached' | 'router-detached'; readonly router: CoordinatorId }
  /** The sender leads a partition. */
  | { readonly kind: 'leadership'; readonly partition: PartitionId; readonly epoch: Term }
  /** The sender leads group 0, the cluster map. */
  | { readonly kind: 'map-leadership'; readonly epoch: Term }
  /** Where clients reach the sender: `host:port`. */
  | { readonly kind: 'client-address'; readonly address: string }
  | MapCallItem
  | MapAnswerItem
  | ReadIndexItem
  | IndexAnswerItem
  | HandOverItem
  | StatusAskItem
  | StatusAnswerItem
  | HistoryAskItem
  | HistoryAnswerItem
  | KnownNodesItem;

/** What one node has to say to another. */
export interface CoordinationBatch {
  readonly from: NodeId;
  readonly to: NodeId;
  /** In the order in which they were added. */
  readonly items: readonly CoordinationItem[];
}

const batchTags = {
  format: varintTag(1),
  from: varintTag(2),
  to: varintTag(3),
  items: lengthTag(4),
} as const;

/** The field of each item in CoordinationItem. */
const itemFields: Readonly<Record<CoordinationItem['kind'], number>> = {
  'to-leader': 1,
  'from-leader': 2,
  'between-leaders': 3,
  'router-attached': 4,
  'router-detached': 5,
  leadership: 6,
  'map-leadership': 7,
  'map-call': 8,
  'map-answer': 9,
  'client-address': 10,
  'read-index': 11,
  'index-answer': 12,
  'hand-over': 13,
  'status-ask': 14,
  'status-answer': 15,
  'history-ask': 16,
  'history-answer': 17,
  'known-nodes': 18,
};
const itemKinds = kindsByField(itemFields);

/** Collects what goes to one node. */
export class CoordinationBatchWriter {
  readonly #from: NodeId;
  readonly #to: NodeId;
  #writer = new Writer();
  #count = 0;

  constructor(from: NodeId, to: NodeId) {
    this.#from = from;
    this.#to = to;
    this.#begin();
  }

  /** Items that wait to be sent. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of the batch as it is. */
  get bytes(): number {
    return this.#writer.position;
  }

  /** Adds an item. False where it has no place beside the others: `finish` those, then add it. */
  add(item: CoordinationItem): boolean {
    if (this.#count === coordinationBatchItemsMax) return false;
    const writer = this.#writer;
    const before = writer.position;
    const mark = openField(writer, 4);
    const content = openField(writer, itemFields[item.kind]);
    writeItem(writer, item);
    writer.close(content);
    writer.close(mark);
    if (writer.position > coordinationBatchBytesMax) {
      assert(this.#count > 0, 'any item fits a batch');
      writer.position = before;
      return false;
    }
    this.#count += 1;
    return true;
  }

  /** The batch, which is the caller's. Begins the next. */
  finish(): Buffer {
    // Small ones share memory, which is soon let go.
    const bytes = Buffer.allocUnsafe(this.#writer.position);
    bytes.set(this.#writer.view());
    if (this.#writer.bytes.length > coordinationBufferBytesMax) this.#writer = new Writer();
    this.#begin();
    return bytes;
  }

  #begin(): void {
    const writer = this.#writer;
    writer.reset();
    this.#count = 0;
    writeNumber(writer, 1, coordinationBatchFormat);
    writeNumber(writer, 2, this.#from);
    writeNumber(writer, 3, this.#to);
  }
}

/**
 * A batch from its bytes, with which it shares nothing: what is kept goes to `memory`. Throws
 * FormatError for one of another format, DecodeError for anything else that no CoordinationBatchWriter
 * writes.
 */
export function readCoordinationBatch(
  bytes: Uint8Array,
  memory: CoordinationMemory,
): CoordinationBatch {
  if (bytes.length > coordinationBatchBytesMax) throw malformed('a batch has too many bytes');
  // Of a Buffer, what is sliced would be views.
  const reader = new Reader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  // Before anything else: what follows may mean something else in another format.
  let tag = bytes.length > 0 ? nextTag(reader, 0) : 0;
  if (tag !== batchTags.format) throw malformed('a batch begins with its format');
  const found = reader.uint32();
  if (found !== coordinationBatchFormat) {
    throw new FormatError({
      what: 'batch of routers and leaders',
      found,
      read: coordinationBatchFormat,
    });
  }
  let from = 0;
  let to = 0;
  const items: CoordinationItem[] = [];
  while (reader.position < reader.end) {
    tag = nextTagAmong(reader, tag, batchTags.items);
    if (tag === batchTags.from) from = reader.uint64();
    else if (tag === batchTags.to) to = reader.uint64();
    else if (tag !== batchTags.items) throw unknownField();
    else if (items.length === coordinationBatchItemsMax) throw malformed('too many items');
    else items.push(readNestedWith(reader, readItem, memory));
  }
  return { from: positive(from) as NodeId, to: positive(to) as NodeId, items };
}

function writeItem(writer: Writer, item: CoordinationItem): void {
  switch (item.kind) {
    case 'to-leader':
      writeToLeader(writer, item);
      return;
    case 'from-leader':
      writeFromLeader(writer, item);
      return;
    case 'between-leaders':
      writeBetweenLeaders(writer, item);
      return;
    case 'router-attached':
    case 'router-detached':
      writeNumber(writer, 1, item.router);
      return;
    case 'leadership':
      writeNumber(writer, 1, item.partition);
      writeNumber(writer, 2, item.epoch);
      return;
    case 'map-leadership':
      writeNumber(writer, 1, item.epoch);
      return;
    case 'client-address':
      writer.uint32(lengthTag(1));
      writer.string(item.address);
      return;
    case 'map-call':
      writeMapCall(writer, item);
      return;
    case 'map-answer':
      writeMapAnswer(writer, item);
      return;
    case 'read-index':
      writeReadIndex(writer, item);
      return;
    case 'index-answer':
      writeIndexAnswer(writer, item);
      return;
    case 'hand-over':
      writeHandOver(writer, item);
      return;
    case 'status-ask':
      writeNumber(writer, 1, item.call);
      return;
    case 'status-answer':
      writeStatusAnswer(writer, item);
      return;
    case 'history-ask':
      writeHistoryAsk(writer, item);
      return;
    case 'history-answer':
      writeHistoryAnswer(writer, item);
      return;
    case 'known-nodes':
      writeKnownNodes(writer, item);
      return;
    default:
      unreachable(item);
  }
}

/** Reads an item: one field, after which the reader has nothing left. */
function readItem(reader: Reader, memory: CoordinationMemory): CoordinationItem {
  const kind = kindOfTag(itemKinds, reader.tag());
  return readNestedWith(reader, readContent, { kind, memory });
}

/** What an item is read with. */
interface ItemContext {
  readonly kind: CoordinationItem['kind'];
  readonly memory: CoordinationMemory;
}

function readContent(reader: Reader, { kind, memory }: ItemContext): CoordinationItem {
  switch (kind) {
    case 'to-leader':
      return readToLeader(reader, memory);
    case 'from-leader':
      return readFromLeader(reader, memory);
    case 'between-leaders':
      return readBetweenLeaders(reader);
    case 'router-attached':
    case 'router-detached':
      return { kind, router: readOne(reader) };
    case 'leadership':
      return readLeadership(reader);
    case 'map-leadership':
      return { kind, epoch: readOne(reader) as Term };
    case 'client-address':
      return { kind, address: readAddress(reader) };
    case 'map-call':
      return readMapCall(reader);
    case 'map-answer':
      return readMapAnswer(reader);
    case 'read-index':
      return readReadIndex(reader);
    case 'index-answer':
      return readIndexAnswer(reader);
    case 'hand-over':
      return readHandOver(reader);
    case 'status-ask':
      return { kind, call: readOne(reader) };
    case 'status-answer':
      return readStatusAnswer(reader);
    case 'history-ask':
      return readHistoryAsk(reader);
    case 'history-answer':
      return readHistoryAnswer(reader);
    case 'known-nodes':
      return readKnownNodes(reader);
    default:
      return unreachable(kind);
  }
}

/** A router, an epoch or the number of a question. */
function readOne(reader: Reader): number {
  let value = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) value = reader.uint64();
    else throw unknownField();
  }
  return positive(value);
}

function readAddress(reader: Reader): string {
  let address = '';
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) address = reader.string();
    else throw unknownField();
  }
  if (address === '' || address.length > addressCharactersMax) {
    throw malformed('an address has 1 to 261 characters');
  }
  return address;
}

function readLeadership(reader: Reader): CoordinationItem {
  let partition = 0;
  let epoch = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) partition = readUpTo(reader, groupMax);
    else if (tag === varintTag(2)) epoch = reader.uint64();
    else throw unknownField();
  }
  return {
    kind: 'leadership',
    partition: positive(partition) as PartitionId,
    epoch: positive(epoch) as Term,
  };
}
