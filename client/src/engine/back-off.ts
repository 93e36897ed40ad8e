import type { EngineRandom } from './doors.ts';
import { clientLimits } from './limits.ts';

/**
 * Milliseconds to wait after so many failures in a row (1, 2, …): doubling up to a bound, of which
 * a random half to whole is taken, so that many clients do not come back together.
 */
export function backOffMs(failures: number, random: EngineRandom): number {
  const { backOffFirstMs, backOffMaxMs } = clientLimits;
  const fullMs = Math.min(backOffMaxMs, backOffFirstMs * 2 ** Math.min(failures - 1, 16));
  return fullMs * (0.5 + random.uint32() / 2 ** 33);
}
