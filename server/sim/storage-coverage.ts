/** What runs of the storage world must reach, and how often. */
import type { Coverage } from './coverage.ts';

/** Seeds below which no floor is enforced, and the seeds for each time that something is reached. */
const fewSeeds = 100;
const seedsATime = 10;

export const storageCoverage: Coverage = {
  faults: [
    'power cut',
    'power cut during a start',
    'process crash',
    'torn write',
    'lost write',
    'lost name',
    'slow sync',
    'disk error',
    'disk full',
    'bit flip',
  ],
  paths: [
    'a torn tail was trimmed',
    'a tail was replaced',
    'a write that no frame holds',
    'a snapshot was cut',
    'a snapshot from elsewhere beyond the log',
    'a snapshot from elsewhere against another term',
    'a snapshot from elsewhere within the log',
    'a replica was buried',
    'a replica began where another had ended',
    'damage was refused',
    'a flipped bit did no harm',
    'an older snapshot was used',
  ],
  floorFor: (seeds) => (seeds < fewSeeds ? 0 : Math.floor(seeds / seedsATime)),
  operationsLeast: 100,
};
