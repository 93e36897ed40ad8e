import type { Entry, HardState, Message, Snapshot } from './message.ts';
import type { ReadState } from './read-index.ts';
import type { Role } from './state.ts';

/** What a replica is, for those who ask it; never durable. */
export interface SoftState {
  /** Who leads this term; 0: nobody is known. */
  readonly lead: number;
  readonly role: Role;
}

/**
 * Up to where the log is durable once a write has ended. It counts only while the term stays: in
 * another one, a write still under way may be about to replace those very entries by others, and later
 * ones by the same again, so that index and entry's term alone would not tell.
 */
export interface StableMark {
  /** The replica's term when the write was handed out. */
  readonly term: number;
  /** The last entry of the log then, or 0 where all of it was durable. */
  readonly index: number;
  readonly logTerm: number;
  /** The snapshot that was written. */
  readonly snapshot: Snapshot | null;
}

/**
 * A write for the log, when storage is asynchronous. It becomes durable whole or not at all, and writes
 * of a replica in the order in which they were handed out, those without entries too. Without `responses` and
 * `mark` nobody waits for it.
 */
export interface AppendWork {
  readonly hardState: HardState | null;
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | null;
  /** For others and for this replica itself; none may leave before this write is durable. */
  readonly responses: readonly Message[];
  readonly mark: StableMark | null;
}

/** Entries to apply, when storage is asynchronous; in order, and in the order of their handing out. */
export interface ApplyWork {
  readonly entries: readonly Entry[];
}

/**
 * What a replica wants done. Asynchronous: send `messages`, write `append`, apply `apply`, in any order,
 * and tell when each has ended. Otherwise: write `hardState`, `entries` and `snapshot`, then send
 * `messages` and apply `committed`, then call `advance`, and only then ask for the next Ready.
 */
export interface Ready {
  /** Null: as before. */
  readonly softState: SoftState | null;
  /** Null: as before. */
  readonly hardState: HardState | null;
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | null;
  readonly committed: readonly Entry[];
  readonly messages: readonly Message[];
  readonly reads: readonly ReadState[];
  /** Whether what is written must be durable before anybody hears of it: not so for a commit index alone. */
  readonly mustSync: boolean;
  readonly append: AppendWork | null;
  readonly apply: ApplyWork | null;
}
