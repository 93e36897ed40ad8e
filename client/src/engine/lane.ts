import { NumberMap } from '@tuplet/proto';
import { clientLimits } from './limits.ts';
import type { Operation } from './operation.ts';
import { Queue } from './queue.ts';
import type { Session } from './session.ts';

/**
 * Operations of one sort on their way: reads or changes, prompt or waiting. Each lane has its own
 * bound, so that 4,096 parked takes do not keep a write from leaving; the two that change things
 * have a session each, so that a parked take does not hold the floor of the writes.
 */
export class Lane {
  /** Whether its operations need a session. */
  readonly mutates: boolean;
  /** Not sent yet, or not in the present session, in order. An operation that was cancelled here is `settled` and passed over. */
  readonly queue: Queue<Operation> = new Queue();
  /** To be sent again, in order of the event that made them so. */
  readonly due: Queue<Operation> = new Queue();
  /** Sent at least once and not settled, by their numbers. */
  readonly open: NumberMap<Operation> = new NumberMap();
  /** The session for new operations. */
  session: Session | undefined;
  /** Whether an OpenSession is on its way. */
  opening = false;
  /** When the next OpenSession may be sent. */
  openAtMs = 0;
  /** OpenSessions that failed in a row. */
  openFailures = 0;
  /** Sessions in a row that were lost within their first lease. */
  shortSessions = 0;

  constructor(mutates: boolean) {
    this.mutates = mutates;
  }

  /** Whether another operation may be opened. */
  hasRoom(): boolean {
    return this.open.size < clientLimits.openPerLaneMax;
  }

  /** Whether it has something that could be sent now, given a session. */
  wantsToSend(): boolean {
    return this.due.size > 0 || (this.queue.size > 0 && this.hasRoom());
  }
}
