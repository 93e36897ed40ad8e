import { malformed } from '@tuplet/proto';
import { type Found, readFound } from './answers.ts';
import type { Engine } from './engine/engine.ts';
import { type Decoded, nothingHanded, Operation, type OperationInput } from './engine/operation.ts';
import { cancelled } from './engine/reasons.ts';
import type { TupletError } from './error.ts';
import type { PreparedTemplate } from './template.ts';

/** What settles the newest promise: its maker takes both at once, before another is made. */
let resolveNewest: (result: never) => void = () => {};
let rejectNewest: (error: TupletError) => void = () => {};

/** A promise runs it when it is made. One for all: each closure is memory that every call would pay for. */
function keepSettlers(
  resolve: (result: never) => void,
  reject: (error: TupletError) => void,
): void {
  resolveNewest = resolve;
  rejectNewest = reject;
}

/** An operation whose end is a promise. */
abstract class Call<Result> extends Operation {
  /** Settled exactly once, by the engine. */
  readonly promise: Promise<Result>;
  readonly #resolve: (result: Result) => void;
  readonly #reject: (error: TupletError) => void;
  #unlisten: (() => void) | undefined;

  constructor(input: OperationInput) {
    super(input);
    this.promise = new Promise<Result>(keepSettlers);
    this.#resolve = resolveNewest as (result: Result) => void;
    this.#reject = rejectNewest;
  }

  /** Starts it; an aborted signal cancels it. */
  startOn(engine: Engine, signal: AbortSignal | undefined): Promise<Result> {
    if (signal === undefined) engine.start(this);
    else if (signal.aborted) this.#reject(cancelled(true, signal.reason));
    else {
      const abort = (): void => engine.cancel(this, signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#unlisten = () => signal.removeEventListener('abort', abort);
      engine.start(this);
    }
    return this.promise;
  }

  override succeed(): void {
    this.#unlisten?.();
    this.#resolve(this.result());
  }

  override fail(error: TupletError): void {
    this.#unlisten?.();
    this.#reject(error);
  }

  /** What `decode` kept. */
  protected abstract result(): Result;
}

/** Reads an answer; `isFirst`: surely no sending before the one that it is to has acted. */
export type ReadAnswer<Result> = (
  bytes: Uint8Array,
  start: number,
  end: number,
  isFirst: boolean,
) => Result;

/** A call that hands no tuple over: the answer is read by a function. */
export class PlainCall<Result> extends Call<Result> {
  readonly #read: ReadAnswer<Result>;
  #result: Result | undefined;

  constructor(input: OperationInput, read: ReadAnswer<Result>) {
    super(input);
    this.#read = read;
  }

  override decode(bytes: Uint8Array, start: number, end: number): Decoded {
    const isFirst = !this.mayHaveActed && !this.actedBefore;
    this.#result = this.#read(bytes, start, end, isFirst);
    return nothingHanded;
  }

  protected override result(): Result {
    return this.#result as Result;
  }
}

/** How a call for tuples ends: with one, with one or undefined, or with a list. */
export type Pick = 'one' | 'maybe' | 'many';

/** Hears the ids of tuples that were handed out and may come back. */
export type UnconfirmedListener = (tupleIds: readonly number[]) => void;

/** A read or a take. */
export class FindCall<Result> extends Call<Result> {
  readonly #template: PreparedTemplate;
  readonly #pick: Pick;
  readonly #onUnconfirmed: UnconfirmedListener | undefined;
  #found: Found | undefined;

  constructor(
    input: OperationInput,
    template: PreparedTemplate,
    pick: Pick,
    onUnconfirmed: UnconfirmedListener | undefined,
  ) {
    super(input);
    this.#template = template;
    this.#pick = pick;
    this.#onUnconfirmed = onUnconfirmed;
  }

  override unconfirmed(tupleIds: readonly number[]): void {
    this.#onUnconfirmed?.(tupleIds);
  }

  override decode(bytes: Uint8Array, start: number, end: number): Decoded {
    const found = readFound(bytes, start, end, this.#template);
    if (found.isCancelled) return 'cancelled';
    if (this.#pick === 'one' && found.tuples.length === 0 && this.cancelError === undefined) {
      throw malformed('a wait without end found nothing');
    }
    this.#found = found;
    return found.ids;
  }

  protected override result(): Result {
    const tuples = this.#found?.tuples ?? [];
    return (this.#pick === 'many' ? tuples : tuples[0]) as Result;
  }
}
