/** What a seed decides of a cluster, besides what it decides of clients and their work. */
import { Prng } from '../../src/base/prng.ts';
import type { RaftOptions } from '../../src/raft/options.ts';
import type { NetworkOptions } from '../network.ts';
import { type Settings, settingsOf } from '../settings.ts';
import type { WireOptions } from './wires.ts';

/** Virtual milliseconds of an election timeout: ten ticks of `raftTickMs`. */
export const electionMs = 1_000;

/** By how much the wall clocks of two nodes differ, but for jumps. */
export const skewMsMax = 200;

/** Things that are done to a cluster, each with its weight. */
export const clusterFaultKinds = [
  'crash',
  'crash-leader',
  'crash-before-sync',
  'stop',
  'pause-node',
  'split',
  'cut one way',
  'isolate leader',
  'break link',
  'isolate leader with its clients',
  'transfer',
  'transfer under a split',
  'change',
  'slow-disk',
  'full-disk',
  'disk-error',
  'hang-disk',
  'space',
  'kill-client',
  'pause-client',
  'pause-client-beyond-lease',
  'break',
  'stall',
  'kill-gateway',
  'cancel',
] as const;
export type ClusterFaultKind = (typeof clusterFaultKinds)[number];

/** All that a run is set up with. */
export interface ClusterSettings {
  readonly base: Settings;
  readonly nodes: number;
  /** How many of them found the groups; the others get replicas later, if at all. */
  readonly founders: number;
  readonly partitions: number;
  /** Replicas that each partition begins with, where the map says so. */
  readonly replicaCount: number;
  /** Milliseconds after which others get the replicas of a node that is away, where the map's leader decides that. */
  readonly replaceAfterMs: number;
  readonly wires: WireOptions;
  /** Bytes of what routers and leaders say that may be on their way to a node; more breaks its link. */
  readonly laneBytesMax: number;
  readonly raft: Partial<RaftOptions>;
  readonly faultEveryMs: number;
  readonly faults: Readonly<Record<ClusterFaultKind, number>>;
}

/** Draws the settings of a seed. */
export function clusterSettingsOf(seed: number): ClusterSettings {
  const random = new Prng(seed, 'cluster');
  const base = settingsOf(seed, 'mixed');
  const founders = random.pick([1, 2, 3, 3, 3, 3, 5, 5, 7]);
  const nodes = Math.min(7, founders + random.pick([0, 1, 2]));
  const often = (low: number, high: number): number =>
    random.chance(1, 4) ? 0 : random.between(low, high);
  const network: NetworkOptions = { ...base.network, delayUsMax: random.pick([300, 2_000]) };
  return {
    base: {
      ...base,
      network,
      bus: { lateOneIn: 0, lateMsMax: 1, twiceOneIn: 0 },
      leaseMs: random.between(2_500, 6_000),
      workMs: 60_000,
      // Frames of several sectors, so that a power cut tears them.
      workload: { ...base.workload, paddingBytes: random.pick([0, 600, 3_000]) },
      syncMsMax: random.pick([0.5, 5, 15]),
    },
    nodes,
    founders,
    partitions: random.between(1, 3),
    replicaCount: founders,
    replaceAfterMs: Number.POSITIVE_INFINITY,
    wires: {
      delayUsMin: 100,
      delayUsMax: random.pick([500, 5_000, 20_000]),
      lateOneIn: random.pick([0, 20, 100]),
      lateUsMax: 400_000,
      lostOneIn: random.pick([0, 10, 50, 200]),
      twiceOneIn: random.pick([0, 10, 40]),
      ghostOneIn: random.pick([0, 40, 200]),
    },
    laneBytesMax: Number.POSITIVE_INFINITY,
    raft: {
      // Small windows, so that they fill.
      ...(random.chance(1, 3)
        ? { inflightMessagesMax: 2, messageBytesMax: 400, inflightBytesMax: 800 }
        : {}),
      // Without it a leader that was cut off believes in itself for as long as the split lasts.
      checkQuorum: random.chance(1, 2),
    },
    faultEveryMs: random.pick([300, 700, 1_500]),
    faults: {
      crash: often(2, 6),
      'crash-leader': often(1, 4),
      'crash-before-sync': often(1, 4),
      'pause-node': often(1, 4),
      split: often(1, 4),
      'cut one way': often(1, 4),
      'isolate leader': often(1, 3),
      'break link': often(1, 3),
      'isolate leader with its clients': often(4, 8),
      transfer: often(2, 5),
      'transfer under a split': often(1, 2),
      change: random.chance(1, 4) ? 0 : random.between(6, 20),
      'slow-disk': often(1, 2),
      'full-disk': often(0, 1),
      'disk-error': often(0, 1),
      'hang-disk': 0,
      stop: 0,
      space: 0,
      'kill-client': often(1, 3),
      'pause-client': often(1, 2),
      'pause-client-beyond-lease': often(1, 2),
      break: often(1, 4),
      stall: often(1, 3),
      'kill-gateway': often(1, 2),
      cancel: random.between(6, 14),
    },
  };
}

/** Draws the settings of a seed of the cluster world: fewer founders, and nodes that may join them. */
export function meshSettingsOf(seed: number): ClusterSettings {
  const settings = clusterSettingsOf(seed);
  const random = new Prng(seed, 'mesh');
  const founders = random.pick([1, 2, 3, 3, 3, 3, 4, 5]);
  return {
    ...settings,
    founders,
    nodes: founders + random.pick([1, 2, 3]),
    partitions: random.between(1, 4),
    replicaCount: Math.min(founders, random.pick([1, 2, 3, 3, 3])),
    replaceAfterMs: random.pick([3_000, 8_000, 600_000]),
    laneBytesMax: random.pick([Number.POSITIVE_INFINITY, 40_000, 4_000]),
    faults: {
      ...settings.faults,
      change: random.between(6, 25),
      // Where replicas are few and move, less often can anybody succeed who is cut off.
      'isolate leader with its clients': random.between(6, 12),
      'pause-node': random.between(2, 5),
      stop: random.between(1, 4),
      'hang-disk': random.between(0, 2),
      space: random.between(3, 9),
    },
  };
}
