/**
 * One number for a partition's state, whatever its layout in memory: the sum of the hashes of its
 * snapshot's items, those of ordered logs with their position. What a snapshot forgets, the hash
 * cannot see: tests compare behaviour besides.
 */
import { type Hash64, hashInto, Writer } from '@tuplet/proto';
import type { TupleId } from '../base/ids.ts';
import { recordsOf } from './byte-log.ts';
import { type Row, RowContent } from './rows.ts';
import { saveOperation } from './snapshot.ts';
import {
  returningItems,
  writeEnded,
  writeHeader,
  writeHome,
  writeKnown,
  writeReturning,
  writeSavedOperation,
  writeTuple,
} from './snapshot-items.ts';
import type { SpaceState } from './space-state.ts';

/** The sum, in two lanes of 32 bits. */
class Sum {
  readonly #writer = new Writer(4_096);
  readonly #hash: Hash64 = { low: 0, high: 0 };
  #low = 0;
  #high = 0;

  /** Adds an item; `context` tells apart equal items in different places. */
  add(context: number, write: (writer: Writer) => void): void {
    const writer = this.#writer;
    writer.reset();
    writer.uint64(context);
    write(writer);
    hashInto(writer.bytes, 0, writer.position, this.#hash);
    this.#low = (this.#low + this.#hash.low) >>> 0;
    this.#high = (this.#high + this.#hash.high) >>> 0;
  }

  get value(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }
}

/** The hash of a state. Costs a walk over everything. */
export function stateHashOf(state: SpaceState): bigint {
  const sum = new Sum();
  sum.add(0, (writer) => writeHeader(writer, state));
  addTuples(sum, state);
  for (const known of state.sessions.allKnown()) {
    sum.add(0, (writer) => writeKnown(writer, known));
    for (const record of known.operations.values()) {
      const saved = saveOperation(state, record);
      sum.add(known.id, (writer) => writeSavedOperation(writer, saved));
    }
  }
  for (const home of state.sessions.allHome()) sum.add(0, (writer) => writeHome(writer, home));
  let position = 0;
  for (const [session, endedMs] of state.sessions.allEnded()) {
    sum.add(position, (writer) => writeEnded(writer, session, endedMs));
    position += 1;
  }
  for (const record of recordsOf(state.requests.cut())) {
    sum.add(position, (writer) => writer.lengthDelimited(record));
    position += 1;
  }
  for (const record of recordsOf(state.history.cut())) {
    sum.add(position, (writer) => writer.lengthDelimited(record));
    position += 1;
  }
  for (const ids of returningItems(state)) {
    sum.add(position, (writer) => writeReturning(writer, ids));
    position += 1;
  }
  return sum.value;
}

function addTuples(sum: Sum, state: SpaceState): void {
  const { tuples } = state;
  const { rows } = tuples;
  const content = new RowContent();
  for (let row = 0 as Row; row < rows.rowCount; row = (row + 1) as Row) {
    if (!rows.read(row, content)) continue;
    const id: TupleId = tuples.idOf(row);
    sum.add(0, (writer) => writeTuple(writer, id, content, tuples.slabs));
  }
}
