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
import { LogDamaged } from './damage.ts';
import type {
  Checksum,
  HardState,
  LogBatch,
  LogEntry,
  RecoveredGroup,
  SnapshotMark,
} from './entry.ts';
import { aligned, frameHeaderBytes, sealFrame, seedOf } from './frame.ts';
import { type GroupTable, noteEntry, SegmentContent } from './groups.ts';
import { readIdentity, writeIdentity } from './identity.ts';
import { PendingFrame } from './pending.ts';
import {
  entryHeaderBytes,
  headBytes,
  headGroupBytes,
  putHardState,
  putHead,
  putMark,
  stateBytes,
} from './record.ts';
import { type LogTail, type Recovery, recover } from './recovery.ts';
import { logFolder, type Segment, SegmentPool, segmentName, segmentNumber } from './segments.ts';

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
  readonly bases?: ReadonlyMap<GroupId, SnapshotMark>;
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

/** A group that keeps the oldest segment from being removed. */
export interface Holder {
  readonly group: GroupId;
  /** A newer snapshot is needed; or the newest suffices: verify it and append its mark again. */
  readonly needs: 'snapshot' | 'repeated-mark';
}

/** See the top of the file. All methods but `close` return at once; none is called after `close`. */
export class WriteAheadLog {
  readonly #clock: Clock;
  readonly #options: LogOptions;
  readonly #salt: number;
  readonly #table: GroupTable;
  /** Segments with frames, oldest first; the last one may not have a file yet. */
  readonly #contents: SegmentContent[];
  readonly #pool: SegmentPool;
  /** Each group's index up to which durable marks let the log go. */
  readonly #floors = new Map<GroupId, LogIndex>();
  #segment: Segment | undefined;
  #segmentBytes: number;
  /** Where the frame that is begun next goes. */
  #offset: number;
  #sequence: number;
  #previous: number;
  #durableSequence: number;
  /** Frames not yet written, in order; the last may still be added to. */
  readonly #queue: PendingFrame[] = [];
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
    this.#sequence = found.sequence;
    this.#previous = found.previous;
    this.#durableSequence = found.sequence;
    const tail: LogTail | undefined = found.tail;
    this.#segment = tail?.segment;
    this.#segmentBytes = tail?.segmentBytes ?? 0;
    this.#offset = tail?.offset ?? 0;
    for (const { previousMark } of found.table.summaries()) {
      this.#floors.set(previousMark.group, previousMark.index);
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
    const { checksum, segmentBytes, bases } = options;
    let salt = await readIdentity(disk, checksum);
    if (salt === undefined) {
      salt = options.random.uint32();
      await refuseOrphans(disk);
      await writeIdentity(disk, checksum, salt);
    }
    const found = await recover({ disk, checksum, salt, segmentBytes, bases });
    const log = new WriteAheadLog(disk, clock, options, salt, found);
    await log.#begin();
    return { log, recovered: found.groups, warnings: found.warnings };
  }

  /**
   * Adds a turn's records; `durable` is called when all of them are on disk, after the callbacks of
   * earlier batches. Payloads are copied at once. A batch without records is durable with the last.
   */
  append(batch: LogBatch, durable: () => void): void {
    assert(this.#state !== 'closing', 'nothing is appended to a closed log');
    if (this.#state === 'ended') return;
    for (const entry of batch.entries) this.#addEntry(entry);
    if (batch.hardStates !== undefined) for (const state of batch.hardStates) this.#addState(state);
    if (batch.marks !== undefined) for (const mark of batch.marks) this.#addMark(mark);
    const frame = this.#queue[this.#queue.length - 1] ?? this.#writing;
    if (frame === undefined) this.#clock.soon(durable);
    else frame.durable.push(durable);
    this.#pump();
  }

  /** `reserve`: the disk is full and prepared space is being used up; writes must be refused. */
  reserveState(): 'ok' | 'reserve' {
    return this.#pool.reserveState();
  }

  /** Bytes appended and not yet on their way to the disk; the caller keeps it bounded. */
  pendingBytes(): number {
    let bytes = 0;
    for (const frame of this.#queue) bytes += frame.length;
    return bytes;
  }

  /** Segments that hold frames; the caller asks `holders` when there are many. */
  segmentCount(): number {
    return this.#contents.length;
  }

  /** The file of a living entry of a group, within the data folder; its folder where there is none. */
  fileOf(group: GroupId, index: LogIndex): string {
    const found = this.#contents.find(({ highest }) => (highest[group] ?? 0) >= index);
    return found === undefined ? logFolder : segmentName(found.number);
  }

  /** The groups that keep the oldest segment; empty when it is the only one. */
  holders(): readonly Holder[] {
    const oldest = this.#contents[0];
    if (oldest === undefined || this.#contents.length === 1) return [];
    const holders: Holder[] = [];
    for (const { mark } of this.#table.summaries()) {
      const highest = oldest.highest[mark.group] ?? 0;
      if (highest <= (this.#floors.get(mark.group) ?? 0)) continue;
      holders.push({
        group: mark.group,
        needs: mark.index >= highest ? 'repeated-mark' : 'snapshot',
      });
    }
    return holders;
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

  /** The first frame of this life: it says that all before it is durable, and carries what marks are due. */
  async #begin(): Promise<void> {
    this.#pool.start();
    this.#beginFrame(0);
    for (const base of this.#options.bases?.values() ?? []) {
      if (base.index !== this.#table.of(base.group).mark.index) this.#addMark(base);
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

  #addEntry(entry: LogEntry): void {
    assert(entry.payload.length <= logPayloadBytesMax, 'a payload is within its limit');
    assert(entry.term > 0, 'an entry has a term');
    const frame = this.#frameFor(entryHeaderBytes + entry.payload.length);
    const state = this.#table.of(entry.group);
    assert(state.admits(entry), 'an entry continues its group or replaces its tail');
    assert(entry.index > state.hardState.commit, 'what is committed is not replaced');
    noteEntry(this.#contents, entry, state.lastIndex);
    state.seeEntry(entry);
    frame.entry(entry);
  }

  #addState(hardState: HardState): void {
    const frame = this.#frameFor(stateBytes);
    const state = this.#table.of(hardState.group);
    assert(hardState.term >= state.hardState.term, 'a term never falls');
    state.hardState = hardState;
    frame.reserve(stateBytes);
    frame.length = putHardState(frame.view, frame.length, hardState);
  }

  #addMark(mark: SnapshotMark): void {
    const frame = this.#frameFor(stateBytes);
    const state = this.#table.of(mark.group);
    state.seeMark(mark);
    frame.reserve(stateBytes);
    frame.length = putMark(frame.view, frame.length, mark);
    frame.floors.push([mark.group, state.previousMark.index]);
  }

  /** The frame that a record of so many bytes goes into. */
  #frameFor(bytes: number): PendingFrame {
    const open = this.#queue[this.#queue.length - 1];
    return open?.fits(bytes) ? open : this.#beginFrame(bytes);
  }

  /** Begins a frame behind the others, in a new segment where this one has no room for the record. */
  #beginFrame(bytes: number): PendingFrame {
    const before = this.#queue[this.#queue.length - 1];
    if (before !== undefined) this.#offset = before.offset + before.close().length;
    const frame = this.#buffers.pop() ?? new PendingFrame();
    const room = this.#segmentBytes - this.#offset;
    if (room >= frameHeaderBytes + bytes + 8) {
      frame.reset(this.#offset, Math.min(logFrameBytesMax, room), false);
    } else this.#openSegment(frame, bytes);
    assert(frame.fits(bytes), 'a record fits a frame');
    this.#queue.push(frame);
    return frame;
  }

  /**
   * Makes a frame the first of a new segment: its head is the sum of all records appended so far. Where
   * segments are smaller than the largest entry (tests), the file grows for it.
   */
  #openSegment(frame: PendingFrame, bytes: number): void {
    const number = (this.#contents[this.#contents.length - 1]?.number ?? 0) + 1;
    this.#segmentBytes = this.#options.segmentBytes;
    this.#offset = 0;
    frame.reset(0, Math.min(logFrameBytesMax, this.#segmentBytes), true);
    const summaries = this.#table.summaries();
    frame.reserve(headBytes + summaries.length * headGroupBytes);
    frame.length = putHead(frame.view, frame.length, number, summaries);
    frame.limit = Math.max(frame.limit, aligned(frame.length + bytes));
    this.#contents.push(new SegmentContent(number));
  }

  #pump(): void {
    if (this.#writing !== undefined || this.#state === 'ended') return;
    const frame = this.#queue.shift();
    if (frame === undefined) return;
    this.#writing = frame;
    const bytes = frame.close();
    // A frame still open when it is taken says where the next one begins.
    if (this.#queue.length === 0) this.#offset = frame.offset + bytes.length;
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
    for (const [group, index] of frame.floors) this.#floors.set(group, index);
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
      const oldest = this.#contents[0];
      // The one that frames go to, or are on their way to, stays.
      if (oldest === undefined || oldest.number >= (this.#segment?.number ?? 0)) return;
      if (this.holders().length > 0) return;
      this.#contents.shift();
      this.#pool.remove(oldest.number);
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
