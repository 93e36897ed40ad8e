/**
 * Building a partition's state from a snapshot's bytes. Strict: another format throws FormatError,
 * anything else that is odd DecodeError.
 */
import { malformed, type Reader } from '@tuplet/proto';
import { FormatError } from '../base/format-error.ts';
import type {
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  SpaceId,
  StampMs,
  TupleId,
} from '../base/ids.ts';
import {
  lengthTag,
  positive,
  readFields,
  readFlag,
  readNested,
  readPacked,
  required,
  varintTag,
} from '../base/wire-fields.ts';
import { ItemStream } from './item-stream.ts';
import { type ChangeResult, readResult, resultBytes } from './result-codec.ts';
import { noRow, type Row } from './rows.ts';
import type { KnownSession } from './sessions.ts';
import { slotBuckets } from './slot-changes.ts';
import { type ItemCounts, ItemField, noItems, snapshotFormat } from './snapshot-items.ts';
import { type SpaceLimits, SpaceState } from './space-state.ts';
import { LoadedTuple, readTuple } from './tuple-load.ts';

const formatTag = varintTag(1);
const countersPerPartition = 2 ** 44;

/** Takes chunks in order, cut anywhere, then gives the state. */
export class SnapshotLoader {
  readonly #limits: Partial<SpaceLimits>;
  readonly #counts = noItems();
  #state: SpaceState | undefined;
  #last = 0;
  #known: KnownSession | undefined;
  #handed = 0;
  /** Tuples that the header announces. */
  #expected = 0;
  readonly #tuple = new LoadedTuple();
  readonly #stream = new ItemStream((reader) => this.#item(reader));

  constructor(limits: Partial<SpaceLimits> = {}) {
    this.#limits = limits;
  }

  /** Adds a chunk; its bytes are not needed afterwards. */
  add(chunk: Uint8Array): void {
    this.#stream.add(chunk);
  }

  /** The state, once every chunk has been added. */
  finish(): SpaceState {
    if (this.#last !== ItemField.end || !this.#stream.isBetweenItems)
      throw malformed('a snapshot ends early');
    const state = required(this.#state);
    if (this.#counts.tuples !== this.#expected) throw malformed('tuples are missing');
    if (state.tuples.counts().handed !== this.#handed)
      throw malformed('a handed tuple has no taker');
    return state;
  }

  #item(reader: Reader): void {
    const tag = reader.tag();
    const field = tag >>> 3;
    if (tag !== lengthTag(field)) throw malformed('an item is a message');
    const back = field === ItemField.known && this.#last === ItemField.operation;
    if (field < this.#last && !back) throw malformed('items are out of order');
    if (this.#last === ItemField.end) throw malformed('items after the end');
    const size = reader.length();
    if (size !== reader.end - reader.position) throw malformed('an item is one message');
    this.#content(reader, field);
    if (reader.position !== reader.end) throw malformed('a message has bytes left');
    this.#last = field;
  }

  #content(reader: Reader, field: number): void {
    if (field === ItemField.header) {
      if (this.#state !== undefined) throw malformed('a snapshot has one header');
      const { state, tuples } = readHeader(reader, this.#limits);
      state.tuples.expect(tuples);
      this.#expected = tuples;
      this.#state = state;
      return;
    }
    const state = required(this.#state);
    if (field > ItemField.tuple && this.#last <= ItemField.tuple) state.tuples.finishLoad();
    if (field === ItemField.tuple) {
      this.#loadTuple(reader, state);
      this.#counts.tuples += 1;
    } else if (field === ItemField.known) this.#loadKnown(reader, state);
    else if (field === ItemField.operation) this.#loadOperation(reader, state);
    else if (field === ItemField.home) {
      loadHome(reader, state);
      this.#counts.home += 1;
    } else if (field === ItemField.ended) {
      const [session, endedMs] = readTwo(reader);
      state.sessions.mark(positive(session) as SessionId, endedMs as StampMs);
      this.#counts.ended += 1;
    } else if (field === ItemField.request) {
      state.requests.load(rest(reader));
      this.#counts.requests += 1;
    } else if (field === ItemField.events) {
      this.#counts.events += state.history.load(reader);
    } else if (field === ItemField.returning) this.#loadReturning(reader, state);
    else if (field === ItemField.end) checkEnd(reader, this.#counts);
    else throw malformed('an item is unknown');
  }

  #loadTuple(reader: Reader, state: SpaceState): void {
    const tuple = this.#tuple;
    readTuple(reader, tuple);
    const { id } = tuple;
    const counter = positive(id) % countersPerPartition;
    if (id !== state.partition * countersPerPartition + counter)
      throw malformed('a tuple of another partition');
    if (counter > state.tupleCounter) throw malformed('a tuple beyond the counter');
    tuple.counter = counter;
    const added = state.tuples.load(tuple, reader.bytes, tuple.from, tuple.to);
    if (!added) throw malformed('a tuple comes twice');
  }

  #loadKnown(reader: Reader, state: SpaceState): void {
    const [session, floor] = readTwo(reader);
    const id = positive(session) as SessionId;
    if (state.sessions.state(id) !== 'unknown') throw malformed('a session comes twice');
    this.#known = state.sessions.loadKnown(id, positive(floor) as Sequence);
    this.#counts.known += 1;
  }

  #loadReturning(reader: Reader, state: SpaceState): void {
    let ids: readonly number[] = [];
    readFields(reader, [], (tag) => {
      if (tag !== lengthTag(1)) return false;
      ids = readPacked(reader);
      return true;
    });
    if (ids.length === 0) throw malformed('tuples that are to be given back');
    state.returns.add(ids.map((id) => handedRow(state, id as TupleId)));
    this.#handed += ids.length;
    this.#counts.returning += ids.length;
  }

  #loadOperation(reader: Reader, state: SpaceState): void {
    const known = required(this.#known);
    let [sequence, fence] = [0, 0];
    let ids: readonly number[] = [];
    let change: ChangeResult | undefined;
    readFields(reader, [], (tag) => {
      if (tag === varintTag(1)) sequence = reader.uint64();
      else if (tag === varintTag(2)) fence = reader.uint64();
      else if (tag === lengthTag(3)) ids = readPacked(reader);
      else if (tag === lengthTag(4)) change = readNested(reader, readResult);
      else return false;
      return true;
    });
    const handed = ids.map((id) => handedRow(state, id as TupleId));
    let bytes = change === undefined ? 0 : resultBytes(change);
    for (const row of handed) bytes += state.tuples.rows.size(row);
    if (known.operations.has(sequence as Sequence)) throw malformed('an operation comes twice');
    const record = { sequence: positive(sequence) as Sequence, fence, handed, change, bytes };
    state.sessions.loadOperation(known, record);
    this.#handed += handed.length;
    this.#counts.operations += 1;
  }
}

/** An empty state that begins as the header says, and how many tuples follow. */
export function readHeader(
  reader: Reader,
  limits: Partial<SpaceLimits>,
): { readonly state: SpaceState; readonly tuples: number } {
  const numbers = new Array<number>(14).fill(0);
  let slots: readonly number[] = [];
  let dropped: readonly number[] = [];
  readFields(reader, [], (tag) => {
    const field = tag >>> 3;
    if (tag === lengthTag(11)) slots = readPacked(reader);
    else if (tag === lengthTag(12)) dropped = readPacked(reader);
    else if (tag === varintTag(field) && field <= 13) numbers[field] = reader.uint64();
    else return false;
    // The first field: another format may have fields that this one has not.
    if (tag === formatTag) checkFormat(numbers[1] ?? 0);
    return true;
  });
  if (numbers[1] === 0) throw malformed('a snapshot begins with its format');
  if (slots.length !== slotBuckets) throw malformed('a snapshot has all slot changes');
  const number = (field: number): number => numbers[field] ?? 0;
  const state = new SpaceState(positive(number(2)) as PartitionId, limits);
  state.appliedIndex = number(3) as LogIndex;
  state.stampMs = number(4) as StampMs;
  state.tupleCounter = number(5);
  state.sessionCounter = number(6);
  state.history.loadPlaces(
    { revision: number(7) as LogIndex, position: number(8) },
    { revision: number(9) as LogIndex, position: number(10) },
  );
  state.slots.load(slots);
  for (const space of dropped) state.dropped.add(positive(space) as SpaceId);
  return { state, tuples: number(13) };
}

function checkFormat(found: number): void {
  if (found !== snapshotFormat)
    throw new FormatError({ what: 'snapshot', found, read: snapshotFormat });
}

function handedRow(state: SpaceState, id: TupleId): Row {
  const row = state.tuples.rowOf(id);
  if (row === noRow) throw malformed('a tuple handed over is missing');
  if (!state.tuples.rows.isHanded(row)) throw malformed('a tuple handed over is ready');
  return row;
}

function loadHome(reader: Reader, state: SpaceState): void {
  let [session, leaseMs] = [0, 0];
  let name = '';
  let ended = false;
  let touched: readonly number[] = [];
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) session = reader.uint64();
    else if (tag === varintTag(2)) leaseMs = reader.uint64();
    else if (tag === lengthTag(3)) name = reader.string();
    else if (tag === varintTag(4)) ended = readFlag(reader);
    else if (tag === lengthTag(5)) touched = readPacked(reader);
    else return false;
    return true;
  });
  const id = positive(session) as SessionId;
  if (state.sessions.home(id) !== undefined) throw malformed('a session comes twice');
  state.sessions.open(id, {
    leaseMs: positive(leaseMs),
    name,
    state: ended ? 'ended' : 'open',
    touched: new Set(touched as readonly PartitionId[]),
  });
}

function readTwo(reader: Reader): readonly [number, number] {
  let [first, second] = [0, 0];
  readFields(reader, [], (tag) => {
    if (tag === varintTag(1)) first = reader.uint64();
    else if (tag === varintTag(2)) second = reader.uint64();
    else return false;
    return true;
  });
  return [first, second];
}

/** The bytes up to the reader's end. */
function rest(reader: Reader): Uint8Array {
  const start = reader.advance(reader.end - reader.position);
  return reader.bytes.subarray(start, reader.end);
}

function checkEnd(reader: Reader, counts: ItemCounts): void {
  const numbers = new Array<number>(9).fill(0);
  readFields(reader, [], (tag) => {
    const field = tag >>> 3;
    if (tag !== varintTag(field) || field > 8) return false;
    numbers[field] = reader.uint64();
    return true;
  });
  const { tuples, known, home, ended, requests, events, operations, returning } = counts;
  const expected = [0, tuples, known, home, ended, requests, events, operations, returning];
  if (expected.some((count, i) => count !== numbers[i])) throw malformed('items are missing');
}
