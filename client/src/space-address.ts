import { Routing } from '@tuplet/proto';
import type { Admin } from './admin.ts';
import { BodyWriter } from './body.ts';
import type { CallKind } from './engine/calls.ts';
import type { Body, SpaceReference } from './engine/operation.ts';
import { TupletError } from './error.ts';
import { Placement } from './placement.ts';
import { toStored } from './value.ts';

const bodies = new BodyWriter();

/**
 * Where a space is: its id and the epoch of the map from which the id was learnt (SPEC §6). Learnt
 * with the first call, and again when the server says that the epoch is old.
 */
export class SpaceAddress implements SpaceReference {
  /** The space's name. */
  readonly name: string;
  /** See SpaceReference. Before the first answer it names the space. */
  encoded: Uint8Array;
  /** Id and epoch, once they are known. */
  reference: { readonly id: number; readonly mapEpoch: number } | undefined;
  /** Whether id and epoch are known. */
  isKnown = false;
  #placement: Placement | undefined;
  readonly #admin: Admin;
  /** The look that is under way, shared by all who wait for it. */
  #looking: Promise<void> | undefined;

  constructor(name: string, admin: Admin) {
    this.name = name;
    this.#admin = admin;
    this.encoded = bodies
      .begin()
      .message(1, (space) => space.string(1, name))
      .finish();
  }

  /** Learns id and epoch. Rejects with NOT_FOUND where there is no such space. */
  resolve(signal?: AbortSignal): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    if (signal === undefined) return this.#looking;
    return orAborted(this.#looking, signal);
  }

  partitionOf(kind: CallKind, body: Body): number {
    return this.#placement?.partitionOf(kind, body) ?? 0;
  }

  refresh(done: (error: TupletError | undefined) => void): void {
    this.resolve().then(
      () => done(undefined),
      (error: unknown) => done(TupletError.from(error)),
    );
  }

  async #look(): Promise<void> {
    const { id, mapEpoch, routingName, rules, partitions } = await this.#admin.describeSpace(
      this.name,
    );
    this.encoded = bodies
      .begin()
      .message(1, (space) => space.number(2, id).number(3, mapEpoch))
      .finish();
    const stored = rules.map((rule) => ({ ...rule, tag: toStored(rule.tag) }));
    this.#placement = new Placement(new Routing(routingName, stored), partitions);
    this.reference = { id, mapEpoch };
    this.isKnown = true;
  }
}

/** The promise, or CANCELLED as soon as the signal aborts; what the promise does then is not heard. */
function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      const cause: unknown = signal.reason;
      reject(TupletError.cancelled(cause));
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
