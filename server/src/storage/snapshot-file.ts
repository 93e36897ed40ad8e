/**
 * The format of a snapshot file: a header in two parts, chunks, a footer; every byte is under a CRC, and
 * each CRC is seeded with the one before, so that no chunk can be missing, added, or in another's place.
 *
 * `header: magic 4 · version 4 · group 4 · index 8 · term 8 · CRC 4`, the same in every version
 * `origin: CRC 4 · bytes 4 · replica 4 · context`
 * `chunk: CRC 4 · bytes 4 (top bit: the next one belongs to it) · bytes`
 * `footer: CRC 4 · all ones 4 · state hash 8 · chunks 8 · bytes of chunks 8`
 */
import { assert } from '../base/assert.ts';
import type { DiskFile } from '../base/doors.ts';
import { FormatError } from '../base/format-error.ts';
import { snapshotContextBytesMax, snapshotPieceBytesMax } from '../base/limits.ts';
import { SnapshotDamaged } from './damage.ts';
import type { Checksum, SnapshotMark } from './entry.ts';
import { getInteger, putInteger } from './frame.ts';

/** `TSNP`. */
const snapshotMagic = 0x504e5354;
const formatVersion = 2;
const headerBytes = 32;
const pieceHeaderBytes = 8;
const replicaBytes = 4;
/** Bytes of both parts of the header, at most. */
const headerBytesMax = headerBytes + pieceHeaderBytes + replicaBytes + snapshotContextBytesMax;
const footerBytes = pieceHeaderBytes + 24;
const moreBit = 0x80000000;
const footerLength = 0xffffffff;
/** Bytes read at once. */
export const snapshotReadBytes: number = 2 * snapshotPieceBytesMax;

/** Whose snapshot it is, and what its caller wants to know before the state. */
export interface SnapshotOrigin {
  /** The replica that wrote it (`ReplicaRecord`); 0 where groups have no replicas. */
  readonly replica: number;
  /**
   * Opaque, `snapshotContextBytesMax` bytes at most: the configuration of the group that is in force
   * at the snapshot's index.
   */
  readonly context: Uint8Array;
}

/** What a whole snapshot says besides its chunks. */
export interface SnapshotSummary extends SnapshotOrigin {
  readonly mark: SnapshotMark;
  /** The state's hash at `mark.index`; 64 bits. */
  readonly stateHash: bigint;
  /** Bytes of the file. */
  readonly bytes: number;
}

/** Makes a snapshot's bytes, piece by piece; each result is written behind the one before. */
export class SnapshotEncoder {
  readonly #checksum: Checksum;
  #crc = 0;
  #pieces = 0;
  #bytes = 0;

  constructor(checksum: Checksum) {
    this.#checksum = checksum;
  }

  header(mark: SnapshotMark): Uint8Array {
    const bytes = new Uint8Array(headerBytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, snapshotMagic, true);
    view.setUint32(4, formatVersion, true);
    view.setUint32(8, mark.group, true);
    putInteger(view, 12, mark.index);
    putInteger(view, 20, mark.term);
    this.#crc = this.#checksum(bytes.subarray(0, headerBytes - 4), 0);
    view.setUint32(headerBytes - 4, this.#crc, true);
    return bytes;
  }

  /** The second part of the header. */
  origin({ replica, context }: SnapshotOrigin): Uint8Array {
    assert(context.length <= snapshotContextBytesMax, 'a context is within its limit');
    assert(replica === replica >>> 0, 'the number of a replica has 32 bits');
    const bytes = new Uint8Array(pieceHeaderBytes + replicaBytes + context.length);
    viewOf(bytes).setUint32(pieceHeaderBytes, replica, true);
    bytes.set(context, pieceHeaderBytes + replicaBytes);
    return this.#seal(bytes, replicaBytes + context.length);
  }

  /** One piece of a chunk, of `snapshotPieceBytesMax` at most. */
  piece(chunk: Uint8Array, more: boolean): Uint8Array {
    const bytes = new Uint8Array(pieceHeaderBytes + chunk.length);
    bytes.set(chunk, pieceHeaderBytes);
    this.#pieces++;
    this.#bytes += chunk.length;
    return this.#seal(bytes, (chunk.length | (more ? moreBit : 0)) >>> 0);
  }

  footer(stateHash: bigint): Uint8Array {
    const bytes = new Uint8Array(footerBytes);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(8, BigInt.asUintN(64, stateHash), true);
    putInteger(view, 16, this.#pieces);
    putInteger(view, 24, this.#bytes);
    return this.#seal(bytes, footerLength);
  }

  #seal(bytes: Uint8Array, length: number): Uint8Array {
    const view = new DataView(bytes.buffer);
    view.setUint32(4, length, true);
    this.#crc = this.#checksum(bytes.subarray(4), this.#crc);
    view.setUint32(0, this.#crc, true);
    return bytes;
  }
}

/**
 * Reads a snapshot from its beginning to its end and hands out each chunk, whole and in order; its
 * bytes are valid during the call. Chunks are seen before the footer is: what was built from them is
 * of no use when SnapshotDamaged is thrown.
 */
export class SnapshotReader {
  readonly #file: DiskFile;
  readonly #name: string;
  readonly #checksum: Checksum;
  #window: Uint8Array = new Uint8Array(0);
  /** Memory for windows; shared by readers that follow each other. */
  readonly #memory: Uint8Array | undefined;
  #windowFrom = 0;
  #offset = 0;
  #crc = 0;
  #pieces = 0;
  #bytes = 0;

  constructor(file: DiskFile, name: string, checksum: Checksum, memory?: Uint8Array) {
    this.#memory = memory;
    this.#file = file;
    this.#name = name;
    this.#checksum = checksum;
  }

  /** Reads the header alone. */
  async readOrigin(expected: SnapshotMark): Promise<SnapshotOrigin> {
    await this.#readHeader(expected);
    const head = await this.#take(pieceHeaderBytes);
    const size = viewOf(head).getUint32(4, true);
    if (size < replicaBytes || size > replicaBytes + snapshotContextBytesMax)
      throw this.#damaged(`an origin of ${size} bytes`);
    const bytes = await this.#take(pieceHeaderBytes + size);
    this.#check(bytes);
    const context = bytes.slice(pieceHeaderBytes + replicaBytes);
    return { replica: viewOf(bytes).getUint32(pieceHeaderBytes, true), context };
  }

  /** Hands out each chunk as soon as the one before it was seen. */
  async read(expected: SnapshotMark, see: (chunk: Uint8Array) => void): Promise<SnapshotSummary> {
    const chunks = this.chunks(expected);
    for (;;) {
      const next = await chunks.next();
      if (next.done === true) return next.value;
      see(next.value);
    }
  }

  /** The chunks, each valid until the next is asked for. */
  async *chunks(expected: SnapshotMark): AsyncGenerator<Uint8Array, SnapshotSummary, undefined> {
    const origin = await this.readOrigin(expected);
    let parts: Uint8Array[] = [];
    for (;;) {
      const head = await this.#take(pieceHeaderBytes);
      const length = viewOf(head).getUint32(4, true);
      if (length === footerLength) {
        if (parts.length > 0) throw this.#damaged('it ends within a chunk');
        return await this.#readFooter(expected, origin);
      }
      const piece = await this.#piece((length & ~moreBit) >>> 0);
      // The next read may be into the same memory.
      parts.push(parts.length > 0 || length >= moreBit ? piece.slice() : piece);
      if (length >= moreBit) continue;
      yield joined(parts);
      parts = [];
    }
  }

  async #readHeader(expected: SnapshotMark): Promise<void> {
    const header = await this.#take(headerBytes);
    const view = viewOf(header);
    this.#crc = this.#checksum(header.subarray(0, headerBytes - 4), 0);
    if (view.getUint32(headerBytes - 4, true) !== this.#crc) throw this.#damaged('a bad header');
    if (view.getUint32(0, true) !== snapshotMagic) throw this.#damaged('not a snapshot');
    const found = view.getUint32(4, true);
    if (found !== formatVersion) {
      const what = 'snapshot file';
      throw new FormatError({ what, found, read: formatVersion, file: this.#name });
    }
    const names = [view.getUint32(8, true), getInteger(view, 12), getInteger(view, 20)];
    if (names.join() !== [expected.group, expected.index, expected.term].join()) {
      throw this.#damaged(`it is of group, index and term ${names.join(', ')}`);
    }
    this.#offset = headerBytes;
  }

  async #piece(size: number): Promise<Uint8Array> {
    if (size > snapshotPieceBytesMax) throw this.#damaged(`a piece of ${size} bytes`);
    const bytes = await this.#take(pieceHeaderBytes + size);
    this.#check(bytes);
    this.#pieces++;
    this.#bytes += size;
    return bytes.subarray(pieceHeaderBytes);
  }

  async #readFooter(mark: SnapshotMark, origin: SnapshotOrigin): Promise<SnapshotSummary> {
    const bytes = await this.#take(footerBytes);
    this.#check(bytes);
    const view = viewOf(bytes);
    if (getInteger(view, 16) !== this.#pieces) throw this.#damaged('pieces are missing');
    if (getInteger(view, 24) !== this.#bytes) throw this.#damaged('bytes are missing');
    if ((await this.#file.size()) !== this.#offset) throw this.#damaged('bytes behind its end');
    return { ...origin, mark, stateHash: view.getBigUint64(8, true), bytes: this.#offset };
  }

  /** Checks what was taken, and goes on behind it. */
  #check(bytes: Uint8Array): void {
    const crc = this.#checksum(bytes.subarray(4), this.#crc);
    if (viewOf(bytes).getUint32(0, true) !== crc) throw this.#damaged('a bad checksum');
    this.#crc = crc;
    this.#offset += bytes.length;
  }

  /** Bytes from the present offset, which stays; they are valid until the next call. */
  async #take(size: number): Promise<Uint8Array> {
    let from = this.#offset - this.#windowFrom;
    if (from + size > this.#window.length) {
      // The header may be all that is wanted.
      const wanted = this.#offset === 0 ? headerBytesMax : Math.max(snapshotReadBytes, size);
      this.#window = await this.#file.read(this.#offset, wanted, this.#memory);
      this.#windowFrom = this.#offset;
      from = 0;
    }
    if (from + size > this.#window.length) throw this.#damaged('it is cut short');
    return this.#window.subarray(from, from + size);
  }

  #damaged(what: string): SnapshotDamaged {
    return new SnapshotDamaged(what, { file: this.#name, offset: this.#offset });
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
