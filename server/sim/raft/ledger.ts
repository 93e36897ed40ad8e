/**
 * What a run has shown so far, and the invariants that each step of a replica is held to: who led, what
 * each replica wrote, what it knows of itself. What is committed is kept by commitment.ts, what was
 * promised to others by promises.ts; `Judge` is all three.
 */
import type { Configuration } from '../../src/raft/configuration.ts';
import { type Entry, EntryKind } from '../../src/raft/message.ts';
import { Role } from '../../src/raft/state.ts';
import type { RaftStorage } from '../../src/raft/storage.ts';
import type { ShadowLog } from './shadow-log.ts';

/** The names under which violations are told. */
export type RaftChecker =
  | 'election safety'
  | 'one vote a term'
  | 'log matching'
  | 'leader completeness'
  | 'state machine safety'
  | 'committed never changes'
  | 'committed is durable'
  | 'acknowledged is durable'
  | 'monotonic'
  | 'one change under way'
  | 'majorities overlap'
  | 'removed replica'
  | 'linearizable read'
  | 'lease'
  | 'pre-vote'
  | 'earlier life'
  | 'transfer'
  | 'bounded log'
  | 'steady leader'
  | 'liveness';

/** Says that an invariant does not hold. */
export type Accuse = (checker: RaftChecker, message: string) => void;

/** A replica as the checkers know it. */
export interface Suspect {
  readonly id: number;
  /** Counts its starts. */
  readonly life: number;
  readonly log: ShadowLog;
  readonly storage: RaftStorage;
}

/** What a replica says of itself; `configuration` is what its state machine knows. */
export interface Claim {
  readonly term: number;
  readonly role: Role;
  readonly committed: number;
  readonly applied: number;
  readonly configuration: Configuration;
}

interface Written {
  readonly entry: Entry;
  readonly previousTerm: number;
}

const termsMax = 1_000_000;

/** Who led which term, and who wrote what. */
export class Ledger {
  readonly #accuse: Accuse;
  readonly #leaders = new Map<number, { readonly id: number; readonly life: number }>();
  /** By index and term. */
  readonly #written = new Map<number, Written>();
  readonly #claims = new Map<number, { readonly life: number; readonly claim: Claim }>();
  /** The latest term in which anybody was elected. */
  maxLedTerm = 0;

  constructor(accuse: Accuse) {
    this.#accuse = accuse;
  }

  /** What the replica claimed after its event before, in this life. */
  lastClaim({ id, life }: Suspect): Claim | undefined {
    const known = this.#claims.get(id);
    return known?.life === life ? known.claim : undefined;
  }

  /** Whether a term has had a leader, and it is this replica in this life. */
  leads({ id, life }: Suspect, term: number): boolean {
    const leader = this.#leaders.get(term);
    return leader?.id === id && leader.life === life;
  }

  leaderOf(term: number): number | undefined {
    return this.#leaders.get(term)?.id;
  }

  /** After each event of a replica. */
  claimed(suspect: Suspect, claim: Claim): void {
    const before = this.lastClaim(suspect);
    if (before !== undefined) this.#monotonic(suspect, before, claim);
    this.#claims.set(suspect.id, { life: suspect.life, claim });
    if (claim.role === Role.leader) this.#leader(suspect, claim);
  }

  /** Before anything else of the Ready that tells them: entries that a replica puts into its log. */
  wrote(suspect: Suspect, claim: Claim, entries: readonly Entry[]): readonly Entry[] {
    const { log } = suspect;
    const replaced = log.write(entries);
    for (const entry of entries) {
      this.#matches(suspect, entry);
      const own = claim.role === Role.leader && entry.term === claim.term;
      if (own && entry.kind === EntryKind.change) this.#onlyChange(suspect, claim, entry.index);
    }
    return replaced;
  }

  #monotonic({ id }: Suspect, before: Claim, claim: Claim): void {
    for (const name of ['term', 'committed', 'applied'] as const) {
      if (claim[name] >= before[name]) continue;
      this.#accuse('monotonic', `${name} of ${id} went from ${before[name]} to ${claim[name]}`);
    }
  }

  #leader({ id, life }: Suspect, { term }: Claim): void {
    const leader = this.#leaders.get(term);
    if (leader === undefined) {
      this.#leaders.set(term, { id, life });
      this.maxLedTerm = Math.max(this.maxLedTerm, term);
    } else if (leader.id !== id || leader.life !== life) {
      this.#accuse(
        'election safety',
        `term ${term} was led by ${leader.id} (life ${leader.life}) and ${id} (life ${life})`,
      );
    }
  }

  #matches({ id, log }: Suspect, entry: Entry): void {
    const { index, term } = entry;
    const previousTerm = log.term(index - 1);
    if (previousTerm === undefined || previousTerm > term) {
      this.#accuse('log matching', `${id} has term ${term} at ${index} after ${previousTerm}`);
      return;
    }
    const key = index * termsMax + term;
    const known = this.#written.get(key);
    if (known === undefined) {
      this.#written.set(key, { entry, previousTerm });
    } else if (known.previousTerm !== previousTerm || !isSame(known.entry, entry)) {
      this.#accuse('log matching', `${id} has another entry at ${index} of term ${term}`);
    }
  }

  /** A leader logs a change only when all before it are applied. */
  #onlyChange({ id, log }: Suspect, { applied }: Claim, index: number): void {
    for (let at = applied + 1; at < index; at += 1) {
      if (log.entry(at)?.kind !== EntryKind.change) continue;
      this.#accuse(
        'one change under way',
        `${id} logs a change at ${index}; that at ${at} is unapplied`,
      );
    }
  }
}

/** Whether two entries say the same. */
export function isSame(left: Entry, right: Entry): boolean {
  if (left === right) return true;
  return (
    left.kind === right.kind &&
    left.payload.length === right.payload.length &&
    left.payload.every((byte, at) => byte === right.payload[at])
  );
}
