import type { CompiledPattern } from '@tuplet/proto';
import { waiterPlacesMax } from '../base/limits.ts';
import type { Waiting } from './waiting.ts';
import type { PlaceList } from './waiting-line.ts';
import { generalShape, type LineKey, type LineShape, lineKeyOf } from './waiting-shape.ts';

/** Where one alternative of a call that waits stands: a link of one line. */
export class LinePlace {
  readonly waiting: Waiting;
  shape: LineShape;
  readonly hash: number;
  /** The range of its ranged field; everything where it has none. */
  readonly lower: number;
  readonly upper: number;
  /** The list it stands in, and its neighbours there. */
  list: PlaceList | undefined = undefined;
  previous: LinePlace | undefined = undefined;
  next: LinePlace | undefined = undefined;
  /** Another place of the same call. */
  other: LinePlace | undefined = undefined;

  constructor(waiting: Waiting, { shape, lower, upper }: LineKey, hash: number) {
    this.waiting = waiting;
    this.shape = shape;
    this.hash = hash;
    this.lower = lower;
    this.upper = upper;
  }
}

/** The places of one alternative; in the general line where `mayAdd` refuses its shape. */
export function placesOf(
  waiting: Waiting,
  pattern: CompiledPattern,
  mayAdd: (name: string) => boolean,
): readonly LinePlace[] {
  const key = lineKeyOf(pattern, waiterPlacesMax);
  if (mayAdd(key.shape.name)) return key.hashes.map((hash) => new LinePlace(waiting, key, hash));
  const lower = Number.NEGATIVE_INFINITY;
  const upper = Number.POSITIVE_INFINITY;
  return [new LinePlace(waiting, { shape: generalShape, hashes: [0], lower, upper }, 0)];
}
