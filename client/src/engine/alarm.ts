import type { Cancel, EngineClock } from './doors.ts';

/** One timer for all deadlines: it stands at the earliest that anybody asked for. */
export class Alarm {
  readonly #clock: EngineClock;
  readonly #ring: () => void;
  #atMs = Number.POSITIVE_INFINITY;
  #cancel: Cancel | undefined;

  constructor(clock: EngineClock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at `atMs` or before. After each ring everybody asks again. */
  by(atMs: number, nowMs: number): void {
    if (atMs >= this.#atMs) return;
    this.#cancel?.();
    this.#atMs = atMs;
    this.#cancel = this.#clock.after(Math.max(0, atMs - nowMs), () => {
      this.#atMs = Number.POSITIVE_INFINITY;
      this.#cancel = undefined;
      this.#ring();
    });
  }

  /** Rings no more, unless asked again. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#atMs = Number.POSITIVE_INFINITY;
  }
}
