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
  readonly #current: { prompt: number; waiting: number };
  /** Names under which something was answered. */
  readonly #used = new Set<number>();
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

  /** The session in which an answer came; undefined where there is none. */
  answered(lane: LaneName): number | undefined {
    if (lane === 'none') return undefined;
    this.#used.add(this.#current[lane]);
    return this.#current[lane];
  }

  /**
   * The lane's session is over, and the next one has another name. Where several calls say so, and
   * something was answered between them, more names end than sessions: that costs the checkers
   * strictness, and never makes them complain of what is right.
   */
  lost(lane: LaneName): void {
    if (lane === 'none') return;
    const session = this.#current[lane];
    if (!this.#used.has(session)) return;
    this.#current[lane] = ++this.#last;
    this.#ended(session);
  }
}
