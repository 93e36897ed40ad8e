/** What leaders say to routers: `FromLeader` of coordination.proto. See coordination-codec.ts. */
import { isErrorReason, malformed, type Reader, type Writer } from '@tuplet/proto';
import { assert, unreachable } from '../base/assert.ts';
import type { PartitionId, SessionId, Term } from '../base/ids.ts';
import { groupMax, refusalTextMax, writeManyMax } from '../base/limits.ts';
import {
  kindOfTag,
  kindsByField,
  lengthTag,
  nameOf,
  nextTag,
  nextTagAmong,
  openField,
  positive,
  readFlag,
  readNested,
  readNestedWith,
  readUpTo,
  required,
  unknownField,
  varintTag,
  writeFlag,
  writeNumber,
  writeString,
} from '../base/wire-fields.ts';
import type { Answer, CallId, CoordinatorId, FromLeader } from '../coordination/messages.ts';
import type { SessionOperation } from '../space/command.ts';
import { readSessionOperation, writeSessionOperation } from '../space/operation-codec.ts';
import type { Refusal, Result, StoredTuple } from '../space/outcome.ts';
import { readResult, writeResult } from '../space/result-codec.ts';
import type { CoordinationMemory } from './coordination-memory.ts';
import { readStoredTuple, writeStoredTuples } from './stored-tuple-codec.ts';

/** An answer with the router that it is for. */
export interface FromLeaderItem {
  readonly kind: 'from-leader';
  readonly router: CoordinatorId;
  readonly message: FromLeader;
}

/** The field of each answer in FromLeader. */
const fields: Readonly<Record<Answer['kind'], number>> = {
  result: 5,
  found: 6,
  nothing: 7,
  offer: 8,
  miss: 9,
  empty: 10,
  fenced: 11,
  received: 12,
  'session-kept': 13,
  unchanged: 14,
  stop: 15,
  refused: 16,
  'not-leader': 17,
  counted: 18,
  'session-opened': 19,
  done: 20,
};
const kinds = kindsByField(fields);

/** Why an operation is not admitted, in the order of the numbers, which begin at 1. */
const refusals: readonly Refusal[] = ['ended', 'closed', 'fenced', 'unknown-session'];
const refusalNumbers: Readonly<Record<Refusal, number>> = {
  ended: 1,
  closed: 2,
  fenced: 3,
  'unknown-session': 4,
};

/** Appends the content of an answer. */
export function writeFromLeader(writer: Writer, { router, message }: FromLeaderItem): void {
  writeNumber(writer, 1, router);
  writeNumber(writer, 2, message.call);
  writeNumber(writer, 3, message.partition);
  writeNumber(writer, 4, message.epoch);
  const mark = openField(writer, fields[message.kind]);
  writeAnswer(writer, message);
  writer.close(mark);
}

/** Reads an answer up to the reader's end. */
export function readFromLeader(reader: Reader, memory: CoordinationMemory): FromLeaderItem {
  let router = 0;
  let call = 0;
  let partition = 0;
  let epoch = 0;
  let message: FromLeader | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) router = reader.uint64();
    else if (tag === varintTag(2)) call = reader.uint64();
    else if (tag === varintTag(3)) partition = readUpTo(reader, groupMax);
    else if (tag === varintTag(4)) epoch = reader.uint64();
    else if (message !== undefined) throw malformed('an answer says one thing');
    else {
      const kind = kindOfTag(kinds, tag);
      const head = {
        call: positive(call),
        partition: positive(partition) as PartitionId,
        epoch: epoch as Term,
      };
      message = readNestedWith(reader, readAnswer, { kind, head, memory });
    }
  }
  return { kind: 'from-leader', router: positive(router), message: required(message) };
}

function writeAnswer(writer: Writer, answer: Answer): void {
  switch (answer.kind) {
    case 'result':
      writeNumber(writer, 1, answer.m);
      writeOutcome(writer, answer.result);
      return;
    case 'found':
      writeNumber(writer, 1, answer.m);
      writeStoredTuples(writer, 2, answer.tuples);
      return;
    case 'nothing':
      writeNumber(writer, 1, answer.m);
      writeFlag(writer, 2, answer.cancelled);
      return;
    case 'offer':
      writeSessionOperation(writer, 1, answer.operation);
      writeNumber(writer, 2, answer.offer);
      return;
    case 'miss':
      writeNumber(writer, 1, answer.offerEpoch);
      writeNumber(writer, 2, answer.offer);
      return;
    case 'empty':
    case 'fenced':
    case 'received':
    case 'done':
      return;
    case 'session-kept':
      writeNumber(writer, 1, answer.leaseMs);
      return;
    case 'unchanged':
      writeNumber(writer, 1, answer.m);
      return;
    case 'stop':
      writeNumber(writer, 1, refusalNumbers[answer.why]);
      return;
    case 'refused':
      writeRefused(writer, answer);
      return;
    case 'not-leader':
      writeFlag(writer, 1, answer.definite);
      return;
    case 'counted':
      writeNumber(writer, 1, answer.count);
      return;
    case 'session-opened':
      writeNumber(writer, 1, answer.session);
      writeNumber(writer, 2, answer.leaseMs);
      return;
    default:
      unreachable(answer);
  }
}

/** What each answer has. */
interface Head {
  readonly call: CallId;
  readonly partition: PartitionId;
  readonly epoch: Term;
}

/** What an answer is read with. */
interface AnswerContext {
  readonly kind: Answer['kind'];
  readonly head: Head;
  readonly memory: CoordinationMemory;
}

/** The frequent ones are spelled out: an object that is spread costs more than all that is read. */
function readAnswer(reader: Reader, { kind, head, memory }: AnswerContext): FromLeader {
  const { call, partition, epoch } = head;
  switch (kind) {
    case 'result': {
      const { m, result } = readResultAnswer(reader, memory);
      return { kind, call, partition, epoch, result, m };
    }
    case 'found': {
      const { m, tuples } = readFound(memory.payloads.takeRest(reader));
      return { kind, call, partition, epoch, tuples, m };
    }
    case 'nothing': {
      const { m, cancelled } = readNothing(reader);
      return { kind, call, partition, epoch, m, cancelled };
    }
    case 'offer':
      return { kind, ...head, ...readOffer(reader) };
    case 'miss': {
      const [offerEpoch, offer] = readPair(reader);
      return { kind, ...head, offerEpoch: offerEpoch as Term, offer };
    }
    case 'empty':
    case 'fenced':
    case 'received':
    case 'done':
      if (reader.position < reader.end) throw unknownField();
      return { kind, call, partition, epoch };
    case 'session-kept':
      return { kind, ...head, leaseMs: positive(readNumber(reader)) };
    case 'unchanged':
      return { kind, ...head, m: readNumber(reader) };
    case 'stop':
      return { kind, ...head, why: nameOf(refusals, readNumber(reader)) };
    case 'refused':
      return { kind, ...head, ...readRefused(reader) };
    case 'not-leader':
      return { kind, ...head, definite: readDefinite(reader) };
    case 'counted':
      return { kind, ...head, count: readNumber(reader) };
    case 'session-opened': {
      const [session, leaseMs] = readPair(reader);
      return { kind, ...head, session: session as SessionId, leaseMs };
    }
    default:
      return unreachable(kind);
  }
}

function writeOutcome(writer: Writer, result: Result): void {
  const isHanded = result.kind === 'handed';
  const mark = openField(writer, isHanded ? 2 : 3);
  if (isHanded) writeStoredTuples(writer, 1, result.tuples);
  else writeResult(writer, result);
  writer.close(mark);
}

function readResultAnswer(
  reader: Reader,
  memory: CoordinationMemory,
): { readonly m: number; readonly result: Result } {
  let m = 0;
  let result: Result | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) m = reader.uint64();
    else if (result !== undefined) throw malformed('an outcome is of one kind');
    else if (tag === lengthTag(2)) result = readNestedWith(reader, readHanded, memory);
    else if (tag === lengthTag(3)) result = readNested(reader, readResult);
    else throw unknownField();
  }
  if (result?.kind === 'written' && result.tuples.length > writeManyMax) {
    throw malformed('a result has too many tuples');
  }
  return { m, result: required(result) };
}

function readHanded(reader: Reader, memory: CoordinationMemory): Result {
  const inner = memory.payloads.takeRest(reader);
  const tuples: StoredTuple[] = [];
  for (let tag = 0; inner.position < inner.end; ) {
    tag = nextTagAmong(inner, tag, lengthTag(1));
    if (tag === lengthTag(1)) readStoredTuple(inner, tuples);
    else throw unknownField();
  }
  if (tuples.length === 0) throw malformed('what is handed over is a tuple at least');
  return { kind: 'handed', tuples };
}

function readFound(reader: Reader): { readonly m: number; readonly tuples: StoredTuple[] } {
  let m = 0;
  const tuples: StoredTuple[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(2));
    if (tag === varintTag(1)) m = reader.uint64();
    else if (tag === lengthTag(2)) readStoredTuple(reader, tuples);
    else throw unknownField();
  }
  return { m, tuples };
}

function readNothing(reader: Reader): { readonly m: number; readonly cancelled: boolean } {
  let m = 0;
  let cancelled = false;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) m = reader.uint64();
    else if (tag === varintTag(2)) cancelled = readFlag(reader);
    else throw unknownField();
  }
  return { m, cancelled };
}

function readOffer(reader: Reader): {
  readonly operation: SessionOperation;
  readonly offer: number;
} {
  let operation: SessionOperation | undefined;
  let offer = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) operation = readNested(reader, readSessionOperation);
    else if (tag === varintTag(2)) offer = reader.uint64();
    else throw unknownField();
  }
  return { operation: required(operation), offer: positive(offer) };
}

/** A message of two numbers from 1. */
function readPair(reader: Reader): readonly [number, number] {
  let first = 0;
  let second = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) first = reader.uint64();
    else if (tag === varintTag(2)) second = reader.uint64();
    else throw unknownField();
  }
  return [positive(first), positive(second)];
}

/** A message of one number. */
function readNumber(reader: Reader): number {
  let value = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) value = reader.uint64();
    else throw unknownField();
  }
  return value;
}

function readDefinite(reader: Reader): boolean {
  let definite = false;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) definite = readFlag(reader);
    else throw unknownField();
  }
  return definite;
}

type Refused = Extract<Answer, { readonly kind: 'refused' }>;

function writeRefused(writer: Writer, { reason, message, m, inDoubt }: Refused): void {
  assert(message.length <= refusalTextMax, 'a leader says little about a refusal');
  writeString(writer, 1, reason);
  writeString(writer, 2, message);
  writeNumber(writer, 3, m);
  writeFlag(writer, 4, inDoubt === true);
}

/** `inDoubt` is there in each: where it was left out it is false. */
function readRefused(reader: Reader): Required<Omit<Refused, 'kind'>> {
  let reason = '';
  let message = '';
  let m = 0;
  let inDoubt = false;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) reason = reader.string();
    else if (tag === lengthTag(2)) message = reader.string();
    else if (tag === varintTag(3)) m = reader.uint64();
    else if (tag === varintTag(4)) inDoubt = readFlag(reader);
    else throw unknownField();
  }
  if (!isErrorReason(reason)) throw malformed('a refusal has no reason of ours');
  if (message.length > refusalTextMax) throw malformed('a refusal says too much');
  return { reason, message, m, inDoubt };
}
