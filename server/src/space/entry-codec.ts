/**
 * Entries of a partition's log as bytes: `tuplet.internal.v1.Entry`. Written by hand because every
 * write and take passes here; held to the protobufjs runtime by its test. Decoding is strict, and
 * the tuples' bytes are views of the source.
 */
import { malformed, Reader, type Writer } from '@tuplet/proto';
import { FormatError } from '../base/format-error.ts';
import type { StampMs } from '../base/ids.ts';
import { nextTag, openField, required, varintTag, writeNumber } from '../base/wire-fields.ts';
import type { Command, Entry } from './command.ts';
import { commandFields, readCommandField, writeCommand } from './command-codec.ts';

/** The format that is written, and the only one that is read. */
export const entryFormat = 2;

const formatTag = varintTag(1);
const stampTag = varintTag(2);

/** Appends an entry to a writer. */
export function writeEntry(writer: Writer, entry: Entry): void {
  writeNumber(writer, 1, entryFormat);
  writeNumber(writer, 2, entry.stampMs);
  const mark = openField(writer, commandFields[entry.command.kind]);
  writeCommand(writer, entry.command);
  writer.close(mark);
}

/**
 * An entry from its bytes. Throws FormatError for one of another format, DecodeError for anything else
 * that `writeEntry` does not write.
 */
export function readEntry(bytes: Uint8Array): Entry {
  const reader = new Reader(bytes);
  // Before anything else: what follows may mean something else in another format.
  let tag = reader.position < reader.end ? nextTag(reader, 0) : 0;
  if (tag !== formatTag) throw malformed('an entry begins with its format');
  const found = reader.uint32();
  if (found !== entryFormat) throw new FormatError({ what: 'log entry', found, read: entryFormat });
  let stampMs = 0;
  let command: Command | undefined;
  while (reader.position < reader.end) {
    tag = nextTag(reader, tag);
    if (tag === stampTag) stampMs = reader.uint64();
    else {
      if (command !== undefined) throw malformed('an entry has one command');
      command = readCommandField(reader, tag);
    }
  }
  return { stampMs: stampMs as StampMs, command: required(command) };
}
