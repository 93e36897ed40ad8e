/** What is committed: it stays, is on enough disks, in every later leader's log, and is applied alike. */
import { type Configuration, isVoter } from '../../src/raft/configuration.ts';
import type { Entry, Snapshot } from '../../src/raft/message.ts';
import { Role } from '../../src/raft/state.ts';
import type { RaftStorage } from '../../src/raft/storage.ts';
import type { Accuse, Claim, Suspect } from './ledger.ts';

interface Committed {
  /** The entry's. */
  readonly term: number;
  /** That of the first replica that knew, which is the leader that committed it. */
  readonly knownInTerm: number;
}

/** See the top of the file. */
export class Commitment {
  readonly #accuse: Accuse;
  readonly #suspects = new Map<number, Suspect>();
  readonly #committed: Committed[] = [];
  readonly #states = new Map<number, number>();
  readonly #start: number;

  /** `start`: index and term that everybody begins with, committed already. */
  constructor(accuse: Accuse, start: Snapshot) {
    this.#accuse = accuse;
    this.#start = start.index;
    this.#committed.push({ term: start.term, knownInTerm: start.term });
  }

  /** The last index that any replica has known to be committed. */
  get last(): number {
    return this.#start + this.#committed.length - 1;
  }

  /**
   * Its disk counts from now on, and after its end for what it had: a leader that has not applied the
   * removal yet still counts what was acknowledged before.
   */
  enlist(suspect: Suspect): void {
    this.#suspects.set(suspect.id, suspect);
  }

  /** After each event of a replica, with what it claimed before in this life. Says how many are new to all. */
  claimed(suspect: Suspect, before: Claim | undefined, claim: Claim): number {
    const known = this.last;
    this.#commits(suspect, before?.committed ?? this.#start, claim);
    if (this.last > known) this.#isDurable(claim.configuration, this.last);
    if (claim.role === Role.leader && before?.role !== Role.leader) this.#elected(suspect, claim);
    return this.last - known;
  }

  /** Entries that a replica replaced by others; `committed`: what it knew to be before. */
  replaced(suspect: Suspect, committed: number, entries: readonly Entry[]): void {
    for (const { index, term } of entries) {
      const isCommitted = this.#at(index)?.term === term && suspect.log.term(index) !== term;
      if (index > committed && !isCommitted) continue;
      this.#accuse(
        'committed never changes',
        `${suspect.id} replaced its committed entry ${index}`,
      );
      return;
    }
  }

  /** A replica has applied an entry and is in a state, told by a number. */
  applied(id: number, index: number, state: number): void {
    const known = this.#states.get(index);
    if (known === undefined) this.#states.set(index, state);
    else if (known !== state) {
      this.#accuse('state machine safety', `${id} is in another state after ${index}`);
    }
    if (index > this.last) {
      this.#accuse('state machine safety', `${id} applies ${index}, which is not committed`);
    }
  }

  #at(index: number): Committed | undefined {
    return this.#committed[index - this.#start];
  }

  #commits({ id, log }: Suspect, from: number, claim: Claim): void {
    for (let index = Math.max(from + 1, log.base); index <= claim.committed; index += 1) {
      const term = log.term(index);
      const known = this.#at(index);
      if (term === undefined) {
        this.#accuse('committed never changes', `${id} commits ${index}, which it does not have`);
        return;
      }
      if (known === undefined) this.#committed.push({ term, knownInTerm: claim.term });
      else if (known.term !== term) {
        this.#accuse(
          'committed never changes',
          `entry ${index} was of term ${known.term}, at ${id} it is of ${term}`,
        );
        return;
      }
    }
  }

  #isDurable({ voters, outgoing }: Configuration, index: number): void {
    const term = this.#at(index)?.term;
    for (const half of [voters, outgoing]) {
      let have = 0;
      for (const id of half) {
        const storage = this.#suspects.get(id)?.storage;
        if (storage !== undefined && isOnDisk(storage, index, term)) have += 1;
      }
      if (half.length === 0 || have > half.length / 2) continue;
      this.#accuse(
        'committed is durable',
        `entry ${index} is on ${have} disks of the voters ${half.join(', ')}`,
      );
    }
  }

  #elected({ id, log }: Suspect, claim: Claim): void {
    if (!isVoter(claim.configuration, id)) {
      this.#accuse('removed replica', `${id} was elected in term ${claim.term} and is no voter`);
    }
    // Who has the last has all, by log matching. A leader left behind need not have what came later.
    let index = this.last;
    while ((this.#at(index)?.knownInTerm ?? 0) >= claim.term && index > this.#start) index -= 1;
    if (index < log.base) return;
    const term = this.#at(index)?.term;
    if (log.term(index) === term) return;
    this.#accuse(
      'leader completeness',
      `${id}, elected in term ${claim.term}, lacks entry ${index} of term ${term}`,
    );
  }
}

function isOnDisk(storage: RaftStorage, index: number, term: number | undefined): boolean {
  return index < storage.firstIndex() || storage.term(index) === term;
}
