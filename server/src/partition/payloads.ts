import { Writer } from '@tuplet/proto';
import { assert } from '../base/assert.ts';

/** Beyond this the buffer of a turn of large tuples is given back. */
const keptBytesMax = 4 * 1024 * 1024;

/**
 * Where the payloads of one turn are encoded, one behind the other: an allocation for each would cost
 * more than the encoding. They are views, valid until `clear`, which follows the log's copying them.
 */
export class Payloads {
  #writer = new Writer(64 * 1024);

  /** What the next payload is written with, between `begin` and `end`. */
  get writer(): Writer {
    return this.#writer;
  }

  /** Begins a payload; returns what `end` wants. */
  begin(): number {
    return this.#writer.position;
  }

  /** Ends a payload. */
  end(start: number): Uint8Array {
    const { bytes, position } = this.#writer;
    assert(position > start, 'a payload has bytes');
    // A buffer that grows is replaced, and earlier views keep the old one.
    return bytes.subarray(start, position);
  }

  /** Nobody looks at the payloads any more. */
  clear(): void {
    if (this.#writer.bytes.length > keptBytesMax) this.#writer = new Writer(64 * 1024);
    else this.#writer.reset();
  }
}
