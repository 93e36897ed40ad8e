/** What is left at the end: everything in a space, ready or handed over, through the SDK. */
import type { Space } from '@tuplet/client';
import { t } from '@tuplet/client';
import type { FoundJson } from '../sim/check/history.ts';
import { foundJson } from './convert.ts';

const states = ['ready', 'handed'] as const;
const readMax = 1_000;
/** The first letters of what the workload writes as a tuple's own field: `u:c0`, `u:c1`, … */
const uniqueHeads = Array.from({ length: 10 }, (_, digit) => `u:c${digit}`);

/**
 * Reads everything: for each head the tuples whose own field begins so. Throws where that is not as
 * much as the space counts, for then it would judge what it has not seen.
 */
export async function survey(space: Space): Promise<readonly FoundJson[]> {
  const found: FoundJson[] = [];
  for (const head of uniqueHeads) found.push(...(await below(space, head)));
  const count = await space.count(undefined, { states });
  if (count !== found.length) {
    throw new Error(`${space.name} counts ${count} tuples, and ${found.length} were read`);
  }
  return found;
}

async function below(space: Space, head: string): Promise<readonly FoundJson[]> {
  const template = [t.any, t.any, t.prefix(head), t.rest] as const;
  const some = await space.readMany(template, { max: readMax, min: 1, waitMs: 0, states });
  if (some.length < readMax) return some.map(foundJson);
  const all: FoundJson[] = [];
  for (const next of '0123456789.:') all.push(...(await below(space, head + next)));
  return all;
}
