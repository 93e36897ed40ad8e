import { FieldOffsets, matchTuple } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type { LogIndex, Slot, SpaceId } from '../base/ids.ts';
import type { NewTuple, WriteCommand } from '../space/command.ts';
import type { Outcome } from '../space/outcome.ts';
import type { HandedRows } from './handed-rows.ts';
import type { LeaderContext } from './leader-context.ts';
import type { Line } from './line.ts';
import type { Locks } from './locks.ts';
import type { ChangeOf, Mutation } from './mutation.ts';
import type { TupleMatcher } from './tuple-matcher.ts';
import type { Waiter } from './waiter.ts';
import type { WritesInFlight } from './writes-in-flight.ts';

interface HandOvers {
  readonly waiters: readonly Waiter[];
  readonly handOvers: WriteCommand['handOvers'];
}

const nobody: HandOvers = { waiters: [], handOvers: [] };

/** E3: writes, with hand-overs where the first in line is pinned, and writes if absent. */
export class Writes {
  readonly #context: LeaderContext;
  readonly #line: Line;
  readonly #matcher: TupleMatcher;
  readonly #handed: HandedRows;
  readonly #locks: Locks;
  readonly #inFlight: WritesInFlight;
  readonly #offsets = new FieldOffsets();
  /** Writes if absent that wait for the fate of the entry at this index. */
  readonly #waiting = new Map<LogIndex, Mutation[]>();

  constructor(options: {
    readonly context: LeaderContext;
    readonly line: Line;
    readonly matcher: TupleMatcher;
    readonly handed: HandedRows;
    readonly locks: Locks;
    readonly inFlight: WritesInFlight;
  }) {
    this.#context = options.context;
    this.#line = options.line;
    this.#matcher = options.matcher;
    this.#handed = options.handed;
    this.#locks = options.locks;
    this.#inFlight = options.inFlight;
  }

  write(mutation: Mutation, change: ChangeOf<'write'>): void {
    this.#propose(mutation, change.space, change.tuples, undefined);
  }

  /** Decided against applied state and entries in flight; void where the slot changed meanwhile. */
  writeIfAbsent(mutation: Mutation, change: ChangeOf<'write-if-absent'>): void {
    const { space, tuple } = change;
    if (this.#isPresent(change)) {
      const { m } = mutation;
      this.#context.confirm(() => this.#context.answerChange(mutation, { kind: 'unchanged', m }));
      return;
    }
    const match = this.#inFlight.lastMatch(space, tuple.slot, change.absent);
    if (match !== undefined) {
      const waiting = this.#waiting.get(match);
      if (waiting === undefined) this.#waiting.set(match, [mutation]);
      else waiting.push(mutation);
      return;
    }
    const lastChange =
      this.#inFlight.lastChange(space, tuple.slot) ??
      this.#context.space.slotLastChange(space, tuple.slot);
    this.#propose(mutation, space, [tuple], { slot: tuple.slot, lastChange });
  }

  /** An entry that gave a tuple a new form was applied. */
  settleForm(space: SpaceId, slot: Slot, index: LogIndex): void {
    this.#inFlight.leave(space, slot, index);
    this.#wake(index);
  }

  /** Whether a tuple in any state matches (SPEC §3, Absent). */
  #isPresent({ space, absent, tuple }: ChangeOf<'write-if-absent'>): boolean {
    const view = this.#context.space;
    // The entry would carry this stamp: what is out of sight by then makes no presence.
    const stampMs = this.#context.ports.stampMs();
    const walk = this.#matcher.walk(space, absent);
    for (let row = walk.next(); row >= 0; row = walk.next()) {
      // One that an entry in flight hands over stays, though its lease ends before that is applied.
      if (view.rows.visible(row, stampMs) || this.#locks.isLocked(view.idOf(row))) return true;
    }
    for (const row of this.#handed.ofSlot(space, tuple.slot)) {
      const bytes = view.bytesOf(row);
      if (matchTuple(absent, bytes, this.#offsets.scan(bytes))) return true;
    }
    return false;
  }

  #propose(
    mutation: Mutation,
    space: SpaceId,
    tuples: readonly NewTuple[],
    absence: WriteCommand['absence'],
  ): void {
    const { waiters, handOvers } = this.#handOvers(space, tuples);
    const { operation } = mutation;
    const command: WriteCommand = { kind: 'write', operation, space, tuples, absence, handOvers };
    const index = this.#context.propose(command, (outcome, at) => {
      this.#leave(command, at);
      this.#settle(mutation, waiters, outcome);
      this.#wake(at);
    });
    for (let i = 0; i < tuples.length; i += 1) {
      const { slot, bytes } = tuples[i] as NewTuple;
      const isHandedOver = handOvers.length > 0 && handOvers.some(({ tuple }) => tuple === i);
      this.#inFlight.enter(space, slot, { index, bytes, isHandedOver });
    }
  }

  /** T4: who is handed which of the tuples with their write. */
  #handOvers(space: SpaceId, tuples: readonly NewTuple[]): HandOvers {
    if (!this.#line.isWaiting) return nobody;
    const waiters: Waiter[] = [];
    const handOvers: WriteCommand['handOvers'][number][] = [];
    for (let i = 0; i < tuples.length; i += 1) {
      const waiter = this.#receiver(space, tuples[i] as NewTuple);
      if (waiter === undefined) continue;
      this.#line.beginHandOver(waiter);
      waiters.push(waiter);
      handOvers.push({ tuple: i, to: waiter.operation });
    }
    return { waiters, handOvers };
  }

  /**
   * T4: the first in line, if it is pinned, idle and content with one tuple, and no older match is
   * on its way to it.
   */
  #receiver(space: SpaceId, { bytes, slot }: NewTuple): Waiter | undefined {
    const waiter = this.#line.firstIdle(space, bytes, this.#offsets.scan(bytes));
    if (waiter === undefined || !waiter.isPinned || waiter.query.min > 1) return undefined;
    if (this.#inFlight.hasReadyMatch(space, slot, waiter.query.template)) return undefined;
    return waiter;
  }

  #leave({ space, tuples }: WriteCommand, index: LogIndex): void {
    for (const { slot } of tuples) this.#inFlight.leave(space, slot, index);
  }

  #settle(mutation: Mutation, waiters: readonly Waiter[], outcome: Outcome): void {
    const { m, change } = mutation;
    const handOvers = outcome.kind === 'result' ? outcome.handOvers : [];
    for (let i = 0; i < waiters.length; i += 1) {
      this.#line.settleHandOver(waiters[i] as Waiter, handOvers[i]);
    }
    if (outcome.kind === 'result') {
      this.#context.answerChange(mutation, { kind: 'result', result: outcome.result, m });
    } else if (outcome.kind === 'stop') this.#context.answerChange(mutation, outcome);
    else {
      assert(change.kind === 'write-if-absent', 'only what rests on an absence can be void');
      this.#again(mutation);
    }
  }

  #wake(index: LogIndex): void {
    const waiting = this.#waiting.get(index);
    if (waiting === undefined) return;
    this.#waiting.delete(index);
    for (const mutation of waiting) this.#again(mutation);
  }

  #again(mutation: Mutation): void {
    const { change } = mutation;
    if (change.kind !== 'write-if-absent' || this.#context.answerRemembered(mutation)) return;
    this.writeIfAbsent(mutation, change);
  }
}
