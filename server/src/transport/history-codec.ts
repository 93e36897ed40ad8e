/** A partition's history, read by a node that has no replica of it: `HistoryAsk` and `HistoryAnswer` of coordination.proto. */
import { malformed, type Reader, type Writer } from '@tuplet/proto';
import type { LogIndex, PartitionId } from '../base/ids.ts';
import { groupMax, notifyEventsMax } from '../base/limits.ts';
import {
  kindOfTag,
  kindsByField,
  lengthTag,
  nextTag,
  nextTagAmong,
  openField,
  positive,
  readNested,
  readNestedWith,
  readUpTo,
  required,
  unknownField,
  varintTag,
  writeBytes,
  writeNumber,
} from '../base/wire-fields.ts';
import type { EventPlace } from '../space/history.ts';

/** A question for what happened after a place; without one, for where the history begins and ends. */
export interface HistoryAskItem {
  readonly kind: 'history-ask';
  /** Of this question; never used again in the sender's life. */
  readonly call: number;
  readonly partition: PartitionId;
  readonly after: EventPlace | undefined;
}

/** Where a history begins and ends. */
export interface HistoryBounds {
  /** The youngest event ever. */
  readonly last: EventPlace;
  /** The youngest event that is no longer kept. */
  readonly cut: EventPlace;
}

/** What is answered; `absent`: there is no replica that could say. */
export type HistoryOutcome =
  | ({ readonly kind: 'bounds' } & HistoryBounds)
  /** Events as the history has them (`decodeEvent`), in order; up to `notifyEventsMax`. */
  | { readonly kind: 'events'; readonly records: readonly Uint8Array[] }
  | { readonly kind: 'compacted' }
  | { readonly kind: 'absent' };

/** The answer to such a question. */
export interface HistoryAnswerItem {
  readonly kind: 'history-answer';
  readonly call: number;
  readonly outcome: HistoryOutcome;
}

const outcomeFields: Readonly<Record<HistoryOutcome['kind'], number>> = {
  bounds: 2,
  events: 3,
  compacted: 4,
  absent: 5,
};
const outcomeKinds = kindsByField(outcomeFields);

/** Appends the content of a question. */
export function writeHistoryAsk(writer: Writer, { call, partition, after }: HistoryAskItem): void {
  writeNumber(writer, 1, call);
  writeNumber(writer, 2, partition);
  if (after !== undefined) writePlace(writer, 3, after);
}

/** Reads a question up to the reader's end. */
export function readHistoryAsk(reader: Reader): HistoryAskItem {
  let call = 0;
  let partition = 0;
  let after: EventPlace | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) call = reader.uint64();
    else if (tag === varintTag(2)) partition = readUpTo(reader, groupMax);
    else if (tag === lengthTag(3)) after = readNested(reader, readPlace);
    else throw unknownField();
  }
  return {
    kind: 'history-ask',
    call: positive(call),
    partition: positive(partition) as PartitionId,
    after,
  };
}

/** Appends the content of an answer. */
export function writeHistoryAnswer(writer: Writer, { call, outcome }: HistoryAnswerItem): void {
  writeNumber(writer, 1, call);
  const mark = openField(writer, outcomeFields[outcome.kind]);
  if (outcome.kind === 'bounds') {
    writePlace(writer, 1, outcome.last);
    writePlace(writer, 2, outcome.cut);
  } else if (outcome.kind === 'events') {
    for (const record of outcome.records) writeBytes(writer, 1, record);
  }
  writer.close(mark);
}

/** Reads an answer up to the reader's end. */
export function readHistoryAnswer(reader: Reader): HistoryAnswerItem {
  let call = 0;
  let outcome: HistoryOutcome | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) call = reader.uint64();
    else if (outcome !== undefined) throw malformed('an answer says one thing');
    else outcome = readNestedWith(reader, readOutcome, kindOfTag(outcomeKinds, tag));
  }
  return { kind: 'history-answer', call: positive(call), outcome: required(outcome) };
}

function readOutcome(reader: Reader, kind: HistoryOutcome['kind']): HistoryOutcome {
  if (kind === 'bounds') return { kind, ...readBounds(reader) };
  if (kind === 'events') return { kind, records: readRecords(reader) };
  if (reader.position < reader.end) throw unknownField();
  return { kind };
}

function readBounds(reader: Reader): HistoryBounds {
  let last: EventPlace | undefined;
  let cut: EventPlace | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) last = readNested(reader, readPlace);
    else if (tag === lengthTag(2)) cut = readNested(reader, readPlace);
    else throw unknownField();
  }
  return { last: required(last), cut: required(cut) };
}

function readRecords(reader: Reader): readonly Uint8Array[] {
  const records: Uint8Array[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(1));
    if (tag !== lengthTag(1)) throw unknownField();
    if (records.length === notifyEventsMax) throw malformed('an answer has too many events');
    records.push(reader.lengthDelimited().slice());
  }
  return records;
}

function writePlace(writer: Writer, field: number, { revision, position }: EventPlace): void {
  const mark = openField(writer, field);
  writeNumber(writer, 1, revision);
  writeNumber(writer, 2, position);
  writer.close(mark);
}

function readPlace(reader: Reader): EventPlace {
  let revision = 0;
  let position = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) revision = reader.uint64();
    else if (tag === varintTag(2)) position = reader.uint32();
    else throw unknownField();
  }
  return { revision: revision as LogIndex, position };
}
