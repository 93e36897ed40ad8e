/**
 * Records of bytes, added at the end and cut at the front, in blocks outside the JavaScript heap.
 * Bytes never change once added, so a snapshot may keep the blocks while the log goes on.
 */
import { malformed, type Reader } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import { copyBytes } from './copy-bytes.ts';

/** Blocks grow up to this size, so that a quiet partition holds little and a busy one few objects. */
const blockBytesMax = 65_536;
const blockBytesMin = 4_096;
/** A search looks through so many bytes one by one. */
const markBytes = 2_048;
const lengthBytes = 4;

/** Memory to write to, byte by byte or by numbers. */
export interface Room {
  readonly bytes: Uint8Array;
  /** The same memory. */
  readonly view: DataView;
}

interface Block extends Room {
  /** Offsets of records, about one in `markBytes`; the first is 0. */
  readonly marks: number[];
  /** Position of its first byte. */
  readonly start: number;
  /** Bytes in use, whole records. */
  used: number;
}

/** What a snapshot keeps: the records between two positions. */
export interface ByteLogCut {
  /** How many there are. */
  readonly count: number;
  readonly blocks: readonly Block[];
  readonly first: number;
  readonly end: number;
}

/** A log of byte records. A position counts bytes ever added; it is memory layout, not state. */
export class ByteLog {
  readonly #blocks: Block[] = [];
  /** The block that records are added to. */
  #newest: Block | undefined;
  #first = 0;
  #end = 0;
  #count = 0;
  #payloadBytes = 0;

  /** Position of the oldest record; equals `end` where there is none. */
  get first(): number {
    return this.#first;
  }

  /** Position after the youngest record. */
  get end(): number {
    return this.#end;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of the records themselves: the same on every replica. */
  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  /** Bytes of all blocks. */
  get heldBytes(): number {
    let bytes = 0;
    for (const block of this.#blocks) bytes += block.bytes.length;
    return bytes;
  }

  /** Adds a copy of a record, the bytes of `source` from `from` to `to`; returns its position. */
  append(source: Uint8Array, from = 0, to: number = source.length): number {
    copyBytes(source, from, to, this.room(to - from).bytes, this.writeAt);
    return this.commit(to - from);
  }

  /**
   * Memory with room for a record of up to `lengthMax` bytes, which is written there from `writeAt`
   * on and becomes part of the log by `commit`.
   */
  room(lengthMax: number): Room {
    const size = lengthBytes + lengthMax;
    const newest = this.#newest;
    if (newest !== undefined && newest.used + size <= newest.bytes.length) return newest;
    return this.#open(size);
  }

  /** Where the record that there is room for begins in its memory. */
  get writeAt(): number {
    return present(this.#newest, 'there is room').used + lengthBytes;
  }

  /** Ends a record of so many bytes, written to `room`; returns its position. */
  commit(length: number): number {
    const block = present(this.#newest, 'there is room');
    const { bytes, used, marks } = block;
    const size = lengthBytes + length;
    assert(used + size <= bytes.length, 'a record lies in its block');
    if (used - (marks[marks.length - 1] ?? 0) >= markBytes) marks.push(used);
    writeLength(bytes, used, length);
    block.used = used + size;
    const position = this.#end;
    this.#end += size;
    this.#count += 1;
    this.#payloadBytes += length;
    return position;
  }

  /**
   * Adds the records of a run, as `runsOf` gives it, in one piece; returns how many there are. Throws
   * DecodeError where the bytes are no run of records of at least `lengthMin` bytes.
   */
  appendRun(reader: Reader, lengthMin: number): number {
    const { bytes, position: from, end: to } = reader;
    const room = this.room(Math.max(0, to - from - lengthBytes));
    room.bytes.set(bytes.subarray(from, to), this.writeAt - lengthBytes);
    let count = 0;
    for (let at = from; at < to; count += 1) {
      reader.advance(lengthBytes);
      const length = readLength(bytes, at) >>> 0;
      if (length < lengthMin) throw malformed('a record is too short');
      at = reader.advance(length) + length;
      this.commit(length);
    }
    return count;
  }

  /** Changes one byte of a record that no snapshot has seen yet. */
  patch(position: number, offset: number, value: number): void {
    const block = this.#blockOf(position);
    block.bytes[position - block.start + lengthBytes + offset] = value;
  }

  /** A view of the record at a position, valid until it is cut. */
  at(position: number): Uint8Array {
    return recordAt(this.#blockOf(position), position);
  }

  /** The memory that holds the record at a position; with `startOf` it names it without making a view. */
  viewOf(position: number): DataView {
    return this.#blockOf(position).view;
  }

  /** Where the record at a position begins in its memory. */
  startOf(position: number): number {
    return position - this.#blockOf(position).start + lengthBytes;
  }

  /** The position of the record after this one; `end` after the youngest. */
  next(position: number): number {
    const block = this.#blockOf(position);
    return position + lengthBytes + readLength(block.bytes, position - block.start);
  }

  /** Cuts the oldest record. */
  cutFirst(): void {
    assert(this.#first < this.#end, 'there is a record to cut');
    const next = this.next(this.#first);
    this.#count -= 1;
    this.#payloadBytes -= next - this.#first - lengthBytes;
    this.#first = next;
    const oldest = present(this.#blocks[0], 'a record lies in a block');
    if (oldest.start + oldest.used > next) return;
    this.#blocks.shift();
    if (oldest === this.#newest) this.#newest = undefined;
  }

  /** The position of the first record for which `reached` holds; it holds for all later ones. */
  search(reached: (record: Uint8Array) => boolean): number {
    if (this.#first === this.#end) return this.#end;
    let low = this.#blockIndexOf(this.#first);
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const block = present(this.#blocks[middle], 'the block exists');
      if (reached(recordAt(block, block.start))) high = middle - 1;
      else low = middle;
    }
    const block = present(this.#blocks[low], 'the block exists');
    let position = Math.max(lastMarkBefore(block, reached), this.#first);
    while (position < this.#end && !reached(this.at(position))) position = this.next(position);
    return position;
  }

  /** The records as they are now. */
  cut(): ByteLogCut {
    const { count, first, end } = this;
    return { count, blocks: [...this.#blocks], first, end };
  }

  #open(size: number): Block {
    const grown = (this.#newest?.bytes.length ?? 0) * 2;
    const usual = Math.min(blockBytesMax, Math.max(blockBytesMin, grown));
    const bytes = new Uint8Array(Math.max(usual, size));
    const view = new DataView(bytes.buffer);
    const block = { bytes, view, marks: [0], start: this.#end, used: 0 };
    this.#blocks.push(block);
    this.#newest = block;
    return block;
  }

  #blockOf(position: number): Block {
    // Nearly all that is asked for is at one of the ends.
    const newest = this.#newest;
    if (newest !== undefined && position >= newest.start) return newest;
    const oldest = this.#blocks[0];
    if (oldest !== undefined && position < oldest.start + oldest.used) return oldest;
    return present(this.#blocks[this.#blockIndexOf(position)], 'the block exists');
  }

  #blockIndexOf(position: number): number {
    return blockIndexOf(this.#blocks, position);
  }
}

/** Records that lie together, each with its length before it: four bytes, the lowest first. */
export interface ByteRun {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** The records of a cut in runs, of a block at most. */
export function* runsOf(cut: ByteLogCut): Generator<ByteRun> {
  for (const [i, { bytes, start }] of cut.blocks.entries()) {
    const end = Math.min(cut.end, cut.blocks[i + 1]?.start ?? cut.end);
    const from = Math.max(cut.first, start) - start;
    if (end - start > from) yield { bytes, from, to: end - start };
  }
}

/** Reads the records of a cut one by one. */
export function* recordsOf(cut: ByteLogCut): Generator<Uint8Array> {
  let position = cut.first;
  for (let i = blockIndexOf(cut.blocks, position); position < cut.end; i += 1) {
    const block = present(cut.blocks[i], 'the block exists');
    const next = cut.blocks[i + 1];
    const end = Math.min(cut.end, next === undefined ? cut.end : next.start);
    while (position < end) {
      const record = recordAt(block, position);
      yield record;
      position += lengthBytes + record.length;
    }
  }
}

/** The position of the last marked record that is not yet reached; of the first one if all are. */
function lastMarkBefore(block: Block, reached: (record: Uint8Array) => boolean): number {
  let low = 0;
  let high = block.marks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    const position = block.start + (block.marks[middle] as number);
    if (reached(recordAt(block, position))) high = middle - 1;
    else low = middle;
  }
  return block.start + (block.marks[low] as number);
}

function writeLength(bytes: Uint8Array, at: number, length: number): void {
  bytes[at] = length;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length >>> 16;
  bytes[at + 3] = length >>> 24;
}

function readLength(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  return low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
}

function blockIndexOf(blocks: readonly Block[], position: number): number {
  let low = 0;
  let high = blocks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (present(blocks[middle], 'the block exists').start <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

function recordAt(block: Block, position: number): Uint8Array {
  const at = position - block.start;
  const size = readLength(block.bytes, at);
  return block.bytes.subarray(at + lengthBytes, at + lengthBytes + size);
}
