/** What leaders say to each other: `BetweenLeaders` of coordination.proto. See coordination-codec.ts. */
import { malformed, type Reader, type Writer } from '@tuplet/proto';
import { unreachable } from '../base/assert.ts';
import type { PartitionId, SessionId, Term } from '../base/ids.ts';
import { groupMax } from '../base/limits.ts';
import {
  kindOfTag,
  kindsByField,
  nextTag,
  openField,
  positive,
  readNestedWith,
  readPositive,
  readUpTo,
  required,
  unknownField,
  varintTag,
  writeNumber,
} from '../base/wire-fields.ts';
import type { BetweenLeaders } from '../coordination/messages.ts';

/** A message with the partition that it is for. */
export interface BetweenLeadersItem {
  readonly kind: 'between-leaders';
  readonly partition: PartitionId;
  readonly message: BetweenLeaders;
}

/** The field of each message in BetweenLeaders. */
const fields: Readonly<Record<BetweenLeaders['kind'], number>> = {
  'ask-open': 3,
  open: 4,
  'not-open': 5,
  'deliver-end': 6,
  'end-applied': 7,
};
const kinds = kindsByField(fields);

/** Appends the content of a message. */
export function writeBetweenLeaders(writer: Writer, item: BetweenLeadersItem): void {
  const { partition, message } = item;
  writeNumber(writer, 1, partition);
  writeNumber(writer, 2, message.session);
  const mark = openField(writer, fields[message.kind]);
  writeMessage(writer, message);
  writer.close(mark);
}

/** Reads a message up to the reader's end. */
export function readBetweenLeaders(reader: Reader): BetweenLeadersItem {
  let partition = 0;
  let session = 0;
  let message: BetweenLeaders | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) partition = readUpTo(reader, groupMax);
    else if (tag === varintTag(2)) session = readPositive(reader);
    else if (message !== undefined) throw malformed('a message says one thing');
    else {
      const context = {
        kind: kindOfTag(kinds, tag),
        session: positive(session) as SessionId,
      };
      message = readNestedWith(reader, readMessage, context);
    }
  }
  return {
    kind: 'between-leaders',
    partition: positive(partition) as PartitionId,
    message: required(message),
  };
}

function writeMessage(writer: Writer, message: BetweenLeaders): void {
  switch (message.kind) {
    case 'ask-open':
      writeNumber(writer, 1, message.from);
      writeNumber(writer, 2, message.epoch);
      return;
    case 'open':
    case 'not-open':
      writeNumber(writer, 1, message.epoch);
      return;
    case 'deliver-end':
      writeNumber(writer, 1, message.home);
      return;
    case 'end-applied':
      writeNumber(writer, 1, message.from);
      return;
    default:
      unreachable(message);
  }
}

/** What a message is read with. */
interface MessageContext {
  readonly kind: BetweenLeaders['kind'];
  readonly session: SessionId;
}

function readMessage(reader: Reader, { kind, session }: MessageContext): BetweenLeaders {
  switch (kind) {
    case 'ask-open':
      return readAskOpen(reader, session);
    case 'open':
    case 'not-open':
      return { kind, session, epoch: readOne(reader, Number.MAX_SAFE_INTEGER) as Term };
    case 'deliver-end':
      return { kind, session, home: readOne(reader, groupMax) as PartitionId };
    case 'end-applied':
      return { kind, session, from: readOne(reader, groupMax) as PartitionId };
    default:
      return unreachable(kind);
  }
}

function readAskOpen(reader: Reader, session: SessionId): BetweenLeaders {
  let from = 0;
  let epoch = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) from = readUpTo(reader, groupMax);
    else if (tag === varintTag(2)) epoch = reader.uint64();
    else throw unknownField();
  }
  return {
    kind: 'ask-open',
    session,
    from: positive(from) as PartitionId,
    epoch: positive(epoch) as Term,
  };
}

/** A message of one number. */
function readOne(reader: Reader, max: number): number {
  let value = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) value = readUpTo(reader, max);
    else throw unknownField();
  }
  return positive(value);
}
