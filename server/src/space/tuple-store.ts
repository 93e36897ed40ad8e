/**
 * All tuples of a partition: columns, bytes, the way from id to row, age lists and deadlines, kept
 * in step. Applying entries changes it; the leader, readers and snapshots look at it.
 */
import { NumberMap } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import {
  idIn,
  type LogIndex,
  type PartitionId,
  partitionOf,
  type SpaceId,
  type StampMs,
  type TupleId,
} from '../base/ids.ts';
import { AgeList } from './age-list.ts';
import { Copies } from './copies.ts';
import { Deadlines } from './deadlines.ts';
import type { StoredTuple } from './outcome.ts';
import { RowIndex } from './row-index.ts';
import { noRow, type Row, type TupleColumns, TupleRows } from './rows.ts';
import { Slabs } from './slabs.ts';

/**
 * What a leader's indexes hear, called from inside `apply` at each transition, never re-entrantly
 * and never by compaction: rows are not renumbered. It must not change the space.
 *
 * write: added, ready · hand over: unready · receipt: removed · give back: ready · replace: unready,
 * removed (old bytes), added, ready (new bytes) · cancel, expire: unready, removed · given back
 * after its lease's end: removed.
 */
export interface RowObserver {
  /** The row is ready; its bytes are there. */
  ready(row: Row): void;
  /** The row is no longer ready; its bytes are still there. */
  unready(row: Row): void;
  /** A tuple, or a new form, is present in some state: absence checks look at these (SPEC §3). */
  added?(row: Row): void;
  /** The tuple, or its old form, leaves for good; its bytes are still there. */
  removed?(row: Row): void;
}

/** How many tuples are there, by state. Ready counts those whose lease is over until they expire. */
export interface Counts {
  readonly ready: number;
  readonly handed: number;
}

const countersPerPartition = 2 ** 44;

/** The tuples of one partition. */
export class TupleStore {
  readonly rows: TupleRows = new TupleRows();
  readonly slabs: Slabs = new Slabs();
  readonly deadlines: Deadlines = new Deadlines(this.rows);
  observer: RowObserver | undefined;
  readonly #copies = new Copies();
  readonly #partition: PartitionId;
  readonly #index = new RowIndex(this.rows);
  // Invariant: a list is there exactly while its space has tuples.
  readonly #lists = new NumberMap<AgeList>();
  #ready = 0;
  #handed = 0;
  /** Loading: the highest counter so far, and whether none came after a higher one. */
  #loadedCounter = 0;
  #loadedInOrder = true;
  /** Compaction: the next row to look at and the chunks to empty; -1 while none is under way. */
  #compactAt = -1;
  #victims = new Set<number>();

  constructor(partition: PartitionId) {
    this.#partition = partition;
  }

  rowOf(id: TupleId): Row {
    if (partitionOf(id) !== this.#partition) return noRow;
    return this.#index.find(id % countersPerPartition);
  }

  idOf(row: Row): TupleId {
    return idIn(this.#partition, this.rows.counter(row)) as TupleId;
  }

  bytesOf(row: Row): Uint8Array {
    return this.slabs.view(this.rows.place(row), this.rows.size(row));
  }

  /** A tuple for who soon lets it go: its bytes lie beside others' (`Copies`). */
  stored(row: Row): StoredTuple {
    const { rows } = this;
    return this.#stored(row, this.#copies.copy(this.slabs, rows.place(row), rows.size(row)));
  }

  /** A tuple for who keeps it. */
  kept(row: Row): StoredTuple {
    const { rows } = this;
    return this.#stored(row, this.slabs.copy(rows.place(row), rows.size(row)));
  }

  #stored(row: Row, bytes: Uint8Array): StoredTuple {
    const { rows } = this;
    const leaseEndMs = rows.leaseEndMs(row);
    return {
      id: this.idOf(row),
      revision: rows.revision(row),
      bytes,
      deliveries: rows.deliveries(row),
      writtenAtMs: rows.writtenAtMs(row),
      leaseEndMs: leaseEndMs === Number.POSITIVE_INFINITY ? undefined : (leaseEndMs as StampMs),
      state: rows.state(row),
    };
  }

  /** The list of a space, undefined where it has no tuples. */
  list(space: SpaceId): AgeList | undefined {
    return this.#lists.get(space);
  }

  /** Spaces that have tuples here. */
  spaces(): readonly SpaceId[] {
    return this.#lists.keys() as SpaceId[];
  }

  counts(space?: SpaceId): Counts {
    if (space === undefined) return { ready: this.#ready, handed: this.#handed };
    const list = this.#lists.get(space);
    return list === undefined
      ? { ready: 0, handed: 0 }
      : { ready: list.ready, handed: list.handed };
  }

  /** Adds the youngest tuple of its space; what it is given is not kept. */
  add(columns: TupleColumns, bytes: Uint8Array): Row {
    const row = this.rows.add(columns, this.slabs.add(bytes), bytes.length);
    this.#index.add(row);
    this.#enlist(row);
    return row;
  }

  /** Loading: about so many tuples come. */
  expect(count: number): void {
    this.#index.expect(count);
  }

  /**
   * Loading: adds a tuple, in any order, whose bytes are those of `source` from `from` to `to`. False,
   * and no change, where its id is there already. `finishLoad` makes the lists when all are there.
   */
  load(columns: TupleColumns, source: Uint8Array, from: number, to: number): boolean {
    const { counter } = columns;
    if (counter > this.#loadedCounter) this.#loadedCounter = counter;
    else {
      if (this.#index.find(counter) !== noRow) return false;
      this.#loadedInOrder = false;
    }
    this.#index.add(this.rows.add(columns, this.slabs.add(source, from, to), to - from));
    return true;
  }

  /** Loading: puts all tuples into lists, in the order of their ids. */
  finishLoad(): void {
    const { rows } = this;
    const counters = new Float64Array(this.#loadedInOrder ? 0 : rows.rowCount);
    let count = 0;
    for (let row = 0 as Row; row < rows.rowCount; row = (row + 1) as Row) {
      if (rows.isFree(row)) continue;
      // Rows are filled as tuples come: where these came in order, so do the rows.
      if (this.#loadedInOrder) this.#enlist(row);
      else {
        counters[count] = rows.counter(row);
        count += 1;
      }
    }
    for (const counter of counters.subarray(0, count).sort())
      this.#enlist(this.#index.find(counter));
  }

  /** Ready to handed over. */
  handOver(row: Row): void {
    assert(this.rows.isReady(row), 'a tuple is handed over when it is ready');
    this.#leaveReady(row);
    this.#handed += 1;
    this.rows.setHanded(row);
    this.#listOf(row).handOver(row);
    this.observer?.unready(row);
  }

  /** Handed over to ready, in its old place, delivered once more. */
  giveBack(row: Row): void {
    assert(this.rows.isHanded(row), 'a tuple is given back when it is handed over');
    this.#handed -= 1;
    this.#listOf(row).giveBack(row);
    this.rows.setReturned(row);
    this.#becomeReady(row);
  }

  /** The tuple leaves for good. */
  remove(row: Row): void {
    const space = this.rows.space(row);
    const list = this.#listOf(row);
    if (this.rows.isReady(row)) {
      this.#leaveReady(row);
      this.observer?.unready(row);
    } else this.#handed -= 1;
    this.observer?.removed?.(row);
    list.remove(row);
    if (list.oldest === noRow) this.#lists.delete(space);
    this.#index.remove(row);
    this.slabs.remove(this.rows.place(row), this.rows.size(row));
    this.rows.free(row);
  }

  /** A ready tuple takes a new form; id, age and place stay. */
  replace(row: Row, form: { revision: LogIndex; bytes: Uint8Array; leaseEndMs: number }): void {
    assert(this.rows.isReady(row), 'a tuple is replaced when it is ready');
    this.#leaveReady(row);
    this.observer?.unready(row);
    this.observer?.removed?.(row);
    this.slabs.remove(this.rows.place(row), this.rows.size(row));
    const place = this.slabs.add(form.bytes);
    this.rows.setForm(row, form.revision, place, form.bytes.length);
    this.rows.setLeaseEnd(row, form.leaseEndMs);
    this.observer?.added?.(row);
    this.#becomeReady(row);
  }

  /** A new end of lease; Infinity: never. */
  renew(row: Row, leaseEndMs: number): void {
    this.deadlines.remove(row);
    this.rows.setLeaseEnd(row, leaseEndMs);
    if (this.rows.isReady(row) && leaseEndMs < Number.POSITIVE_INFINITY) this.deadlines.add(row);
  }

  /** Ready tuples whose lease ends at or before the stamp, at most `max` and `bytesMax` (one at least). */
  expired(stampMs: StampMs, max: number, bytesMax: number): TupleId[] {
    const ids: TupleId[] = [];
    let bytes = 0;
    this.deadlines.visit(stampMs, (row) => {
      bytes += this.rows.size(row);
      if (ids.length > 0 && bytes > bytesMax) return false;
      ids.push(this.idOf(row));
      return ids.length < max;
    });
    return ids;
  }

  /**
   * Moves live bytes out of chunks that are mostly dead, looking at up to `budgetRows` rows. Returns
   * whether there is more to do. Memory layout alone: no id, row or order changes. Waits for cuts.
   */
  compactSlice(budgetRows: number): boolean {
    if (this.slabs.held) return false;
    if (this.#compactAt < 0) {
      this.#victims = this.slabs.victims();
      if (this.#victims.size === 0) return false;
      this.#compactAt = 0;
    }
    const { rows } = this;
    const end = Math.min(this.#compactAt + budgetRows, rows.rowCount);
    for (let row = this.#compactAt as Row; row < end; row = (row + 1) as Row) {
      if (rows.isFree(row)) continue;
      const place = rows.place(row);
      if (!this.#victims.has(this.slabs.chunkNumberOf(place))) continue;
      rows.setPlace(row, this.slabs.move(place, rows.size(row)));
    }
    this.#compactAt = end < rows.rowCount ? end : -1;
    return this.#compactAt >= 0;
  }

  /** Bytes held: columns, the index and slabs. */
  get heldBytes(): number {
    return this.rows.heldBytes + this.#index.heldBytes + this.slabs.heldBytes;
  }

  /** Costly check that all parts agree. */
  verify(): void {
    const { rows } = this;
    const live = new Map<number, number>();
    let tuples = 0;
    let leased = 0;
    for (let row = 0 as Row; row < rows.rowCount; row = (row + 1) as Row) {
      if (rows.isFree(row)) continue;
      tuples += 1;
      assert(this.rowOf(this.idOf(row)) === row, 'an id leads to its row');
      if (rows.isReady(row) && rows.leaseEndMs(row) < Number.POSITIVE_INFINITY) leased += 1;
      const chunk = this.slabs.chunkNumberOf(rows.place(row));
      live.set(chunk, (live.get(chunk) ?? 0) + Math.ceil(rows.size(row) / 4) * 4);
    }
    this.slabs.verify(live);
    this.deadlines.verify();
    assert(leased === this.deadlines.count, 'deadlines serve the ready tuples with a lease');
    let ready = 0;
    let handed = 0;
    for (const list of this.#lists.values()) {
      list.verify();
      assert(list.oldest !== noRow, 'a list has tuples');
      ready += list.ready;
      handed += list.handed;
    }
    assert(ready === this.#ready, 'ready tuples are counted');
    assert(handed === this.#handed, 'handed tuples are counted');
    assert(ready + handed === tuples, 'each tuple is in a list');
  }

  #enlist(row: Row): void {
    const space = this.rows.space(row);
    let list = this.#lists.get(space);
    if (list === undefined) {
      list = new AgeList(this.rows);
      this.#lists.set(space, list);
    }
    list.append(row);
    this.observer?.added?.(row);
    if (this.rows.isHanded(row)) this.#handed += 1;
    else this.#becomeReady(row);
  }

  #listOf(row: Row): AgeList {
    return present(this.#lists.get(this.rows.space(row)), 'a tuple is in its space’s list');
  }

  #becomeReady(row: Row): void {
    this.#ready += 1;
    if (this.rows.leaseEndMs(row) < Number.POSITIVE_INFINITY) this.deadlines.add(row);
    this.observer?.ready(row);
  }

  #leaveReady(row: Row): void {
    this.#ready -= 1;
    this.deadlines.remove(row);
  }
}
