/**
 * From a tuple's counter to its row: open addressing with linear probing (Knuth vol. 3 §6.4,
 * algorithms L and R) in 64 tables, so that growing one moves a 64th of the entries.
 */
import { assert } from '../base/assert.ts';
import { noRow, type Row, type TupleRows } from './rows.ts';

const tableBits = 6;
const tableSizeMin = 16;

interface Table {
  /** Row + 1; 0 is empty. Its length is a power of two. */
  cells: Uint32Array;
  count: number;
}

/** The rows of all tuples by counter. The counters themselves are read from the rows. */
export class RowIndex {
  readonly #rows: TupleRows;
  readonly #tables: Table[] = [];

  constructor(rows: TupleRows) {
    this.#rows = rows;
    for (let i = 0; i < 1 << tableBits; i += 1)
      this.#tables.push({ cells: new Uint32Array(0), count: 0 });
  }

  /** Bytes of all tables. */
  get heldBytes(): number {
    let bytes = 0;
    for (const table of this.#tables) bytes += table.cells.byteLength;
    return bytes;
  }

  /** The row of a counter, or `noRow`. */
  find(counter: number): Row {
    const hash = hashOf(counter);
    const { cells } = this.#table(hash);
    if (cells.length === 0) return noRow;
    const mask = cells.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const row = ((cells[at] as number) - 1) as Row;
      if (row === noRow || this.#rows.counter(row) === counter) return row;
    }
  }

  /** Adds a row under its counter, which is not there yet. */
  add(row: Row): void {
    const hash = hashOf(this.#rows.counter(row));
    const table = this.#table(hash);
    if (table.count * 4 >= table.cells.length * 3) this.#resize(table, table.cells.length * 2);
    put(table.cells, hash, row);
    table.count += 1;
  }

  /** Makes room at once for so many rows, before any is there. */
  expect(count: number): void {
    const inTable = count / this.#tables.length;
    let cells = tableSizeMin;
    while (inTable * 4 >= cells * 3) cells *= 2;
    for (const table of this.#tables) this.#resize(table, cells);
  }

  /** Takes a row out, while its counter can still be read. */
  remove(row: Row): void {
    const hash = hashOf(this.#rows.counter(row));
    const table = this.#table(hash);
    const { cells } = table;
    const mask = cells.length - 1;
    assert(table.count > 0, 'the row is in the index');
    let hole = hash & mask;
    while (cells[hole] !== row + 1) {
      assert(cells[hole] !== 0, 'the row is in the index');
      hole = (hole + 1) & mask;
    }
    table.count -= 1;
    this.#close(cells, hole, mask);
  }

  /** Algorithm R: moves later entries of the cluster back, so that none hides behind a hole. */
  #close(cells: Uint32Array, from: number, mask: number): void {
    let hole = from;
    for (let at = (hole + 1) & mask; cells[at] !== 0; at = (at + 1) & mask) {
      const home = hashOf(this.#rows.counter(((cells[at] as number) - 1) as Row)) & mask;
      const stays = ((at - home) & mask) < ((at - hole) & mask);
      if (stays) continue;
      cells[hole] = cells[at] as number;
      hole = at;
    }
    cells[hole] = 0;
  }

  #resize(table: Table, count: number): void {
    const old = table.cells;
    const cells = new Uint32Array(Math.max(tableSizeMin, count));
    table.cells = cells;
    for (let at = 0; at < old.length; at += 1) {
      const row = ((old[at] as number) - 1) as Row;
      if (row !== noRow) put(cells, hashOf(this.#rows.counter(row)), row);
    }
  }

  #table(hash: number): Table {
    return this.#tables[hash >>> (32 - tableBits)] as Table;
  }
}

function put(cells: Uint32Array, hash: number, row: Row): void {
  const mask = cells.length - 1;
  let at = hash & mask;
  while (cells[at] !== 0) at = (at + 1) & mask;
  cells[at] = row + 1;
}

/** Mixes all 44 bits of a counter into 32 (murmur3's finalizer). */
function hashOf(counter: number): number {
  let hash = (counter | 0) ^ Math.imul((counter / 2 ** 32) | 0, 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
