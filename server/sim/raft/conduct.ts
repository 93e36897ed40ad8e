/**
 * How replicas behave towards each other, beyond what safety needs: terms begin only with a majority's
 * consent, a leader that hands over or has left takes nothing in, logs stay within their bounds.
 */
import type { Configuration } from '../../src/raft/configuration.ts';
import { isVoter } from '../../src/raft/configuration.ts';
import {
  type Entry,
  EntryKind,
  type Message,
  MessageKind,
  payloadBytes,
} from '../../src/raft/message.ts';
import type { RaftOptions } from '../../src/raft/options.ts';
import { Role } from '../../src/raft/state.ts';
import type { Accuse, Claim, Suspect } from './ledger.ts';

/** What a replica was told in one life that lets it begin a term, and lead it. */
interface Licence {
  readonly life: number;
  /** Who consented, by the term that was asked for. */
  readonly consents: Map<number, Set<number>>;
  /** The numbers that its requests for votes carried, and who voted for it in answer to them. */
  readonly requests: Set<number>;
  readonly votes: Map<number, Set<number>>;
  /** Terms that a leader asked it to begin. */
  readonly asked: Set<number>;
}

/** See the top of the file. */
export class Conduct {
  readonly #accuse: Accuse;
  readonly #options: Pick<RaftOptions, 'preVote' | 'uncommittedBytesMax'>;
  readonly #licences = new Map<number, Licence>();

  constructor(accuse: Accuse, options: Pick<RaftOptions, 'preVote' | 'uncommittedBytesMax'>) {
    this.#accuse = accuse;
    this.#options = options;
  }

  /** A message leaves a replica. */
  sent({ id, life }: Suspect, { kind, context }: Message): void {
    if (kind === MessageKind.vote) this.#licenceOf(id, life).requests.add(context);
  }

  /** A message reaches a replica. */
  heard({ id, life }: Suspect, { kind, from, term, reject, context }: Message): void {
    if (kind === MessageKind.timeoutNow) {
      this.#licenceOf(id, life).asked.add(term + 1);
    } else if (kind === MessageKind.preVoteAnswer && !reject) {
      note(this.#licenceOf(id, life).consents, term, from);
    } else if (kind === MessageKind.voteAnswer && !reject) {
      const { requests, votes } = this.#licenceOf(id, life);
      if (requests.has(context)) note(votes, term, from);
    }
  }

  /** After each event of a replica, with what it claimed before in this life. */
  claimed(suspect: Suspect, before: Claim | undefined, claim: Claim): void {
    if (claim.role === Role.leader && before?.role !== Role.leader) this.#isElected(suspect, claim);
    if (claim.role !== Role.candidate) return;
    if (before?.role === Role.candidate && before.term === claim.term) return;
    if (this.#options.preVote) this.#isAllowed(suspect, claim);
    const { log, id } = suspect;
    for (let index = claim.applied + 1; index <= claim.committed; index += 1) {
      if (log.entry(index)?.kind !== EntryKind.change) continue;
      this.#accuse('one change under way', `${id} campaigns with the change at ${index} unapplied`);
      return;
    }
  }

  /** Answers that a replica makes, with what it knew to be committed: that matches every leader's log. */
  answered({ id }: Suspect, committed: number, answers: readonly Message[]): void {
    for (const { kind, reject, index } of answers) {
      if (kind !== MessageKind.appendAnswer || !reject || index > committed) continue;
      this.#accuse('log matching', `${id} refuses entry ${index}, and has committed ${committed}`);
    }
  }

  /** Entries that a leader adds to its own term; `handsOver`: it has promised its place to another. */
  added({ id, log }: Suspect, claim: Claim, handsOver: boolean, entries: readonly Entry[]): void {
    const bytes = payloadBytes(entries);
    if (!isVoter(claim.configuration, id)) {
      this.#accuse('removed replica', `${id} logs ${entries[0]?.index} and is no voter`);
    }
    if (handsOver) {
      this.#accuse('transfer', `${id} logs ${entries[0]?.index} while it hands over`);
    }
    if (bytes === 0) return;
    let uncommitted = 0;
    for (let index = claim.committed + 1; index <= log.lastIndex; index += 1) {
      const entry = log.entry(index);
      if (entry?.term === claim.term) uncommitted += entry.payload.length;
    }
    // One that is larger than the bound goes alone.
    const most = Math.max(this.#options.uncommittedBytesMax, bytes);
    if (uncommitted <= most) return;
    this.#accuse('bounded log', `${uncommitted} bytes at ${id} are uncommitted, of ${most}`);
  }

  #isAllowed({ id, life }: Suspect, { term, configuration }: Claim): void {
    const { consents, asked } = this.#licenceOf(id, life);
    if (asked.has(term)) return;
    const from = new Set(consents.get(term)).add(id);
    if (isMajority(configuration, (voter) => from.has(voter))) return;
    this.#accuse('pre-vote', `${id} begins term ${term} with the consent of ${[...from]}`);
  }

  #isElected({ id, life }: Suspect, { term, configuration }: Claim): void {
    const from = new Set(this.#licenceOf(id, life).votes.get(term)).add(id);
    if (isMajority(configuration, (voter) => from.has(voter))) return;
    this.#accuse(
      'earlier life',
      `${id} leads ${term} by the votes of ${[...from]} in life ${life}`,
    );
  }

  #licenceOf(id: number, life: number): Licence {
    const known = this.#licences.get(id);
    if (known?.life === life) return known;
    const fresh = {
      life,
      consents: new Map(),
      requests: new Set<number>(),
      votes: new Map(),
      asked: new Set<number>(),
    };
    this.#licences.set(id, fresh);
    return fresh;
  }
}

function note(voters: Map<number, Set<number>>, term: number, from: number): void {
  const known = voters.get(term) ?? new Set();
  known.add(from);
  voters.set(term, known);
}

/** Whether some voters are a majority, of both halves where there are two. */
export function isMajority(
  { voters, outgoing }: Configuration,
  has: (voter: number) => boolean,
): boolean {
  return [voters, outgoing].every(
    (half) => half.length === 0 || half.filter(has).length > half.length / 2,
  );
}

/** Whether any majority of one configuration shares a voter with any of another. */
export function majoritiesOverlap(left: Configuration, right: Configuration): boolean {
  const all = [left, right].flatMap(({ voters, outgoing }) => [...voters, ...outgoing]);
  const ids = [...new Set(all)];
  for (let chosen = 0; chosen < 2 ** ids.length; chosen += 1) {
    const has = (voter: number): boolean => (chosen & (1 << ids.indexOf(voter))) !== 0;
    if (isMajority(left, has) && isMajority(right, (voter) => !has(voter))) return false;
  }
  return true;
}
