import type { Operation } from '../space/command.ts';
import type { CallId, Change, CoordinatorId, Mutate } from './messages.ts';

/** One sending of a mutation, until it is answered. */
export class Mutation {
  readonly coordinator: CoordinatorId;
  readonly call: CallId;
  readonly operation: Operation | undefined;
  readonly m: number;
  readonly change: Change;

  constructor(coordinator: CoordinatorId, { call, operation, m, change }: Mutate) {
    this.coordinator = coordinator;
    this.call = call;
    this.operation = operation;
    this.m = m;
    this.change = change;
  }
}

/** One kind of change. */
export type ChangeOf<K extends Change['kind']> = Extract<Change, { readonly kind: K }>;

/** Changes that may make the data larger: these are refused while the disk is full. */
export function addsData({ kind }: Change): boolean {
  return kind !== 'cancel' && kind !== 'renew';
}

/**
 * Changes that may be answered without an entry of their own: an attempt above 1 logs its FENCE
 * first, so that no earlier attempt can act after the answer (T3).
 */
export function mayAnswerUnlogged({ kind }: Change): boolean {
  return kind === 'write-if-absent' || kind === 'replace' || kind === 'increment';
}
