/**
 * The tuples' columns: typed arrays in pages, so that growth copies nothing and the garbage
 * collector sees a few objects a thousand tuples. A snapshot takes the pages as they are; a page
 * that changes while the snapshot has not yet read it is copied first.
 */
import { assert, present } from '../base/assert.ts';
import type { Brand } from '../base/brand.ts';
import type { LogIndex, Slot, SpaceId, StampMs } from '../base/ids.ts';
import type { Place } from './slabs.ts';

/** Where a tuple's columns are; stays the same while the tuple is there. `noRow` means none. */
export type Row = Brand<number, 'Row'>;
/** No row. */
export const noRow: Row = -1 as Row;

/** A tuple but for its bytes. Ids are the partition's counter. */
export interface TupleColumns {
  readonly counter: number;
  readonly revision: LogIndex;
  readonly writtenAtMs: StampMs;
  readonly space: SpaceId;
  readonly slot: Slot;
  readonly handed: boolean;
  readonly deliveries: number;
  /** Infinity: never. */
  readonly leaseEndMs: number;
}

/** What a row holds besides its links. Changed in place: one serves a walk over all rows. */
export class RowContent implements TupleColumns {
  counter = 0;
  revision: LogIndex = 0 as LogIndex;
  writtenAtMs: StampMs = 0 as StampMs;
  space: SpaceId = 0 as SpaceId;
  slot: Slot = 0 as Slot;
  handed = false;
  deliveries = 0;
  leaseEndMs: number = Number.POSITIVE_INFINITY;
  place: Place = 0;
  size = 0;
}

const pageShift = 10;
/** Rows of a page. */
export const pageRows: number = 1 << pageShift;
const pageMask = pageRows - 1;
const two32 = 2 ** 32;
/** Counters, revisions and stamps are held in 48 bits. */
const wideMax = 2 ** 48;

// A row's columns of 32 bits lie side by side, and so do those of 16 bits: who looks at a tuple wants
// several of them, and columns apart would be as many lines of the processor's cache.
const counterLow = 0;
const revisionLow = 1;
const writtenLow = 2;
const spaceColumn = 3;
/** deliveries × 4 + state. */
const stateColumn = 4;
const placeColumn = 5;
const sizeColumn = 6;
const wordColumns = 7;
const counterHigh = 0;
const revisionHigh = 1;
const writtenHigh = 2;
const slotColumn = 3;
const halfColumns = 4;

const free = 0;
const ready = 1;
const handed = 2;
const deliveriesMax = 2 ** 30 - 1;

/** What a snapshot keeps of a page. */
export interface PageColumns {
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  /** Lease ends in ms, 0 where there is none; undefined where no row of the page has one. */
  readonly leases: Float64Array | undefined;
}

class Page implements PageColumns {
  words = new Uint32Array(wordColumns * pageRows);
  halves = new Uint16Array(halfColumns * pageRows);
  leases: Float64Array | undefined;
  /** Links are memory layout and outlive copies: next and previous of the age list, row + 1. */
  readonly links = new Uint32Array(2 * pageRows);
  /** Far ends of runs of handed rows (age-list.ts); undefined while none was ever handed. */
  jumps: Uint32Array | undefined;
  /** Positions in the heap of deadlines + 1; undefined while no row had a lease. */
  heap: Uint32Array | undefined;
  /** The last cut that has read this page, or found it changed and kept its old arrays. */
  cut: number;
  constructor(cut: number) {
    this.cut = cut;
  }
}

/** The columns of all tuples of a partition. Reading is for everyone; changes come from TupleStore. */
export class TupleRows {
  readonly #pages: Page[] = [];
  #freeRow = noRow;
  #cut = 0;

  /** Rows that exist, free ones counted. */
  get rowCount(): number {
    return this.#pages.length << pageShift;
  }

  /** The counter in the tuple's id. */
  counter(row: Row): number {
    const { words, halves } = this.#page(row);
    return wide(words[wordOf(row) + counterLow], halves[halfOf(row) + counterHigh]);
  }

  revision(row: Row): LogIndex {
    const { words, halves } = this.#page(row);
    return wide(words[wordOf(row) + revisionLow], halves[halfOf(row) + revisionHigh]) as LogIndex;
  }

  writtenAtMs(row: Row): StampMs {
    const { words, halves } = this.#page(row);
    return wide(words[wordOf(row) + writtenLow], halves[halfOf(row) + writtenHigh]) as StampMs;
  }

  space(row: Row): SpaceId {
    return this.#word(row, spaceColumn) as SpaceId;
  }

  slot(row: Row): Slot {
    return this.#page(row).halves[halfOf(row) + slotColumn] as Slot;
  }

  /** The state; a free row has none and is never asked. */
  state(row: Row): 'ready' | 'handed' {
    const state = this.#word(row, stateColumn) & 3;
    assert(state !== free, 'the row holds a tuple');
    return state === ready ? 'ready' : 'handed';
  }

  isFree(row: Row): boolean {
    return (this.#word(row, stateColumn) & 3) === free;
  }

  isReady(row: Row): boolean {
    return (this.#word(row, stateColumn) & 3) === ready;
  }

  isHanded(row: Row): boolean {
    return (this.#word(row, stateColumn) & 3) === handed;
  }

  /** How often it was handed over and given back. */
  deliveries(row: Row): number {
    return this.#word(row, stateColumn) >>> 2;
  }

  /** Where its bytes lie in the slabs. */
  place(row: Row): Place {
    return this.#word(row, placeColumn);
  }

  /** Bytes of its stored encoding. */
  size(row: Row): number {
    return this.#word(row, sizeColumn);
  }

  /** The end of its lease; Infinity: never. */
  leaseEndMs(row: Row): number {
    const end = this.#page(row).leases?.[row & pageMask] ?? 0;
    return end === 0 ? Number.POSITIVE_INFINITY : end;
  }

  /** Whether it is ready and its lease goes beyond the stamp (SPEC §4, Time). */
  visible(row: Row, stampMs: StampMs): boolean {
    return this.isReady(row) && this.leaseEndMs(row) > stampMs;
  }

  /** Takes a free row and fills it for a tuple whose `size` bytes lie at `place`. */
  add(content: TupleColumns, place: Place, size: number): Row {
    const { counter, revision, writtenAtMs, leaseEndMs } = content;
    assert(counter < wideMax, 'a counter fits its column');
    assert(revision < wideMax, 'a revision fits its column');
    assert(writtenAtMs < wideMax, 'a stamp fits its column');
    const row = this.#freeRow === noRow ? this.#grow() : this.#freeRow;
    const { words, halves, links } = this.#changing(row);
    const link = linkOf(row);
    this.#freeRow = ((links[link] as number) - 1) as Row;
    links[link] = 0;
    const word = wordOf(row);
    words[word + counterLow] = counter;
    words[word + revisionLow] = revision;
    words[word + writtenLow] = writtenAtMs;
    words[word + spaceColumn] = content.space;
    words[word + stateColumn] = content.deliveries * 4 + (content.handed ? handed : ready);
    words[word + placeColumn] = place;
    words[word + sizeColumn] = size;
    const half = halfOf(row);
    halves[half + counterHigh] = counter / two32;
    halves[half + revisionHigh] = revision / two32;
    halves[half + writtenHigh] = writtenAtMs / two32;
    halves[half + slotColumn] = content.slot;
    if (leaseEndMs < Number.POSITIVE_INFINITY) this.setLeaseEnd(row, leaseEndMs);
    return row;
  }

  /** Empties a row for another tuple. */
  free(row: Row): void {
    assert(!this.isFree(row), 'a row is freed once');
    this.setLeaseEnd(row, Number.POSITIVE_INFINITY);
    this.#changing(row).words[wordOf(row) + stateColumn] = free;
    this.setNext(row, this.#freeRow);
    this.#freeRow = row;
  }

  setHanded(row: Row): void {
    this.#changing(row).words[wordOf(row) + stateColumn] = this.deliveries(row) * 4 + handed;
  }

  /** Ready again, delivered once more. */
  setReturned(row: Row): void {
    const deliveries = Math.min(this.deliveries(row) + 1, deliveriesMax);
    this.#changing(row).words[wordOf(row) + stateColumn] = deliveries * 4 + ready;
  }

  setForm(row: Row, revision: LogIndex, place: Place, size: number): void {
    assert(revision < wideMax, 'a revision fits its column');
    const { words, halves } = this.#changing(row);
    const word = wordOf(row);
    words[word + revisionLow] = revision;
    halves[halfOf(row) + revisionHigh] = revision / two32;
    words[word + placeColumn] = place;
    words[word + sizeColumn] = size;
  }

  /** Memory layout alone; never while a cut is open. */
  setPlace(row: Row, place: Place): void {
    this.#page(row).words[wordOf(row) + placeColumn] = place;
  }

  setLeaseEnd(row: Row, leaseEndMs: number): void {
    const none = leaseEndMs === Number.POSITIVE_INFINITY;
    if (none && this.#page(row).leases === undefined) return;
    const page = this.#changing(row);
    page.leases ??= new Float64Array(pageRows);
    page.leases[row & pageMask] = none ? 0 : leaseEndMs;
  }

  /** Reads all columns of a row; false where it is free. */
  read(row: Row, content: RowContent): boolean {
    return readCell(this.#page(row), row & pageMask, content);
  }

  /** The next younger row of the same space in any state, or `noRow`. */
  next(row: Row): Row {
    return ((this.#page(row).links[linkOf(row)] as number) - 1) as Row;
  }

  setNext(row: Row, next: Row): void {
    this.#page(row).links[linkOf(row)] = next + 1;
  }

  previous(row: Row): Row {
    return ((this.#page(row).links[linkOf(row) + 1] as number) - 1) as Row;
  }

  setPrevious(row: Row, previous: Row): void {
    this.#page(row).links[linkOf(row) + 1] = previous + 1;
  }

  jump(row: Row): Row {
    return (this.#page(row).jumps?.[row & pageMask] ?? 0) as Row;
  }

  setJump(row: Row, to: Row): void {
    const page = this.#page(row);
    page.jumps ??= new Uint32Array(pageRows);
    page.jumps[row & pageMask] = to;
  }

  /** The position in the heap of deadlines; -1: not there. */
  heapPosition(row: Row): number {
    return (this.#page(row).heap?.[row & pageMask] ?? 0) - 1;
  }

  setHeapPosition(row: Row, position: number): void {
    const page = this.#page(row);
    page.heap ??= new Uint32Array(pageRows);
    page.heap[row & pageMask] = position + 1;
  }

  /** The columns of each page as they are now; from here on a page is copied before it changes. */
  beginCut(): readonly PageColumns[] {
    this.#cut += 1;
    return this.#pages.map(({ words, halves, leases }) => ({ words, halves, leases }));
  }

  /** The cut has read this page: it may change in place again. */
  cutHasRead(page: number): void {
    present(this.#pages[page], 'the page exists').cut = this.#cut;
  }

  /** Nothing is copied any more. */
  endCut(): void {
    for (const page of this.#pages) page.cut = this.#cut;
  }

  /** Bytes of all pages. */
  get heldBytes(): number {
    let bytes = 0;
    for (const page of this.#pages) {
      bytes += page.words.byteLength + page.halves.byteLength + page.links.byteLength;
      bytes += page.leases?.byteLength ?? 0;
      bytes += (page.jumps?.byteLength ?? 0) + (page.heap?.byteLength ?? 0);
    }
    return bytes;
  }

  #page(row: Row): Page {
    return this.#pages[row >> pageShift] as Page;
  }

  #word(row: Row, column: number): number {
    return (this.#pages[row >> pageShift] as Page).words[wordOf(row) + column] as number;
  }

  #changing(row: Row): Page {
    const page = this.#page(row);
    if (page.cut === this.#cut) return page;
    page.words = page.words.slice();
    page.halves = page.halves.slice();
    page.leases = page.leases?.slice();
    page.cut = this.#cut;
    return page;
  }

  #grow(): Row {
    const first = this.rowCount;
    this.#pages.push(new Page(this.#cut));
    for (let row = first + pageRows - 1; row >= first; row -= 1) {
      this.setNext(row as Row, this.#freeRow);
      this.#freeRow = row as Row;
    }
    return first as Row;
  }
}

/** Reads one row of a page that a cut keeps; false where it is free. */
export function readCell(page: PageColumns, cell: number, content: RowContent): boolean {
  const { words, halves, leases } = page;
  const word = cell * wordColumns;
  const half = cell * halfColumns;
  const stateCell = words[word + stateColumn] as number;
  const state = stateCell & 3;
  if (state === free) return false;
  const lease = leases?.[cell] ?? 0;
  content.counter = wide(words[word + counterLow], halves[half + counterHigh]);
  content.revision = wide(words[word + revisionLow], halves[half + revisionHigh]) as LogIndex;
  content.writtenAtMs = wide(words[word + writtenLow], halves[half + writtenHigh]) as StampMs;
  content.space = words[word + spaceColumn] as SpaceId;
  content.slot = halves[half + slotColumn] as Slot;
  content.handed = state === handed;
  content.deliveries = stateCell >>> 2;
  content.place = words[word + placeColumn] as number;
  content.size = words[word + sizeColumn] as number;
  content.leaseEndMs = lease === 0 ? Number.POSITIVE_INFINITY : lease;
  return true;
}

/** Where a row's columns of 32 bits begin in its page. */
function wordOf(row: Row): number {
  return (row & pageMask) * wordColumns;
}

/** Where a row's columns of 16 bits begin in its page. */
function halfOf(row: Row): number {
  return (row & pageMask) * halfColumns;
}

/** Where a row's links lie in its page: next, then previous. */
function linkOf(row: Row): number {
  return (row & pageMask) * 2;
}

function wide(low: number | undefined, high: number | undefined): number {
  return (high as number) * two32 + (low as number);
}
