import { FieldOffsets, matchTuple, type Template } from '@tuplet/proto';
import type { LogIndex, Slot, SpaceId, TupleId } from '../base/ids.ts';
import type { Outcome } from '../space/outcome.ts';
import type { Finder } from './finder.ts';
import { incremented } from './increment.ts';
import type { LeaderContext } from './leader-context.ts';
import type { Form, Locks } from './locks.ts';
import { changeBytes } from './message-bytes.ts';
import type { Answer } from './messages.ts';
import type { ChangeOf, Mutation } from './mutation.ts';
import type { RowNumber } from './ports.ts';
import type { TupleMatcher } from './tuple-matcher.ts';
import type { Writes } from './writes.ts';
import type { WritesInFlight } from './writes-in-flight.ts';

/** The tuple that a replace or an increment works on, in its newest form. */
interface Target {
  readonly tuple: TupleId;
  readonly revision: LogIndex;
  readonly slot: Slot;
  readonly bytes: Uint8Array;
  /** The form is of an entry in flight: a refusal must wait for its fate. */
  readonly isInFlight: boolean;
}

/** A new form of a target. */
interface NewForm {
  readonly bytes: Uint8Array;
  readonly leaseMs: number | 'keep';
}

/** Replace and increment: one tuple takes a new form, at one point. */
export class Replaces {
  readonly #context: LeaderContext;
  readonly #matcher: TupleMatcher;
  readonly #finder: Finder;
  readonly #locks: Locks;
  readonly #inFlight: WritesInFlight;
  readonly #writes: Writes;
  readonly #offsets = new FieldOffsets();

  constructor(options: {
    readonly context: LeaderContext;
    readonly matcher: TupleMatcher;
    readonly finder: Finder;
    readonly locks: Locks;
    readonly inFlight: WritesInFlight;
    readonly writes: Writes;
  }) {
    this.#context = options.context;
    this.#matcher = options.matcher;
    this.#finder = options.finder;
    this.#locks = options.locks;
    this.#inFlight = options.inFlight;
    this.#writes = options.writes;
  }

  replace(mutation: Mutation, change: ChangeOf<'replace'>): void {
    const { target, slot, bytes, leaseMs, space } = change;
    const found = 'tuple' in target ? this.#version(space, target) : this.#match(space, target);
    if (found.kind === 'hidden') this.#block(mutation, found.tuple);
    else if (found.kind === 'none') this.#sayUnchanged(mutation);
    else if (found.kind === 'changed') {
      const message = 'the tuple does not have this revision any more';
      this.#refuse(mutation, {
        kind: 'refused',
        reason: 'REVISION_CHANGED',
        message,
        m: mutation.m,
      });
    } else if (found.target.slot !== slot) {
      const message = `the new tuple has slot ${slot}, the old one ${found.target.slot}`;
      this.#refuse(mutation, { kind: 'refused', reason: 'ROUTE_CHANGES', message, m: mutation.m });
    } else this.#propose(mutation, space, found.target, { bytes, leaseMs });
  }

  increment(mutation: Mutation, change: ChangeOf<'increment'>): void {
    const { space, template, field, delta } = change;
    const found = this.#match(space, template);
    if (found.kind === 'hidden') this.#block(mutation, found.tuple);
    else if (found.kind !== 'target') this.#sayUnchanged(mutation);
    else {
      const { target } = found;
      const sum = incremented(target.bytes, field, delta);
      if (sum.kind === 'new') {
        this.#propose(mutation, space, target, { bytes: sum.bytes, leaseMs: 'keep' });
      } else if (target.isInFlight) this.#block(mutation, target.tuple);
      else this.#refuse(mutation, { ...sum, m: mutation.m });
    }
  }

  /** The oldest match that nothing hides, in the form that the entries in flight give it. */
  #match(space: SpaceId, template: Template): Search {
    const view = this.#context.space;
    const { stampMs } = view;
    const walk = this.#matcher.walk(space, template);
    let hidden: TupleId | 0 = 0;
    for (let row = walk.next(); row >= 0; row = walk.next()) {
      if (!view.rows.visible(row, stampMs)) continue;
      const target = this.#targetAt(row);
      if (target !== undefined && this.#matches(template, target))
        return { kind: 'target', target };
      if (hidden === 0) hidden = view.idOf(row);
    }
    return hidden === 0 ? { kind: 'none' } : { kind: 'hidden', tuple: hidden };
  }

  #version(
    space: SpaceId,
    wanted: { readonly tuple: TupleId; readonly revision: LogIndex },
  ): Search {
    const view = this.#context.space;
    const row = view.rowOf(wanted.tuple);
    if (row < 0 || view.rows.space(row) !== space) return { kind: 'changed' };
    if (!view.rows.visible(row, view.stampMs)) return { kind: 'changed' };
    if (view.rows.revision(row) !== wanted.revision) return { kind: 'changed' };
    const target = this.#targetAt(row);
    if (target === undefined || target.isInFlight) return { kind: 'hidden', tuple: wanted.tuple };
    return { kind: 'target', target };
  }

  /** Undefined where an offer, an entry that is no replace, a doomed chain or time hides the tuple. */
  #targetAt(row: RowNumber): Target | undefined {
    const view = this.#context.space;
    const tuple = view.idOf(row);
    const slot = view.rows.slot(row);
    const form = this.#locks.form(tuple);
    if (form !== undefined) return this.#inForm(row, form);
    if (!this.#finder.isFree(row)) return undefined;
    const revision = view.rows.revision(row);
    return { tuple, revision, slot, bytes: view.bytesOf(row), isInFlight: false };
  }

  #inForm(row: RowNumber, { isDoomed, index, bytes }: Form): Target | undefined {
    const view = this.#context.space;
    if (isDoomed || view.rows.leaseEndMs(row) <= this.#context.ports.stampMs()) return undefined;
    const slot = view.rows.slot(row);
    return { tuple: view.idOf(row), revision: index, slot, bytes, isInFlight: true };
  }

  #matches(template: Template, { bytes, isInFlight }: Target): boolean {
    return !isInFlight || matchTuple(template, bytes, this.#offsets.scan(bytes));
  }

  #propose(mutation: Mutation, space: SpaceId, target: Target, form: NewForm): void {
    const { tuple, revision, slot } = target;
    const { bytes, leaseMs } = form;
    const { operation } = mutation;
    const index = this.#context.propose(
      { kind: 'replace', operation, tuple, revision, bytes, leaseMs },
      (outcome, at) => {
        this.#locks.leaveForm(tuple, at, !hasEffect(outcome, at));
        this.#settle(mutation, outcome);
        this.#writes.settleForm(space, slot, at);
      },
    );
    this.#locks.enterForm(tuple, { bytes, index, isDoomed: false });
    this.#inFlight.enter(space, slot, { index, bytes, isHandedOver: false });
  }

  #settle(mutation: Mutation, outcome: Outcome): void {
    if (outcome.kind === 'result') {
      this.#answer(mutation, { kind: 'result', result: outcome.result, m: mutation.m });
    } else if (outcome.kind === 'stop') this.#answer(mutation, outcome);
    else this.#again(mutation);
  }

  #again(mutation: Mutation): void {
    const { change } = mutation;
    if (this.#context.answerRemembered(mutation)) return;
    if (change.kind === 'replace') this.replace(mutation, change);
    else if (change.kind === 'increment') this.increment(mutation, change);
  }

  /** Decides again when what hides the tuple is decided. */
  #block(mutation: Mutation, tuple: TupleId): void {
    const { blockedMutationsMax, blockedBytesMax } = this.#context.limits;
    const { blockedCount, blockedBytes } = this.#locks;
    const bytes = changeBytes(mutation.change);
    const hasRoom = blockedBytes === 0 || blockedBytes + bytes <= blockedBytesMax;
    if (blockedCount >= blockedMutationsMax || !hasRoom) {
      const message = `${blockedCount} calls of ${blockedBytes} bytes wait for locked tuples in this partition`;
      this.#answer(mutation, {
        kind: 'refused',
        reason: 'WAITERS_EXHAUSTED',
        message,
        m: mutation.m,
        inDoubt: this.#context.hasTwin(mutation),
      });
      return;
    }
    this.#locks.block(tuple, { bytes, reconsider: () => this.#again(mutation) });
  }

  /** L3. */
  #sayUnchanged(mutation: Mutation): void {
    this.#context.confirm(() => this.#answer(mutation, { kind: 'unchanged', m: mutation.m }));
  }

  /** L3: what is refused because of the applied state rests on this being the leader. */
  #refuse(mutation: Mutation, refusal: Answer): void {
    this.#context.confirm(() => this.#answer(mutation, refusal));
  }

  #answer(mutation: Mutation, answer: Answer): void {
    this.#context.answerChange(mutation, answer);
  }
}

type Search =
  | { readonly kind: 'target'; readonly target: Target }
  | { readonly kind: 'hidden'; readonly tuple: TupleId }
  /** The named version is not there. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'none' };

/** Whether the entry at this index gave the tuple its form, rather than a remembered result. */
function hasEffect(outcome: Outcome, index: LogIndex): boolean {
  if (outcome.kind !== 'result' || outcome.result.kind !== 'replaced') return false;
  return outcome.result.written.revision === index;
}
