import { type CompiledPattern, type FieldOffsets, matchTuple, NumberMap } from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import { waiterShapesMax } from '../base/limits.ts';
import type { Waiting } from './waiting.ts';
import { kindsOfTuple } from './waiting-kinds.ts';
import { eachIn, firstIn, joined, WaitingLine } from './waiting-line.ts';
import { LinePlace, placesOf } from './waiting-places.ts';
import { hashOfFields, type LineShape, orderKeyAt } from './waiting-shape.ts';

/** Those of one hash: a line, or the only place of what would be one. */
type Standing = WaitingLine | LinePlace;

/** Who waits under one shape, by the hash of the fields that it fixes. */
interface ShapeLines {
  readonly shape: LineShape;
  readonly lines: NumberMap<Standing>;
}

/** The lines of one space, by the name of their shape. */
type SpaceLines = Map<string, ShapeLines>;

/**
 * Calls that wait, found by a tuple. Each stands in one line for each alternative of its template:
 * the lines of a shape are found by one hash of the tuple's fields, so that a tuple costs its
 * candidates and not all who wait.
 */
export class WaitingIndex<W extends Waiting> {
  readonly #spaces = new Map<SpaceId, SpaceLines>();
  #count = 0;

  /** How many stand in lines. */
  get count(): number {
    return this.#count;
  }

  /** Puts a call into its lines, at its place by arrival. It must not stand in them already. */
  add(waiting: W): void {
    const { space, template } = waiting.query;
    let lines = this.#spaces.get(space);
    if (lines === undefined) {
      lines = new Map();
      this.#spaces.set(space, lines);
    }
    let first: LinePlace | undefined;
    for (const pattern of template.alternatives) {
      for (const place of placesOf(waiting, pattern, this.#mayAdd(lines, pattern))) {
        this.#insert(lines, place);
        place.other = first;
        first = place;
      }
    }
    waiting.place = first;
    this.#count += 1;
  }

  /** Takes a call out of its lines; nothing where it stands in none. */
  remove(waiting: W): void {
    if (waiting.place === undefined) return;
    const lines = this.#spaces.get(waiting.query.space);
    for (let place = waiting.place; place !== undefined; ) {
      const { shape, hash } = place;
      const ofShape = lines?.get(shape.name);
      const line = ofShape?.lines.get(hash);
      if (line instanceof WaitingLine) line.remove(place);
      if (line === place || (line instanceof WaitingLine && line.isEmpty))
        ofShape?.lines.delete(hash);
      if (ofShape?.lines.size === 0) lines?.delete(shape.name);
      place = place.other as LinePlace;
    }
    if (lines?.size === 0) this.#spaces.delete(waiting.query.space);
    waiting.place = undefined;
    this.#count -= 1;
  }

  /**
   * The first by arrival whose template matches the tuple and whom `accepts` takes; undefined: none.
   * `accepts` may be asked about one that is not first in the end.
   */
  first(
    space: SpaceId,
    tuple: Uint8Array,
    offsets: FieldOffsets,
    accepts: (waiting: W) => boolean,
  ): W | undefined {
    const lines = this.#spaces.get(space);
    if (lines === undefined) return undefined;
    let best: Waiting | undefined;
    const kinds = kindsOfTuple(tuple, offsets);
    const matches = matcher(tuple, offsets);
    const accepted = (waiting: Waiting): boolean => matches(waiting) && accepts(waiting as W);
    for (const { shape, lines: byHash } of lines.values()) {
      const line = lineFor(shape, byHash, tuple, offsets);
      if (line === undefined) continue;
      const look = { kinds, key: orderKeyAt(shape, tuple, offsets) };
      const found =
        line instanceof LinePlace
          ? firstIn(line, look, best, accepted)
          : line.first(look, best, accepted);
      best = found ?? best;
    }
    return best as W | undefined;
  }

  /** All whose template matches the tuple, each once, in no particular order. */
  all(space: SpaceId, tuple: Uint8Array, offsets: FieldOffsets): readonly W[] {
    const lines = this.#spaces.get(space);
    if (lines === undefined) return [];
    const found = new Set<Waiting>();
    const kinds = kindsOfTuple(tuple, offsets);
    const matches = matcher(tuple, offsets);
    const visit = (waiting: Waiting): void => {
      if (matches(waiting)) found.add(waiting);
    };
    for (const { shape, lines: byHash } of lines.values()) {
      const line = lineFor(shape, byHash, tuple, offsets);
      if (line === undefined) continue;
      const look = { kinds, key: orderKeyAt(shape, tuple, offsets) };
      if (line instanceof LinePlace) eachIn(line, look, visit);
      else line.each(look, visit);
    }
    return [...found] as W[];
  }

  /** Whether a shape that is not in use yet may get lines of its own. */
  #mayAdd(lines: SpaceLines, _pattern: CompiledPattern): (name: string) => boolean {
    return (name) => lines.has(name) || lines.size < waiterShapesMax;
  }

  #insert(lines: SpaceLines, place: LinePlace): void {
    const { shape, hash } = place;
    let ofShape = lines.get(shape.name);
    if (ofShape === undefined) {
      ofShape = { shape, lines: new NumberMap() };
      lines.set(shape.name, ofShape);
    }
    // One object for all of them: a hundred thousand may stand here.
    place.shape = ofShape.shape;
    const there = ofShape.lines.get(hash);
    ofShape.lines.set(hash, joined(there, place, WaitingLine));
  }
}

/** Tuples that were held against those who wait, by all indexes: partitions share templates. */
let looks = 0;

/** Whether one tuple matches; a template that many share is looked at once where it does not. */
function matcher(tuple: Uint8Array, offsets: FieldOffsets): (waiting: Waiting) => boolean {
  looks += 1;
  const look = looks;
  return ({ query: { template } }) => {
    if (template.missed === look) return false;
    if (matchTuple(template, tuple, offsets)) return true;
    template.missed = look;
    return false;
  };
}

function lineFor(
  shape: LineShape,
  lines: NumberMap<Standing>,
  tuple: Uint8Array,
  offsets: FieldOffsets,
): Standing | undefined {
  if (offsets.arity < shape.arityMin) return undefined;
  return lines.get(hashOfFields(shape, tuple, offsets));
}
