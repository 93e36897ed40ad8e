import type { Cancel, Clock } from '../base/doors.ts';
import type { LogIndex } from '../base/ids.ts';
import { commitTellMs } from '../base/limits.ts';
import type { AnyGroup } from './turn-loop.ts';

/**
 * Followers hear what is committed with the entries that come next. Where none do for `commitTellMs`, this tells
 * them. One timer serves all groups; none runs while nothing is owed.
 */
export class CommitTeller {
  readonly #clock: Clock;
  /** What each group owed when the timer began. */
  readonly #owed = new Map<AnyGroup, LogIndex>();
  #cancel: Cancel | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** After a group's messages left. Cheap. */
  look(group: AnyGroup): void {
    if (this.#owed.has(group)) return;
    const index = group.replica.owedCommit;
    if (index === undefined) return;
    this.#owed.set(group, index);
    this.#cancel ??= this.#clock.after(commitTellMs, () => this.#tell());
  }

  stop(): void {
    this.#cancel?.();
    this.#owed.clear();
  }

  #tell(): void {
    this.#cancel = undefined;
    const owed = [...this.#owed];
    this.#owed.clear();
    for (const [group, index] of owed) {
      if (group.isRemoved) continue;
      group.replica.tellCommits(index);
      // More may have been committed since, which waits in its turn.
      this.look(group);
    }
  }
}
