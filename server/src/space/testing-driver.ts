/** Short ways for tests to drive one space by hand. */
import { assert } from '../base/assert.ts';
import type {
  Attempt,
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  TupleId,
} from '../base/ids.ts';
import type { Command, NewTuple, Operation, SessionOperation } from './command.ts';
import type { SpaceEvent } from './history.ts';
import type { Outcome, Refusal } from './outcome.ts';
import { Space } from './space.ts';
import type { SpaceLimits } from './space-state.ts';

/** A session whose home is another partition. */
export const away: SessionId = (9 * 2 ** 44 + 1) as SessionId;
/** Another one. */
export const other: SessionId = (9 * 2 ** 44 + 2) as SessionId;
/** The space that tuples are written to unless a test says otherwise. */
export const home: SpaceId = 1 as SpaceId;

/** An operation: session, sequence, attempt 1 and floor 1 unless given. */
export function op(session: SessionId, sequence: number, attempt = 1, floor = 1): SessionOperation {
  return {
    kind: 'session',
    session,
    sequence: sequence as Sequence,
    attempt: attempt as Attempt,
    floor: floor as Sequence,
  };
}

/** A space and its clock. */
export class Driver {
  space: Space;
  stampMs = 1_000_000;

  constructor(limits: Partial<SpaceLimits> = {}) {
    this.space = new Space({ partition: 1 as PartitionId, limits });
  }

  /** Applies a command after some milliseconds, and checks the whole state. */
  do(command: Command, afterMs = 0): Outcome {
    this.stampMs += afterMs;
    const index = (this.space.appliedIndex + 1) as LogIndex;
    const outcome = this.space.apply(index, { stampMs: this.stampMs as StampMs, command });
    this.space.verify();
    return outcome;
  }

  know(session: SessionId): void {
    this.do({ kind: 'know', session });
  }

  /** Writes one tuple of these bytes; returns its id. */
  write(text: string, more: { leaseMs?: number; space?: number; slot?: number } = {}): TupleId {
    const outcome = this.do({
      kind: 'write',
      operation: undefined,
      space: (more.space ?? home) as SpaceId,
      tuples: [tuple(text, more.leaseMs, more.slot)],
      absence: undefined,
      handOvers: [],
    });
    assert(outcome.kind === 'result', 'a write without conditions happens');
    assert(outcome.result.kind === 'written', 'a write writes');
    return (outcome.result.tuples[0] as { id: TupleId }).id;
  }

  hand(operation: SessionOperation, ...tuples: TupleId[]): Outcome {
    return this.do({ kind: 'hand', operation, tuples });
  }

  fence(operation: SessionOperation): Outcome {
    return this.do({ kind: 'fence', operation });
  }

  receipt(session: SessionId, sequence: number, id: TupleId, floor = 1): Outcome {
    const receipts = [{ sequence: sequence as Sequence, tuple: id }];
    return this.do({ kind: 'receipt', session, floor: floor as Sequence, receipts });
  }

  end(session: SessionId): Outcome {
    return this.do({ kind: 'end', session });
  }

  cancel(id: TupleId, operation?: Operation): Outcome {
    return this.do({ kind: 'cancel', operation, tuple: id });
  }

  /** Ready tuples of a space as text, oldest first. */
  ready(space: SpaceId = home): string[] {
    const found: string[] = [];
    for (let row = this.space.oldestReady(space); row >= 0; row = this.space.nextReady(row)) {
      found.push(Buffer.from(this.space.bytesOf(row)).toString());
    }
    return found;
  }

  /** All events kept, as `kind text`. */
  events(): string[] {
    return this.allEvents().map((e) => `${e.kind} ${Buffer.from(e.tuple.bytes).toString()}`);
  }

  allEvents(): readonly SpaceEvent[] {
    const events = this.space.history.read(this.space.history.cutPlace, 1e6, 1e9);
    assert(events !== 'compacted', 'what was not cut is there');
    return events;
  }
}

/** A tuple to be written; its bytes are the text's, which the space does not look into. */
export function tuple(text: string, leaseMs?: number, slot = 0): NewTuple {
  return { slot: slot as Slot, bytes: new Uint8Array(Buffer.from(text)), leaseMs };
}

/** What a hand-over came to: the texts of the tuples, or why not. */
export function taken(outcome: Outcome): string[] | Refusal | Outcome['kind'] {
  if (outcome.kind === 'stop') return outcome.why;
  if (outcome.kind !== 'result' || outcome.result.kind !== 'handed') return outcome.kind;
  return outcome.result.tuples.map(({ bytes }) => Buffer.from(bytes).toString());
}
