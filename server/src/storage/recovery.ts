/**
 * Reads a log back: which frames count, where it ends, what is torn and what is damaged. The rules and
 * their reasons are in DESIGN.md, "Recovery".
 */
import { present } from '../base/assert.ts';
import type { Disk } from '../base/doors.ts';
import type { GroupId } from '../base/ids.ts';
import type { LogContents } from './contents.ts';
import { LogDamaged } from './damage.ts';
import type { Checksum, RecoveredGroup, SnapshotBase } from './entry.ts';
import { type FoundFrame, frameAlignBytes, frameAt, seedOf } from './frame.ts';
import type { GroupTable } from './groups.ts';
import { type LogRecord, readRecords } from './record.ts';
import { Replay } from './replay.ts';
import { logFolder, removeIfThere, type Segment, segmentName, segmentNumber } from './segments.ts';
import { type TornBytes, trimTail } from './trim.ts';

/** What recovery needs. */
export interface RecoveryOptions {
  readonly disk: Disk;
  readonly checksum: Checksum;
  readonly salt: number;
  readonly segmentBytes: number;
  /** The snapshots that will be loaded; undefined: those of the newest marks. */
  readonly bases: ReadonlyMap<GroupId, SnapshotBase> | undefined;
  /** Groups of which nothing but the base is kept: `LogOptions.rewinds`. */
  readonly rewinds: ReadonlySet<GroupId> | undefined;
}

/** A segment read into memory. */
export interface SegmentImage extends Segment {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly seed: number;
}

/** Where the next frame goes. */
export interface LogTail {
  readonly segment: Segment;
  readonly segmentBytes: number;
  readonly offset: number;
}

/** The frames of a damaged log that still count. */
export interface LogPrefix {
  readonly replay: Replay;
  /** The segment that the last of them is in, and where it ends. */
  readonly file: string;
  readonly offset: number;
  /** Segments with something that is not zero behind that, the one above among them, in order. */
  readonly spoilt: readonly string[];
}

/** A log as it was found, safe to continue. */
export interface Recovery {
  /** Undefined when no frame was ever written. */
  readonly tail: LogTail | undefined;
  readonly sequence: number;
  readonly previous: number;
  readonly table: GroupTable;
  readonly contents: LogContents;
  readonly groups: readonly RecoveredGroup[];
  readonly spares: readonly Segment[];
  readonly nextSegment: number;
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
}

/** Rejects with LogDamaged, and then has changed nothing. */
export async function recover(options: RecoveryOptions): Promise<Recovery> {
  const { disk } = options;
  const walk = new Walk(options, await segmentNumbers(disk));
  await walk.run();
  const groups = walk.replay.finish();
  const warnings = await trimTail(disk, walk.tornTail());
  await removeIfThere(disk, `${logFolder}/new`);
  return await walk.settle(groups, warnings);
}

/** Only reads. Rejects with LogDamaged; else resolves to the pieces of a torn tail. */
export async function inspect(options: RecoveryOptions): Promise<readonly TornBytes[]> {
  const walk = new Walk(options, await segmentNumbers(options.disk));
  await walk.run();
  return walk.tornTail();
}

/**
 * Only reads: the frames up to a sequence, whatever stands behind them; what is there and still reads
 * as a frame is shown to `behind`.
 */
export async function readPrefix(
  options: RecoveryOptions,
  until: number,
  behind: (record: LogRecord) => void,
): Promise<LogPrefix> {
  const walk = new Walk(options, await segmentNumbers(options.disk), { until, behind });
  await walk.run();
  return walk.prefix();
}

async function segmentNumbers(disk: Disk): Promise<readonly number[]> {
  const numbers = (await disk.list(logFolder)).map(segmentNumber);
  return numbers.filter((number) => number !== undefined);
}

interface Damaged {
  readonly until: number;
  readonly behind: (record: LogRecord) => void;
}

/** Follows the chain of frames through the segments, one image in memory at a time. */
class Walk {
  readonly replay: Replay;
  readonly #options: RecoveryOptions;
  readonly #numbers: readonly number[];
  /** How far in `#numbers` the chain has come; -1 before the first frame. */
  #at = -1;
  #tailOffset = 0;
  #sequence = 0;
  #previous = 0;
  /**
   * Where the last frame begins. One frame is in flight at a time, so it is the only one that may not
   * have reached the disk; it is written again.
   */
  #lastFrom = 0;
  /** Segments with bytes behind the tail that are not zero, in order. */
  readonly #torn: TornBytes[] = [];
  readonly #sizes: number[] = [];
  /** The image before this one: its memory is used again. */
  #memory: Uint8Array = new Uint8Array(0);

  /** Set where the log is known to be damaged: nothing behind `until` counts. */
  readonly #damaged: Damaged | undefined;

  constructor(options: RecoveryOptions, numbers: readonly number[], damaged?: Damaged) {
    this.#options = options;
    this.#numbers = numbers;
    this.#damaged = damaged;
    this.replay = new Replay(options.bases, options.rewinds);
  }

  /** Reads every segment; throws LogDamaged. */
  async run(): Promise<void> {
    let ended = false;
    for (const [position, number] of this.#numbers.entries()) {
      const image = await this.#read(number);
      this.#sizes.push(image.bytes.length);
      const from = ended ? undefined : this.#follow(image, position);
      if (from === undefined) {
        // A roll was not begun, or was torn: everything from here on is behind the tail.
        ended = true;
        this.#searchBehind(image, 0);
      } else this.#searchBehind(image, from);
      await image.file.close();
    }
  }

  /** What lies behind the tail and is not zero. */
  tornTail(): readonly TornBytes[] {
    return this.#torn;
  }

  prefix(): LogPrefix {
    const number = present(this.#numbers[Math.max(this.#at, 0)], 'the tail is in a segment');
    const spoilt = this.#torn.map(({ file }) => file);
    return { replay: this.replay, file: segmentName(number), offset: this.#tailOffset, spoilt };
  }

  /** Opens what goes on being used, and makes sure that what was found is on disk. */
  async settle(groups: readonly RecoveredGroup[], warnings: readonly string[]): Promise<Recovery> {
    const { disk, segmentBytes } = this.#options;
    const spares: Segment[] = [];
    let tail: LogTail | undefined;
    for (const [position, number] of this.#numbers.entries()) {
      if (position < this.#at) continue;
      const file = await disk.open(segmentName(number));
      if (position === this.#at) {
        tail = {
          segment: { number, file },
          segmentBytes: present(this.#sizes[position], 'the tail was read'),
          offset: this.#tailOffset,
        };
        // A failed sync may have left it in memory alone, as pages that no later sync writes.
        const last = await file.read(this.#lastFrom, this.#tailOffset - this.#lastFrom);
        await file.write(this.#lastFrom, last);
        await file.sync();
      } else if (this.#sizes[position] === segmentBytes && this.#isNext(position)) {
        spares.push({ number, file });
      } else {
        // Prepared under another setting, or one before it is missing. The highest goes first, so
        // that no gap can appear.
        await file.close();
        await this.#dropFrom(position);
        break;
      }
    }
    await disk.syncFolder(logFolder);
    const newest = spares[spares.length - 1] ?? tail?.segment;
    return {
      tail,
      sequence: this.#sequence,
      previous: this.#previous,
      table: this.replay.table,
      contents: this.replay.contents,
      groups,
      spares,
      nextSegment: (newest?.number ?? 0) + 1,
      warnings,
    };
  }

  #isNext(position: number): boolean {
    const before = position === 0 ? 0 : this.#numbers[position - 1];
    return before !== undefined && this.#numbers[position] === before + 1;
  }

  async #dropFrom(position: number): Promise<void> {
    const { disk } = this.#options;
    for (const number of this.#numbers.slice(position).reverse()) {
      await disk.remove(segmentName(number));
      await disk.syncFolder(logFolder);
    }
  }

  async #read(number: number): Promise<SegmentImage> {
    const file = await this.#options.disk.open(segmentName(number));
    const bytes = await file.read(0, await file.size(), this.#memory);
    this.#memory = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return { number, file, bytes, view, seed: seedOf(this.#options.salt, number) };
  }

  /** Takes in the frames that continue the chain. The offset behind them; undefined for none. */
  #follow(image: SegmentImage, position: number): number | undefined {
    const { checksum } = this.#options;
    let offset = 0;
    for (;;) {
      const frame = frameAt(image.bytes, image.view, offset, checksum, image.seed);
      if (frame === undefined || !this.#continues(frame, image, position, offset)) break;
      this.#take(frame, image, offset);
      offset = frame.end;
      this.#tailOffset = offset;
      this.#at = position;
    }
    if (offset > 0) return offset;
    if (position === 0 && image.number > 1) {
      // What was before it has been removed, so a mark in a later frame was durable.
      throw new LogDamaged('the oldest segment does not begin with a frame', placeIn(image, 0));
    }
    return undefined;
  }

  #continues(frame: FoundFrame, image: SegmentImage, position: number, offset: number): boolean {
    if (frame.sequence > (this.#damaged?.until ?? Number.POSITIVE_INFINITY)) return false;
    if (offset === 0 && position === 0 && image.number > 1) return true;
    if (offset === 0 && !this.#isNext(position)) return false;
    return frame.sequence === this.#sequence + 1 && frame.previous === this.#previous;
  }

  #take(frame: FoundFrame, image: SegmentImage, offset: number): void {
    const place = placeIn(image, offset, frame.sequence);
    if (offset === 0) this.replay.enter(image.number);
    this.replay.take(image.bytes.slice(frame.bodyFrom, frame.bodyTo), place);
    this.#sequence = frame.sequence;
    this.#previous = frame.crc;
    this.#lastFrom = offset;
  }

  /** Looks behind the tail for proof that it is damage, and for torn bytes. */
  #searchBehind(image: SegmentImage, from: number): void {
    const { bytes } = image;
    let first = -1;
    let last = -1;
    for (let block = from; block < bytes.length; block += searchBytes) {
      const end = Math.min(block + searchBytes, bytes.length);
      if (isZero(bytes, image.view, block, end)) continue;
      for (let at = block; at < end; at += frameAlignBytes) {
        if (
          image.view.byteLength - at < frameAlignBytes ||
          !isZero(bytes, image.view, at, at + frameAlignBytes)
        ) {
          if (first < 0) first = at;
          last = Math.min(at + frameAlignBytes, bytes.length);
          this.#judge(image, at);
        }
      }
    }
    if (first >= 0) {
      const file = segmentName(image.number);
      // Many whole segments may stand behind damage; nobody wants their bytes.
      const copy = this.#damaged === undefined ? bytes.slice(first, last) : new Uint8Array(0);
      this.#torn.push({ file, from: first, to: last, bytes: copy });
    }
  }

  #judge(image: SegmentImage, at: number): void {
    const frame = frameAt(image.bytes, image.view, at, this.#options.checksum, image.seed);
    if (frame === undefined) return;
    if (this.#damaged !== undefined) {
      readRecords(image.bytes, frame.bodyFrom, frame.bodyTo, this.#damaged.behind);
      return;
    }
    if (frame.durable <= this.#sequence) return;
    const tail = Math.max(this.#at, 0);
    const number = present(this.#numbers[tail], 'the tail is in a segment');
    throw new LogDamaged(`frame ${frame.sequence} behind it says that it was durable`, {
      file: segmentName(number),
      offset: this.#tailOffset,
      sequence: this.#sequence + 1,
    });
  }
}

const searchBytes = 64 * 1024;

function isZero(bytes: Uint8Array, view: DataView, from: number, to: number): boolean {
  let at = from;
  for (; at + 16 <= to; at += 16) {
    const half = view.getInt32(at, true) | view.getInt32(at + 4, true);
    if ((half | view.getInt32(at + 8, true) | view.getInt32(at + 12, true)) !== 0) return false;
  }
  for (; at + 4 <= to; at += 4) if (view.getInt32(at, true) !== 0) return false;
  for (; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}

function placeIn(image: SegmentImage, offset: number, sequence?: number): LogDamaged['place'] {
  const file = segmentName(image.number);
  return sequence === undefined ? { file, offset } : { file, offset, sequence };
}
