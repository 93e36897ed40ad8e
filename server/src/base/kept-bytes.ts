import type { Run } from '@tuplet/proto';
import { keptBytesMax, keptChunkBytes } from './limits.ts';

/**
 * Copies of small templates, side by side: an array of its own costs each more than its bytes. A
 * chunk lives as long as one of its templates waits.
 */
export class KeptBytes {
  #chunk = new Uint8Array(0);
  #used = 0;

  /** A copy; large ones lie alone. */
  keep(bytes: Uint8Array): Run {
    const { length } = bytes;
    if (length > keptBytesMax) return { bytes: bytes.slice(), start: 0, end: length };
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = new Uint8Array(keptChunkBytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    this.#chunk.set(bytes, start);
    return { bytes: this.#chunk, start, end: this.#used };
  }
}
