/**
 * The write-ahead log of a node: one for all its groups. A turn's records become one frame, one write
 * and one fdatasync; what comes meanwhile joins the next. See DESIGN.md.
 */
import { assert, present } from '../base/assert.ts';
import type { Clock, Disk, Random } from '../base/doors.ts';
import type { GroupId, LogIndex } from '../base/ids.ts';
import {
  groupMax,
  logFrameBytesMax,
  logIdleMs,
  logPayloadBytesMax,
  logSegmentBytesMin,
} from '../base/limits.ts';
import { batchBytes, pieces } from './batch.ts';
import type { Holder, LogContents } from './contents.ts';
import { LogDamaged } from './damage.ts';
import type { Checksum, LogBatch, RecoveredGroup, ReplicaRecord, SnapshotBase } from './entry.ts';
import { aligned, frameAlignBytes, frameHeaderBytes, sealFrame, seedOf } from './frame.ts';
import type { GroupTable } from './groups.ts';
import { readIdentity, writeIdentity } from './identity.ts';
import { PendingFrame } from './pending.ts';
import { entryHeaderBytes, headBytes, headGroupBytes, stateBytes } from './record.ts';
import { Recorder } from './recorder.ts';
import { type LogTail, type Recovery, recover } from './recovery.ts';
import { logFolder, type Segment, SegmentPool, segmentNumber } from './segments.ts';

/** What `WriteAheadLog.open` needs besides its doors. */
export interface LogOptions {
  readonly checksum: Checksum;
  /** The source of the log's salt; used once in its life. */
  readonly random: Random;
  /** Bytes of new segments; `logSegmentBytes` in earnest. */
  readonly segmentBytes: number;
  /**
   * The snapshots that will be loaded: entries after them are handed out, and their marks recorded
   * where the log does not have them. A group that is absent begins at index 1. Undefined: the newest
   * marks are trusted.
   */
  readonly bases?: ReadonlyMap<GroupId, SnapshotBase>;
  /** Groups whose log is given up, back to the base: `tuplet repair --accept-loss`. */
  readonly rewinds?: ReadonlySet<GroupId>;
  /** Called once when nothing can be made durable any more; the host ends the process. */
  readonly onFatal: (error: Error) => void;
}

/** What `WriteAheadLog.open` resolves to. */
export interface OpenedLog {
  readonly log: WriteAheadLog;
  /** In order of group. */
  readonly recovered: readonly RecoveredGroup[];
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
}

/** See the top of the file. All methods but `close` return at once; none is called after `close`. */
export class WriteAheadLog {
  readonly #clock: Clock;
  readonly #options: LogOptions;
  readonly #salt: number;
  readonly #table: GroupTable;
  readonly #contents: LogContents;
  readonly #recorder: Recorder;
  readonly #pool: SegmentPool;
  #segment: Segment | undefined;
  #segmentBytes: number;
  /** Where the frame that is begun next goes. */
  #offset: number;
  #sequence: number;
  #previous: number;
  #durableSequence: number;
  /** Frames not yet written, in order; the last may still be added to. */
  readonly #queue: PendingFrame[] = [];
  /** Bytes of all frames in `#queue` but the last. */
  #closedBytes = 0;
  #writing: PendingFrame | undefined;
  #buffers: PendingFrame[] = [];
  #state: 'open' | 'closing' | 'ended' = 'open';
  #idleTimer: (() => void) | undefined;
  #lastDurableMs = 0;
  /** Whether the last frame is recorded as durable, or is the empty one that records it. */
  #settled = true;
  #drained: (() => void) | undefined;

  private constructor(
    disk: Disk,
    clock: Clock,
    options: LogOptions,
    salt: number,
    found: Recovery,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#salt = salt;
    this.#table = found.table;
    this.#contents = found.contents;
    this.#recorder = new Recorder(found.table, found.contents);
    this.#sequence = found.sequence;
    this.#previous = found.previous;
    this.#durableSequence = found.sequence;
    const tail: LogTail | undefined = found.tail;
    this.#segment = tail?.segment;
    this.#segmentBytes = tail?.segmentBytes ?? 0;
    this.#offset = tail?.offset ?? 0;
    for (const { previousMark } of found.table.summaries()) {
      this.#contents.setFloor(previousMark.group, previousMark.index);
    }
    this.#pool = new SegmentPool({
      disk,
      clock,
      segmentBytes: options.segmentBytes,
      next: found.nextSegment,
      spares: found.spares,
      onFatal: (error) => this.#fail(error),
    });
  }

  /**
   * Recovers the log in the data folder, or begins one. What is handed out is durable when this
   * resolves. Rejects with LogDamaged or FormatError, and with DiskError.
   */
  static async open(disk: Disk, clock: Clock, options: LogOptions): Promise<OpenedLog> {
    assert(options.segmentBytes >= logSegmentBytesMin, 'a segment holds a head and some frames');
    const { checksum, segmentBytes, bases, rewinds } = options;
    let salt = await readIdentity(disk, checksum);
    if (salt === undefined) {
      salt = options.random.uint32();
      await refuseOrphans(disk);
      await writeIdentity(disk, checksum, salt);
    }
    const found = await recover({ disk, checksum, salt, segmentBytes, bases, rewinds });
    const log = new WriteAheadLog(disk, clock, options, salt, found);
    await log.#begin(found.groups);
    return { log, recovered: found.groups, warnings: found.warnings };
  }

  /**
   * Adds a turn's records; `durable` is called when all of them are on disk, after the callbacks of
   * earlier batches. Payloads are copied at once. A batch without records is durable with the last.
   */
  append(batch: LogBatch, durable: () => void): void {
    assert(this.#state !== 'closing', 'nothing is appended to a closed log');
    if (this.#state === 'ended') return;
    for (const piece of pieces(batch, this.#pieceBytesMax)) this.#add(piece);
    const frame = this.#queue[this.#queue.length - 1] ?? this.#writing;
    if (frame === undefined) this.#clock.soon(durable);
    else frame.durable.push(durable);
    this.#pump();
  }

  /** `reserve`: the disk is full and prepared space is being used up; writes must be refused. */
  reserveState(): 'ok' | 'reserve' {
    return this.#pool.reserveState();
  }

  /**
   * Bytes appended that are not on their way to the disk yet: what a disk that is slow, or full, costs in
   * memory. The log refuses nothing; a caller that cannot tell others to send less (a follower, whose
   * leader sends again) looks at it before it appends more. Cheap: it may be asked for each message.
   */
  pendingBytes(): number {
    return this.#closedBytes + (this.#queue.at(-1)?.length ?? 0);
  }

  /** Segments that hold frames; the caller asks `holders` when there are many. */
  segmentCount(): number {
    return this.#contents.count;
  }

  /** The file of a living entry of a group, within the data folder; its folder where there is none. */
  fileOf(group: GroupId, index: LogIndex): string {
    return this.#contents.fileOf(group, index);
  }

  /** The groups that keep the oldest segment; empty when it is the only one. */
  holders(): readonly Holder[] {
    return this.#contents.holders(this.#table);
  }

  /** What was last appended of a group's replica; undefined where nothing ever was. */
  replicaOf(group: GroupId): ReplicaRecord | undefined {
    return this.#table.of(group).replica;
  }

  /** Waits until all is durable, records that it is, and closes the files. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#idleTimer?.();
    this.#pump();
    if (this.#writing !== undefined)
      await new Promise<void>((resolve) => (this.#drained = resolve));
    if (this.#isEnded()) return;
    if (!this.#settled) {
      this.#beginFrame(0);
      this.#pump();
      await new Promise<void>((resolve) => (this.#drained = resolve));
    }
    await this.#pool.close();
    await this.#segment?.file.close();
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** The first frame of this life: it says that all before it is durable, and puts right what is not. */
  async #begin(groups: readonly RecoveredGroup[]): Promise<void> {
    this.#pool.start();
    this.#beginFrame(0);
    for (const { base, hardState, replica } of groups) {
      if (replica?.state === 'removed') continue;
      const { group } = hardState;
      const state = this.#table.of(group);
      const mark = this.#options.bases?.get(group);
      const rewinds = this.#options.rewinds?.has(group) ?? false;
      if (mark !== undefined && base > 0 && (rewinds || base !== state.mark.index)) {
        this.#recorder.mark(this.#frameFor(stateBytes), mark, rewinds);
      }
      const { term, commit } = state.hardState;
      if (hardState.term !== term || hardState.commit !== commit) {
        this.#recorder.hardState(this.#frameFor(stateBytes), hardState);
      }
    }
    await new Promise<void>((resolve, reject) => {
      this.#failed = reject;
      this.append({ entries: [] }, resolve);
    });
    this.#failed = undefined;
    // What could have gone in an earlier life.
    this.#reclaim();
  }

  /** While `open` waits, it hears of a failure instead of `onFatal`. */
  #failed: ((error: Error) => void) | undefined;

  /** Bytes of records that any frame holds, the first of a segment as well. */
  get #pieceBytesMax(): number {
    const frame = Math.min(logFrameBytesMax, this.#options.segmentBytes);
    return frame - frameHeaderBytes - headBytesMax - frameAlignBytes;
  }

  #add(piece: LogBatch): void {
    const bytes = batchBytes(piece);
    if (bytes > 0) this.#recorder.add(this.#frameFor(bytes), piece);
  }

  /** The frame that records of so many bytes go into. */
  #frameFor(bytes: number): PendingFrame {
    const open = this.#queue[this.#queue.length - 1];
    return open?.fits(bytes) ? open : this.#beginFrame(bytes);
  }

  /** Begins a frame behind the others, in a new segment where this one has no room for the records. */
  #beginFrame(bytes: number): PendingFrame {
    const before = this.#queue[this.#queue.length - 1];
    if (before !== undefined) {
      const { length } = before.close();
      this.#offset = before.offset + length;
      this.#closedBytes += length;
    }
    const frame = this.#buffers.pop() ?? new PendingFrame();
    const room = this.#segmentBytes - this.#offset;
    if (room >= frameHeaderBytes + bytes + 8) {
      frame.reset(this.#offset, Math.min(logFrameBytesMax, room), false);
    } else this.#openSegment(frame, bytes);
    assert(frame.fits(bytes), 'records fit their frame');
    this.#queue.push(frame);
    return frame;
  }

  /**
   * Makes a frame the first of a new segment: its head is the sum of all records appended so far. Where
   * segments are smaller than the largest entry (tests), the file grows for it.
   */
  #openSegment(frame: PendingFrame, bytes: number): void {
    const number = this.#contents.newest + 1;
    this.#segmentBytes = this.#options.segmentBytes;
    this.#offset = 0;
    frame.reset(0, Math.min(logFrameBytesMax, this.#segmentBytes), true);
    frame.head(number, this.#table.summaries());
    frame.limit = Math.max(frame.limit, aligned(frame.length + bytes));
    this.#contents.enter(number);
  }

  #pump(): void {
    if (this.#writing !== undefined || this.#state === 'ended') return;
    const frame = this.#queue.shift();
    if (frame === undefined) return;
    this.#writing = frame;
    const bytes = frame.close();
    // A frame still open when it is taken says where the next one begins.
    if (this.#queue.length === 0) this.#offset = frame.offset + bytes.length;
    else this.#closedBytes -= bytes.length;
    this.#write(frame, bytes)
      .then(() => this.#wrote(frame))
      .catch((error: unknown) => this.#fail(error));
  }

  async #write(frame: PendingFrame, bytes: Uint8Array): Promise<void> {
    if (frame.opensSegment) {
      const full = this.#segment;
      this.#segment = await this.#pool.take();
      await full?.file.close();
    }
    const { number, file } = present(this.#segment, 'a frame has a segment');
    this.#sequence++;
    this.#previous = sealFrame(
      bytes,
      { sequence: this.#sequence, previous: this.#previous, durable: this.#durableSequence },
      this.#options.checksum,
      seedOf(this.#salt, number),
    );
    await file.write(frame.offset, bytes);
    await file.sync();
  }

  #wrote(frame: PendingFrame): void {
    this.#durableSequence = this.#sequence;
    this.#writing = undefined;
    this.#settled = frame.length === frameHeaderBytes;
    // The disk works on the next frame while the callbacks of this one run.
    this.#pump();
    const to = present(this.#segment, 'a frame has a segment').number;
    for (const [group, index] of frame.voids) this.#contents.void(group, index, { to });
    for (const [group, index] of frame.floors) this.#contents.setFloor(group, index);
    if (frame.floors.length > 0) this.#reclaim();
    for (const durable of frame.durable) durable();
    if (this.#buffers.length < 2) this.#buffers.push(frame);
    if (this.#writing !== undefined) return;
    this.#drained?.();
    this.#lastDurableMs = this.#clock.monotonicMs();
    if (!this.#settled && this.#idleTimer === undefined) this.#watchIdle(logIdleMs);
  }

  /** Removes the oldest segments whose entries all lie below durable marks. */
  #reclaim(): void {
    for (;;) {
      const { oldest } = this.#contents;
      // The one that frames go to, or are on their way to, stays.
      if (oldest === undefined || oldest >= (this.#segment?.number ?? 0)) return;
      if (this.holders().length > 0) return;
      this.#contents.dropOldest();
      this.#pool.remove(oldest);
    }
  }

  /** One timer serves many frames: it looks whether the idleness was long enough. */
  #watchIdle(delayMs: number): void {
    this.#idleTimer = this.#clock.after(delayMs, () => {
      this.#idleTimer = undefined;
      if (this.#state !== 'open' || this.#settled || this.#writing !== undefined) return;
      const rest = this.#lastDurableMs + logIdleMs - this.#clock.monotonicMs();
      if (rest > 0) this.#watchIdle(rest);
      else {
        this.#beginFrame(0);
        this.#pump();
      }
    });
  }

  #fail(cause: unknown): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#idleTimer?.();
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#drained?.();
    if (this.#failed !== undefined) this.#failed(error);
    else this.#options.onFatal(error);
  }
}

const headBytesMax = headBytes + (groupMax + 1) * headGroupBytes;

assert(
  logFrameBytesMax >= frameHeaderBytes + headBytesMax + entryHeaderBytes + logPayloadBytesMax + 8,
  'the largest entry fits the first frame of a segment',
);
assert(
  logSegmentBytesMin >= 2 * (frameHeaderBytes + headBytesMax),
  'the smallest segment holds its head and more',
);

/** Segments without an identity are a log that lost it, not a new one. */
async function refuseOrphans(disk: Disk): Promise<void> {
  for (const name of await disk.list(logFolder)) {
    if (segmentNumber(name) === undefined) continue;
    throw new LogDamaged('segments are there, its identity is not', { file: logFolder, offset: 0 });
  }
}
