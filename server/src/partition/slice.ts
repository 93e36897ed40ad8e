import type { Clock } from '../base/doors.ts';

/** A stretch of work that ends after so many milliseconds, so that the event loop can breathe. */
export class Slice {
  readonly #clock: Clock;
  /** Monotonic time as it was last looked at. */
  nowMs: number;
  #endMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.nowMs = clock.monotonicMs();
  }

  /** Begins a stretch. */
  begin(sliceMs: number): void {
    this.nowMs = this.#clock.monotonicMs();
    this.#endMs = this.nowMs + sliceMs;
  }

  /**
   * Whether the stretch is over. Asked before each piece of work: one look at the clock costs some
   * 50 ns, and one piece may be a write of a thousand tuples.
   */
  over(): boolean {
    this.nowMs = this.#clock.monotonicMs();
    return this.nowMs >= this.#endMs;
  }
}
