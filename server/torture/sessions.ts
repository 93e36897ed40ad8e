/**
 * Names for the sessions of one SDK client, as the history needs them. The SDK has one session for what
 * may block and one for what is prompt, and does not name them; that one of them is over is seen from
 * outside by a call that ends with SESSION_EXPIRED.
 */
import type { ArgumentsJson } from '../sim/check/history.ts';
import type { Asked } from '../sim/client.ts';

/** Which session an operation runs in; reads and counts need none. */
export type LaneName = 'prompt' | 'waiting' | 'none';

const reading: ReadonlySet<Asked> = new Set<Asked>(['read', 'read-many', 'count']);
/** Sessions that one process may use up. */
const sessionsPerProcess = 1_000;

/** See the top of the file. */
export class SessionNames {
  readonly #current = { prompt: 0, waiting: 0 };
  readonly #ended: (session: number) => void;
  #last: number;

  /** `ended` hears the name of each session that is over. */
  constructor(ordinal: number, ended: (session: number) => void) {
    this.#ended = ended;
    this.#last = ordinal * sessionsPerProcess;
    this.#current = { prompt: ++this.#last, waiting: ++this.#last };
  }

  /** The session that an operation will run in. */
  laneOf(operation: Asked, asked: ArgumentsJson): LaneName {
    if (reading.has(operation)) return 'none';
    const waits = asked.waitMs === null || (asked.waitMs ?? 0) > 0;
    return waits ? 'waiting' : 'prompt';
  }

  /** The lane's session; undefined where there is none. */
  current(lane: LaneName): number | undefined {
    return lane === 'none' ? undefined : this.#current[lane];
  }

  /**
   * The lane's session is over, and the next one has another name. Of several calls that say so each
   * ends a name: a name may end too often, which costs the checkers strictness, never too seldom.
   */
  lost(lane: LaneName): void {
    if (lane === 'none') return;
    const session = this.#current[lane];
    this.#current[lane] = ++this.#last;
    this.#ended(session);
  }
}
