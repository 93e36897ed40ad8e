/** What the seed decides before a run of a Raft group begins. */
import { Prng } from '../../src/base/prng.ts';
import { type RaftOptions, raftDefaults } from '../../src/raft/options.ts';

/** Milliseconds between ticks; with ten ticks, an election timeout is a second. */
export const tickMs = 100;
const electionTicks = 10;
export const electionMs: number = electionTicks * tickMs;
/** The share by which clocks may differ where leaders count on it, and by which they then do, each way. */
const marginShare = 0.1;
const leaseDriftPpm = 40_000;
/** Most voters and learners at once. */
export const membersMax = 7;

/** What a run dwells on; without one given, half of the seeds are mixed and the others draw one of the rest. */
export const raftProfiles = ['mixed', 'crashes', 'leases', 'membership', 'snapshots'] as const;
export type RaftProfile = (typeof raftProfiles)[number];

/** How often each kind of work comes, against the others. */
export interface WorkWeights {
  readonly propose: number;
  readonly read: number;
  readonly cut: number;
  readonly change: number;
  readonly transfer: number;
  readonly recall: number;
  readonly bury: number;
}

/** How often each kind of fault comes, against the others. */
export interface RaftFaultWeights {
  readonly crash: number;
  readonly 'crash-leader': number;
  readonly pause: number;
  readonly 'slow-sync': number;
  readonly split: number;
  readonly 'one-way': number;
  readonly 'one-link': number;
  readonly isolate: number;
  readonly 'remove-leader': number;
  readonly 'restart-voter': number;
  /** An election that nobody waits a timeout for: safety never rests on them. */
  readonly campaign: number;
  /** Some are told that the connection to their leader broke, rightly or not, and campaign soon. */
  readonly 'leader-lost': number;
}

/** What a run is made with. Delays in milliseconds; `oneIn`: every so-manieth time. */
export interface RaftSettings {
  readonly seed: number;
  readonly profile: RaftProfile;
  readonly work: WorkWeights;
  readonly faults: RaftFaultWeights;
  readonly voters: number;
  readonly learners: number;
  /** Begins with an empty log, or at a snapshot far along. */
  readonly startIndex: number;
  readonly options: Omit<RaftOptions, 'id' | 'storage' | 'random' | 'applied' | 'lease'>;
  readonly leases: boolean;
  readonly marginShare: number;
  /** Parts in a million by which clocks run fast or slow. */
  readonly driftPpm: number;
  readonly delayMs: number;
  /** Some messages take up to so long. */
  readonly lateMs: number;
  readonly lostOneIn: number;
  readonly repeatedOneIn: number;
  readonly lateOneIn: number;
  readonly syncMs: number;
  readonly applyMs: number;
  readonly faultEveryMs: number;
  /** How many of a hundred leaders crash, or are cut off, soon after they were elected. */
  readonly strikeNewPercent: number;
  /** How many of a hundred crash when another one hears that it was removed. */
  readonly strikeLeftPercent: number;
  readonly workEveryMs: number;
  readonly payloadBytesMax: number;
}

/** What a seed draws; the profile too, unless one is given. */
export function raftSettingsOf(seed: number, given?: RaftProfile): RaftSettings {
  const prng = new Prng(seed, 'raft profile');
  const drawn = prng.chance(1, 2) ? 'mixed' : prng.pick(raftProfiles.slice(1));
  const profile = given ?? drawn;
  const base = mixed(seed);
  return { ...base, profile, ...shapes[profile](base, prng) };
}

function mixed(seed: number): RaftSettings {
  const prng = new Prng(seed, 'raft settings');
  const leases = seed % 3 === 0;
  const isNarrow = prng.chance(1, 2);
  return {
    seed,
    profile: 'mixed',
    work: { propose: 50, read: 25, cut: 7, change: 8, transfer: 3, recall: 5, bury: 2 },
    faults: {
      crash: 4,
      'crash-leader': 2,
      pause: 3,
      'slow-sync': 3,
      split: 3,
      'one-way': 3,
      'one-link': 2,
      isolate: 3,
      'remove-leader': 3,
      'restart-voter': 1,
      campaign: 1,
      'leader-lost': 3,
    },
    voters: prng.pick([1, 2, 3, 3, 3, 4, 5, 5, 6, 7]),
    learners: prng.pick([0, 0, 1, 2]),
    startIndex: prng.pick([1, 1, 1000]),
    options: {
      ...raftDefaults,
      electionTicks,
      preVote: prng.chance(2, 3),
      checkQuorum: leases || prng.chance(2, 3),
      forwardProposals: prng.chance(1, 4),
      ...boundsOf(isNarrow, prng),
    },
    leases,
    marginShare,
    delayMs: prng.pick([2, 10, 40]),
    lateMs: prng.pick([200, 1_000, 3_000]),
    lostOneIn: prng.pick([10, 30, 200]),
    repeatedOneIn: prng.pick([10, 50]),
    lateOneIn: prng.pick([10, 40]),
    syncMs: prng.pick([1, 5, 30, 150]),
    applyMs: prng.pick([1, 10, 100]),
    faultEveryMs: prng.pick([300, 700, 1_500]),
    strikeNewPercent: 0,
    strikeLeftPercent: 10,
    workEveryMs: prng.pick([20, 50, 100]),
    payloadBytesMax: isNarrow ? 200 : 64,
    driftPpm: leases ? leaseDriftPpm : prng.pick([0, 50_000, 200_000]),
  };
}

/** Bounds of messages, windows and logs: so narrow that every one is met, or as wide as a server's. */
function boundsOf(isNarrow: boolean, prng: Prng): Partial<RaftSettings['options']> {
  if (!isNarrow) return { applyingBytesMax: 1 << 20, uncommittedBytesMax: 1 << 22 };
  const messageBytesMax = prng.pick([1, 100, 400]);
  return {
    messageBytesMax,
    inflightMessagesMax: prng.between(1, 4),
    inflightBytesMax: messageBytesMax * 2,
    applyingBytesMax: prng.pick([1, 300]),
    uncommittedBytesMax: prng.pick([300, 1_000]),
  };
}

type Shape = (base: RaftSettings, prng: Prng) => Partial<RaftSettings>;

const shapes: Readonly<Record<RaftProfile, Shape>> = {
  mixed: () => ({}),
  // Leaders die between an append and its commitment, and entries go one by one (Raft figure 8).
  crashes: (base, prng) => ({
    voters: prng.pick([3, 3, 5, 5]),
    learners: 0,
    options: {
      ...base.options,
      ...boundsOf(prng.chance(2, 3), prng),
      preVote: prng.chance(1, 3),
      checkQuorum: base.leases || prng.chance(1, 3),
    },
    work: { ...base.work, propose: 80, read: 8, change: 1 },
    faults: { ...base.faults, 'crash-leader': 6, 'remove-leader': 0, pause: 1, campaign: 20 },
    faultEveryMs: prng.pick([150, 400]),
    strikeNewPercent: prng.pick([40, 80]),
    syncMs: prng.pick([5, 30, 150]),
  }),
  // Leaders are left behind while they hold a lease: by some of their voters, who start again at once.
  leases: (base, prng) => ({
    leases: true,
    driftPpm: leaseDriftPpm,
    voters: prng.pick([3, 3, 4, 5]),
    options: { ...base.options, checkQuorum: true, preVote: prng.chance(1, 2) },
    work: { ...base.work, propose: prng.pick([1, 25]), read: 45, change: 1, transfer: 5 },
    faults: {
      ...base.faults,
      crash: 8,
      'one-way': 6,
      campaign: 6,
      'restart-voter': 10,
      'leader-lost': 8,
    },
    faultEveryMs: prng.pick([150, 400]),
    lateOneIn: prng.pick([3, 10, 40]),
    syncMs: prng.pick([1, 5, 30]),
  }),
  membership: (base, prng) => ({
    voters: prng.pick([1, 2, 2, 3, 3, 4]),
    work: { ...base.work, propose: 30, read: 15, change: 35, bury: 6 },
    faults: { ...base.faults, crash: 8, 'remove-leader': 8 },
    faultEveryMs: prng.pick([150, 400, 700]),
    strikeLeftPercent: prng.pick([0, 70]),
    syncMs: prng.pick([5, 30, 150]),
  }),
  snapshots: (base, prng) => ({
    voters: prng.pick([2, 3, 3, 5]),
    work: { ...base.work, propose: 50, read: 10, cut: 25, change: 10 },
    faults: { ...base.faults, crash: 8, isolate: 8, 'one-link': 6 },
    faultEveryMs: prng.pick([150, 400, 700]),
    applyMs: prng.pick([1, 100]),
  }),
};
