/** What a seed decides before a run begins. */
import { Prng } from '../src/base/prng.ts';
import type { BusOptions } from './bus.ts';
import type { NetworkOptions } from './network.ts';
import { simSpaces, usualWeights, type WorkloadOptions } from './workload.ts';

/** What a run dwells on: half of the seeds are mixed, the others draw one of the rest. */
export const profiles = ['mixed', 'pinned', 'contended', 'sessions', 'snapshots'] as const;
/** One of them. */
export type Profile = (typeof profiles)[number];

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
  readonly profile: Profile;
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
  /** Bytes of events that a partition keeps. */
  readonly historyBytesMax: number;
  /** Tuples that one entry expires, drops or gives back: so that several are needed. */
  readonly batchTuplesMax: number;
  readonly syncMsMax: number;
  readonly wallJumps: boolean;
}

/** Draws the settings of a seed; the profile too, unless one is given. */
export function settingsOf(seed: number, given?: Profile): Settings {
  const random = new Prng(seed, 'profile');
  const drawn = random.chance(1, 2) ? 'mixed' : random.pick(profiles.slice(1));
  const profile = given ?? drawn;
  return { ...mixed(seed), profile, ...shapes[profile](mixed(seed), random) };
}

type Shape = (base: Settings, random: Prng) => Partial<Settings>;

/** No fault, and nothing late: whoever came first can be told. */
function calm(base: Settings): Partial<Settings> {
  const faults = Object.fromEntries(Object.keys(base.faults).map((kind) => [kind, 0]));
  return {
    faults: { ...(faults as FaultWeights), cancel: 10, 'kill-client': 2 },
    faultEveryMs: 400,
    thinkMsMax: 40,
    network: { ...base.network, lateOneIn: 0 },
    bus: { lateOneIn: 0, lateMsMax: 1, twiceOneIn: 0 },
    syncMsMax: 0.5,
  };
}

/** Links break and gateways end while messages are late: attempts overlap. */
function retrying(base: Settings, random: Prng): Partial<Settings> {
  return {
    faults: {
      ...base.faults,
      break: 12,
      'kill-gateway': 4,
      stall: 3,
      cancel: 12,
      'slow-disk': random.pick([1, 4]),
    },
    faultEveryMs: 150,
    bus: { lateOneIn: 4, lateMsMax: random.pick([30, 450]), twiceOneIn: 6 },
    syncMsMax: random.pick([5, 40]),
  };
}

const shapes: Readonly<Record<Profile, Shape>> = {
  mixed: () => ({}),
  // Pinned takes that wait, long and many at a place.
  pinned: (base, random) => {
    const { workload } = base;
    const isCalm = random.chance(1, 3);
    return {
      ...(isCalm ? calm(base) : retrying(base, random)),
      workload: {
        ...workload,
        spaceCount: random.pick([1, 3]),
        unpinnedPercent: 5,
        waitPercent: 85,
        foreverPercent: random.pick([10, 40]),
        // Where it is calm their order can be judged, so they stand in line.
        weights: {
          ...workload.weights,
          write: 34,
          take: isCalm ? 68 : 34,
          'write-many': isCalm ? 0 : 8,
          replace: 2,
        },
      },
    };
  },
  // Unpinned takes that want what others want, and what goes by itself.
  contended: (base, random) => {
    const { workload } = base;
    return {
      ...(random.chance(1, 4) ? calm(base) : retrying(base, random)),
      workload: {
        ...workload,
        spaceCount: random.pick([1, 1, 3]),
        unpinnedPercent: 85,
        pairPercent: random.pick([10, 80]),
        waitPercent: 85,
        foreverPercent: random.pick([10, 60]),
        leasePercent: random.pick([0, 30, 80]),
        weights: { ...workload.weights, write: 16, 'write-many': 16, take: 34, increment: 2 },
      },
    };
  },
  // Sessions end, with takes that wait and tuples that are held.
  sessions: (base, random) => ({
    leaseMs: 1000,
    clients: 6,
    faults: {
      ...base.faults,
      crash: 1,
      'kill-client': 6,
      'pause-client-beyond-lease': 10,
      'pause-client': 6,
      stall: 8,
      'slow-disk': 2,
    },
    faultEveryMs: random.pick([80, 200]),
    syncMsMax: random.pick([5, 40]),
    workload: {
      ...base.workload,
      spaceCount: random.pick([1, 3]),
      waitPercent: 85,
      foreverPercent: 50,
      unpinnedPercent: random.pick([15, 60]),
      leasePercent: random.pick([15, 60]),
      weights: { ...base.workload.weights, write: 34, 'write-if-absent': 10, take: 30 },
    },
  }),
  // A snapshot is always on its way, over slow syncs, while everything else happens.
  snapshots: (base, random) => ({
    leaseMs: 1000,
    faults: {
      ...base.faults,
      crash: 4,
      'kill-client': 10,
      'pause-client-beyond-lease': 6,
      break: 14,
      'kill-gateway': 8,
    },
    faultEveryMs: 120,
    bus: { lateOneIn: 12, lateMsMax: 30, twiceOneIn: 10 },
    snapshotTailBytes: random.pick([60, 150, 300]),
    historyBytesMax: random.pick([300, 1500, 16_777_216]),
    syncMsMax: 40,
    workload: {
      ...base.workload,
      waitPercent: 60,
      foreverPercent: 30,
      unpinnedPercent: 50,
      leasePercent: random.pick([30, 80]),
      paddingBytes: random.pick([0, 600, 4000]),
    },
  }),
};

/** A little of everything. */
function mixed(seed: number): Settings {
  const random = new Prng(seed, 'settings');
  const often = (low: number, high: number): number =>
    random.chance(1, 4) ? 0 : random.between(low, high);
  return {
    seed,
    profile: 'mixed',
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
      spaceCount: simSpaces.length,
      waitPercent: random.between(20, 70),
      foreverPercent: random.between(5, 35),
      unpinnedPercent: random.between(15, 60),
      pairPercent: 20,
      leasePercent: random.pick([0, 15, 50]),
      paddingBytes: random.pick([0, 0, 600]),
      weights: usualWeights,
    },
    snapshotTailBytes: random.pick([150, 300, 1500, 30_000]),
    syncMsMax: random.pick([0.5, 5, 40]),
    wallJumps: random.chance(2, 3),
    historyBytesMax: random.pick([1500, 16_777_216, 16_777_216]),
    batchTuplesMax: random.pick([1, 3, 1_000]),
  };
}
