/**
 * The tuples of a partition's snapshot, for those who want nothing else of it: a backup's checksum, an export,
 * a restored partition. Strict as the loader is: another format throws FormatError, what is odd DecodeError.
 */
import { malformed, type Reader } from '@tuplet/proto';
import { lengthTag, positive, readFields, required, varintTag } from '../base/wire-fields.ts';
import { ItemStream } from './item-stream.ts';
import { ItemField } from './snapshot-items.ts';
import { readHeader } from './snapshot-load.ts';
import type { SpaceLimits, SpaceState } from './space-state.ts';
import { LoadedTuple, readTuple } from './tuple-load.ts';

const countersPerPartition = 2 ** 44;

/** What a reader hears. */
export interface TupleListener {
  /** Once, first: an empty state that begins as the snapshot's header says, and how many tuples follow. */
  begun(state: SpaceState, tuples: number): void;
  /** One tuple, ready or handed over; it and its bytes, `bytes` from `tuple.from` to `tuple.to`, are valid during the call. */
  tuple(tuple: LoadedTuple, bytes: Uint8Array): void;
}

/** Takes the chunks of a snapshot in order, cut anywhere. */
export class TupleReader {
  readonly #listener: TupleListener;
  readonly #limits: Partial<SpaceLimits>;
  readonly #stream = new ItemStream((reader) => this.#item(reader));
  readonly #tuple = new LoadedTuple();
  #state: SpaceState | undefined;
  #expected = 0;
  #count = 0;
  #hasEnded = false;

  constructor(listener: TupleListener, limits: Partial<SpaceLimits> = {}) {
    this.#listener = listener;
    this.#limits = limits;
  }

  /** Adds a chunk; its bytes are not needed afterwards. */
  add(chunk: Uint8Array): void {
    this.#stream.add(chunk);
  }

  /** Every chunk has been added: checks that nothing is missing. */
  finish(): void {
    if (!this.#hasEnded || !this.#stream.isBetweenItems) throw malformed('a snapshot ends early');
    if (this.#count !== this.#expected) throw malformed('tuples are missing');
  }

  #item(reader: Reader): void {
    const tag = reader.tag();
    const field = tag >>> 3;
    if (tag !== lengthTag(field)) throw malformed('an item is a message');
    if (this.#hasEnded) throw malformed('items after the end');
    const size = reader.length();
    if (size !== reader.end - reader.position) throw malformed('an item is one message');
    if (field === ItemField.header) this.#begin(reader);
    else if (field === ItemField.tuple) this.#see(reader, required(this.#state));
    else if (field === ItemField.end) this.#end(reader);
  }

  #begin(reader: Reader): void {
    if (this.#state !== undefined) throw malformed('a snapshot has one header');
    const { state, tuples } = readHeader(reader, this.#limits);
    this.#state = state;
    this.#expected = tuples;
    this.#listener.begun(state, tuples);
  }

  #see(reader: Reader, state: SpaceState): void {
    const tuple = this.#tuple;
    readTuple(reader, tuple);
    const counter = positive(tuple.id) % countersPerPartition;
    if (tuple.id !== state.partition * countersPerPartition + counter)
      throw malformed('a tuple of another partition');
    if (counter > state.tupleCounter) throw malformed('a tuple beyond the counter');
    tuple.counter = counter;
    this.#count += 1;
    this.#listener.tuple(tuple, reader.bytes);
  }

  #end(reader: Reader): void {
    let tuples = 0;
    readFields(reader, [], (tag) => {
      if (tag === varintTag(1)) tuples = reader.uint64();
      else reader.uint64();
      return true;
    });
    if (tuples !== this.#count) throw malformed('items are missing');
    this.#hasEnded = true;
  }
}
