/** What a seed decides before a run begins. */
import { Prng } from '../src/base/prng.ts';
import type { BusOptions } from './bus.ts';
import type { NetworkOptions } from './network.ts';
import type { WorkloadOptions } from './workload.ts';

/** The faults that the schedule chooses among, each with its weight in this run. */
export type FaultWeights = Readonly<Record<FaultKind, number>>;

/** Things that are done to the system. */
export type FaultKind =
  | 'crash'
  | 'crash-at-reply'
  | 'crash-before-sync'
  | 'kill-client'
  | 'pause-client'
  | 'pause-client-beyond-lease'
  | 'break'
  | 'stall'
  | 'kill-gateway'
  | 'slow-disk'
  | 'full-disk'
  | 'disk-error'
  | 'pause-node'
  | 'cancel';

/** All that a run is set up with. */
export interface Settings {
  readonly seed: number;
  readonly clients: number;
  /** Operations that one client has open at once. */
  readonly lanes: number;
  readonly thinkMsMax: number;
  /** The work ends when so many were started, or after `workMs`. */
  readonly operations: number;
  readonly workMs: number;
  readonly leaseMs: number;
  readonly faultEveryMs: number;
  readonly faults: FaultWeights;
  readonly network: NetworkOptions;
  readonly bus: BusOptions;
  readonly workload: WorkloadOptions;
  readonly snapshotTailBytes: number;
  readonly syncMsMax: number;
  readonly wallJumps: boolean;
}

/** Draws the settings of a seed. */
export function settingsOf(seed: number): Settings {
  const random = new Prng(seed, 'settings');
  const often = (low: number, high: number): number =>
    random.chance(1, 4) ? 0 : random.between(low, high);
  return {
    seed,
    clients: random.between(3, 6),
    lanes: random.between(4, 9),
    thinkMsMax: random.pick([5, 40, 150]),
    operations: random.between(520, 820),
    workMs: 40_000,
    leaseMs: random.between(1000, 3000),
    faultEveryMs: random.pick([150, 400, 900]),
    faults: {
      crash: often(1, 3),
      'crash-at-reply': often(1, 2),
      'crash-before-sync': often(1, 2),
      'kill-client': often(1, 3),
      'pause-client': often(1, 3),
      'pause-client-beyond-lease': often(1, 3),
      break: often(2, 6),
      stall: often(1, 4),
      'kill-gateway': often(1, 4),
      'slow-disk': often(1, 2),
      'full-disk': often(1, 2),
      'disk-error': often(0, 1),
      'pause-node': often(1, 3),
      cancel: random.between(10, 24),
    },
    network: {
      delayUsMin: 50,
      delayUsMax: random.pick([300, 2000, 8000]),
      lateOneIn: random.pick([0, 20, 100]),
      lateUsMax: 60_000,
      windowBytes: 262_144,
    },
    bus: random.chance(1, 3)
      ? { lateOneIn: 0, lateMsMax: 1, twiceOneIn: 0 }
      : {
          lateOneIn: random.pick([4, 12, 60]),
          lateMsMax: random.pick([2, 30, 450]),
          twiceOneIn: random.pick([10, 40]),
        },
    workload: {
      waitPercent: random.between(20, 70),
      foreverPercent: random.between(5, 35),
      unpinnedPercent: random.between(15, 60),
      leasePercent: random.pick([0, 15, 50]),
      paddingBytes: random.pick([0, 0, 600]),
    },
    snapshotTailBytes: random.pick([150, 300, 1500, 30_000]),
    syncMsMax: random.pick([0.5, 5, 40]),
    wallJumps: random.chance(2, 3),
  };
}
