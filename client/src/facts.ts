import type { ReasonFacts } from './engine/status.ts';

/** What proto/errors.json says of a reason; undefined where it has no such row. */
export function factsOf(_reason: string): ReasonFacts | undefined {
  return undefined;
}
