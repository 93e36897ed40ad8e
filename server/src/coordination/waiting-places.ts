import type { CompiledPattern } from '@tuplet/proto';
import { waiterPlacesMax } from '../base/limits.ts';
import type { Waiting } from './waiting.ts';
import { generalShape, type LineKey, type LineShape, lineKeyOf } from './waiting-shape.ts';

/** Where one alternative of a call that waits stands: a link of one line, or all of it. */
export class LinePlace {
  readonly waiting: Waiting;
  shape: LineShape;
  readonly hash: number;
  /** Its neighbours in the list it stands in. */
  previous: LinePlace | undefined = undefined;
  next: LinePlace | undefined = undefined;
  /** Another place of the same call. */
  other: LinePlace | undefined = undefined;

  constructor(waiting: Waiting, shape: LineShape, hash: number) {
    this.waiting = waiting;
    this.shape = shape;
    this.hash = hash;
  }

  /** Whether the order key of a tuple's ranged field lies in its range. */
  holds(_key: number): boolean {
    return true;
  }
}

/** A place with a range, of a shape that ranges over a field. */
export class RangePlace extends LinePlace {
  // Absent where open: an infinity needs a box of its own in each place, nothing does not.
  readonly #lower: number | undefined;
  readonly #upper: number | undefined;

  constructor(waiting: Waiting, { shape, lower, upper }: LineKey, hash: number) {
    super(waiting, shape, hash);
    this.#lower = lower === Number.NEGATIVE_INFINITY ? undefined : lower;
    this.#upper = upper === Number.POSITIVE_INFINITY ? undefined : upper;
  }

  /** Order keys of the range; -Infinity and Infinity where open. */
  get lower(): number {
    return this.#lower ?? Number.NEGATIVE_INFINITY;
  }

  get upper(): number {
    return this.#upper ?? Number.POSITIVE_INFINITY;
  }

  override holds(key: number): boolean {
    return this.lower <= key && key <= this.upper;
  }
}

/** The places of one alternative; in the general line where `mayAdd` refuses its shape. */
export function placesOf(
  waiting: Waiting,
  pattern: CompiledPattern,
  mayAdd: (name: string) => boolean,
): readonly LinePlace[] {
  const key = lineKeyOf(pattern, waiterPlacesMax);
  const { shape, hashes } = key;
  if (!mayAdd(shape.name)) return [new LinePlace(waiting, generalShape, 0)];
  if (shape.rangeField < 0) return hashes.map((hash) => new LinePlace(waiting, shape, hash));
  return hashes.map((hash) => new RangePlace(waiting, key, hash));
}
