import { EncodeError, encodeValue, type Float } from '@tuplet/proto';
import { CancelResponse, CountResponse } from '@tuplet/proto/contract';
import {
  metaOf,
  type Renewed,
  type Replaced,
  readIncremented,
  readOutcomes,
  readRenewed,
  readReplaced,
  readSureWrite,
  readWriteAnswer,
  type WriteOutcome,
  type Written,
} from './answers.ts';
import { BodyWriter, checked } from './body.ts';
import {
  FindCall,
  type Pick,
  PlainCall,
  type ReadAnswer,
  type UnconfirmedListener,
} from './call.ts';
import { callKinds } from './engine/calls.ts';
import type { Engine } from './engine/engine.ts';
import type { Body } from './engine/operation.ts';
import { TupletError } from './error.ts';
import { type NotifyHost, type NotifyOptions, Subscription } from './notify.ts';
import {
  type CallOptions,
  checkedMs,
  type ManyOptions,
  type ReadOptions,
  type TupleState,
  timeoutOf,
  timesOf,
  type WaitOptions,
  type WriteOptions,
} from './options.ts';
import type { SpaceAddress } from './space-address.ts';
import { type MatchedTuple, PreparedTemplate, type Template } from './template.ts';
import { invalidArgument, toStoredFields, type Writable } from './value.ts';

/** A tuple as it is written: 1 to 64 values. */
export type WritableTuple = readonly Writable[];

/** Which tuple: one that this SDK returned, or its id. */
export type TupleReference = readonly unknown[] | number | { readonly id: number };

/** A tuple in one form. */
export interface TupleVersion {
  readonly id: number;
  readonly revision: number;
}

const bodies = new BodyWriter();
const manyMax = 1_000;
const stateNumbers: { readonly [State in TupleState]: number } = { ready: 1, handed: 2 };

/** What a space needs of its client. */
export interface SpaceHost {
  /** The engine for the next call. */
  engine(): Engine;
  readonly notifyHost: NotifyHost;
  readonly onUnconfirmed: UnconfirmedListener | undefined;
}

/**
 * A tuple space. All methods reject with TupletError and nothing else; none of them touches the
 * arguments after it has returned.
 */
export class Space {
  /** Its name. */
  readonly name: string;
  readonly #host: SpaceHost;
  readonly #address: SpaceAddress;

  /** Made by `Client.space`. */
  constructor(host: SpaceHost, address: SpaceAddress) {
    this.#host = host;
    this.#address = address;
    this.name = address.name;
  }

  /** Adds a tuple. When it resolves the tuple is on disk. */
  write(tuple: WritableTuple, options?: WriteOptions): Promise<Written> {
    try {
      const writer = bodies.begin().tuple(3, toStoredFields(tuple));
      const body = writer.duration(4, checkedMs('leaseMs', options?.leaseMs)).body(false);
      return this.#send('write', body, readSureWrite, options);
    } catch (error) {
      return refused(error);
    }
  }

  /**
   * Adds 1 to 1,000 tuples: whole or not at all within a partition. Resolves to one outcome for each
   * tuple, in order; an invalid tuple rejects the whole call and writes nothing.
   */
  writeMany(tuples: readonly WritableTuple[], options?: WriteOptions): Promise<WriteOutcome[]> {
    const encode = (): Body => {
      const leaseMs = checkedMs('leaseMs', options?.leaseMs);
      const writer = bodies.begin();
      for (const tuple of tuples) {
        const fields = toStoredFields(tuple);
        writer.message(3, (item) => item.tuple(1, fields).duration(2, leaseMs));
      }
      return writer.body(false);
    };
    return this.#plain('writeMany', encode, readOutcomes, options);
  }

  /**
   * Adds a tuple where nothing matches `absent`, in any state; the template must be pinned to the
   * tuple's own slot. Resolves to undefined where something matched.
   */
  writeIfAbsent(
    tuple: WritableTuple,
    absent: Template,
    options?: WriteOptions,
  ): Promise<Written | undefined> {
    const encode = (): Body => {
      const template = new PreparedTemplate(absent);
      return bodies
        .begin()
        .tuple(3, toStoredFields(tuple))
        .duration(4, checkedMs('leaseMs', options?.leaseMs))
        .template(5, template)
        .body(false);
    };
    return this.#plain('writeIfAbsent', encode, readWriteAnswer, options);
  }

  /** Waits for a tuple that matches, and leaves it. Undefined only where `waitMs` bounds the wait. */
  read<const From extends Template>(
    template: From,
    options?: ReadOptions & { readonly waitMs?: undefined },
  ): Promise<MatchedTuple<From>>;
  read<const From extends Template>(
    template: From,
    options: ReadOptions,
  ): Promise<MatchedTuple<From> | undefined>;
  read(template: Template, options?: ReadOptions): Promise<unknown> {
    return this.#find('read', template, options, options?.waitMs === undefined ? 'one' : 'maybe');
  }

  /** A tuple that matches now, and leaves it; undefined if there is none. */
  readIfExists<const From extends Template>(
    template: From,
    options?: Omit<ReadOptions, 'waitMs'>,
  ): Promise<MatchedTuple<From> | undefined> {
    return this.#find('read', template, { ...options, waitMs: 0 }, 'maybe');
  }

  /**
   * Waits for a tuple that matches, removes it and hands it over, to this call alone. Undefined only
   * where `waitMs` bounds the wait.
   *
   * An abort, and a timeout, answer "cancelled" or the tuple: the promise rejects only when it is
   * certain that no tuple was taken, or else with `definite: false` after one lease, and then a tuple
   * that was taken goes back.
   */
  take<const From extends Template>(
    template: From,
    options?: WaitOptions & { readonly waitMs?: undefined },
  ): Promise<MatchedTuple<From>>;
  take<const From extends Template>(
    template: From,
    options: WaitOptions,
  ): Promise<MatchedTuple<From> | undefined>;
  take(template: Template, options?: WaitOptions): Promise<unknown> {
    return this.#find('take', template, options, options?.waitMs === undefined ? 'one' : 'maybe');
  }

  /** Takes a tuple that matches now; undefined if there is none. */
  takeIfExists<const From extends Template>(
    template: From,
    options?: CallOptions,
  ): Promise<MatchedTuple<From> | undefined> {
    return this.#find('take', template, { ...options, waitMs: 0 }, 'maybe');
  }

  /** Waits until `min` tuples match, and returns up to `max`; none only where `waitMs` bounds the wait. */
  readMany<const From extends Template>(
    template: From,
    options?: ReadOptions & ManyOptions,
  ): Promise<MatchedTuple<From>[]> {
    return this.#find('readMany', template, options, 'many');
  }

  /** Like `readMany`, and removes what it returns; all tuples come from one partition. */
  takeMany<const From extends Template>(
    template: From,
    options?: WaitOptions & ManyOptions,
  ): Promise<MatchedTuple<From>[]> {
    return this.#find('takeMany', template, options, 'many');
  }

  /**
   * Takes one tuple and puts another in its place, at one point; the new one must have the same slot,
   * and keeps id, age and, unless `leaseMs` says otherwise, lease. `target` is a pinned template, or
   * a version (`metaOf(tuple)`), whose change since then is ABORTED. Undefined where nothing matched.
   */
  replace<const From extends Template | TupleVersion>(
    target: From,
    tuple: WritableTuple,
    options?: WriteOptions,
  ): Promise<Replaced<From extends Template ? MatchedTuple<From> : unknown[]> | undefined> {
    let template: PreparedTemplate | undefined;
    const encode = (): Body => {
      const writer = bodies.begin();
      if (isVersion(target)) {
        writer.message(4, (version) => version.number(1, target.id).number(2, target.revision));
      } else {
        template = new PreparedTemplate(target);
        writer.template(3, template);
      }
      writer.tuple(5, toStoredFields(tuple));
      return writer.duration(6, checkedMs('leaseMs', options?.leaseMs)).body(false);
    };
    type Result = Replaced<From extends Template ? MatchedTuple<From> : unknown[]> | undefined;
    const read = (bytes: Uint8Array, start: number, end: number): Result =>
      readReplaced(bytes, start, end, template) as Result;
    return this.#plain('replace', encode, read, options);
  }

  /**
   * Increases the number at position `field` (from 0) of a tuple that the pinned template matches, and
   * returns the tuple as it is then; undefined where nothing matched. An int field wants an integral
   * `delta`.
   */
  increment<const From extends Template>(
    template: From,
    field: number,
    delta: number | bigint | Float = 1,
    options?: CallOptions,
  ): Promise<MatchedTuple<Widened<From>> | undefined> {
    const encode = (): Body =>
      bodies
        .begin()
        .template(3, new PreparedTemplate(template))
        .number(4, field)
        .bytes(5, encodeValue(delta))
        .body(false);
    type Result = MatchedTuple<Widened<From>> | undefined;
    const read = (bytes: Uint8Array, start: number, end: number): Result =>
      readIncremented(bytes, start, end) as Result;
    return this.#plain('increment', encode, read, options);
  }

  /** How many tuples match; all of them where no template is given. */
  count(template?: Template, options?: CallOptions & Omit<ReadOptions, 'waitMs'>): Promise<number> {
    const encode = (): Body => {
      const writer = bodies.begin();
      if (template !== undefined) writer.template(2, new PreparedTemplate(template));
      writeStates(writer, 3, options?.states);
      return writer.number(4, options?.stale).body(false);
    };
    return this.#plain('count', encode, readCount, options);
  }

  /** Gives a tuple a new lease from now on, or none; undefined where the tuple is not there. */
  renew(
    tuple: TupleReference,
    leaseMs?: number,
    options?: CallOptions,
  ): Promise<Renewed | undefined> {
    const encode = (): Body => {
      const writer = bodies.begin().number(3, idOf(tuple));
      return writer.duration(4, checkedMs('leaseMs', leaseMs)).body(false);
    };
    return this.#plain('renew', encode, readRenewed, options);
  }

  /** Removes a tuple by its id; resolves to whether it was there. */
  cancel(tuple: TupleReference, options?: CallOptions): Promise<boolean> {
    const encode = (): Body => bodies.begin().number(3, idOf(tuple)).body(false);
    return this.#plain('cancel', encode, readCancelled, options);
  }

  /**
   * Streams what happens to tuples that match, or to all, each partition in commit order, without gap
   * or repetition. It begins at once; `await` its `ready` before doing what it must not miss. Leaving
   * the loop ends it; the loop is rejected with CANCELLED when `signal` aborts, and with
   * CURSOR_COMPACTED where the history that it needs is gone.
   */
  notify<const From extends Template>(
    template: From,
    options?: NotifyOptions,
  ): Subscription<MatchedTuple<From>>;
  notify(template?: undefined, options?: NotifyOptions): Subscription<unknown[]>;
  notify(template?: Template, options?: NotifyOptions): Subscription<unknown> {
    const prepared = checked(() =>
      template === undefined ? undefined : new PreparedTemplate(template),
    );
    return new Subscription(this.#host.notifyHost, this.name, prepared, options ?? {});
  }

  #plain<Result>(
    name: keyof typeof callKinds,
    encode: () => Body,
    read: ReadAnswer<Result>,
    options: CallOptions | undefined,
  ): Promise<Result> {
    try {
      return this.#send(name, encode(), read, options);
    } catch (error) {
      return refused(error);
    }
  }

  #send<Result>(
    name: keyof typeof callKinds,
    body: Body,
    read: ReadAnswer<Result>,
    options: CallOptions | undefined,
  ): Promise<Result> {
    const timeoutMs = timeoutOf(options);
    const input = { kind: callKinds[name], space: this.#address, body, waitMs: 0, timeoutMs };
    return this.#start(new PlainCall(input, read), options?.signal);
  }

  #find<Result>(
    name: 'read' | 'take' | 'readMany' | 'takeMany',
    template: Template,
    options: (ReadOptions & ManyOptions) | undefined,
    pick: Pick,
  ): Promise<Result> {
    try {
      const kind = callKinds[name];
      const { waitMs, timeoutMs } = timesOf(options);
      const prepared = new PreparedTemplate(template);
      const field = kind.handsOver ? 3 : 2;
      const writer = bodies.begin().template(field, prepared);
      if (pick === 'many') {
        writer.number(field + 1, options?.max ?? manyMax).number(field + 2, options?.min);
      }
      if (!kind.handsOver) {
        writeStates(writer, pick === 'many' ? 6 : 4, options?.states);
        writer.number(pick === 'many' ? 7 : 5, options?.stale);
      }
      const body = writer.body(waitMs > 0);
      const input = { kind, space: this.#address, body, waitMs, timeoutMs };
      const call = new FindCall<Result>(input, prepared, pick, this.#host.onUnconfirmed);
      return this.#start(call, options?.signal);
    } catch (error) {
      return refused(error);
    }
  }

  #start<Result>(
    call: PlainCall<Result> | FindCall<Result>,
    signal: AbortSignal | undefined,
  ): Promise<Result> {
    if (this.#address.isKnown) return call.startOn(this.#host.engine(), signal);
    return this.#address.resolve(signal).then(() => call.startOn(this.#host.engine(), signal));
  }
}

/** What the arguments of a call were refused for becomes a rejection. */
function refused(error: unknown): Promise<never> {
  return Promise.reject(error instanceof EncodeError ? invalidArgument(error) : error);
}

/** An actual value at the incremented position is not what comes back: numbers are widened. */
type Widened<From> = From extends readonly unknown[]
  ? { [Index in keyof From]: From[Index] extends number ? number : From[Index] }
  : From;

function readCancelled(bytes: Uint8Array, start: number, end: number): boolean {
  return CancelResponse.decodeRun(bytes, start, end).cancelled;
}

function readCount(bytes: Uint8Array, start: number, end: number): number {
  return CountResponse.decodeRun(bytes, start, end).count;
}

function writeStates(
  writer: BodyWriter,
  field: number,
  states: readonly TupleState[] | undefined,
): void {
  for (const state of states ?? []) writer.number(field, stateNumbers[state]);
}

function isVersion(target: Template | TupleVersion): target is TupleVersion {
  return 'revision' in target;
}

function idOf(tuple: TupleReference): number {
  if (typeof tuple === 'number') return tuple;
  const meta: { readonly id: number } | undefined = isTuple(tuple) ? metaOf(tuple) : tuple;
  if (meta !== undefined) return meta.id;
  throw new TupletError({
    reason: 'VALUE_OUT_OF_RANGE',
    code: 'INVALID_ARGUMENT',
    definite: true,
    retryable: false,
    message: 'not a tuple that this SDK returned, nor an id',
    field: 'tuple_id',
  });
}

function isTuple(tuple: object): tuple is readonly unknown[] {
  return Array.isArray(tuple);
}
