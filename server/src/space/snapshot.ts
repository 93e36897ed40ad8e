/**
 * Cutting a snapshot in slices while entries go on being applied (ARCHITECTURE 6). What a cut has
 * not yet read is kept for it: pages of columns and session records are copied before they change,
 * bytes given up stay where they are, logs only grow. Compaction waits until the tuples are read.
 */
import { Writer } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import { idIn, type SessionId, type TupleId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { type ByteLogCut, recordsOf, runsOf } from './byte-log.ts';
import { type PageColumns, pageRows, RowContent, readCell } from './rows.ts';
import { type HomeRecord, inOrder, type KnownSession, type OperationRecord } from './sessions.ts';
import {
  noItems,
  returningItems,
  type SavedOperation,
  writeEnd,
  writeEnded,
  writeEvents,
  writeHeader,
  writeHome,
  writeKnown,
  writeRequest,
  writeReturning,
  writeSavedOperation,
  writeTuple,
} from './snapshot-items.ts';
import type { SpaceState } from './space-state.ts';

interface SavedSession {
  readonly id: SessionId;
  readonly floor: KnownSession['floor'];
  readonly operations: readonly SavedOperation[];
}

/** A snapshot being cut. `next` is called until it returns undefined, or `abort`. */
export class SnapshotCut {
  /** The last entry in the snapshot. */
  readonly appliedIndex: SpaceState['appliedIndex'];
  readonly #state: SpaceState;
  readonly #writer = new Writer(64 * 1_024);
  readonly #pages: readonly PageColumns[];
  readonly #known: readonly KnownSession[];
  readonly #home: readonly HomeRecord[];
  readonly #savedKnown = new Map<KnownSession, SavedSession>();
  readonly #savedHome = new Map<HomeRecord, Omit<HomeRecord, 'cut'>>();
  readonly #endedIds: Float64Array;
  readonly #endedStamps: Float64Array;
  readonly #requests: ByteLogCut;
  readonly #history: ByteLogCut;
  readonly #returning: readonly (readonly TupleId[])[];
  readonly #items: Generator<void>;
  /** The row that is being written. */
  readonly #content = new RowContent();
  /** Where the present slice is full. */
  #sliceBytes = 0;
  #tuplesHeld = true;
  #ended = false;

  constructor(state: SpaceState) {
    this.#state = state;
    this.appliedIndex = state.appliedIndex;
    state.tuples.slabs.hold();
    this.#pages = state.tuples.rows.beginCut();
    this.#known = [...state.sessions.allKnown()];
    this.#home = [...state.sessions.allHome()];
    const marks = state.sessions.counts.ended;
    this.#endedIds = new Float64Array(marks);
    this.#endedStamps = new Float64Array(marks);
    let at = 0;
    for (const [session, endedMs] of state.sessions.allEnded()) {
      this.#endedIds[at] = session;
      this.#endedStamps[at] = endedMs;
      at += 1;
    }
    this.#requests = state.requests.cut();
    this.#history = state.history.cut();
    this.#returning = [...returningItems(state)];
    state.sessions.beginCut({
      beforeKnown: (session) => this.#savedKnown.set(session, saveKnown(state, session)),
      beforeHome: (home) => this.#savedHome.set(home, saveHome(home)),
    });
    this.#item((writer) => writeHeader(writer, state));
    this.#items = this.#write();
  }

  /** Whether everything was read, or the cut was given up. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The next bytes, exactly `bytesMax` but for the last; undefined after those. */
  next(bytesMax: number = limits.snapshotChunkBytes): Uint8Array | undefined {
    assert(bytesMax > 0, 'a chunk has bytes');
    const writer = this.#writer;
    this.#sliceBytes = bytesMax;
    while (!this.#ended && writer.position < bytesMax) {
      if (this.#items.next().done === true) this.abort();
    }
    if (writer.position === 0) return undefined;
    const size = Math.min(bytesMax, writer.position);
    const chunk = writer.bytes.slice(0, size);
    writer.bytes.copyWithin(0, size, writer.position);
    writer.position -= size;
    return chunk;
  }

  /** Lets go of everything. Calling it again, or after the end, does nothing. */
  abort(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#releaseTuples();
    this.#state.sessions.endCut();
    this.#savedKnown.clear();
    this.#savedHome.clear();
  }

  #releaseTuples(): void {
    if (!this.#tuplesHeld) return;
    this.#tuplesHeld = false;
    this.#state.tuples.rows.endCut();
    this.#state.tuples.slabs.release();
  }

  #item(write: (writer: Writer) => void): void {
    const mark = this.#writer.open();
    write(this.#writer);
    this.#writer.close(mark);
  }

  /** Writes items; steps end where the slice is full, or after a session's or a log's item. */
  *#write(): Generator<void> {
    const counts = noItems();
    for (const [index, page] of this.#pages.entries()) {
      counts.tuples += yield* this.#writePage(page);
      this.#state.tuples.rows.cutHasRead(index);
    }
    this.#releaseTuples();
    for (const known of this.#known) {
      counts.known += 1;
      counts.operations += yield* this.#writeKnown(known);
    }
    for (const home of this.#home) {
      counts.home += 1;
      this.#writeHome(home);
      yield;
    }
    for (const [i, session] of this.#endedIds.entries()) {
      counts.ended += 1;
      const endedMs = this.#endedStamps[i];
      this.#item((writer) => writeEnded(writer, session as SessionId, endedMs as never));
      yield;
    }
    for (const record of recordsOf(this.#requests)) {
      this.#item((writer) => writeRequest(writer, record));
      yield;
    }
    counts.requests = this.#requests.count;
    for (const run of runsOf(this.#history)) {
      this.#item((writer) => writeEvents(writer, run));
      yield;
    }
    counts.events = this.#history.count;
    for (const ids of this.#returning) {
      counts.returning += ids.length;
      this.#item((writer) => writeReturning(writer, ids));
      yield;
    }
    this.#item((writer) => writeEnd(writer, counts));
  }

  *#writePage(page: PageColumns): Generator<void, number> {
    const { partition, tuples } = this.#state;
    const writer = this.#writer;
    const content = this.#content;
    let count = 0;
    for (let cell = 0; cell < pageRows; cell += 1) {
      if (!readCell(page, cell, content)) continue;
      writeTuple(writer, idIn(partition, content.counter) as TupleId, content, tuples.slabs);
      count += 1;
      if (writer.position >= this.#sliceBytes) yield;
    }
    return count;
  }

  *#writeKnown(known: KnownSession): Generator<void, number> {
    if (this.#state.sessions.claimForCut(known)) {
      this.#savedKnown.set(known, saveKnown(this.#state, known));
    }
    const saved = present(this.#savedKnown.get(known), 'a session is read or was saved');
    this.#savedKnown.delete(known);
    this.#item((writer) => writeKnown(writer, saved));
    yield;
    for (const operation of saved.operations) {
      this.#item((writer) => writeSavedOperation(writer, operation));
      yield;
    }
    return saved.operations.length;
  }

  #writeHome(home: HomeRecord): void {
    const unchanged = this.#state.sessions.claimForCut(home);
    const saved = unchanged ? home : present(this.#savedHome.get(home), 'a record was saved');
    this.#savedHome.delete(home);
    this.#item((writer) => writeHome(writer, saved));
  }
}

function saveKnown(state: SpaceState, known: KnownSession): SavedSession {
  const operations = inOrder(known.operations.values()).map((record) =>
    saveOperation(state, record),
  );
  return { id: known.id, floor: known.floor, operations };
}

/** An operation with ids for rows: rows mean nothing in another replica's memory. */
export function saveOperation(state: SpaceState, record: OperationRecord): SavedOperation {
  const { sequence, fence, change } = record;
  return { sequence, fence, change, handed: record.handed.map((row) => state.tuples.idOf(row)) };
}

function saveHome(home: HomeRecord): Omit<HomeRecord, 'cut'> {
  return { ...home, touched: new Set(home.touched) };
}
