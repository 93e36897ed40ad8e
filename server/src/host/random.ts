/** The real Random. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../base/doors.ts';

const pool = new Uint32Array(256);
let used = pool.length;

/** Unpredictable, so that salts cannot be guessed. */
export const hostRandom: Random = {
  uint32(): number {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    return pool[used++] ?? 0;
  },
};
