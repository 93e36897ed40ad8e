/**
 * The results of requests without a session (SPEC §4): remembered for a time, a number and a size,
 * whichever comes first, counted alike on every replica. Kept as bytes, because there may be 100,000
 * of them in each partition.
 */
import { Reader, Writer } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type { SpaceId, StampMs } from '../base/ids.ts';
import {
  lengthTag,
  openField,
  positive,
  readFields,
  readNested,
  required,
  varintTag,
  writePresentNumber,
  writeString,
} from '../base/wire-fields.ts';
import { ByteLog, type ByteLogCut } from './byte-log.ts';
import type { RequestOperation } from './command.ts';
import { type ChangeResult, readResult, writeResult } from './result-codec.ts';

/** How much is remembered. */
export interface RequestResultLimits {
  readonly requestResultMs: number;
  readonly requestResultsMax: number;
  readonly requestResultBytesMax: number;
}

/** What a result is found by: ids are told apart by space. */
type Key = Pick<RequestOperation, 'requestId' | 'space'>;

interface Head extends Key {
  readonly stampMs: StampMs;
}

interface Remembered extends Head {
  readonly result: ChangeResult;
}

const cellsMin = 256;

/** The remembered results of one partition. */
export class RequestResults {
  readonly #limits: RequestResultLimits;
  readonly #log = new ByteLog();
  readonly #writer = new Writer();
  /** Positions in the log + 1 by hash of space and request id, linear probing; 0 is empty. */
  #cells = new Float64Array(cellsMin);
  #oldestStampMs = Number.POSITIVE_INFINITY;

  constructor(limits: RequestResultLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#log.count;
  }

  /** Bytes of memory held. */
  get heldBytes(): number {
    return this.#log.heldBytes + this.#cells.byteLength;
  }

  /** The remembered result of a request. */
  get(key: Key): ChangeResult | undefined {
    const cell = this.#find(key);
    if (this.#cells[cell] === 0) return undefined;
    return decode(this.#log.at((this.#cells[cell] as number) - 1)).result;
  }

  /** Remembers the result of a request that is not remembered yet. */
  add(key: Key, stampMs: StampMs, result: ChangeResult): void {
    const writer = this.#writer;
    writer.reset();
    writeString(writer, 1, key.requestId);
    writePresentNumber(writer, 2, key.space);
    writePresentNumber(writer, 3, stampMs);
    const mark = openField(writer, 4);
    writeResult(writer, result);
    writer.close(mark);
    this.#append(writer.view(), key, stampMs);
  }

  /** An entry has been applied: what is beyond a bound goes, oldest first. */
  endEntry(stampMs: StampMs): void {
    const { requestResultMs, requestResultsMax, requestResultBytesMax } = this.#limits;
    while (
      this.#log.count > requestResultsMax ||
      this.#log.payloadBytes > requestResultBytesMax ||
      this.#oldestStampMs + requestResultMs <= stampMs
    ) {
      this.#cutFirst();
    }
  }

  /** The encoded results as they are now, for a snapshot or a hash. */
  cut(): ByteLogCut {
    return this.#log.cut();
  }

  /** Loading: an encoded result, oldest first. Throws DecodeError where it is not one. */
  load(record: Uint8Array): void {
    const remembered = decode(record);
    this.#append(record, remembered, remembered.stampMs);
  }

  /** Costly check: every record is found by its id, and the bounds hold. */
  verify(stampMs: StampMs): void {
    let count = 0;
    for (let at = this.#log.first; at < this.#log.end; at = this.#log.next(at)) {
      const remembered = decode(this.#log.at(at));
      const cell = this.#find(remembered);
      assert(this.#cells[cell] === at + 1, 'a request id leads to its result');
      const fresh = remembered.stampMs + this.#limits.requestResultMs > stampMs;
      assert(fresh, 'old results are forgotten');
      count += 1;
    }
    assert(count === this.#log.count, 'results are counted');
    let used = 0;
    for (const cell of this.#cells) if (cell !== 0) used += 1;
    assert(used === count, 'the table holds the results and nothing else');
    assert(count <= this.#limits.requestResultsMax, 'the number of results is bounded');
  }

  #append(record: Uint8Array, key: Key, stampMs: StampMs): void {
    if (this.#log.count * 2 >= this.#cells.length) this.#grow();
    const cell = this.#find(key);
    assert(this.#cells[cell] === 0, 'a request is remembered once');
    if (this.#log.count === 0) this.#oldestStampMs = stampMs;
    this.#cells[cell] = this.#log.append(record) + 1;
  }

  #cutFirst(): void {
    this.#close(this.#find(decodeHead(this.#log.at(this.#log.first))));
    this.#log.cutFirst();
    this.#oldestStampMs =
      this.#log.count === 0
        ? Number.POSITIVE_INFINITY
        : decodeHead(this.#log.at(this.#log.first)).stampMs;
  }

  /** The cell of a request, or the empty cell where it belongs. */
  #find(key: Key): number {
    const mask = this.#cells.length - 1;
    let at = hashOf(key) & mask;
    for (; this.#cells[at] !== 0; at = (at + 1) & mask) {
      const { requestId, space } = this.#keyAt(at);
      if (requestId === key.requestId && space === key.space) break;
    }
    return at;
  }

  #keyAt(cell: number): Key {
    return decodeHead(this.#log.at((this.#cells[cell] as number) - 1));
  }

  /** Knuth's algorithm R: no entry hides behind the hole. */
  #close(from: number): void {
    const cells = this.#cells;
    const mask = cells.length - 1;
    let hole = from;
    for (let at = (hole + 1) & mask; cells[at] !== 0; at = (at + 1) & mask) {
      const home = hashOf(this.#keyAt(at)) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      cells[hole] = cells[at] as number;
      hole = at;
    }
    cells[hole] = 0;
  }

  #grow(): void {
    const old = this.#cells;
    this.#cells = new Float64Array(old.length * 2);
    for (const position of old) {
      if (position === 0) continue;
      this.#cells[this.#find(decodeHead(this.#log.at(position - 1)))] = position;
    }
  }
}

/** FNV-1a over the space and the id's characters, then murmur3's finalizer: ids may be counters. */
function hashOf({ requestId, space }: Key): number {
  let hash = Math.imul(0x811c_9dc5 ^ space, 0x0100_0193);
  for (let i = 0; i < requestId.length; i += 1) {
    hash = Math.imul(hash ^ requestId.charCodeAt(i), 0x0100_0193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function decodeHead(record: Uint8Array): Head {
  const reader = new Reader(record);
  reader.tag();
  const requestId = reader.string();
  reader.tag();
  const space = reader.uint32() as SpaceId;
  reader.tag();
  return { requestId, space, stampMs: reader.uint64() as StampMs };
}

function decode(record: Uint8Array): Remembered {
  const reader = new Reader(record);
  let requestId = '';
  let space = 0;
  let stampMs = 0;
  let result: ChangeResult | undefined;
  readFields(reader, [], (tag) => {
    if (tag === lengthTag(1)) requestId = reader.string();
    else if (tag === varintTag(2)) space = reader.uint32();
    else if (tag === varintTag(3)) stampMs = reader.uint64();
    else if (tag === lengthTag(4)) result = readNested(reader, readResult);
    else return false;
    return true;
  });
  return {
    requestId,
    space: positive(space) as SpaceId,
    stampMs: stampMs as StampMs,
    result: required(result),
  };
}
