/** A promise of our own code was broken. Nobody catches it: the process ends, and state is recovered from the log. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** States what must hold. Always on; messages are constant strings. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** The value, which must be there. */
export function present<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new InvariantError(message);
  return value;
}

/** Closes a `switch` over a union: the compiler refuses a forgotten case. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${String(value)}`);
}
