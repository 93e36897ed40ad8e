import type { StampMs } from '../base/ids.ts';

/**
 * A leadership's stamps (SPEC §4): they begin at the larger of the last stamp and the wall clock, and
 * go on with monotonic time alone. So a wall clock that jumps moves nothing, and no stamp falls.
 */
export class StampClock {
  #baseMs: number;
  #startMs: number;
  #lastMs: number;

  /** `nowMs` is monotonic time; `wallMs` the operating system's belief about 1970. */
  constructor(options: { lastStampMs: StampMs; wallMs: number; nowMs: number }) {
    this.#baseMs = Math.max(options.lastStampMs, Math.floor(options.wallMs));
    this.#startMs = options.nowMs;
    this.#lastMs = this.#baseMs;
  }

  /** The stamp of an entry proposed now. */
  stampMs(nowMs: number): StampMs {
    const stampMs = this.#baseMs + Math.floor(nowMs - this.#startMs);
    if (stampMs > this.#lastMs) this.#lastMs = stampMs;
    return this.#lastMs as StampMs;
  }

  /** There is a later stamp than was known: time goes on from it. */
  raise(lastStampMs: StampMs, nowMs: number): void {
    if (this.stampMs(nowMs) >= lastStampMs) return;
    this.#baseMs = lastStampMs;
    this.#startMs = nowMs;
  }
}
