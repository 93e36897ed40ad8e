import { assert } from '../base/assert.ts';
import { type Configuration, emptyConfiguration, isVoter, membersOf } from './configuration.ts';
import { Inflights } from './inflights.ts';
import { Ballot, Progress } from './progress.ts';
import { everything, jointVote, majorityReached, majorityVote, type VoteResult } from './quorum.ts';

/**
 * The configuration in force and what is known of each of its members, in ascending order of ids.
 * Groups have a handful of members: a walk finds one sooner than a table would.
 *
 * Invariant: `members` holds exactly the members of `configuration`.
 */
export class Tracker {
  readonly #inflightMessagesMax: number;
  readonly #inflightBytesMax: number;
  #configuration: Configuration = emptyConfiguration;
  #members: Progress[] = [];
  #incoming: Progress[] = [];
  #outgoing: Progress[] = [];
  /** Votes and acknowledged indexes are counted in it: nothing is allocated for each answer. */
  readonly #scratch: number[] = [];

  constructor(inflightMessagesMax: number, inflightBytesMax: number) {
    this.#inflightMessagesMax = inflightMessagesMax;
    this.#inflightBytesMax = inflightBytesMax;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** All members, learners and oneself too, ascending by id. Not to be kept. */
  get members(): readonly Progress[] {
    return this.#members;
  }

  find(id: number): Progress | undefined {
    for (const member of this.#members) if (member.id === id) return member;
    return undefined;
  }

  /** Whether one voter alone decides. */
  isSingleton(): boolean {
    return this.#incoming.length === 1 && this.#outgoing.length === 0;
  }

  /**
   * Another configuration is in force. Members that stay keep what is known of them. A new one is
   * probed from `lastIndex`, and counts as heard from: a leader is not to step down before it can answer.
   */
  use(configuration: Configuration, lastIndex: number): void {
    const members: Progress[] = [];
    for (const id of membersOf(configuration)) {
      const known = this.find(id);
      const progress = known ?? this.#newProgress(id, Math.max(lastIndex, 1));
      progress.learner = !isVoter(configuration, id);
      members.push(progress);
    }
    this.#configuration = configuration;
    this.#members = members;
    this.#incoming = members.filter(({ id }) => configuration.voters.includes(id));
    this.#outgoing = members.filter(({ id }) => configuration.outgoing.includes(id));
    assert(this.#incoming.length === configuration.voters.length, 'each voter is tracked');
  }

  /** The highest index that is durable on a majority, of both halves where there are two. */
  committedIndex(): number {
    const incoming = this.#matchOf(this.#incoming);
    return this.#outgoing.length === 0
      ? incoming
      : Math.min(incoming, this.#matchOf(this.#outgoing));
  }

  /** The highest heartbeat round that a majority has answered, of both halves where there are two. */
  confirmedRound(): number {
    return Math.min(this.#roundOf(this.#incoming), this.#roundOf(this.#outgoing));
  }

  clearBallots(): void {
    for (const member of this.#members) member.ballot = Ballot.none;
  }

  /** Counts an answer to a vote. Only the first of each replica counts. */
  recordBallot(id: number, granted: boolean): void {
    const member = this.find(id);
    if (member === undefined || member.ballot !== Ballot.none) return;
    member.ballot = granted ? Ballot.granted : Ballot.refused;
  }

  voteResult(): VoteResult {
    return jointVote(voteOf(this.#incoming), voteOf(this.#outgoing));
  }

  /** Whether a majority was heard from since the last `clearActive`. */
  quorumActive(): boolean {
    return isActive(this.#incoming) && isActive(this.#outgoing);
  }

  /** Begins another interval of hearing; oneself is always heard. */
  clearActive(self: number): void {
    for (const member of this.#members) if (member.id !== self) member.active = false;
  }

  #matchOf(half: readonly Progress[]): number {
    const scratch = this.#scratchFor(half.length);
    for (let at = 0; at < half.length; at += 1) scratch[at] = (half[at] as Progress).match;
    return majorityReached(scratch);
  }

  #roundOf(half: readonly Progress[]): number {
    if (half.length === 0) return everything;
    const scratch = this.#scratchFor(half.length);
    for (let at = 0; at < half.length; at += 1) scratch[at] = (half[at] as Progress).round;
    return majorityReached(scratch);
  }

  /** Emptied and filled again, an array would get memory anew each time. */
  #scratchFor(count: number): number[] {
    const scratch = this.#scratch;
    while (scratch.length < count) scratch.push(0);
    while (scratch.length > count) scratch.pop();
    return scratch;
  }

  #newProgress(id: number, next: number): Progress {
    const inflights = new Inflights(this.#inflightMessagesMax, this.#inflightBytesMax);
    const progress = new Progress(id, next, inflights);
    progress.active = true;
    return progress;
  }
}

function voteOf(half: readonly Progress[]): VoteResult {
  let granted = 0;
  let refused = 0;
  for (const { ballot } of half) {
    if (ballot === Ballot.granted) granted += 1;
    if (ballot === Ballot.refused) refused += 1;
  }
  return majorityVote(half.length, granted, refused);
}

function isActive(half: readonly Progress[]): boolean {
  let active = 0;
  for (const member of half) if (member.active) active += 1;
  return majorityVote(half.length, active, half.length - active) === 'won';
}
