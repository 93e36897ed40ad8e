import { Latency } from './latency.ts';

/** Operations that may be in flight: the client's queue holds 65,536. Beyond it even an open loop waits. */
const inFlightMax = 50_000;

/** How often, and for how long. */
export interface Rate {
  readonly perSecond: number;
  readonly seconds: number;
}

/** The clock of an open loop, so that its tests need none. */
export interface LoopClock {
  nowMs(): number;
  /** Resolves at `atMs` or soon after. */
  until(atMs: number): Promise<void>;
}

const realClock: LoopClock = {
  nowMs: () => performance.now(),
  until: (atMs) => new Promise((resolve) => setTimeout(resolve, atMs - performance.now())),
};

/**
 * Begins operations at a fixed rate, whether or not those before have ended, and counts each from the
 * moment at which it was *due*: an operation that could not begin because the server, or this process,
 * was behind has waited all the same. (Counting from the begin instead is what Gil Tene calls
 * coordinated omission.) The first that fails ends the loop.
 */
export async function openLoop(
  { perSecond, seconds }: Rate,
  operation: () => Promise<void>,
  clock: LoopClock = realClock,
): Promise<{ operations: number; seconds: number; latency: Latency }> {
  const latency = new Latency();
  const total = Math.floor(perSecond * seconds);
  const began = clock.nowMs();
  let inFlight = 0;
  let room: (() => void) | undefined;
  let failure: { readonly error: unknown } | undefined;
  const begin = async (dueMs: number): Promise<void> => {
    inFlight += 1;
    try {
      await operation();
      latency.record(clock.nowMs() - dueMs);
    } catch (error) {
      failure ??= { error };
    }
    inFlight -= 1;
    room?.();
  };
  const running: Promise<void>[] = [];
  for (let i = 0; i < total && failure === undefined; i += 1) {
    const dueMs = began + (i * 1000) / perSecond;
    if (dueMs > clock.nowMs()) await clock.until(dueMs);
    while (inFlight >= inFlightMax) {
      await new Promise<void>((resolve) => {
        room = resolve;
      });
    }
    running.push(begin(dueMs));
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure.error;
  return { operations: total, seconds: (clock.nowMs() - began) / 1000, latency };
}
