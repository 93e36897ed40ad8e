import type { CompiledPattern } from '@tuplet/proto';
import { waiterPlacesMax } from '../base/limits.ts';
import type { Waiting } from './waiting.ts';
import { kindsOfPattern } from './waiting-kinds.ts';
import { generalShape, type LineKey, type LineShape, lineKeyOf } from './waiting-shape.ts';

/** Of what a place is made. */
interface Stand {
  readonly shape: LineShape;
  readonly hash: number;
  readonly kinds: number;
}

/** Where one alternative of a call that waits stands: a link of one line, or all of it. */
export class LinePlace {
  readonly waiting: Waiting;
  shape: LineShape;
  readonly hash: number;
  /** The kinds that its pattern lets through (`waiting-kinds.ts`). */
  readonly kinds: number;
  /** Its neighbours in the list it stands in. */
  previous: LinePlace | undefined = undefined;
  next: LinePlace | undefined = undefined;
  /** Another place of the same call. */
  other: LinePlace | undefined = undefined;

  constructor(waiting: Waiting, stand: Stand) {
    this.waiting = waiting;
    this.shape = stand.shape;
    this.hash = stand.hash;
    this.kinds = stand.kinds;
  }

  /** Whether a tuple of these kinds, whose ranged field has this order key, may match. */
  admits(kinds: number, _key: number): boolean {
    return (kinds & ~this.kinds) === 0;
  }
}

/** A place with a range, of a shape that ranges over a field. */
export class RangePlace extends LinePlace {
  // Absent where open: an infinity needs a box of its own in each place, nothing does not.
  readonly #lower: number | undefined;
  readonly #upper: number | undefined;

  constructor(waiting: Waiting, stand: Stand, { lower, upper }: LineKey) {
    super(waiting, stand);
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

  override admits(kinds: number, key: number): boolean {
    return (kinds & ~this.kinds) === 0 && this.lower <= key && key <= this.upper;
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
  const kinds = kindsOfPattern(pattern);
  if (!mayAdd(shape.name)) return [new LinePlace(waiting, { shape: generalShape, hash: 0, kinds })];
  return hashes.map((hash) =>
    shape.rangeField < 0
      ? new LinePlace(waiting, { shape, hash, kinds })
      : new RangePlace(waiting, { shape, hash, kinds }, key),
  );
}
