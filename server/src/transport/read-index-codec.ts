/** How far a group's log is decided, asked of the node that leads it: `ReadIndex` and `IndexAnswer` of coordination.proto. */
import type { Reader, Writer } from '@tuplet/proto';
import { malformed } from '@tuplet/proto';
import type { GroupId, LogIndex } from '../base/ids.ts';
import { groupMax } from '../base/limits.ts';
import { nextTag, positive, unknownField, varintTag, writeNumber } from '../base/wire-fields.ts';

/** A question to the node that leads a group. */
export interface ReadIndexItem {
  readonly kind: 'read-index';
  /** Of this question; never used again in the sender's life. */
  readonly call: number;
  readonly group: GroupId;
}

/** Its answer. */
export interface IndexAnswerItem {
  readonly kind: 'index-answer';
  readonly call: number;
  /** Covers all that the group had answered when it was asked; undefined: it is not led there. */
  readonly index: LogIndex | undefined;
}

/** Appends the content of a question. */
export function writeReadIndex(writer: Writer, { call, group }: ReadIndexItem): void {
  writeNumber(writer, 1, call);
  writeNumber(writer, 2, group);
}

/** Reads a question up to the reader's end. */
export function readReadIndex(reader: Reader): ReadIndexItem {
  const [call, group] = readTwo(reader);
  if (group > groupMax) throw malformed('there is no such group');
  return { kind: 'read-index', call: positive(call), group: group as GroupId };
}

/** Appends the content of an answer. */
export function writeIndexAnswer(writer: Writer, { call, index }: IndexAnswerItem): void {
  writeNumber(writer, 1, call);
  writeNumber(writer, 2, index ?? 0);
}

/** Reads an answer up to the reader's end. */
export function readIndexAnswer(reader: Reader): IndexAnswerItem {
  const [call, index] = readTwo(reader);
  const known = index === 0 ? undefined : (index as LogIndex);
  return { kind: 'index-answer', call: positive(call), index: known };
}

function readTwo(reader: Reader): readonly [number, number] {
  let first = 0;
  let second = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) first = reader.uint64();
    else if (tag === varintTag(2)) second = reader.uint64();
    else throw unknownField();
  }
  return [first, second];
}
