import type { RouterCall } from './decode.ts';

/** Whether a call asks for an answer of any age, and wants to be told how old it is. */
export function isStale(call: RouterCall): boolean {
  switch (call.kind) {
    case 'read':
    case 'readMany':
    case 'count':
      return call.value.stale;
    default:
      return false;
  }
}
