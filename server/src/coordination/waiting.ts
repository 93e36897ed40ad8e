import type { Query } from './messages.ts';
import type { LinePlace } from './waiting-places.ts';

/** A call that waits for a tuple: what a line needs to know of it. */
export interface Waiting {
  readonly query: Query;
  /** When it came, on the node's monotonic clock; what it had waited elsewhere is taken off. */
  readonly arrivalMs: number;
  /** Breaks ties: who came first has the lower one. */
  readonly serial: number;
  /** Its places in lines, linked by `other`; undefined while it stands in none. */
  place: LinePlace | undefined;
}

/** Whether `a` came before `b`. */
export function isBefore(a: Waiting, b: Waiting): boolean {
  return a.arrivalMs < b.arrivalMs || (a.arrivalMs === b.arrivalMs && a.serial < b.serial);
}
