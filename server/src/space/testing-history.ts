/** Random histories of commands for tests: choices by number, resolved against the model's state. */
import fc from 'fast-check';
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
import type { Command, Entry, NewTuple, Operation, SessionOperation } from './command.ts';
import type { ModelLimits, SpaceModel } from './testing-model.ts';

/** The partition of all histories. */
export const testPartition: PartitionId = 3 as PartitionId;
/** Sessions whose home is another partition, and the ids that this partition would give first. */
export const testSessions: readonly SessionId[] = [
  ...[1, 2, 3].map((n) => (7 * 2 ** 44 + n) as SessionId),
  ...[1, 2].map((n) => (3 * 2 ** 44 + n) as SessionId),
];
/** Spaces of all histories; none of their slots shares a bucket with another's. */
export const testSpaces: readonly SpaceId[] = [1, 2, 3].map((n) => n as SpaceId);
/** Sequences of all histories. */
export const testSequences: readonly Sequence[] = [1, 2, 3, 4, 5, 6, 7].map((n) => n as Sequence);
/** Request ids of all histories. */
export const testRequests: readonly string[] = ['0a', '0b', '0c', 'ff00', '01', '02', '03'];
/** Short times and few results, so that histories reach every bound. */
export const testLimits: ModelLimits = {
  endedMarkMs: 1_000,
  requestResultMs: 900,
  requestResultsMax: 2,
  historyMs: 500,
  batchTuplesMax: 4,
};

/** Numbers that choose one command. */
export interface Choice {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly stepMs: number;
}

const number: fc.Arbitrary<number> = fc.nat({ max: 1_000_000 });

/** Histories of up to `commands` commands. */
export function choices(commands: number): fc.Arbitrary<Choice[]> {
  const stepMs = fc.oneof(fc.constant(0), fc.nat({ max: 20 }), fc.nat({ max: 150 }));
  const choice = fc.record({ kind: number, a: number, b: number, c: number, d: number, stepMs });
  return fc.array(choice, { minLength: 1, maxLength: commands, size: 'max' });
}

type Make = (model: SpaceModel, choice: Choice) => Command;

/** Makers of commands; common ones stand several times. */
const makers: readonly Make[] = [
  ...repeat(6, makeWrite),
  ...repeat(6, makeHand),
  ...repeat(2, makeFence),
  ...repeat(4, makeReceipt),
  ...repeat(2, makeReplace),
  makeCancel,
  makeRenew,
  ...repeat(2, makeExpire),
  ...repeat(2, (): Command => ({ kind: 'give-back' })),
  ...repeat(4, (_m, c): Command => ({ kind: 'know', session: pick(testSessions, c.a) })),
  (_m, c): Command => ({ kind: c.b % 3 === 0 ? 'end' : 'know', session: pick(testSessions, c.a) }),
  (_m, c): Command => ({ kind: 'open-session', leaseMs: 1_000 + (c.a % 9), name: `n${c.b % 3}` }),
  (_m, c): Command => ({
    kind: 'touch',
    session: pick(testSessions, c.a),
    partition: ((c.b % 3) + 1) as PartitionId,
  }),
  (_m, c): Command => ({ kind: 'forget-session', session: pick(testSessions, c.a) }),
  (_m, c): Command =>
    c.b % 4 === 0 ? { kind: 'drop-space', space: pick(testSpaces, c.a) } : { kind: 'lead' },
];

/** The entry that a choice stands for, after what the model has applied. */
export function entryOf(model: SpaceModel, choice: Choice): Entry {
  const stampMs = (Math.max(model.stampMs, 1_000) + choice.stepMs) as StampMs;
  return { stampMs, command: pick(makers, choice.kind)(model, choice) };
}

function repeat(times: number, make: Make): Make[] {
  return new Array<Make>(times).fill(make);
}

function pick<T>(from: readonly T[], by: number): T {
  return from[by % from.length] as T;
}

/** Mostly a session's operation, its floor mostly low. */
function sessionOperation(choice: Choice): SessionOperation {
  const sequence = pick(testSequences, Math.floor(choice.b / 8));
  const floor = choice.d % 5 === 0 ? 1 + (choice.c % sequence) : 1;
  return {
    kind: 'session',
    session: pick(testSessions, choice.b),
    sequence,
    attempt: (1 + (choice.d % 3)) as Attempt,
    floor: floor as Sequence,
  };
}

function operation(choice: Choice): Operation | undefined {
  const way = choice.c % 6;
  if (way === 0) return undefined;
  if (way <= 2) {
    const requestId = pick(testRequests, choice.d);
    return { kind: 'request', requestId, space: pick(testSpaces, choice.a) };
  }
  return sessionOperation(choice);
}

function anyTuple(model: SpaceModel, by: number): TupleId {
  const gone = (testPartition * 2 ** 44 + 1 + (by % 90)) as TupleId;
  const ids = [...model.tuples.keys()];
  return by % 7 === 0 || ids.length === 0 ? gone : pick(ids, by);
}

function newTuple(by: number): NewTuple {
  const bytes = new Uint8Array((by % 5) * (by % 11 === 0 ? 9_000 : 7) + 1).fill(by);
  return {
    slot: (by % 3) as Slot,
    bytes,
    leaseMs: by % 4 === 0 ? 1 + (by % 300) : undefined,
  };
}

function makeWrite(model: SpaceModel, choice: Choice): Command {
  const tuples = [newTuple(choice.a)];
  for (let i = 1; i < 1 + (choice.d % 3); i += 1) tuples.push(newTuple(choice.a + i * 13));
  const space = pick(testSpaces, choice.b);
  const slot = (choice.c % 3) as Slot;
  const last = model.slots.get(`${space}/${slot}`) ?? 0;
  const lastChange = (choice.b % 3 === 0 ? Math.max(0, last - 1) : last) as LogIndex;
  const handOvers = tuples
    .map((_, tuple) => ({ tuple, to: sessionOperation({ ...choice, b: choice.d + tuple * 17 }) }))
    .filter((_, tuple) => (choice.a >> tuple) % 3 === 0);
  return {
    kind: 'write',
    operation: operation(choice),
    space,
    tuples,
    absence: choice.a % 5 === 0 ? { slot, lastChange } : undefined,
    handOvers,
  };
}

function makeHand(model: SpaceModel, choice: Choice): Command {
  const tuples = [anyTuple(model, choice.a)];
  const space = pick(testSpaces, choice.c);
  for (const id of model.listed(space, 'ready').slice(0, choice.c % 3)) {
    if (!tuples.includes(id)) tuples.push(id);
  }
  return { kind: 'hand', operation: sessionOperation(choice), tuples };
}

function makeFence(_model: SpaceModel, choice: Choice): Command {
  const asked = sessionOperation(choice);
  return { kind: 'fence', operation: { ...asked, attempt: (asked.attempt + 1) as Attempt } };
}

/** Mostly receipts that are due, so that tuples go. */
function makeReceipt(model: SpaceModel, choice: Choice): Command {
  const session = pick([...model.known.keys(), ...testSessions.slice(0, 1)], choice.a);
  const receipts: { sequence: Sequence; tuple: TupleId }[] = [];
  for (const [sequence, record] of model.known.get(session)?.operations ?? []) {
    for (const tuple of record.handed.slice(0, 1 + (choice.b % 2))) {
      receipts.push({ sequence: sequence as Sequence, tuple });
    }
  }
  const sequence = pick(testSequences, choice.c);
  if (choice.c % 3 === 0) receipts.push({ sequence, tuple: anyTuple(model, choice.d) });
  const floor = (choice.d % 4 === 0 ? 1 + (choice.c % 7) : 1) as Sequence;
  return { kind: 'receipt', session, floor, receipts: receipts.slice(0, 1 + (choice.d % 3)) };
}

function makeReplace(model: SpaceModel, choice: Choice): Command {
  const tuple = anyTuple(model, choice.a);
  const now = model.tuples.get(tuple)?.revision ?? (1 as LogIndex);
  return {
    kind: 'replace',
    operation: operation(choice),
    tuple,
    revision: (choice.b % 5 === 0 ? now + 1 : now) as LogIndex,
    bytes: newTuple(choice.b).bytes,
    leaseMs: choice.d % 2 === 0 ? 'keep' : 1 + (choice.d % 200),
  };
}

function makeCancel(model: SpaceModel, choice: Choice): Command {
  return { kind: 'cancel', operation: operation(choice), tuple: anyTuple(model, choice.a) };
}

function makeRenew(model: SpaceModel, choice: Choice): Command {
  const leaseMs = choice.d % 3 === 0 ? undefined : 1 + (choice.d % 400);
  return { kind: 'renew', operation: operation(choice), tuple: anyTuple(model, choice.a), leaseMs };
}

function makeExpire(model: SpaceModel, choice: Choice): Command {
  const ids = [...model.tuples.values()]
    .filter((t) => t.leaseEndMs !== undefined && t.leaseEndMs <= model.stampMs + choice.stepMs)
    .map((t) => t.id);
  return { kind: 'expire', tuples: [...new Set([...ids, anyTuple(model, choice.a)])].slice(0, 9) };
}
