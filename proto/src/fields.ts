import { limits } from './limits.ts';
import { lengthAt } from './stored.ts';
import { varintSize } from './wire.ts';

/**
 * Where the fields of one tuple lie, found in one pass and used by every template, hash and key that
 * looks at the tuple. Reused: `scan` overwrites what it held.
 */
export class FieldOffsets {
  /** How many fields the tuple has. */
  arity = 0;
  /** Where each field's value begins (its kind's tag). */
  readonly starts: Int32Array = new Int32Array(limits.arityMax);
  /** Where each field's value ends. */
  readonly ends: Int32Array = new Int32Array(limits.arityMax);

  /** Finds the fields of the canonical tuple in `start` to `end`. Returns itself. */
  scan(bytes: Uint8Array, start = 0, end: number = bytes.length): this {
    let arity = 0;
    let at = start;
    while (at < end && arity < limits.arityMax) {
      const size = lengthAt(bytes, at + 1);
      const content = at + 1 + varintSize(size);
      at = content + size;
      this.starts[arity] = content;
      this.ends[arity] = at;
      arity += 1;
    }
    this.arity = arity;
    return this;
  }

  /** Where the value of a field that exists begins. */
  start(field: number): number {
    return this.starts[field] as number;
  }

  /** Where the value of a field that exists ends. */
  end(field: number): number {
    return this.ends[field] as number;
  }
}
