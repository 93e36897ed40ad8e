import { assert } from '../base/assert.ts';
import { isBefore, type Waiting } from './waiting.ts';
import { LinePlace, RangePlace } from './waiting-places.ts';

/** Places in order of arrival. */
export class PlaceList {
  head: LinePlace | undefined = undefined;
  tail: LinePlace | undefined = undefined;

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
  }

  #link(previous: LinePlace | undefined, place: LinePlace, next: LinePlace | undefined): void {
    place.previous = previous;
    place.next = next;
    if (previous === undefined) this.head = place;
    else previous.next = place;
    if (next === undefined) this.tail = place;
    else next.previous = place;
  }
}

/** Bits of an order key's rank: sign, exponent and 40 bits of the fraction of a double. */
const rankBits = 52;
const rankMax = 2 ** rankBits;

/** What is known of a tuple when the lines of one shape are looked through. */
export interface Look {
  /** Its kinds (`waiting-kinds.ts`). */
  readonly kinds: number;
  /** The order key of the shape's ranged field. */
  readonly key: number;
}

/** A list of places, or the only one that would stand in it: most wait alone. */
type Places = PlaceList | LinePlace;

/**
 * Those who wait under one hash of one shape, where they are several. Places without a range stand in
 * the line itself; those with one in the smallest dyadic block of ranks that holds their range. Blocks
 * are numbered as the nodes of a binary heap, so that a rank lies in 53 of them: one a level, of which
 * only levels in use are looked at.
 */
export class WaitingLine extends PlaceList {
  #bins: Map<number, Places> | undefined = undefined;
  /** How many bins are in use of each level. */
  #levels: Map<number, number> | undefined = undefined;

  get isEmpty(): boolean {
    return this.head === undefined && (this.#bins === undefined || this.#bins.size === 0);
  }

  override insert(place: LinePlace): void {
    const level = levelOf(place);
    if (level === rankBits) {
      super.insert(place);
      return;
    }
    this.#bins ??= new Map();
    const block = blockOfPlace(place, level);
    const bin = this.#bins.get(block);
    this.#bins.set(block, joined(bin, place, PlaceList));
    if (bin !== undefined) return;
    this.#levels ??= new Map();
    this.#levels.set(level, (this.#levels.get(level) ?? 0) + 1);
  }

  override remove(place: LinePlace): void {
    const level = levelOf(place);
    if (level === rankBits) {
      super.remove(place);
      return;
    }
    const block = blockOfPlace(place, level);
    const bin = this.#bins?.get(block);
    if (bin instanceof PlaceList) {
      bin.remove(place);
      if (bin.head !== undefined) return;
    }
    this.#bins?.delete(block);
    const left = (this.#levels?.get(level) ?? 1) - 1;
    if (left === 0) this.#levels?.delete(level);
    else this.#levels?.set(level, left);
  }

  /** The first that `matches` among those before `best`; undefined: none. */
  first(
    look: Look,
    best: Waiting | undefined,
    matches: (waiting: Waiting) => boolean,
  ): Waiting | undefined {
    let found = firstIn(this.head, look, best, matches);
    if (this.#bins === undefined || this.#levels === undefined || Number.isNaN(look.key))
      return found;
    const rank = rankOf(look.key);
    for (const level of this.#levels.keys()) {
      const bin = this.#bins.get(blockOf(rank, level));
      if (bin !== undefined) found = firstIn(headOf(bin), look, found ?? best, matches) ?? found;
    }
    return found;
  }

  /** Calls `visit` with everyone who may match. */
  each(look: Look, visit: (waiting: Waiting) => void): void {
    eachIn(this.head, look, visit);
    if (this.#bins === undefined || this.#levels === undefined || Number.isNaN(look.key)) return;
    const rank = rankOf(look.key);
    for (const level of this.#levels.keys()) {
      const bin = this.#bins.get(blockOf(rank, level));
      if (bin !== undefined) eachIn(headOf(bin), look, visit);
    }
  }
}

/** What stands where `there` stood, when a place has joined it. */
export function joined<List extends PlaceList>(
  there: List | LinePlace | undefined,
  place: LinePlace,
  Several: new () => List,
): List | LinePlace {
  if (there === undefined) return place;
  if (!(there instanceof LinePlace)) {
    there.insert(place);
    return there;
  }
  const list = new Several();
  list.insert(there);
  list.insert(place);
  return list;
}

function headOf(places: Places): LinePlace | undefined {
  return places instanceof LinePlace ? places : places.head;
}

/** The first from `head` on that `matches` among those before `best`; undefined: none. */
export function firstIn(
  head: LinePlace | undefined,
  look: Look,
  best: Waiting | undefined,
  matches: (waiting: Waiting) => boolean,
): Waiting | undefined {
  for (let place = head; place !== undefined; place = place.next) {
    const { waiting } = place;
    if (best !== undefined && !isBefore(waiting, best)) return undefined;
    if (place.admits(look.kinds, look.key) && matches(waiting)) return waiting;
  }
  return undefined;
}

/** Calls `visit` with everyone from `head` who may match. */
export function eachIn(
  head: LinePlace | undefined,
  look: Look,
  visit: (waiting: Waiting) => void,
): void {
  for (let place = head; place !== undefined; place = place.next) {
    if (place.admits(look.kinds, look.key)) visit(place.waiting);
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
function levelOf(place: LinePlace): number {
  if (!(place instanceof RangePlace) || place.lower > place.upper) return rankBits;
  let a = rankOf(place.lower);
  let b = rankOf(place.upper);
  let level = 0;
  while (a !== b) {
    a = Math.floor(a / 2);
    b = Math.floor(b / 2);
    level += 1;
  }
  assert(level <= rankBits, 'the block of everything holds both ends');
  return level;
}

function blockOfPlace(place: LinePlace, level: number): number {
  assert(place instanceof RangePlace, 'only a place with a range stands in a bin');
  return blockOf(rankOf(place.lower), level);
}

function blockOf(rank: number, level: number): number {
  const size = 2 ** level;
  return rankMax / size + Math.floor(rank / size);
}
