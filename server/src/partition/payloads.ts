import { Writer } from '@tuplet/proto';
import { assert } from '../base/assert.ts';

/** Bytes of one buffer: the payloads of some hundred small entries. */
const bufferBytes = 64 * 1024;
/** With less room than this left, a payload of the usual size begins the next buffer. */
const roomBytes = 1_024;
/** Beyond this the buffer of a turn of large tuples is given back. */
const keptBytesMax = 4 * 1024 * 1024;

/**
 * Where the payloads of a node's own proposals are encoded, one behind the other: an allocation for each
 * would cost more than the encoding. Where other nodes have replicas, entries are kept for them: nothing is
 * written twice, and a buffer goes when the last entry in it has gone. Where there are none, the log's copy
 * is all that is ever read, and `copied` lets the buffer be written again: new ones cost the collector more
 * than the rest of a proposal (a tenth of the server's time at 64 writers).
 */
export class Payloads {
  readonly #isKept: boolean;
  #writer = new Writer(bufferBytes);

  constructor(options: { readonly isKept: boolean }) {
    this.#isKept = options.isKept;
  }

  /** What the next payload is written with, between `begin` and `end`. */
  get writer(): Writer {
    return this.#writer;
  }

  /** Begins a payload; returns what `end` wants. */
  begin(): number {
    if (this.#isKept && this.#writer.position + roomBytes > bufferBytes) {
      this.#writer = new Writer(bufferBytes);
    }
    return this.#writer.position;
  }

  /** Ends a payload. */
  end(start: number): Uint8Array {
    const { bytes, position } = this.#writer;
    assert(position > start, 'a payload has bytes');
    // A buffer that grows is replaced, and earlier views keep the old one.
    return bytes.subarray(start, position);
  }

  /** The log has copied all payloads. */
  copied(): void {
    if (this.#isKept) return;
    if (this.#writer.bytes.length > keptBytesMax) this.#writer = new Writer(bufferBytes);
    else this.#writer.reset();
  }
}
