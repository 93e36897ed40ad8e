/**
 * What a partition keeps of sessions (PROTOCOL §1): those it serves with their operations, marks of
 * those that ended lately, and the records of those whose home it is.
 */
import { NumberMap } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type { Attempt, PartitionId, Sequence, SessionId, StampMs } from '../base/ids.ts';
import { floorCountedMin, floorCountedShare } from '../base/limits.ts';
import type { SessionOperation } from './command.ts';
import type { Refusal } from './outcome.ts';
import type { ChangeResult } from './result-codec.ts';
import { resultBytes } from './result-codec.ts';
import type { Row } from './rows.ts';

/** result[op] and fence[op]. A record without either is not kept. */
export interface OperationRecord {
  readonly sequence: Sequence;
  /** The highest attempt fenced; 0: none. */
  fence: number;
  /** Rows handed over and not yet acknowledged; they stay where they are until then. */
  handed: readonly Row[];
  /** The outcome of a change. Never beside `handed`. */
  change: ChangeResult | undefined;
  /** Bytes of the result and of the tuples handed over. */
  bytes: number;
}

/** known[s] with what hangs on it. */
export interface KnownSession {
  readonly id: SessionId;
  floor: Sequence;
  readonly operations: NumberMap<OperationRecord>;
  /** Bytes of all operations. */
  bytes: number;
  /** The last cut that needs nothing more of this record: it was read, saved or began later. */
  cut: number;
}

/** home[s]. */
export interface HomeSession {
  readonly leaseMs: number;
  readonly name: string;
  readonly state: 'open' | 'ended';
  readonly touched: ReadonlySet<PartitionId>;
}

/** The record behind `HomeSession`. */
export interface HomeRecord extends HomeSession {
  readonly id: SessionId;
  state: 'open' | 'ended';
  readonly touched: Set<PartitionId>;
  /** As in KnownSession. */
  cut: number;
}

/** What a session holds here, for the bounds of SPEC §4. */
export interface SessionLoad {
  /** Operations with a result or a fence. */
  readonly operations: number;
  /** Bytes of results and of tuples not yet acknowledged. */
  readonly bytes: number;
}

/** Told once before a record that a snapshot has not yet read changes or goes. */
export interface SessionWatcher {
  beforeKnown(session: KnownSession): void;
  beforeHome(session: HomeRecord): void;
}

const firstSequence = 1 as Sequence;
const noRows: readonly Row[] = [];
const noLists: readonly (readonly Row[])[] = [];

/** The sessions of one partition. Tuples are given back by the caller. */
export class Sessions {
  readonly #known = new Map<SessionId, KnownSession>();
  readonly #home = new Map<SessionId, HomeRecord>();
  // Invariant: in the order of stamps; no session is both known and ended.
  readonly #ended = new Map<SessionId, StampMs>();
  readonly #partition: PartitionId;
  readonly #markMs: number;
  #oldestEndMs = Number.POSITIVE_INFINITY;
  /** The session found last: an entry asks for its own some five times. */
  #recent: KnownSession | undefined;
  #watcher: SessionWatcher | undefined;
  #cut = 0;

  constructor(partition: PartitionId, limits: { readonly endedMarkMs: number }) {
    this.#partition = partition;
    this.#markMs = limits.endedMarkMs;
  }

  state(session: SessionId): 'known' | 'ended' | 'unknown' {
    if (this.#known.has(session)) return 'known';
    return this.#ended.has(session) ? 'ended' : 'unknown';
  }

  known(session: SessionId): KnownSession | undefined {
    const recent = this.#recent;
    if (recent !== undefined && recent.id === session) return recent;
    const known = this.#known.get(session);
    if (known !== undefined) this.#recent = known;
    return known;
  }

  home(session: SessionId): HomeRecord | undefined {
    return this.#home.get(session);
  }

  allKnown(): IterableIterator<KnownSession> {
    return this.#known.values();
  }

  allHome(): IterableIterator<HomeRecord> {
    return this.#home.values();
  }

  /** The marks of ended sessions, oldest end first. */
  allEnded(): IterableIterator<[SessionId, StampMs]> {
    return this.#ended.entries();
  }

  /** How many of each kind there are: the leader refuses new sessions beyond its bounds. */
  get counts(): { readonly known: number; readonly home: number; readonly ended: number } {
    return { known: this.#known.size, home: this.#home.size, ended: this.#ended.size };
  }

  /** What a session holds; with a floor, what it would hold once that is raised. */
  load(session: SessionId, floor: Sequence = firstSequence): SessionLoad {
    const known = this.known(session);
    if (known === undefined) return { operations: 0, bytes: 0 };
    let { bytes } = known;
    let operations = known.operations.size;
    if (floor <= known.floor) return { operations, bytes };
    for (const record of known.operations.values()) {
      if (record.sequence >= floor) continue;
      operations -= 1;
      bytes -= record.bytes;
    }
    return { operations, bytes };
  }

  operation(operation: SessionOperation): OperationRecord | undefined {
    return this.known(operation.session)?.operations.get(operation.sequence);
  }

  /** PROTOCOL §2, `admit`, in its order. The operation's own floor counts as raised already. */
  admit(operation: SessionOperation): 'ok' | Refusal {
    const known = this.known(operation.session);
    if (known === undefined)
      return this.#ended.has(operation.session) ? 'ended' : 'unknown-session';
    const { sequence } = operation;
    if (sequence < known.floor || sequence < operation.floor) return 'closed';
    const fence = known.operations.get(sequence)?.fence ?? 0;
    return operation.attempt < fence ? 'fenced' : 'ok';
  }

  fenceOf(session: SessionId, sequence: Sequence): Attempt | 0 {
    return (this.known(session)?.operations.get(sequence)?.fence ?? 0) as Attempt | 0;
  }

  /**
   * Every entry of a session raises floor[s]: drops what is kept of operations below it and returns
   * the rows handed over to them, a list for each, to be given back in the order of sequences.
   */
  raiseFloor(session: SessionId, floor: Sequence): readonly (readonly Row[])[] {
    const known = this.known(session);
    if (known === undefined || floor <= known.floor) return noLists;
    this.#beforeKnown(known);
    const { operations } = known;
    const holders: OperationRecord[] = [];
    // By counting, unless that is much longer than looking at each, which sorts them.
    if (floor - known.floor <= floorCountedMin + operations.size * floorCountedShare) {
      for (let at = known.floor; at < floor && operations.size > 0; at = (at + 1) as Sequence) {
        const record = operations.get(at);
        if (record !== undefined) this.#close(known, record, holders);
      }
    } else {
      for (const record of operations.values())
        if (record.sequence < floor) this.#close(known, record, holders);
    }
    known.floor = floor;
    return holders.length === 0 ? noLists : inOrder(holders).map(({ handed }) => handed);
  }

  /** E4: fence[op] = attempt. */
  fence(operation: SessionOperation): void {
    const known = this.#changing(operation.session);
    const record = recordOf(known, operation.sequence);
    assert(record.fence <= operation.attempt, 'fences rise');
    record.fence = operation.attempt;
  }

  /** E1, E2: result[op] = the tuples of these rows. */
  hand(operation: SessionOperation, rows: Row[], bytes: number): void {
    const known = this.#changing(operation.session);
    const record = recordOf(known, operation.sequence);
    assert(record.handed.length === 0, 'an operation is handed tuples once');
    assert(record.change === undefined, 'an operation has one result');
    record.handed = rows;
    addBytes(known, record, bytes);
  }

  /** E3 and other changes: result[op]. */
  remember(operation: SessionOperation, change: ChangeResult): void {
    const known = this.#changing(operation.session);
    const record = recordOf(known, operation.sequence);
    assert(record.handed.length === 0, 'an operation has one result');
    assert(record.change === undefined, 'an operation is carried out once');
    record.change = change;
    addBytes(known, record, resultBytes(change));
  }

  /** E5: whether the row is handed over to this operation; it leaves the result. The fence stays. */
  receive(session: SessionId, sequence: Sequence, row: Row, bytes: number): boolean {
    const known = this.known(session);
    const record = known?.operations.get(sequence);
    if (known === undefined || record === undefined) return false;
    const at = record.handed.indexOf(row);
    if (at < 0) return false;
    this.#beforeKnown(known);
    record.handed = record.handed.length === 1 ? noRows : record.handed.toSpliced(at, 1);
    addBytes(known, record, -bytes);
    if (record.handed.length === 0 && record.fence === 0) known.operations.delete(sequence);
    return true;
  }

  /** E7: known[s], unless ended[s]. Returns whether it is known now. */
  know(session: SessionId): boolean {
    if (this.#ended.has(session)) return false;
    if (this.#known.has(session)) return true;
    this.#known.set(session, {
      id: session,
      floor: firstSequence,
      operations: new NumberMap(),
      bytes: 0,
      cut: this.#cut,
    });
    return true;
  }

  /**
   * E8: known[s] off, ended[s] on, at home the record is ended; results and fences go. Returns the
   * rows handed over, a list for each operation, in the order of sequences. A home that was not
   * touched needs no mark: it was never said OPEN, so none can come late (S3).
   */
  end(session: SessionId, stampMs: StampMs): readonly (readonly Row[])[] {
    const returned: (readonly Row[])[] = [];
    const known = this.known(session);
    if (known !== undefined) {
      this.#beforeKnown(known);
      for (const { handed } of inOrder(known.operations.values()))
        if (handed.length > 0) returned.push(handed);
      this.#known.delete(session);
      this.#recent = undefined;
    }
    const home = this.#home.get(session);
    if (home !== undefined && home.state === 'open') {
      this.#beforeHome(home);
      home.state = 'ended';
    }
    if (home === undefined || home.touched.has(this.#partition)) this.mark(session, stampMs);
    return returned;
  }

  /** ended[s]; a mark that is there keeps its stamp. */
  mark(session: SessionId, stampMs: StampMs): void {
    if (this.#ended.has(session)) return;
    if (this.#ended.size === 0) this.#oldestEndMs = stampMs;
    this.#ended.set(session, stampMs);
  }

  /** Begins a session at home. */
  open(id: SessionId, session: HomeSession): void {
    assert(!this.#home.has(id), 'ids of sessions are never reused');
    const touched = new Set(session.touched);
    this.#home.set(id, { ...session, id, touched, cut: this.#cut });
  }

  /** E6: whether the session is open at home; then the partition is among those touched. */
  touch(session: SessionId, partition: PartitionId): boolean {
    const home = this.#home.get(session);
    if (home === undefined || home.state === 'ended') return false;
    if (home.touched.has(partition)) return true;
    this.#beforeHome(home);
    home.touched.add(partition);
    return true;
  }

  /** The record of an ended session goes; nothing where it is open. */
  forget(session: SessionId): void {
    const home = this.#home.get(session);
    if (home === undefined || home.state === 'open') return;
    this.#beforeHome(home);
    this.#home.delete(session);
  }

  /** S3: marks go after their time. */
  endEntry(stampMs: StampMs): void {
    if (this.#oldestEndMs + this.#markMs > stampMs) return;
    this.#oldestEndMs = Number.POSITIVE_INFINITY;
    for (const [session, endedMs] of this.#ended) {
      if (endedMs + this.#markMs > stampMs) {
        this.#oldestEndMs = endedMs;
        break;
      }
      this.#ended.delete(session);
    }
  }

  /** Loading: a session that is served, with its operations. */
  loadKnown(id: SessionId, floor: Sequence): KnownSession {
    const known = {
      id,
      floor,
      operations: new NumberMap<OperationRecord>(),
      bytes: 0,
      cut: this.#cut,
    };
    this.#known.set(id, known);
    return known;
  }

  /** Loading: an operation of a session that is served. */
  loadOperation(known: KnownSession, record: OperationRecord): void {
    known.operations.set(record.sequence, record);
    known.bytes += record.bytes;
  }

  /** A snapshot begins: from here on the watcher is told of each record before it first changes. */
  beginCut(watcher: SessionWatcher): void {
    this.#watcher = watcher;
    this.#cut += 1;
  }

  /** Whether the present cut still needs the record; from now on it does not. */
  claimForCut(record: KnownSession | HomeRecord): boolean {
    const needed = record.cut !== this.#cut;
    record.cut = this.#cut;
    return needed;
  }

  /** The snapshot is done or given up. */
  endCut(): void {
    this.#watcher = undefined;
  }

  /** Costly check: accounts and exclusions hold. `bytesOf` gives the size of a row's tuple. */
  verify(bytesOf: (row: Row) => number): void {
    for (const known of this.#known.values()) {
      assert(!this.#ended.has(known.id), 'a session is never known and ended');
      let bytes = 0;
      for (const sequence of known.operations.keys()) {
        const record = known.operations.get(sequence);
        assert(record?.sequence === sequence, 'an operation stands under its sequence');
        assert(sequence >= known.floor, 'nothing is kept below the floor');
        const handed = record.handed.length > 0;
        assert(
          handed || record.change !== undefined || record.fence > 0,
          'a record says something',
        );
        assert(!handed || record.change === undefined, 'an operation has one result');
        let own = record.change === undefined ? 0 : resultBytes(record.change);
        for (const row of record.handed) own += bytesOf(row);
        assert(own === record.bytes, 'an operation accounts for its bytes');
        bytes += own;
      }
      assert(bytes === known.bytes, 'a session accounts for its bytes');
    }
    let last = 0;
    for (const endedMs of this.#ended.values()) {
      assert(endedMs >= last, 'marks stand in the order of their stamps');
      last = endedMs;
    }
  }

  #changing(session: SessionId): KnownSession {
    const known = this.known(session);
    assert(known !== undefined, 'only an admitted operation leaves something behind');
    this.#beforeKnown(known);
    return known;
  }

  #beforeKnown(known: KnownSession): void {
    if (this.#watcher === undefined) return;
    if (this.claimForCut(known)) this.#watcher.beforeKnown(known);
  }

  #beforeHome(home: HomeRecord): void {
    if (this.#watcher === undefined) return;
    if (this.claimForCut(home)) this.#watcher.beforeHome(home);
  }

  /** Forgets an operation; it joins the `holders` if tuples are handed over to it. */
  #close(known: KnownSession, record: OperationRecord, holders: OperationRecord[]): void {
    known.bytes -= record.bytes;
    known.operations.delete(record.sequence);
    if (record.handed.length > 0) holders.push(record);
  }
}

function recordOf(known: KnownSession, sequence: Sequence): OperationRecord {
  let record = known.operations.get(sequence);
  if (record === undefined) {
    record = { sequence, fence: 0, handed: noRows, change: undefined, bytes: 0 };
    known.operations.set(sequence, record);
  }
  return record;
}

function addBytes(known: KnownSession, record: OperationRecord, bytes: number): void {
  record.bytes += bytes;
  known.bytes += bytes;
}

/** Records ascending by sequence: the order in which tuples are given back is replicated. */
export function inOrder(records: Iterable<OperationRecord>): OperationRecord[] {
  return [...records].sort((a, b) => a.sequence - b.sequence);
}
