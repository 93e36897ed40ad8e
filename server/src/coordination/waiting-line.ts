import { assert } from '../base/assert.ts';
import { isBefore, type Waiting } from './waiting.ts';
import type { LinePlace } from './waiting-places.ts';

/** Places in order of arrival. */
export class PlaceList {
  /** The block of the bin that this list is; 1: the one that holds everything. */
  readonly block: number;
  head: LinePlace | undefined = undefined;
  tail: LinePlace | undefined = undefined;

  constructor(block: number) {
    this.block = block;
  }

  /** Finds its place from both ends at once: who comes stands last, who comes back stands early. */
  insert(place: LinePlace): void {
    let before = this.tail;
    let after = this.head;
    while (before !== undefined && after !== undefined) {
      // Two alternatives of one template may stand in one list: neither is before the other.
      if (!isBefore(place.waiting, before.waiting)) {
        this.#link(before, place, before.next);
        return;
      }
      if (isBefore(place.waiting, after.waiting)) {
        this.#link(after.previous, place, after);
        return;
      }
      before = before.previous;
      after = after.next;
    }
    this.#link(undefined, place, undefined);
  }

  remove(place: LinePlace): void {
    const { previous, next } = place;
    if (previous === undefined) this.head = next;
    else previous.next = next;
    if (next === undefined) this.tail = previous;
    else next.previous = previous;
    place.previous = undefined;
    place.next = undefined;
    place.list = undefined;
  }

  #link(previous: LinePlace | undefined, place: LinePlace, next: LinePlace | undefined): void {
    place.previous = previous;
    place.next = next;
    place.list = this;
    if (previous === undefined) this.head = place;
    else previous.next = place;
    if (next === undefined) this.tail = place;
    else next.previous = place;
  }
}

/** Bits of an order key's rank: sign, exponent and 40 bits of the fraction of a double. */
const rankBits = 52;
const rankMax = 2 ** rankBits;

/**
 * Those who wait under one hash of one shape. Places without a range stand in the line itself; those with one
 * in the smallest dyadic block of ranks that holds their range. Blocks are numbered as the nodes of
 * a binary heap, so that a rank lies in 53 of them: one a level, of which only levels in use are
 * looked at.
 */
export class WaitingLine extends PlaceList {
  #bins: Map<number, PlaceList> | undefined;
  /** How many bins are in use of each level. */
  #levels: Map<number, number> | undefined;

  constructor() {
    super(1);
  }

  get isEmpty(): boolean {
    return this.head === undefined && (this.#bins === undefined || this.#bins.size === 0);
  }

  override insert(place: LinePlace): void {
    const level = levelOf(place.lower, place.upper);
    if (level === rankBits) {
      super.insert(place);
      return;
    }
    this.#bins ??= new Map();
    this.#levels ??= new Map();
    const block = blockOf(rankOf(place.lower), level);
    let bin = this.#bins.get(block);
    if (bin === undefined) {
      bin = new PlaceList(block);
      this.#bins.set(block, bin);
      this.#levels.set(level, (this.#levels.get(level) ?? 0) + 1);
    }
    bin.insert(place);
  }

  override remove(place: LinePlace): void {
    const { list } = place;
    if (list === this) super.remove(place);
    else if (list !== undefined) this.#removeFrom(list, place);
  }

  #removeFrom(list: PlaceList, place: LinePlace): void {
    list.remove(place);
    if (list.head !== undefined) return;
    this.#bins?.delete(list.block);
    const level = levelOf(place.lower, place.upper);
    const left = (this.#levels?.get(level) ?? 1) - 1;
    if (left === 0) this.#levels?.delete(level);
    else this.#levels?.set(level, left);
  }

  /** The first that `matches` among those before `best`; undefined: none. */
  first(
    key: number,
    best: Waiting | undefined,
    matches: (waiting: Waiting) => boolean,
  ): Waiting | undefined {
    let found = firstIn(this, key, best, matches);
    if (this.#bins === undefined || this.#levels === undefined || Number.isNaN(key)) return found;
    const rank = rankOf(key);
    for (const level of this.#levels.keys()) {
      const bin = this.#bins.get(blockOf(rank, level));
      if (bin !== undefined) found = firstIn(bin, key, found ?? best, matches) ?? found;
    }
    return found;
  }

  /** Calls `visit` with everyone whose range holds the key. */
  each(key: number, visit: (waiting: Waiting) => void): void {
    eachIn(this, key, visit);
    if (this.#bins === undefined || this.#levels === undefined || Number.isNaN(key)) return;
    const rank = rankOf(key);
    for (const level of this.#levels.keys()) {
      const bin = this.#bins.get(blockOf(rank, level));
      if (bin !== undefined) eachIn(bin, key, visit);
    }
  }
}

function firstIn(
  list: PlaceList,
  key: number,
  best: Waiting | undefined,
  matches: (waiting: Waiting) => boolean,
): Waiting | undefined {
  for (let place = list.head; place !== undefined; place = place.next) {
    const { waiting } = place;
    if (best !== undefined && !isBefore(waiting, best)) return undefined;
    if (place.lower <= key && key <= place.upper && matches(waiting)) return waiting;
  }
  return undefined;
}

function eachIn(list: PlaceList, key: number, visit: (waiting: Waiting) => void): void {
  for (let place = list.head; place !== undefined; place = place.next) {
    if (place.lower <= key && key <= place.upper) visit(place.waiting);
  }
}

const double = new Float64Array(1);
const halves = new Uint32Array(double.buffer);
/** Which half is the upper one depends on the machine's byte order; ranks must not. */
const upper = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

/** 0..2^52-1 in the order of the doubles; NaN is not asked for. */
function rankOf(key: number): number {
  double[0] = key + 0;
  let high = halves[upper] as number;
  let low = halves[1 - upper] as number;
  if (high >= 0x8000_0000) {
    high = ~high >>> 0;
    low = ~low >>> 0;
  } else high = (high | 0x8000_0000) >>> 0;
  return high * 2 ** 20 + (low >>> 12);
}

/** The lowest level at which both ends lie in one block; 52: only the one of everything. */
function levelOf(lowerKey: number, upperKey: number): number {
  if (lowerKey > upperKey) return rankBits;
  let a = rankOf(lowerKey);
  let b = rankOf(upperKey);
  let level = 0;
  while (a !== b) {
    a = Math.floor(a / 2);
    b = Math.floor(b / 2);
    level += 1;
  }
  assert(level <= rankBits, 'the block of everything holds both ends');
  return level;
}

function blockOf(rank: number, level: number): number {
  const size = 2 ** level;
  return rankMax / size + Math.floor(rank / size);
}
