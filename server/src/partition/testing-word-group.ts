/** A group whose commands are words, and which remembers what was done with it; for tests. */
import type { Writer } from '@tuplet/proto';
import type { LogIndex, StampMs, Term } from '../base/ids.ts';
import { Group, type GroupCut, type GroupPast, type StampedCommand } from './group.ts';
import { type MakeGroup, Members } from './testing-groups.ts';

/** See the top of the file. */
export class WordGroup extends Group<string> {
  /** What was applied, in order. */
  readonly words: string[] = [];
  /** Of those, what had to be decoded: this leadership has not proposed it. */
  readonly decoded: string[] = [];
  /** What became of leaderships: `begin`, `serve`, `end`, with the term. */
  readonly leaderships: string[] = [];
  readonly stamps: number[] = [];
  protected readonly leadCommand = 'lead';
  #applied: LogIndex;
  #stampMs = 0 as StampMs;

  constructor(options: {
    base: ConstructorParameters<typeof Group<string>>;
    applied: LogIndex;
  }) {
    super(...options.base);
    this.#applied = options.applied;
  }

  override get appliedIndex(): LogIndex {
    return this.#applied;
  }

  override cut(): GroupCut {
    throw new Error('words are never cut');
  }

  override tick(): void {}

  /** A snapshot from a leader: all words up to an index. */
  replaceState(words: readonly string[], applied: LogIndex, past: GroupPast): void {
    this.words.splice(0, this.words.length, ...words);
    this.#applied = applied;
    this.stateReplaced(past);
  }

  protected override encode(writer: Writer, stampMs: StampMs, command: string): void {
    writer.raw(new TextEncoder().encode(`${stampMs} ${command}`));
  }

  protected override decode(payload: Uint8Array): StampedCommand<string> {
    const [stampMs = '', command = ''] = new TextDecoder().decode(payload).split(' ');
    this.decoded.push(command);
    return { stampMs: Number(stampMs) as StampMs, command };
  }

  protected override applyCommand(index: LogIndex, entry: StampedCommand<string>): void {
    this.#applied = index;
    if (entry.stampMs > this.#stampMs) this.#stampMs = entry.stampMs;
    this.words.push(entry.command);
    this.stamps.push(entry.stampMs);
  }

  protected override pass(index: LogIndex): void {
    this.#applied = index;
  }

  protected override get stateStampMs(): StampMs {
    return this.#stampMs;
  }

  protected override beginLeading(term: Term): void {
    this.leaderships.push(`begin ${term}`);
  }

  protected override beginServing(): void {
    this.leaderships.push(`serve ${this.leadTerm}`);
  }

  protected override endLeading(): void {
    this.leaderships.push('end');
  }

  protected override flushLeader(): void {}
}

const makeWordGroup: MakeGroup<WordGroup> = (replica, around, applied, past) =>
  new WordGroup({ base: [replica, past, around], applied });

/** So many replicas of a group of words. */
export function wordMembers(count: number): Members<WordGroup> {
  return new Members<WordGroup>(count, makeWordGroup);
}
