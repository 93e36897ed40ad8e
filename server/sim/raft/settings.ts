/** What the seed decides before a run of a Raft group begins. */
import { Prng } from '../../src/base/prng.ts';
import { type RaftOptions, raftDefaults } from '../../src/raft/options.ts';

/** Milliseconds between ticks; with ten ticks, an election timeout is a second. */
export const tickMs = 100;
const electionTicks = 10;
export const electionMs: number = electionTicks * tickMs;
/** The share by which clocks may differ where leaders count on it. */
const marginShare = 0.1;
/** Most voters and learners at once. */
export const membersMax = 7;

/** What a run is made with. Delays in milliseconds; `oneIn`: every so-manieth time. */
export interface RaftSettings {
  readonly seed: number;
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
  readonly workEveryMs: number;
  readonly payloadBytesMax: number;
  /** Bounds so narrow that proposals meet them. */
  readonly isNarrow: boolean;
}

/** What a seed draws. */
export function raftSettingsOf(seed: number): RaftSettings {
  const prng = new Prng(seed, 'raft settings');
  const leases = seed % 3 === 0;
  const isNarrow = prng.chance(1, 2);
  const messageBytesMax = isNarrow ? prng.pick([1, 100, 400]) : 1 << 20;
  return {
    seed,
    voters: prng.pick([1, 2, 3, 3, 3, 4, 5, 5, 6, 7]),
    learners: prng.pick([0, 0, 1, 2]),
    startIndex: prng.pick([1, 1, 1000]),
    options: {
      ...raftDefaults,
      electionTicks,
      preVote: prng.chance(2, 3),
      checkQuorum: leases || prng.chance(2, 3),
      forwardProposals: prng.chance(1, 4),
      messageBytesMax,
      inflightMessagesMax: isNarrow ? prng.between(1, 4) : 256,
      inflightBytesMax: isNarrow ? messageBytesMax * 2 : 1 << 24,
      applyingBytesMax: isNarrow ? prng.pick([1, 300]) : 1 << 20,
      uncommittedBytesMax: isNarrow ? prng.pick([300, 1_000]) : 1 << 22,
    },
    leases,
    marginShare,
    driftPpm: leases ? 40_000 : prng.pick([0, 50_000, 200_000]),
    delayMs: prng.pick([2, 10, 40]),
    lateMs: prng.pick([200, 1_000, 3_000]),
    lostOneIn: prng.pick([10, 30, 200]),
    repeatedOneIn: prng.pick([10, 50]),
    lateOneIn: prng.pick([10, 40]),
    syncMs: prng.pick([1, 5, 30, 150]),
    applyMs: prng.pick([1, 10, 100]),
    faultEveryMs: prng.pick([300, 700, 1_500]),
    workEveryMs: prng.pick([20, 50, 100]),
    payloadBytesMax: isNarrow ? 200 : 64,
    isNarrow,
  };
}
