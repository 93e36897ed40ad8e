import { Writer } from '@tuplet/proto';
import { assert } from '../base/assert.ts';

/** Bytes of one buffer: the payloads of some hundred small entries. */
const bufferBytes = 64 * 1024;
/** With less room than this left, a payload of the usual size begins the next buffer. */
const roomBytes = 1_024;

/**
 * Where the payloads of a node's own proposals are encoded, one behind the other: an allocation for each
 * would cost more than the encoding. They are views, and nothing is written twice: a buffer goes when the
 * last entry in it has gone.
 */
export class Payloads {
  #writer = new Writer(bufferBytes);

  /** What the next payload is written with, between `begin` and `end`. */
  get writer(): Writer {
    return this.#writer;
  }

  /** Begins a payload; returns what `end` wants. */
  begin(): number {
    if (this.#writer.position + roomBytes > bufferBytes) this.#writer = new Writer(bufferBytes);
    return this.#writer.position;
  }

  /** Ends a payload. */
  end(start: number): Uint8Array {
    const { bytes, position } = this.#writer;
    assert(position > start, 'a payload has bytes');
    // A buffer that grows is replaced, and earlier views keep the old one.
    return bytes.subarray(start, position);
  }
}
