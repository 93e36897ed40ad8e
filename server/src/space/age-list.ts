/**
 * The tuples of one space, oldest first, linked through their rows: all of them, ready or handed
 * over, in the order of their ids. A handed tuple stays in its place, so that giving it back costs
 * no search (SPEC §3: it takes its old place). Neighbouring handed rows form a *run*; the two ends
 * of a run know each other, and whoever wants ready tuples passes a run in one step.
 */
import { assert } from '../base/assert.ts';
import { noRow, type Row, type TupleRows } from './rows.ts';

/** One space's list. Methods that change a state are called while the row still has the old one. */
export class AgeList {
  readonly #rows: TupleRows;
  #oldest = noRow;
  #youngest = noRow;
  // Invariant: #ready + #handed is the length of the list.
  #ready = 0;
  #handed = 0;

  constructor(rows: TupleRows) {
    this.#rows = rows;
  }

  get ready(): number {
    return this.#ready;
  }

  get handed(): number {
    return this.#handed;
  }

  /** The oldest tuple in any state, or `noRow`. `TupleRows.next` goes on. */
  get oldest(): Row {
    return this.#oldest;
  }

  /** The oldest ready tuple, or `noRow`. */
  get oldestReady(): Row {
    return this.#readyFrom(this.#oldest);
  }

  /** The next younger ready tuple, or `noRow`. */
  nextReady(row: Row): Row {
    let next = this.#rows.next(row);
    // A row that was handed over meanwhile lies inside a run: only the run's ends know the way.
    if (this.#rows.isHanded(row)) {
      while (next !== noRow && this.#rows.isHanded(next)) next = this.#rows.next(next);
      return next;
    }
    next = this.#readyFrom(next);
    return next;
  }

  /** Adds the youngest row, ready or handed. */
  append(row: Row): void {
    const rows = this.#rows;
    rows.setPrevious(row, this.#youngest);
    rows.setNext(row, noRow);
    if (this.#youngest === noRow) this.#oldest = row;
    else {
      assert(rows.counter(this.#youngest) < rows.counter(row), 'ids grow with age order');
      rows.setNext(this.#youngest, row);
    }
    this.#youngest = row;
    if (rows.isHanded(row)) {
      this.#handed += 1;
      this.#joinRuns(row);
    } else this.#ready += 1;
  }

  /** A ready row has been handed over (its state is set already). */
  handOver(row: Row): void {
    this.#ready -= 1;
    this.#handed += 1;
    this.#joinRuns(row);
  }

  /** A handed row is about to be ready again. */
  giveBack(row: Row): void {
    this.#ready += 1;
    this.#handed -= 1;
    this.#split(row);
  }

  /** Takes a row out of the list. */
  remove(row: Row): void {
    const rows = this.#rows;
    if (rows.isHanded(row)) {
      this.#split(row);
      this.#handed -= 1;
    } else this.#ready -= 1;
    const previous = rows.previous(row);
    const next = rows.next(row);
    if (previous === noRow) this.#oldest = next;
    else rows.setNext(previous, next);
    if (next === noRow) this.#youngest = previous;
    else rows.setPrevious(next, previous);
    const meet = previous !== noRow && next !== noRow;
    if (meet && rows.isHanded(previous) && rows.isHanded(next)) this.#join(previous, next);
  }

  /** Costly check: order, links, counts and runs. */
  verify(): void {
    const rows = this.#rows;
    let ready = 0;
    let handed = 0;
    let previous = noRow;
    let first = noRow;
    for (let row = this.#oldest; row !== noRow; row = rows.next(row)) {
      assert(rows.previous(row) === previous, 'links go both ways');
      if (previous !== noRow) assert(rows.counter(previous) < rows.counter(row), 'age order');
      if (rows.isReady(row)) ready += 1;
      else handed += 1;
      if (rows.isReady(row)) first = noRow;
      else if (first === noRow) first = row;
      if (first !== noRow && this.#endsRun(row)) {
        assert(rows.jump(first) === row, 'a run knows its last row');
        assert(rows.jump(row) === first, 'a run knows its first row');
      }
      previous = row;
    }
    assert(previous === this.#youngest, 'the list ends with the youngest');
    assert(ready === this.#ready, 'ready tuples are counted');
    assert(handed === this.#handed, 'handed tuples are counted');
  }

  #readyFrom(row: Row): Row {
    if (row === noRow || this.#rows.isReady(row)) return row;
    return this.#rows.next(this.#rows.jump(row));
  }

  #beginsRun(row: Row): boolean {
    const previous = this.#rows.previous(row);
    return previous === noRow || !this.#rows.isHanded(previous);
  }

  #endsRun(row: Row): boolean {
    const next = this.#rows.next(row);
    return next === noRow || !this.#rows.isHanded(next);
  }

  /** A row that has just become handed: a run of its own, joined with its neighbours'. */
  #joinRuns(row: Row): void {
    const rows = this.#rows;
    rows.setJump(row, row);
    const previous = rows.previous(row);
    const next = rows.next(row);
    if (previous !== noRow && rows.isHanded(previous)) this.#join(previous, row);
    if (next !== noRow && rows.isHanded(next)) this.#join(row, next);
  }

  /** Joins the run that ends with `last` and the one that begins with `first`. */
  #join(last: Row, first: Row): void {
    const begin = this.#rows.jump(last);
    const end = this.#rows.jump(first);
    this.#rows.setJump(begin, end);
    this.#rows.setJump(end, begin);
  }

  /** Takes a row out of its run, which falls into up to two. */
  #split(row: Row): void {
    const rows = this.#rows;
    const { begin, end } = this.#runOf(row);
    if (begin !== row) {
      const last = rows.previous(row);
      rows.setJump(begin, last);
      rows.setJump(last, begin);
    }
    if (end !== row) {
      const first = rows.next(row);
      rows.setJump(first, end);
      rows.setJump(end, first);
    }
  }

  /** The ends of a row's run: looked for both ways at once, so at most twice the nearer end's distance. */
  #runOf(row: Row): { begin: Row; end: Row } {
    let back = row;
    let forth = row;
    for (;;) {
      if (this.#beginsRun(back)) return { begin: back, end: this.#rows.jump(back) };
      if (this.#endsRun(forth)) return { begin: this.#rows.jump(forth), end: forth };
      back = this.#rows.previous(back);
      forth = this.#rows.next(forth);
    }
  }
}
