import { unreachable } from '../base/assert.ts';
import type { TupleId } from '../base/ids.ts';
import type { CancelCommand, RenewCommand, SessionOperation } from '../space/command.ts';
import type { Outcome, Result } from '../space/outcome.ts';
import type { LeaderContext } from './leader-context.ts';
import type { Locks } from './locks.ts';
import type { Answer, CoordinatorId, Mutate } from './messages.ts';
import { addsData, type ChangeOf, Mutation, mayAnswerUnlogged } from './mutation.ts';
import type { NewestSends } from './newest-sends.ts';
import type { Replaces } from './replaces.ts';
import { sessionBusy } from './session-load.ts';
import type { Writes } from './writes.ts';

const diskFullMessage = 'the disk is full: takes go on, and what they free is used again';

/** Changes of one partition that do not wait: admitted, fenced where needed, decided, answered. */
export class Mutations {
  readonly #context: LeaderContext;
  readonly #locks: Locks;
  readonly #sends: NewestSends;
  readonly #writes: Writes;
  readonly #replaces: Replaces;
  readonly #fenced: (operation: SessionOperation) => void;

  constructor(options: {
    readonly context: LeaderContext;
    readonly locks: Locks;
    readonly sends: NewestSends;
    readonly writes: Writes;
    readonly replaces: Replaces;
    /** E4: soft waiters of lower attempts go. */
    readonly fenced: (operation: SessionOperation) => void;
  }) {
    this.#context = options.context;
    this.#locks = options.locks;
    this.#sends = options.sends;
    this.#writes = options.writes;
    this.#replaces = options.replaces;
    this.#fenced = options.fenced;
  }

  /** A sending that T2 let pass and whose session, if it has one, is known or ended. */
  mutate(from: CoordinatorId, message: Mutate): void {
    const mutation = new Mutation(from, message);
    this.#context.beginChange(mutation);
    this.#begin(mutation);
  }

  #begin(mutation: Mutation): void {
    const { operation, m, change } = mutation;
    const { space } = this.#context;
    let isFenced = false;
    if (operation?.kind === 'session') {
      if (!this.#sends.isNewest(operation, m)) return;
      const admitted = space.admit(operation);
      if (admitted !== 'ok') {
        this.#answer(mutation, { kind: 'stop', why: admitted });
        return;
      }
      isFenced = space.fenceOf(operation.session, operation.sequence) >= operation.attempt;
    }
    const result = operation === undefined ? undefined : space.result(operation);
    if (result === undefined && addsData(change) && !this.#admitsData()) {
      this.#refuseFull(mutation, isFenced);
      return;
    }
    if (operation?.kind === 'session' && operation.attempt > 1 && !isFenced) {
      if (mayAnswerUnlogged(change)) {
        this.#fence(mutation);
        return;
      }
    }
    if (result !== undefined) {
      this.#answer(mutation, { kind: 'result', result, m });
      return;
    }
    // Without a fence an earlier attempt may be in flight: a refusal would not be definite.
    if (operation?.kind === 'session' && (operation.attempt === 1 || isFenced)) {
      const busy = sessionBusy(this.#context, operation);
      if (busy !== undefined) {
        this.#sends.refused(operation);
        this.#answer(mutation, { ...busy, m });
        return;
      }
    }
    this.#decide(mutation);
  }

  #admitsData(): boolean {
    return this.#context.ports.admitsData?.() ?? true;
  }

  /**
   * Noted as sent, so that no copy of it acts when there is room again. It costs no entry: a fence to
   * make sure would eat up what the full disk has left, while clients send again and again.
   */
  #refuseFull(mutation: Mutation, isFenced: boolean): void {
    const { operation, m } = mutation;
    let inDoubt = this.#context.hasTwin(mutation);
    if (operation?.kind === 'session') {
      inDoubt = !isFenced && !this.#sends.isFirst(operation);
      if (!inDoubt) this.#sends.refused(operation);
    }
    const message = diskFullMessage;
    this.#answer(mutation, { kind: 'refused', reason: 'DISK_FULL', message, m, inDoubt });
  }

  /** T3, for changes. */
  #fence(mutation: Mutation): void {
    const { operation } = mutation;
    if (operation?.kind !== 'session') return;
    this.#context.propose({ kind: 'fence', operation }, (outcome) => {
      if (outcome.kind === 'stop') {
        this.#answer(mutation, { kind: 'stop', why: outcome.why });
        return;
      }
      this.#fenced(operation);
      this.#begin(mutation);
    });
  }

  #decide(mutation: Mutation): void {
    const { change } = mutation;
    switch (change.kind) {
      case 'write':
        this.#writes.write(mutation, change);
        return;
      case 'write-if-absent':
        this.#writes.writeIfAbsent(mutation, change);
        return;
      case 'replace':
        this.#replaces.replace(mutation, change);
        return;
      case 'increment':
        this.#replaces.increment(mutation, change);
        return;
      case 'cancel':
        this.#cancel(mutation, change);
        return;
      case 'renew':
        this.#renew(mutation, change);
        return;
      default:
        unreachable(change);
    }
  }

  /** Always an entry, found or not: so its answer needs no fence. */
  #cancel(mutation: Mutation, { space, tuple }: ChangeOf<'cancel'>): void {
    if (this.#isOfOtherSpace(tuple, space)) {
      this.#settled(mutation, { kind: 'cancelled', found: false });
      return;
    }
    const command: CancelCommand = { kind: 'cancel', operation: mutation.operation, tuple };
    this.#locks.enterEnd(tuple);
    this.#context.propose(command, (outcome) => {
      this.#locks.leave(tuple);
      this.#settle(mutation, outcome);
    });
  }

  /** Always an entry, too. It locks nothing: it changes neither the tuple's form nor its state. */
  #renew(mutation: Mutation, { space, tuple, leaseMs }: ChangeOf<'renew'>): void {
    if (this.#isOfOtherSpace(tuple, space)) {
      this.#settled(mutation, { kind: 'renewed', found: false, leaseEndMs: undefined });
      return;
    }
    const { operation } = mutation;
    const command: RenewCommand = { kind: 'renew', operation, tuple, leaseMs };
    this.#context.propose(command, (outcome) => this.#settle(mutation, outcome));
  }

  /** A tuple never changes its space: such an answer holds for ever, without an entry. */
  #isOfOtherSpace(tuple: TupleId, space: number): boolean {
    const row = this.#context.space.rowOf(tuple);
    return row >= 0 && this.#context.space.rows.space(row) !== space;
  }

  #settled(mutation: Mutation, result: Result): void {
    this.#answer(mutation, { kind: 'result', result, m: mutation.m });
  }

  #settle(mutation: Mutation, outcome: Outcome): void {
    if (outcome.kind === 'result') this.#settled(mutation, outcome.result);
    else if (outcome.kind === 'stop') this.#answer(mutation, outcome);
    else this.#decide(mutation);
  }

  #answer(mutation: Mutation, answer: Answer): void {
    this.#context.answerChange(mutation, answer);
  }
}
