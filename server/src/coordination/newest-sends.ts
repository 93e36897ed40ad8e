import { NumberMap } from '@tuplet/proto';
import type { Attempt, Sequence, SessionId } from '../base/ids.ts';
import type { SessionOperation } from '../space/command.ts';

interface Send {
  readonly attempt: Attempt;
  readonly m: number;
}

/** The one sending that most operations ever have: a hundred thousand that wait share it. */
const firstSend: Send = { attempt: 1 as Attempt, m: 1 };

interface SessionSends {
  floor: Sequence;
  readonly sends: NumberMap<Send>;
  /** Operations whose newest attempt was refused with nothing done; undefined: none. */
  refused: Map<Sequence, Attempt> | undefined;
  /** From the lowest to the highest sequence whose first attempt was refused as busy; undefined: none. */
  busy: { readonly from: Sequence; readonly to: Sequence } | undefined;
}

/** What to do with a sending: `closed` and `outdated`: STOP; `old`: drop it; `busy`: refuse it. */
export type Seen = 'new' | 'old' | 'outdated' | 'closed' | 'busy';

/**
 * The newest sending of each operation whose answer may need no log entry (T2). A copy of an older
 * one that comes late must not act, and nothing in the log would stop it: so the numbers are kept
 * until the client's floor has passed the operation, also when it is answered.
 */
export class NewestSends {
  readonly #sessions = new NumberMap<SessionSends>();
  readonly #operationsMax: number;

  constructor(operationsMax: number) {
    this.#operationsMax = operationsMax;
  }

  /** Sessions of which something is noted. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** The client's floor, as any message of its tells it: operations below are closed for good. */
  raise(session: SessionId, floor: Sequence): void {
    this.#raised(session, floor);
  }

  #raised(session: SessionId, floor: Sequence): SessionSends {
    const known = this.#sessions.get(session);
    if (known === undefined) {
      const sends = { floor, sends: new NumberMap<Send>(), refused: undefined, busy: undefined };
      this.#sessions.set(session, sends);
      return sends;
    }
    if (floor <= known.floor) return known;
    const { sends } = known;
    // By counting where that is shorter than looking.
    if (floor - known.floor <= sends.size) {
      for (let sequence = known.floor; sequence < floor; sequence = (sequence + 1) as Sequence)
        sends.delete(sequence);
    } else for (const sequence of sends.keys()) if (sequence < floor) sends.delete(sequence);
    known.floor = floor;
    if (known.busy !== undefined && floor > known.busy.to) known.busy = undefined;
    if (known.refused !== undefined) {
      for (const sequence of known.refused.keys())
        if (sequence < floor) known.refused.delete(sequence);
      if (known.refused.size === 0) known.refused = undefined;
    }
    return known;
  }

  /** Whether the client has closed this operation. */
  isClosed({ session, sequence }: SessionOperation): boolean {
    return sequence < (this.#sessions.get(session)?.floor ?? 0);
  }

  /** T2: notes a sending and says whether it is the newest. */
  see(operation: SessionOperation, m: number): Seen {
    const { session, sequence, attempt, floor } = operation;
    const known = this.#raised(session, floor);
    if (sequence < known.floor) return 'closed';
    const { sends } = known;
    const newest = sends.get(sequence);
    if (newest === undefined && this.#isBusy(known, operation)) return 'busy';
    if (newest !== undefined && newest.attempt > attempt) return 'outdated';
    if (newest !== undefined && newest.attempt === attempt && newest.m >= m) return 'old';
    sends.set(sequence, attempt === 1 && m === 1 ? firstSend : { attempt, m });
    return 'new';
  }

  /**
   * Who is refused as busy is not noted, for the bound's sake; but neither may a copy of its first
   * attempt act when there is room again. So first attempts stay refused between the lowest and the
   * highest sequence that were, until the floor has passed them.
   */
  #isBusy(known: SessionSends, { sequence, attempt }: SessionOperation): boolean {
    const { busy, sends } = known;
    const wasBusy = busy !== undefined && sequence >= busy.from && sequence <= busy.to;
    if (attempt > 1) return sends.size >= this.#operationsMax;
    if (!wasBusy && sends.size < this.#operationsMax) return false;
    if (busy === undefined) known.busy = { from: sequence, to: sequence };
    else if (sequence < busy.from) known.busy = { from: sequence, to: busy.to };
    else if (sequence > busy.to) known.busy = { from: busy.from, to: sequence };
    return true;
  }

  /** T2: whether nothing newer was seen meanwhile; asked when a parked or fenced sending goes on. */
  isNewest({ session, sequence, attempt }: SessionOperation, m: number): boolean {
    const newest = this.#sessions.get(session)?.sends.get(sequence);
    return newest !== undefined && newest.attempt === attempt && newest.m === m;
  }

  /** The newest sending was refused, and nothing of its operation is done, nor will be. */
  refused({ session, sequence, attempt }: SessionOperation): void {
    const known = this.#sessions.get(session);
    if (known === undefined) return;
    known.refused ??= new Map();
    known.refused.set(sequence, attempt);
  }

  /**
   * Whether no earlier attempt has acted or can act: there was none, or this leadership has refused
   * them. What comes late of those is outdated here, and of an epoch that is over for another leader.
   */
  isFirst({ session, sequence, attempt }: SessionOperation): boolean {
    return attempt === 1 || this.#sessions.get(session)?.refused?.get(sequence) === attempt - 1;
  }

  /** E8: the session has ended, or never was. */
  drop(session: SessionId): void {
    this.#sessions.delete(session);
  }
}
