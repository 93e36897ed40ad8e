/**
 * What entries do to tuples, rule by rule (PROTOCOL §2). Every check is made here, on every replica
 * (L4); a leader's earlier look only saves work. Checks come before effects: an entry happens whole
 * or not at all, apart from the floor, which every entry of a session raises.
 */
import { assert, present } from '../base/assert.ts';
import {
  idIn,
  type LogIndex,
  type Sequence,
  type SessionId,
  type Slot,
  type SpaceId,
  type StampMs,
  type TupleId,
} from '../base/ids.ts';
import type {
  CancelCommand,
  DropSpaceCommand,
  ExpireCommand,
  FenceCommand,
  HandCommand,
  NewTuple,
  Operation,
  ReceiptCommand,
  RenewCommand,
  ReplaceCommand,
  SessionOperation,
  WriteCommand,
} from './command.ts';
import type { HistoryKind } from './history.ts';
import type { HandOverOutcome, Outcome, Result, StoredTuple, WrittenTuple } from './outcome.ts';
import { type ChangeResult, replacedResult } from './result-codec.ts';
import { noRow, type Row } from './rows.ts';
import type { SpaceState } from './space-state.ts';

/** The latest end of a lease: what the columns hold. Beyond any clock, so nothing is lost. */
const leaseEndMsMax = 2 ** 48 - 1;

const noHandOvers: readonly HandOverOutcome[] = [];

/** E3 `WRITE`. */
export function applyWrite(state: SpaceState, command: WriteCommand): Outcome {
  const { operation, space, absence } = command;
  const early = begin(state, operation);
  if (early !== undefined) return early;
  if (absence !== undefined && state.slots.last(space, absence.slot) !== absence.lastChange) {
    return { kind: 'miss' };
  }
  const tuples: WrittenTuple[] = [];
  for (const tuple of command.tuples) tuples.push(writeOne(state, space, tuple));
  const result: ChangeResult = { kind: 'written', tuples };
  remember(state, operation, result);
  if (command.handOvers.length === 0) return { kind: 'result', result, handOvers: noHandOvers };
  const handOvers = command.handOvers.map(({ tuple, to }) => {
    const { id } = present(tuples[tuple], 'a hand-over names a tuple of its write');
    return handOverWritten(state, to, state.tuples.rowOf(id));
  });
  return { kind: 'result', result, handOvers };
}

/** E1 `ACCEPT`, E2 `HAND`: all tuples or none. */
export function applyHand(state: SpaceState, command: HandCommand): Outcome {
  const { operation } = command;
  const early = begin(state, operation);
  if (early !== undefined) return early;
  assert(command.tuples.length > 0, 'a hand-over names tuples');
  const rows: Row[] = [];
  for (const id of command.tuples) {
    const row = state.tuples.rowOf(id);
    if (row === noRow || !state.tuples.rows.visible(row, state.stampMs)) return { kind: 'miss' };
    rows.push(row);
  }
  return { kind: 'result', result: handOver(state, operation, rows), handOvers: [] };
}

/** E4 `FENCE`. */
export function applyFence(state: SpaceState, command: FenceCommand): Outcome {
  const { operation } = command;
  raiseFloor(state, operation.session, operation.floor);
  const admitted = state.sessions.admit(operation);
  if (admitted !== 'ok') return { kind: 'stop', why: admitted };
  state.sessions.fence(operation);
  const result = resultOf(state, operation);
  return result === undefined ? { kind: 'fenced' } : { kind: 'result', result, handOvers: [] };
}

/**
 * E5 `RECEIPT`. The receipts come before the floor: a tuple that its client has is gone, even where
 * the same message closes its operation.
 */
export function applyReceipt(state: SpaceState, command: ReceiptCommand): Outcome {
  const { tuples, sessions } = state;
  for (const { sequence, tuple } of command.receipts) {
    const row = tuples.rowOf(tuple);
    if (row === noRow) continue;
    if (!sessions.receive(command.session, sequence, row, tuples.rows.size(row))) continue;
    removeRow(state, row);
  }
  raiseFloor(state, command.session, command.floor);
  return { kind: 'received' };
}

/** One tuple takes a new form. Void unless it is visible and has the revision. */
export function applyReplace(state: SpaceState, command: ReplaceCommand): Outcome {
  const early = begin(state, command.operation);
  if (early !== undefined) return early;
  const { tuples, stampMs } = state;
  const { rows } = tuples;
  const row = tuples.rowOf(command.tuple);
  if (row === noRow || !rows.visible(row, stampMs)) return { kind: 'miss' };
  if (rows.revision(row) !== command.revision) return { kind: 'miss' };
  const old = tuples.kept(row);
  tuples.replace(row, {
    revision: state.appliedIndex,
    bytes: command.bytes,
    leaseEndMs:
      command.leaseMs === 'keep' ? rows.leaseEndMs(row) : leaseEnd(stampMs, command.leaseMs),
  });
  state.slots.set(rows.space(row), rows.slot(row), state.appliedIndex);
  event(state, 'replaced', row, old);
  const result = replacedResult(old, tuples.kept(row));
  remember(state, command.operation, result);
  return { kind: 'result', result, handOvers: [] };
}

/** Removes a tuple that is visible. */
export function applyCancel(state: SpaceState, command: CancelCommand): Outcome {
  const early = begin(state, command.operation);
  if (early !== undefined) return early;
  const row = state.tuples.rowOf(command.tuple);
  const found = row !== noRow && state.tuples.rows.visible(row, state.stampMs);
  if (found) {
    event(state, 'cancelled', row);
    removeRow(state, row);
  }
  const result: ChangeResult = { kind: 'cancelled', found };
  remember(state, command.operation, result);
  return { kind: 'result', result, handOvers: [] };
}

/** Gives a tuple, ready or handed over, a new lease, unless the old one is over: that is final. */
export function applyRenew(state: SpaceState, command: RenewCommand): Outcome {
  const early = begin(state, command.operation);
  if (early !== undefined) return early;
  const row = state.tuples.rowOf(command.tuple);
  const found = row !== noRow && state.tuples.rows.leaseEndMs(row) > state.stampMs;
  if (found) state.tuples.renew(row, leaseEnd(state.stampMs, command.leaseMs));
  const leaseEndMs = found ? finite(state.tuples.rows.leaseEndMs(row)) : undefined;
  const result: ChangeResult = { kind: 'renewed', found, leaseEndMs };
  remember(state, command.operation, result);
  return { kind: 'result', result, handOvers: [] };
}

/** E9 `EXPIRE`: ready tuples whose lease is over; others are passed over. */
export function applyExpire(state: SpaceState, command: ExpireCommand): Outcome {
  const { rows } = state.tuples;
  for (const id of command.tuples) {
    const row = state.tuples.rowOf(id);
    if (row === noRow || !rows.isReady(row) || rows.leaseEndMs(row) > state.stampMs) continue;
    event(state, 'expired', row);
    removeRow(state, row);
  }
  return { kind: 'done' };
}

/**
 * Removes tuples of a dropped space, oldest first, up to the bounds of a batch. Tuples handed over
 * stay until their receipt, for whoever received them has them; given back, they go.
 */
export function applyDropSpace(state: SpaceState, command: DropSpaceCommand): Outcome {
  const { tuples, limits } = state;
  const list = tuples.list(command.space);
  if (list === undefined) return { kind: 'done' };
  state.dropped.add(command.space);
  let count = 0;
  let bytes = 0;
  for (let row = list.oldestReady; row !== noRow && count < limits.batchTuplesMax; ) {
    const next = list.nextReady(row);
    bytes += tuples.rows.size(row);
    if (count > 0 && bytes > limits.batchBytesMax) break;
    count += 1;
    event(state, 'cancelled', row);
    removeRow(state, row);
    row = next;
  }
  return { kind: 'done' };
}

/** E8's part for tuples, and the floor's: what fits this entry; the rest waits for GIVE-BACK. */
export function letGo(state: SpaceState, held: readonly (readonly Row[])[]): void {
  if (held.length === 0) return;
  for (const rows of held) state.returns.add(rows);
  giveBack(state);
}

/** Gives back tuples that wait for it: they take their old places, deliveries + 1. */
export function giveBack(state: SpaceState): void {
  const { tuples, stampMs, returns } = state;
  const sizeOf = (row: Row): number => tuples.rows.size(row);
  for (let row = returns.next(sizeOf); row !== noRow; row = returns.next(sizeOf)) {
    const dropped = state.dropped.has(tuples.rows.space(row));
    const over = tuples.rows.leaseEndMs(row) <= stampMs;
    if (dropped || over) {
      event(state, over ? 'expired' : 'cancelled', row);
      removeRow(state, row);
    } else {
      tuples.giveBack(row);
      event(state, 'returned', row);
    }
  }
}

/** result[op], from rows where tuples are handed over. */
export function resultOf(state: SpaceState, operation: Operation): Result | undefined {
  if (operation.kind === 'request') return state.requests.get(operation);
  const record = state.sessions.operation(operation);
  if (record === undefined) return undefined;
  if (record.handed.length === 0) return record.change;
  return { kind: 'handed', tuples: record.handed.map((row) => state.tuples.stored(row)) };
}

/** Raises floor[s]; a hand-over below it that no receipt came for is given back. */
function raiseFloor(state: SpaceState, session: SessionId, floor: Sequence): void {
  letGo(state, state.sessions.raiseFloor(session, floor));
}

/** Floor, admission and an earlier result, in this order; undefined: the entry takes effect. */
function begin(state: SpaceState, operation: Operation | undefined): Outcome | undefined {
  if (operation === undefined) return undefined;
  if (operation.kind === 'session') {
    raiseFloor(state, operation.session, operation.floor);
    const admitted = state.sessions.admit(operation);
    if (admitted !== 'ok') return { kind: 'stop', why: admitted };
  }
  const result = resultOf(state, operation);
  return result === undefined ? undefined : { kind: 'result', result, handOvers: [] };
}

function remember(state: SpaceState, operation: Operation | undefined, result: ChangeResult): void {
  if (operation === undefined) return;
  if (operation.kind === 'session') state.sessions.remember(operation, result);
  else state.requests.add(operation, state.stampMs, result);
}

/** The columns of the tuple that is being written: one serves all, as `add` keeps none of it. */
const newColumns = {
  counter: 0,
  revision: 0 as LogIndex,
  writtenAtMs: 0 as StampMs,
  space: 0 as SpaceId,
  slot: 0 as Slot,
  handed: false,
  deliveries: 0,
  leaseEndMs: Number.POSITIVE_INFINITY,
};

function writeOne(state: SpaceState, space: SpaceId, tuple: NewTuple): WrittenTuple {
  const { appliedIndex: revision, stampMs } = state;
  const leaseEndMs = leaseEnd(stampMs, tuple.leaseMs);
  state.tupleCounter += 1;
  newColumns.counter = state.tupleCounter;
  newColumns.revision = revision;
  newColumns.writtenAtMs = stampMs;
  newColumns.space = space;
  newColumns.slot = tuple.slot;
  newColumns.leaseEndMs = leaseEndMs;
  const row = state.tuples.add(newColumns, tuple.bytes);
  state.slots.set(space, tuple.slot, revision);
  event(state, 'written', row);
  const id = idIn(state.partition, state.tupleCounter) as TupleId;
  return { id, revision, leaseEndMs: finite(leaseEndMs) };
}

/** E3's hand-over, as E2 under an `admit` of its own; where it is void, the tuple stays ready. */
function handOverWritten(state: SpaceState, to: SessionOperation, row: Row): HandOverOutcome {
  raiseFloor(state, to.session, to.floor);
  const admitted = state.sessions.admit(to);
  if (admitted !== 'ok') return { kind: 'stop', why: admitted };
  const earlier = resultOf(state, to);
  return { kind: 'result', result: earlier ?? handOver(state, to, [row]) };
}

function handOver(state: SpaceState, operation: SessionOperation, rows: Row[]): Result {
  const { tuples } = state;
  let bytes = 0;
  const handed: StoredTuple[] = [];
  for (const row of rows) {
    tuples.handOver(row);
    event(state, 'taken', row);
    bytes += tuples.rows.size(row);
    handed.push(tuples.stored(row));
  }
  state.sessions.hand(operation, rows, bytes);
  return { kind: 'handed', tuples: handed };
}

function removeRow(state: SpaceState, row: Row): void {
  const space = state.tuples.rows.space(row);
  state.tuples.remove(row);
  if (state.dropped.size > 0 && state.tuples.list(space) === undefined) state.dropped.delete(space);
}

function event(state: SpaceState, kind: HistoryKind, row: Row, old?: StoredTuple): void {
  state.history.add(kind, state, row, old);
}

function leaseEnd(stampMs: StampMs, leaseMs: number | undefined): number {
  if (leaseMs === undefined) return Number.POSITIVE_INFINITY;
  return Math.min(stampMs + leaseMs, leaseEndMsMax);
}

function finite(leaseEndMs: number): StampMs | undefined {
  return leaseEndMs === Number.POSITIVE_INFINITY ? undefined : (leaseEndMs as StampMs);
}

/** The id of the session opened next. */
export function nextSession(state: SpaceState): SessionId {
  state.sessionCounter += 1;
  return idIn(state.partition, state.sessionCounter) as SessionId;
}

/** Ids of ready tuples whose lease is over, for the leader's next EXPIRE. */
export function expiredIds(state: SpaceState, stampMs: StampMs, max: number): TupleId[] {
  const { batchTuplesMax, batchBytesMax } = state.limits;
  return state.tuples.expired(stampMs, Math.min(max, batchTuplesMax), batchBytesMax);
}
