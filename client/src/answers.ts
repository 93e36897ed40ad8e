/** The answers of the contract as users see them. All functions that read throw DecodeError. */
import {
  decodeTuple,
  limits,
  malformed,
  readStatus,
  type SecondsAndNanos,
  type Value as StoredValue,
  Timestamp,
} from '@tuplet/proto';
import {
  IncrementResponse,
  RenewResponse,
  ReplaceResponse,
  type StoredTuple,
  TakeManyResponse,
  WriteManyResponse,
  WriteResponse,
  type Written as WrittenMessage,
} from '@tuplet/proto/contract';
import { errorOf } from './engine/status.ts';
import type { TupletError } from './error.ts';
import type { PreparedTemplate } from './template.ts';
import { fromStored, type Value } from './value.ts';

/** What a write answers. */
export interface Written {
  /** The tuple's id: it names its partition and is never reused. */
  readonly id: number;
  readonly partition: number;
  /** The position of the write in the partition's log. */
  readonly revision: number;
  /** When the tuple's lease ends; undefined: never. */
  readonly leaseEnd: Timestamp | undefined;
}

/** What a partition knows of a tuple. */
export interface TupleMeta {
  /** Its id: it names its partition and is never reused. */
  readonly id: number;
  readonly partition: number;
  /** The position in the partition's log at which it took its present form. */
  readonly revision: number;
  /** How often it was handed over and given back. */
  readonly deliveries: number;
  /** When its lease ends; undefined: never. */
  readonly leaseEnd: Timestamp | undefined;
  /** When it was written, on the partition's clock. */
  readonly writtenAt: Timestamp | undefined;
  /** `handed` only where the call asked for such tuples. */
  readonly state: 'ready' | 'handed';
}

/** How a read or a take ended. */
export interface Found {
  readonly isCancelled: boolean;
  readonly tuples: readonly Value[][];
  readonly ids: readonly number[];
}

const bounds = { tupleBytesMax: limits.tupleBytesMax };
const handedState = 2;
const cancelledOutcome = 3;

/** A constructor that makes nothing: a class that extends it puts its private fields into `target`. */
const Host = function host(target: object): object {
  return target;
} as unknown as new (
  target: object,
) => object;

/**
 * Puts a tuple's meta into a private field of its array: no copy of the array has it, nothing that
 * lists or compares properties sees it, and it costs a tenth of a hidden property.
 */
class Marked extends Host {
  readonly #meta: TupleMeta;

  constructor(tuple: object, meta: TupleMeta) {
    super(tuple);
    this.#meta = meta;
  }

  static metaOf(tuple: object): TupleMeta | undefined {
    return #meta in tuple ? tuple.#meta : undefined;
  }
}

/**
 * What the server knew of a tuple that this SDK returned, when it returned it: its id, partition,
 * revision, deliveries, lease. Undefined for any other array.
 */
export function metaOf(tuple: readonly unknown[]): TupleMeta | undefined {
  return Marked.metaOf(tuple);
}

/** A timestamp of the contract; undefined where it is absent. */
export function timestampOf(message: SecondsAndNanos | null): Timestamp | undefined {
  return message === null ? undefined : new Timestamp(message.seconds, message.nanos);
}

/** The values of an encoded tuple, of whatever size a space may allow. */
export function valuesOf(bytes: Uint8Array, template: PreparedTemplate | undefined): Value[] {
  const stored = decodeTuple(bytes, bounds);
  // The array is ours: most values are read as they are stored, and stay where they are.
  const values = stored as Value[];
  for (let i = 0; i < stored.length; i += 1) {
    const value = stored[i] as StoredValue;
    if (typeof value === 'object' && value !== null) values[i] = fromStored(value);
  }
  template?.convert(values, bytes);
  return values;
}

/** The values of a stored tuple, which carry its meta. */
export function tupleOf(stored: StoredTuple, template: PreparedTemplate | undefined): Value[] {
  if (stored.tuple === null) throw malformed('a stored tuple without its fields');
  const values = valuesOf(stored.tuple, template);
  const meta: TupleMeta = {
    id: stored.tupleId,
    partition: stored.partition,
    revision: stored.revision,
    deliveries: stored.deliveries,
    leaseEnd: timestampOf(stored.leaseEnd),
    writtenAt: timestampOf(stored.writtenAt),
    state: stored.state === handedState ? 'handed' : 'ready',
  };
  new Marked(values, meta);
  return values;
}

/**
 * Reads the answer of any read or take, or of CancelTake: their outcome and found tuples have the
 * same field numbers, and one tuple is a list of one.
 */
export function readFound(
  bytes: Uint8Array,
  start: number,
  end: number,
  template: PreparedTemplate | undefined,
): Found {
  const { outcome, found } = TakeManyResponse.decodeRun(bytes, start, end);
  return {
    isCancelled: outcome === cancelledOutcome,
    tuples: found.map((stored) => tupleOf(stored, template)),
    ids: found.map((stored) => stored.tupleId),
  };
}

function writtenOf(message: WrittenMessage): Written {
  const { tupleId, partition, revision, leaseEnd } = message;
  return { id: tupleId, partition, revision, leaseEnd: timestampOf(leaseEnd) };
}

/** Reads the answer of Write or WriteIfAbsent; undefined where nothing was written. */
export function readWriteAnswer(
  bytes: Uint8Array,
  start: number,
  end: number,
): Written | undefined {
  const { written } = WriteResponse.decodeRun(bytes, start, end);
  return written === null ? undefined : writtenOf(written);
}

/** Reads the answer of Write. */
export function readSureWrite(bytes: Uint8Array, start: number, end: number): Written {
  const written = readWriteAnswer(bytes, start, end);
  if (written === undefined) throw malformed('a write without what was written');
  return written;
}

/** What became of one tuple of `writeMany`. */
export type WriteOutcome =
  | { readonly kind: 'written'; readonly written: Written }
  | { readonly kind: 'failed'; readonly error: TupletError };

/** Reads the answer of WriteMany: where an earlier sending may have acted, a failure of this one proves nothing. */
export function readOutcomes(
  bytes: Uint8Array,
  start: number,
  end: number,
  isFirst: boolean,
): WriteOutcome[] {
  const { outcomes } = WriteManyResponse.decodeRun(bytes, start, end);
  return outcomes.map(({ kind }) => {
    if (kind === null) throw malformed('an outcome that says nothing');
    if (kind.kind === 'written') return { kind: 'written', written: writtenOf(kind.value) };
    const error = errorOf(readStatus(kind.value));
    return { kind: 'failed', error: isFirst ? error : error.asIndefinite() };
  });
}

/** What `replace` answers. */
export interface Replaced<Tuple> {
  /** The new form. */
  readonly written: Written;
  /** The old form. */
  readonly replaced: Tuple;
}

/** Reads the answer of Replace; undefined where nothing matched. */
export function readReplaced(
  bytes: Uint8Array,
  start: number,
  end: number,
  template: PreparedTemplate | undefined,
): Replaced<Value[]> | undefined {
  const { written, replaced } = ReplaceResponse.decodeRun(bytes, start, end);
  if (written === null) return undefined;
  if (replaced === null) throw malformed('a replacement without what it replaced');
  return { written: writtenOf(written), replaced: tupleOf(replaced, template) };
}

/** Reads the answer of Increment; undefined where nothing matched. */
export function readIncremented(
  bytes: Uint8Array,
  start: number,
  end: number,
): Value[] | undefined {
  const { found } = IncrementResponse.decodeRun(bytes, start, end);
  return found === null ? undefined : tupleOf(found, undefined);
}

/** What `renew` answers. */
export interface Renewed {
  /** When the lease ends now; undefined: never. */
  readonly leaseEnd: Timestamp | undefined;
}

/** Reads the answer of Renew; undefined where the tuple was not there. */
export function readRenewed(bytes: Uint8Array, start: number, end: number): Renewed | undefined {
  const { renewed, leaseEnd } = RenewResponse.decodeRun(bytes, start, end);
  return renewed ? { leaseEnd: timestampOf(leaseEnd) } : undefined;
}
