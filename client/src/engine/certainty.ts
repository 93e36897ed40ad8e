/** What the engine knows of whether an operation has happened, and what follows from it. */
import type { Operation } from './operation.ts';

/** Whether a sending of the operation, in its present session, may have acted, or still may. */
export function mayAct(operation: Operation): boolean {
  return operation.kind.mutates && (operation.mayHaveActed || operation.stage === 'sent');
}

/** Whether no sending at all can have acted: what a definite error says. */
export function isSurelyUndone(operation: Operation): boolean {
  return !operation.actedBefore && !mayAct(operation);
}

/** Whether an operation whose session is over can begin anew in another without being done twice. */
export function canGoOn(operation: Operation): boolean {
  if (operation.stage === 'unconfirmed' || operation.cancelError !== undefined) return false;
  return operation.kind.handsOver || !mayAct(operation);
}
