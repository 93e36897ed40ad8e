/** The real Clock. */
import type { Cancel, Clock } from '../base/doors.ts';

/** The process's own clock. Timers keep the process alive, as whoever waits for one expects. */
export const hostClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs: number, run: () => void): Cancel {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  soon: (run) => void setImmediate(run),
};
