/**
 * The replicated state machine of one partition: entries in, outcomes out. Pure and deterministic;
 * equal logs make equal states on every replica. DESIGN.md says how it is laid out.
 */
import { assert, unreachable } from '../base/assert.ts';
import type {
  Attempt,
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  TupleId,
} from '../base/ids.ts';
import {
  applyCancel,
  applyDropSpace,
  applyExpire,
  applyFence,
  applyHand,
  applyReceipt,
  applyRenew,
  applyReplace,
  applyWrite,
  expiredIds,
  giveBack,
  letGo,
  nextSession,
  resultOf,
} from './apply.ts';
import type { Command, Entry, OpenSessionCommand, Operation, SessionOperation } from './command.ts';
import type { EventHistory } from './history.ts';
import type { Outcome, Refusal, Result, StoredTuple } from './outcome.ts';
import { noRow, type Row, type TupleRows } from './rows.ts';
import type { HomeSession, SessionLoad } from './sessions.ts';
import { SnapshotCut } from './snapshot.ts';
import { SnapshotLoader } from './snapshot-load.ts';
import { type SpaceLimits, SpaceState } from './space-state.ts';
import { stateHashOf } from './state-hash.ts';
import type { Counts, RowObserver } from './tuple-store.ts';

/** What a Space is made with. */
export interface SpaceOptions {
  readonly partition: PartitionId;
  /** Bounds that differ from `base/limits.ts`; equal on all replicas. */
  readonly limits?: Partial<SpaceLimits>;
}

/**
 * One partition's state. `apply` is called by the partition's driver alone, once for each committed
 * entry, in order; everyone else only looks. Rows are valid until the next `apply`, views of bytes
 * also only until the next `compactSlice`.
 */
export class Space {
  readonly #state: SpaceState;
  #cut: SnapshotCut | undefined;

  constructor(options: SpaceOptions | SpaceState) {
    this.#state =
      options instanceof SpaceState ? options : new SpaceState(options.partition, options.limits);
  }

  /**
   * A space from the chunks of a snapshot, whole and in order. Throws DecodeError where they are not
   * one. The observer is set afterwards: the leader reads what is there by itself.
   */
  static load(chunks: Iterable<Uint8Array>, limits: Partial<SpaceLimits> = {}): Space {
    const loader = new SnapshotLoader(limits);
    for (const chunk of chunks) loader.add(chunk);
    return new Space(loader.finish());
  }

  // Replicated input.

  /** Applies the entry at `index`, which follows the one applied last. */
  apply(index: LogIndex, entry: Entry): Outcome {
    const state = this.#state;
    assert(index === state.appliedIndex + 1, 'entries are applied in order, each once');
    state.appliedIndex = index;
    if (entry.stampMs > state.stampMs) state.stampMs = entry.stampMs;
    state.returns.beginEntry();
    const outcome = applyCommand(state, entry.command);
    state.sessions.endEntry(state.stampMs);
    state.requests.endEntry(state.stampMs);
    state.history.endEntry(state.stampMs);
    return outcome;
  }

  /** The next entry means nothing here: a term began with it, or the group's configuration changed. */
  pass(index: LogIndex): void {
    const state = this.#state;
    assert(index === state.appliedIndex + 1, 'entries are applied in order, each once');
    state.appliedIndex = index;
  }

  // What the leader and readers look at.

  get partition(): PartitionId {
    return this.#state.partition;
  }

  /** The last entry applied; 0: none. */
  get appliedIndex(): LogIndex {
    return this.#state.appliedIndex;
  }

  /** The largest stamp applied: the partition's clock (SPEC §4). */
  get stampMs(): StampMs {
    return this.#state.stampMs;
  }

  /** known[s], ended[s]. */
  session(session: SessionId): 'known' | 'ended' | 'unknown' {
    return this.#state.sessions.state(session);
  }

  /** home[s] and touched[s], where this partition is the session's home. */
  home(session: SessionId): HomeSession | undefined {
    return this.#state.sessions.home(session);
  }

  /** All sessions whose home this is, ended ones that are not yet forgotten too. */
  *homeSessions(): Generator<readonly [SessionId, HomeSession]> {
    for (const record of this.#state.sessions.allHome()) yield [record.id, record];
  }

  /** How many sessions are known, at home and marked as ended here. */
  get sessionCounts(): { readonly known: number; readonly home: number; readonly ended: number } {
    return this.#state.sessions.counts;
  }

  /** PROTOCOL §2 `admit`, as it would come out now. */
  admit(operation: SessionOperation): 'ok' | Refusal {
    return this.#state.sessions.admit(operation);
  }

  /** result[op]: of a session while it is open, of a request while it is remembered. */
  result(operation: Operation): Result | undefined {
    return resultOf(this.#state, operation);
  }

  /** fence[op]; 0: none. */
  fenceOf(session: SessionId, sequence: Sequence): Attempt | 0 {
    return this.#state.sessions.fenceOf(session, sequence);
  }

  /** What a session holds here: the leader refuses beyond SPEC §4's bounds with SESSION_BUSY. With a floor: without what lies below it. */
  sessionLoad(session: SessionId, floor?: Sequence): SessionLoad {
    return this.#state.sessions.load(session, floor);
  }

  /**
   * The entry that last wrote or replaced a tuple in a slot of a space; 0: none. May be too high,
   * because slots of different spaces share buckets. Removals do not count: they make no absence untrue.
   */
  slotLastChange(space: SpaceId, slot: Slot): LogIndex {
    return this.#state.slots.last(space, slot);
  }

  /** The tuples' columns. */
  get rows(): TupleRows {
    return this.#state.tuples.rows;
  }

  /** The row of a tuple, or `noRow` (-1). */
  rowOf(tuple: TupleId): Row {
    return this.#state.tuples.rowOf(tuple);
  }

  /** The id of a row's tuple. */
  idOf(row: Row): TupleId {
    return this.#state.tuples.idOf(row);
  }

  /** A view of a row's stored bytes. */
  bytesOf(row: Row): Uint8Array {
    return this.#state.tuples.bytesOf(row);
  }

  /** The memory that holds a row's bytes, from `startOf` on, `rows.size` long: for matching without a view. */
  chunkOf(row: Row): Uint8Array {
    return this.#state.tuples.slabs.chunkOf(this.rows.place(row));
  }

  /** See `chunkOf`. */
  startOf(row: Row): number {
    return this.#state.tuples.slabs.startOf(this.rows.place(row));
  }

  /** A row's tuple with a copy of its bytes. */
  stored(row: Row): StoredTuple {
    return this.#state.tuples.stored(row);
  }

  /** The oldest ready row of a space, or `noRow`. Its lease may be over: ask `rows.visible`. */
  oldestReady(space: SpaceId): Row {
    return this.#state.tuples.list(space)?.oldestReady ?? noRow;
  }

  /** The next younger ready row of the same space, or `noRow`. */
  nextReady(row: Row): Row {
    return this.#state.tuples.list(this.rows.space(row))?.nextReady(row) ?? noRow;
  }

  /** The oldest row of a space in any state, or `noRow`: for reads by state and absence checks. */
  oldest(space: SpaceId): Row {
    return this.#state.tuples.list(space)?.oldest ?? noRow;
  }

  /** The next younger row of the same space in any state, or `noRow`. */
  next(row: Row): Row {
    return this.rows.next(row);
  }

  /** Spaces that have tuples here, dropped ones too. */
  spaces(): readonly SpaceId[] {
    return this.#state.tuples.spaces();
  }

  /** The earliest end of a ready tuple's lease, or Infinity. */
  nextDeadlineMs(): number {
    return this.#state.tuples.deadlines.nextMs;
  }

  /** Ready tuples whose lease ends at or before a stamp: at most `max`, 1,000 and 1 MiB. */
  expiredRows(stampMs: StampMs, max: number): TupleId[] {
    return expiredIds(this.#state, stampMs, max);
  }

  /** All of them. */
  allExpired(stampMs: StampMs): TupleId[] {
    return this.#state.tuples.expired(stampMs, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  /** Tuples of sessions that are over, or of operations below a floor, that wait for GIVE-BACK. */
  get returning(): number {
    return this.#state.returns.count;
  }

  /** Tuples by state, of one space or all. Ready ones whose lease is over count until they expire. */
  counts(space?: SpaceId): Counts {
    return this.#state.tuples.counts(space);
  }

  /** What happened, for notify (SPEC §8). */
  get history(): EventHistory {
    return this.#state.history;
  }

  /** Who hears of transitions: one leader's indexes, or nobody. */
  get observer(): RowObserver | undefined {
    return this.#state.tuples.observer;
  }

  set observer(observer: RowObserver | undefined) {
    this.#state.tuples.observer = observer;
  }

  /** Bytes of memory: tuples with their columns and index, history, results of requests. */
  get heldBytes(): {
    readonly tuples: number;
    readonly history: number;
    readonly requests: number;
  } {
    const { tuples, history, requests } = this.#state;
    return {
      tuples: tuples.heldBytes,
      history: history.heldBytes,
      requests: requests.heldBytes,
    };
  }

  // Upkeep and snapshots.

  /** Moves bytes together, looking at up to `budgetRows` rows; whether there is more to do. */
  compactSlice(budgetRows: number): boolean {
    return this.#state.tuples.compactSlice(budgetRows);
  }

  /** Cuts a snapshot of the state as it is now, while `apply` goes on. One at a time. */
  beginSnapshot(): SnapshotCut {
    assert(this.#cut === undefined || this.#cut.ended, 'one snapshot is cut at a time');
    this.#cut = new SnapshotCut(this.#state);
    return this.#cut;
  }

  /** Equal for equal states, however they are laid out in memory. Costs a walk over everything. */
  stateHash(): bigint {
    return stateHashOf(this.#state);
  }

  /** Costly check of the whole state, for tests and the simulator. */
  verify(): void {
    const { tuples, sessions, requests, history, stampMs, dropped, returns } = this.#state;
    tuples.verify();
    returns.verify();
    sessions.verify((row) => tuples.rows.size(row));
    requests.verify(stampMs);
    history.verify(stampMs);
    for (const space of dropped)
      assert(tuples.list(space) !== undefined, 'a dropped space has tuples');
    const handed = new Set<Row>();
    for (const session of sessions.allKnown()) {
      for (const record of session.operations.values()) {
        for (const row of record.handed) {
          assert(tuples.rows.isHanded(row), 'an operation holds rows that are handed over');
          assert(!handed.has(row), 'a row is handed over to one operation');
          handed.add(row);
        }
      }
    }
    for (const row of returns.rows()) {
      assert(tuples.rows.isHanded(row), 'what is to be given back is handed over');
      assert(!handed.has(row), 'what is to be given back belongs to no operation');
      handed.add(row);
    }
    assert(
      handed.size === tuples.counts().handed,
      'each handed row belongs to an operation, or is to be given back',
    );
  }
}

function applyCommand(state: SpaceState, command: Command): Outcome {
  switch (command.kind) {
    case 'write':
      return applyWrite(state, command);
    case 'hand':
      return applyHand(state, command);
    case 'fence':
      return applyFence(state, command);
    case 'receipt':
      return applyReceipt(state, command);
    case 'replace':
      return applyReplace(state, command);
    case 'cancel':
      return applyCancel(state, command);
    case 'renew':
      return applyRenew(state, command);
    case 'expire':
      return applyExpire(state, command);
    case 'open-session':
      return openSession(state, command);
    case 'touch': // E6
      return { kind: 'session', open: state.sessions.touch(command.session, command.partition) };
    case 'know': // E7
      return { kind: 'session', open: state.sessions.know(command.session) };
    case 'end': // E8
      letGo(state, state.sessions.end(command.session, state.stampMs));
      return { kind: 'done' };
    case 'give-back':
      giveBack(state);
      return { kind: 'done' };
    case 'forget-session':
      state.sessions.forget(command.session);
      return { kind: 'done' };
    case 'drop-space':
      return applyDropSpace(state, command);
    case 'lead':
      return { kind: 'done' };
    default:
      return unreachable(command);
  }
}

function openSession(state: SpaceState, command: OpenSessionCommand): Outcome {
  const id = nextSession(state);
  const { leaseMs, name } = command;
  state.sessions.open(id, { leaseMs, name, state: 'open', touched: new Set() });
  return { kind: 'session-opened', session: id, leaseMs };
}
