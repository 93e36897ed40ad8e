/** What replicas say to others and to readers: votes, acknowledgements, reads, leases. */
import { type HardState, type Message, MessageKind, noReplica } from '../../src/raft/message.ts';
import type { Accuse, Suspect } from './ledger.ts';

/** A read as it was asked for. */
interface AskedRead {
  /** What anybody knew to be committed then. */
  readonly floor: number;
}

const idsMax = 4_096;

/** See the top of the file. */
export class Promises {
  readonly #accuse: Accuse;
  readonly #votes = new Map<number, number>();
  readonly #reads = new Map<number, AskedRead>();
  readonly #durableTerms = new Map<number, number>();
  readonly #ended = new Set<number>();

  constructor(accuse: Accuse) {
    this.#accuse = accuse;
  }

  /** A hard state is durable. */
  kept(id: number, { term, vote }: HardState): void {
    const before = this.#durableTerms.get(id) ?? 0;
    if (term < before) this.#accuse('monotonic', `durable term of ${id} went to ${term}`);
    this.#durableTerms.set(id, term);
    if (vote !== noReplica) this.#voted(id, term, vote);
  }

  /** A replica was destroyed: its id says nothing any more. */
  ended(id: number): void {
    this.#ended.add(id);
  }

  /** A message leaves a replica, over the disk that it has now. */
  sent(suspect: Suspect, hardState: HardState, message: Message): void {
    if (this.#ended.has(suspect.id)) {
      this.#accuse('removed replica', `${suspect.id} was destroyed, and answers ${message.to}`);
    }
    if (message.reject) return;
    if (message.kind === MessageKind.voteAnswer) this.#granted(suspect.id, hardState, message);
    if (message.kind === MessageKind.appendAnswer) this.#acknowledged(suspect, hardState, message);
  }

  /** A read begins; `committed`: what anybody knows to be committed. */
  asked(token: number, committed: number): void {
    this.#reads.set(token, { floor: committed });
  }

  /** A read was answered. */
  answered(id: number, token: number, index: number): void {
    const read = this.#reads.get(token);
    this.#reads.delete(token);
    if (read === undefined) {
      this.#accuse('linearizable read', `${id} answers a read that nobody waits for`);
    } else if (index < read.floor) {
      this.#accuse(
        'linearizable read',
        `${id} reads at ${index}; ${read.floor} was committed before it began`,
      );
    }
  }

  /** Reads whose replica has crashed are never answered. */
  forgotten(token: number): void {
    this.#reads.delete(token);
  }

  /** A leader was seen to hold a lease; `maxLedTerm`: the latest term in which anybody was elected. */
  held(id: number, term: number, maxLedTerm: number): void {
    if (term >= maxLedTerm) return;
    this.#accuse('lease', `${id} holds a lease of term ${term}; term ${maxLedTerm} had a leader`);
  }

  #granted(id: number, hardState: HardState, { term, to }: Message): void {
    this.#voted(id, term, to);
    const kept = hardState.term > term || (hardState.term === term && hardState.vote === to);
    if (kept) return;
    this.#accuse('acknowledged is durable', `${id} answers a vote in ${term} before it is durable`);
  }

  #acknowledged({ id, log, storage }: Suspect, hardState: HardState, message: Message): void {
    const { term, index } = message;
    // In a later term its log may have been cut back since: then it only left late, as on a slow network.
    if (hardState.term > term) return;
    if (index > storage.lastIndex()) {
      this.#accuse(
        'acknowledged is durable',
        `${id} acknowledges ${index}, its disk ends at ${storage.lastIndex()}`,
      );
      return;
    }
    // What this term's leader gave it is on the disk, and not what an earlier one did.
    const written = log.term(index);
    if (index < storage.firstIndex() || written === storage.term(index)) return;
    if (written === undefined || written > term) return;
    this.#accuse(
      'acknowledged is durable',
      `${id} acknowledges ${index} of term ${written}, on its disk it is of ${storage.term(index)}`,
    );
  }

  #voted(id: number, term: number, vote: number): void {
    const key = term * idsMax + id;
    const known = this.#votes.get(key) ?? vote;
    this.#votes.set(key, known);
    if (known === vote) return;
    this.#accuse('one vote a term', `${id} voted for ${known} and for ${vote} in term ${term}`);
  }
}
