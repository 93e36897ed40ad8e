import { type Space, type Template, TupletError, t, type WritableTuple } from '@tuplet/client';
import { say } from './report.ts';

const lanes = 64;
/** Milliseconds within which a write falls, at least; the cancel and the end of the wait in twice that. */
const spreadMsMin = 20;
/** The same in round trips: on a slow machine the cancel would else always overtake the write. */
const spreadTrips = 4;

/** How races ended. */
export interface RacesResult {
  readonly races: number;
  /** The take got the tuple. */
  readonly taken: number;
  /** The wait ended first. */
  readonly nothing: number;
  /** The cancel came first. */
  readonly cancelled: number;
  /** Tuples that nobody took and that were there afterwards. */
  readonly left: number;
}

/**
 * Races of a take's cancel, the end of its wait and the write of its tuple. Afterwards each tuple is
 * in exactly one place: with its take, or in the space. Rejects where one is in neither or in both.
 */
export async function races(space: Space, count: number): Promise<RacesResult> {
  const taken = new Set<number>();
  let nothing = 0;
  let cancelled = 0;
  let next = 0;
  const trip = { ms: 0 };
  const lane = async (): Promise<void> => {
    while (next < count) {
      const number = next;
      next += 1;
      const outcome = await race(space, number, trip);
      if (outcome === 'nothing') nothing += 1;
      else if (outcome === 'cancelled') cancelled += 1;
      else if (outcome !== number || taken.has(number)) throw new Error(`${number} got ${outcome}`);
      else taken.add(number);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const left = await leftOver(space);
  const result = { races: count, taken: taken.size, nothing, cancelled, left: left.size };
  for (let number = 0; number < count; number += 1) {
    if (taken.has(number) === left.has(number))
      throw new Error(`tuple ${number} is ${left.has(number) ? 'there twice' : 'lost'}`);
  }
  say(
    `races: ${count}, each tuple in one place: ${result.taken} taken, ${left.size} left ` +
      `(${cancelled} takes cancelled, ${nothing} that waited in vain)`,
  );
  // A race that always ends the same way is none.
  if (Math.min(result.taken, nothing, cancelled) < count / 100)
    throw new Error('one of the outcomes hardly came: nothing was shown');
  return result;
}

/** One race; `trip` is the time of a write of late. */
async function race(
  space: Space,
  number: number,
  trip: { ms: number },
): Promise<number | 'nothing' | 'cancelled'> {
  const spreadMs = Math.max(spreadMsMin, spreadTrips * trip.ms);
  const cancel = new AbortController();
  const cancelling = setTimeout(() => cancel.abort(), Math.random() * 2 * spreadMs);
  const [template, tuple] = raceOf(number);
  const waitMs = Math.random() * 2 * spreadMs;
  const writing = async (): Promise<void> => {
    await pause(Math.random() * spreadMs);
    const began = performance.now();
    await space.write(tuple);
    trip.ms += (performance.now() - began - trip.ms) / lanes;
  };
  const [outcome] = await Promise.all([
    take(space, template, { waitMs, signal: cancel.signal }),
    writing(),
  ]);
  clearTimeout(cancelling);
  return outcome;
}

async function take(
  space: Space,
  template: Template,
  options: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<number | 'nothing' | 'cancelled'> {
  try {
    const found: unknown = await space.take(template, options);
    return Array.isArray(found) ? Number(found[2]) : 'nothing';
  } catch (error) {
    if (error instanceof TupletError && error.reason === 'CANCELLED' && error.definite)
      return 'cancelled';
    throw error;
  }
}

/** A third each keyed, by a range, and unpinned. */
function raceOf(number: number): readonly [Template, WritableTuple] {
  const tuple = [`race-${number % 97}`, 'race', number];
  switch (number % 3) {
    case 0:
      return [[tuple[0] ?? '', 'race', number], tuple];
    case 1:
      return [[tuple[0] ?? '', 'race', t.between(number, number)], tuple];
    default:
      return [[t.any, 'race', number], tuple];
  }
}

async function leftOver(space: Space): Promise<Set<number>> {
  const left = new Set<number>();
  for (;;) {
    const found = await space.takeMany([t.any, 'race', t.int], { waitMs: 0 });
    if (found.length === 0) return left;
    for (const [, , number] of found) {
      if (left.has(number)) throw new Error(`tuple ${number} is there twice`);
      left.add(number);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
