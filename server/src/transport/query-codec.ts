/** What takes, reads and counts look for: `Query` of coordination.proto. See coordination-codec.ts. */
import { malformed, type Reader, type Template, type Writer } from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import { durationMsMax, manyMax } from '../base/limits.ts';
import {
  lengthTag,
  nameOf,
  nextTag,
  openField,
  positive,
  readPacked,
  readPositive,
  readUpTo,
  required,
  unknownField,
  varintTag,
  writeNumber,
  writePacked,
  writeRun,
} from '../base/wire-fields.ts';
import type { Query, Read } from '../coordination/messages.ts';
import type { TemplateReader } from './received-templates.ts';

/** The states of tuples that a read or a count looks at. */
export type States = Read['states'];
/** One of them. */
export type State = States[number];

/** The states in the order of their numbers, which begin at 1. */
const states: readonly State[] = ['ready', 'handed'];
const stateNumbers: Readonly<Record<State, number>> = { ready: 1, handed: 2 };
const readyOnly: States = ['ready'];

/** The number of a state. */
export function stateNumber(state: State): number {
  return stateNumbers[state];
}

/** The state of a number. */
export function stateOf(number: number): State {
  return nameOf(states, number);
}

/** Appends states as a field. */
export function writeStates(writer: Writer, field: number, wanted: States): void {
  writePacked(writer, field, wanted.map(stateNumber));
}

/** Reads states with their length before them. */
export function readStates(reader: Reader): States {
  const numbers = readPacked(reader);
  const [first, second] = numbers;
  if (first === undefined || first === second || numbers.length > states.length) {
    throw malformed('states are one or two, each once');
  }
  return first === stateNumbers.ready && second === undefined ? readyOnly : numbers.map(stateOf);
}

/** Appends a query as a field. */
export function writeQuery(writer: Writer, field: number, query: Query): void {
  const mark = openField(writer, field);
  writeNumber(writer, 1, query.space);
  writeRun(writer, 2, query.template);
  writeNumber(writer, 3, query.max);
  writeNumber(writer, 4, query.min);
  writeNumber(writer, 5, query.waitedMs ?? 0);
  writer.close(mark);
}

/** Reads a query up to the reader's end. */
export function readQuery(reader: Reader, templates: TemplateReader): Query {
  let space = 0;
  let template: Template | undefined;
  let max = 0;
  let min = 0;
  let waitedMs = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) space = reader.uint32();
    else if (tag === lengthTag(2)) template = templates.template(reader);
    else if (tag === varintTag(3)) max = readUpTo(reader, manyMax);
    else if (tag === varintTag(4)) min = readPositive(reader);
    else if (tag === varintTag(5)) waitedMs = readUpTo(reader, durationMsMax);
    else throw unknownField();
  }
  if (min > max) throw malformed('a query waits for no more than it wants');
  const query = {
    space: positive(space) as SpaceId,
    template: required(template),
    max: positive(max),
    min: positive(min),
  };
  return waitedMs === 0 ? query : { ...query, waitedMs };
}
