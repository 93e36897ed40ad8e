import type { Configuration } from './configuration.ts';
import type { Entry, HardState, Snapshot } from './message.ts';

/** The term of an index that the log no longer has. */
export const compacted = -1;
/** The term of an index that the log does not have yet. */
export const unavailable = -2;

/**
 * The durable part of a group's log, as the group's caller keeps it in memory. The core reads it in the
 * middle of its steps, so it answers at once. Only the caller changes it: when what a Ready asked for
 * is durable, and before it says so; and when it compacts, never beyond what is applied.
 */
export interface RaftStorage {
  /**
   * What was durable at the start; read once. The configuration is that of the state machine, in force
   * at `RaftOptions.applied`.
   */
  initialState(): { readonly hardState: HardState; readonly configuration: Configuration };
  /** The index after the snapshot that the log begins with; 1 where there is none. */
  firstIndex(): number;
  /** The last durable index: at least `firstIndex() - 1`. */
  lastIndex(): number;
  /** The term at an index, from `firstIndex() - 1` on; else `compacted` or `unavailable`. */
  term(index: number): number;
  /**
   * The entries from `low` to `high - 1`, all of which are there; as many as fit `bytesMax`, by
   * `entryBytes`, but at least one. The array is the core's, the entries are shared.
   */
  entries(low: number, high: number, bytesMax: number): Entry[];
  /** The newest snapshot, for a follower that needs it; null while there is none to give. */
  snapshot(): Snapshot | null;
}
