import { encodeTemplate, encodeTuple, type MatcherSpec, type Value, Writer } from '@tuplet/proto';
import {
  callKinds,
  type Decoded,
  nothingHanded,
  Operation,
  type OperationName,
  type SpaceReference,
  type TupletError,
} from '../src/engine/index.ts';
import { fieldsOf, message, numberIn } from './exchange-codec.ts';

/** A space that never changes. */
export const testSpace: SpaceReference = {
  encoded: message([[1, message([[1, 'test']])]]),
  refresh: (done) => done(undefined),
  partitionOf: () => 0,
};

/** What an operation told its user. */
export type Told =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'found'; readonly ids: readonly number[] }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'written' }
  | { readonly kind: 'failed'; readonly error: TupletError };

/** An operation that remembers what it was told, and fails a test that tells it twice. */
export class TestOperation extends Operation {
  told: Told = { kind: 'waiting' };
  /** Whether its answer is to be taken for unreadable. */
  decodes: (bytes: Uint8Array) => void = () => {};
  onTold: () => void = () => {};
  /** Tuples handed out that may come back. */
  unconfirmedIds: readonly number[] = [];
  #ids: readonly number[] = [];

  override decode(bytes: Uint8Array, start: number, end: number): Decoded {
    const content = bytes.slice(start, end);
    this.decodes(content);
    const fields = fieldsOf(content);
    if (this.kind.waitField === 0) return nothingHanded;
    if (numberIn(fields, 1) === 3) return 'cancelled';
    this.#ids = (fields.get(2) ?? []).map((each) =>
      numberIn(fieldsOf(typeof each === 'number' ? new Uint8Array() : each), 2),
    );
    return this.kind.handsOver ? this.#ids : nothingHanded;
  }

  override succeed(): void {
    if (this.kind.waitField === 0) this.#tell({ kind: 'written' });
    else if (this.#ids.length === 0) this.#tell({ kind: 'nothing' });
    else this.#tell({ kind: 'found', ids: this.#ids });
  }

  override unconfirmed(tupleIds: readonly number[]): void {
    this.unconfirmedIds = [...tupleIds];
  }

  override fail(error: TupletError): void {
    this.#tell({ kind: 'failed', error });
  }

  #tell(told: Told): void {
    if (this.told.kind !== 'waiting') throw new Error(`told ${told.kind} after ${this.told.kind}`);
    this.told = told;
    this.onTold();
  }

  /** The reason it failed for. */
  get reason(): string | undefined {
    return this.told.kind === 'failed' ? this.told.error.reason : undefined;
  }
}

function bodyOf(
  field: number,
  content: Uint8Array,
): {
  bytes: Uint8Array;
  start: number;
  end: number;
  templateEnd: number;
} {
  const writer = new Writer();
  writer.tag(field, 2);
  writer.lengthDelimited(content);
  const bytes = writer.finish();
  return { bytes, start: 0, end: bytes.length, templateEnd: bytes.length };
}

/** A write of a tuple. */
export function writing(fields: readonly Value[], timeoutMs: number = 30_000): TestOperation {
  return new TestOperation({
    kind: callKinds.write,
    space: testSpace,
    body: bodyOf(3, encodeTuple(fields)),
    waitMs: 0,
    timeoutMs,
  });
}

/** A read or a take by the tag, any second field. */
export function asking(
  name: OperationName & ('read' | 'take'),
  tag: string,
  times: { readonly waitMs?: number; readonly timeoutMs?: number } = {},
): TestOperation {
  const matchers: MatcherSpec[] = [{ kind: 'actual', value: tag }, { kind: 'any' }];
  return new TestOperation({
    kind: callKinds[name],
    space: testSpace,
    body: bodyOf(name === 'take' ? 3 : 2, encodeTemplate([{ matchers }])),
    waitMs: times.waitMs ?? Number.POSITIVE_INFINITY,
    timeoutMs: times.timeoutMs ?? Number.POSITIVE_INFINITY,
  });
}
