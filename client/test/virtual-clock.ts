import type { Cancel, EngineClock } from '../src/engine/index.ts';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that a test moves by hand. */
export class VirtualClock implements EngineClock {
  #nowMs = 1_000;
  #order = 0;
  #timers: Timer[] = [];
  #soon: (() => void)[] = [];
  /** What the last one who asked for a turn said of its urgency. */
  isUrgent: () => boolean = () => false;

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Cancel {
    this.#order += 1;
    const timer = { atMs: this.#nowMs + delayMs, order: this.#order, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  soon(run: () => void, isUrgent?: () => boolean): void {
    this.#soon.push(run);
    if (isUrgent !== undefined) this.isUrgent = isUrgent;
  }

  /** How many timers stand. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Ends the turn, and the turns that this one asks for. */
  settle(): void {
    for (let turn = 0; this.#soon.length > 0; turn += 1) {
      if (turn > 10_000) throw new Error('the turns do not end');
      this.turn();
    }
  }

  /** Ends the turn; what this one asks for waits. */
  turn(): void {
    const soon = this.#soon;
    this.#soon = [];
    for (const run of soon) run();
  }

  /** Lets time pass; each timer rings at its time, followed by its turn. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    this.settle();
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
      this.settle();
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass without running anything: a blocked event loop, or a sleeping machine. */
  block(ms: number): void {
    this.#nowMs += ms;
  }
}
