/** Changes of one partition: `Mutate` of coordination.proto. See coordination-codec.ts. */
import {
  canonicalValue,
  isCanonicalTuple,
  malformed,
  type Reader,
  limits as sharedLimits,
  type Template,
  type Writer,
} from '@tuplet/proto';
import { unreachable } from '../base/assert.ts';
import type { LogIndex, Slot, SpaceId, Term, TupleId } from '../base/ids.ts';
import { durationMsMax, writeManyMax } from '../base/limits.ts';
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
  writePresentNumber,
  writeRun,
} from '../base/wire-fields.ts';
import type { CallId, Change, Mutate } from '../coordination/messages.ts';
import type { NewTuple, Operation } from '../space/command.ts';
import {
  readNewTuple,
  readOperation,
  readSlot,
  writeNewTuple,
  writeOperation,
} from '../space/operation-codec.ts';
import { templatesInPlace } from './received-templates.ts';

type ChangeOf<K extends Change['kind']> = Extract<Change, { readonly kind: K }>;

/** The field of each change in Mutate. */
const changeFields: Readonly<Record<Change['kind'], number>> = {
  write: 4,
  'write-if-absent': 5,
  replace: 6,
  increment: 7,
  cancel: 8,
  renew: 9,
};
const changeKinds = kindsByField(changeFields);

/** Tuples of a space that allows the most: its own limit was its router's to look at. */
const tupleLimits = { tupleBytesMax: sharedLimits.tupleBytesMax } as const;

/** Appends the content of a mutation, but for its call. */
export function writeMutate(writer: Writer, { operation, epoch, m, change }: Mutate): void {
  writeOperation(writer, operation);
  writeNumber(writer, 2, epoch);
  writeNumber(writer, 3, m);
  const mark = openField(writer, changeFields[change.kind]);
  writeChange(writer, change);
  writer.close(mark);
}

/** Reads a mutation up to the end of a reader whose memory it may keep. */
export function readMutate(reader: Reader, call: CallId): Mutate {
  let operation: Operation | undefined;
  let epoch = 0;
  let m = 0;
  let change: Change | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(1)) operation = readNested(reader, readOperation);
    else if (tag === varintTag(2)) epoch = reader.uint64();
    else if (tag === varintTag(3)) m = reader.uint64();
    else if (change !== undefined) throw malformed('a mutation has one change');
    else change = readNestedWith(reader, readChange, kindOfTag(changeKinds, tag));
  }
  return {
    kind: 'mutate',
    call,
    operation,
    epoch: positive(epoch) as Term,
    m: positive(m),
    change: required(change),
  };
}

function writeChange(writer: Writer, change: Change): void {
  writeNumber(writer, 1, change.space);
  switch (change.kind) {
    case 'write':
      for (const tuple of change.tuples) writeNewTuple(writer, 2, tuple);
      return;
    case 'write-if-absent':
      writeNewTuple(writer, 2, change.tuple);
      writeRun(writer, 3, change.absent);
      return;
    case 'replace':
      writeReplace(writer, change);
      return;
    case 'increment':
      writeRun(writer, 2, change.template);
      writeNumber(writer, 3, change.field);
      writeBytes(writer, 4, change.delta);
      return;
    case 'cancel':
      writeNumber(writer, 2, change.tuple);
      return;
    case 'renew':
      writeNumber(writer, 2, change.tuple);
      if (change.leaseMs !== undefined) writePresentNumber(writer, 3, change.leaseMs);
      return;
    default:
      unreachable(change);
  }
}

function readChange(reader: Reader, kind: Change['kind']): Change {
  switch (kind) {
    case 'write':
      return readWrite(reader);
    case 'write-if-absent':
      return readWriteIfAbsent(reader);
    case 'replace':
      return readReplace(reader);
    case 'increment':
      return readIncrement(reader);
    case 'cancel':
    case 'renew':
      return readById(reader, kind);
    default:
      return unreachable(kind);
  }
}

function readWrite(reader: Reader): Change {
  let space = 0;
  const tuples: NewTuple[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(2));
    if (tag === varintTag(1)) space = reader.uint32();
    else if (tag === lengthTag(2)) tuples.push(readTuple(reader));
    else throw unknownField();
    if (tuples.length > writeManyMax) throw malformed('a write has too many tuples');
  }
  if (tuples.length === 0) throw malformed('a write has no tuples');
  return { kind: 'write', space: positive(space) as SpaceId, tuples };
}

function readWriteIfAbsent(reader: Reader): Change {
  let space = 0;
  let tuple: NewTuple | undefined;
  let absent: Template | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) space = reader.uint32();
    else if (tag === lengthTag(2)) tuple = readTuple(reader);
    else if (tag === lengthTag(3)) absent = templatesInPlace.template(reader);
    else throw unknownField();
  }
  return {
    kind: 'write-if-absent',
    space: positive(space) as SpaceId,
    tuple: required(tuple),
    absent: required(absent),
  };
}

/** Reads a tuple with its length before it. What it is made of is looked at here for the last time. */
function readTuple(reader: Reader): NewTuple {
  const tuple = readNested(reader, readNewTuple);
  if (tuple.leaseMs !== undefined && tuple.leaseMs > durationMsMax) throw malformed('a lease');
  canonical(tuple.bytes);
  return tuple;
}

/** The bytes, which are those of a tuple as every replica will read it. */
function canonical(bytes: Uint8Array): Uint8Array {
  if (isCanonicalTuple(bytes, tupleLimits)) return bytes;
  throw malformed('a tuple is not in canonical form');
}

function writeReplace(writer: Writer, change: ChangeOf<'replace'>): void {
  const { target } = change;
  if ('tuple' in target) {
    const mark = openField(writer, 3);
    writeNumber(writer, 1, target.tuple);
    writeNumber(writer, 2, target.revision);
    writer.close(mark);
  } else writeRun(writer, 2, target);
  writeNumber(writer, 4, change.slot);
  writeBytes(writer, 5, change.bytes);
  if (change.leaseMs !== 'keep') writePresentNumber(writer, 6, change.leaseMs);
}

function readReplace(reader: Reader): Change {
  let space = 0;
  let target: ChangeOf<'replace'>['target'] | undefined;
  let slot = 0;
  let bytes: Uint8Array | undefined;
  let leaseMs: number | 'keep' = 'keep';
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) space = reader.uint32();
    else if (tag === lengthTag(2)) target = templatesInPlace.template(reader);
    else if (tag === lengthTag(3)) {
      if (target !== undefined) throw malformed('a replacement has one target');
      target = readNested(reader, readVersion);
    } else if (tag === varintTag(4)) slot = readSlot(reader);
    else if (tag === lengthTag(5)) bytes = canonical(reader.lengthDelimited());
    else if (tag === varintTag(6)) leaseMs = readUpTo(reader, durationMsMax);
    else throw unknownField();
  }
  return {
    kind: 'replace',
    space: positive(space) as SpaceId,
    target: required(target),
    slot: slot as Slot,
    bytes: required(bytes),
    leaseMs,
  };
}

function readVersion(reader: Reader): { readonly tuple: TupleId; readonly revision: LogIndex } {
  let tuple = 0;
  let revision = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) tuple = reader.uint64();
    else if (tag === varintTag(2)) revision = reader.uint64();
    else throw unknownField();
  }
  return { tuple: positive(tuple) as TupleId, revision: positive(revision) as LogIndex };
}

function readIncrement(reader: Reader): Change {
  let space = 0;
  let template: Template | undefined;
  let field = 0;
  let delta: Uint8Array | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) space = reader.uint32();
    else if (tag === lengthTag(2)) template = templatesInPlace.template(reader);
    else if (tag === varintTag(3)) field = reader.uint32();
    else if (tag === lengthTag(4)) delta = reader.lengthDelimited();
    else throw unknownField();
  }
  // The leader refuses what is no number; it could not read what is no value.
  if (delta === undefined || canonicalValue(delta) !== delta) throw malformed('a delta is a value');
  return {
    kind: 'increment',
    space: positive(space) as SpaceId,
    template: required(template),
    field,
    delta,
  };
}

function readById(reader: Reader, kind: 'cancel' | 'renew'): Change {
  let space = 0;
  let tuple = 0;
  let leaseMs: number | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) space = reader.uint32();
    else if (tag === varintTag(2)) tuple = reader.uint64();
    else if (tag === varintTag(3) && kind === 'renew') leaseMs = readUpTo(reader, durationMsMax);
    else throw unknownField();
  }
  const head = { space: positive(space) as SpaceId, tuple: positive(tuple) as TupleId };
  return kind === 'cancel' ? { kind, ...head } : { kind, ...head, leaseMs };
}
