import { limits } from '../base/limits.ts';
import { type Place, type Slabs, slackBytes } from './slabs.ts';

/**
 * Copies of small tuples for who soon lets them go, side by side: beyond 64 bytes V8 gives an array
 * memory of its own, outside its heap, for 1.5 µs (measured, Node 20), a view of a shared one costs a
 * seventh. A chunk lives as long as one of its copies.
 */
export class Copies {
  #chunk = new Uint8Array(0);
  #view = new DataView(this.#chunk.buffer);
  #used = 0;

  /** A copy of bytes; large ones lie alone. */
  copy(slabs: Slabs, place: Place, size: number): Uint8Array {
    const { copyChunkBytes, copyBytesMax } = limits;
    if (size > copyBytesMax) return slabs.copy(place, size);
    if (this.#used + size + slackBytes > this.#chunk.length) {
      this.#chunk = new Uint8Array(copyChunkBytes);
      this.#view = new DataView(this.#chunk.buffer);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += size;
    slabs.copyInto(place, size, this.#chunk, this.#view, start);
    return this.#chunk.subarray(start, this.#used);
  }
}
