/** The worlds that can be simulated, by name. */
import { meshCoverage } from './cluster/coverage.ts';
import { type Coverage, nodeCoverage } from './coverage.ts';
import { clusterCoverage } from './partition/coverage.ts';
import { runClusterSeed } from './partition/world.ts';
import { raftCoverage } from './raft/coverage.ts';
import { raftProfiles } from './raft/settings.ts';
import { runRaftSeed } from './raft/world.ts';
import type { RunListeners, RunReport } from './run-record.ts';
import { profiles } from './settings.ts';
import { storageCoverage } from './storage-coverage.ts';
import { runStorageSeed } from './storage-world.ts';
import { runSeed } from './world.ts';

/** One world. */
export interface SimWorld {
  /** For the help. */
  readonly about: string;
  /** What its runs can be made to dwell on. */
  readonly profiles: readonly string[];
  /** Whether its clients write a history. */
  readonly hasHistories: boolean;
  readonly coverage: Coverage;
  /** Runs one seed; `profile` is one of `profiles`, or undefined: the seed draws it. */
  run(seed: number, profile: string | undefined, listeners?: RunListeners): Promise<RunReport>;
}

function oneOf<Name extends string>(
  names: readonly Name[],
  name: string | undefined,
): Name | undefined {
  return names.find((each) => each === name);
}

/** The names of all worlds. */
export const worldNames = ['node', 'raft', 'partition', 'cluster', 'storage'] as const;
/** The name of a world. */
export type WorldName = (typeof worldNames)[number];

const worlds: Readonly<Record<WorldName, SimWorld>> = {
  node: {
    about: 'one node, two gateways, 16 partitions (default)',
    profiles,
    hasHistories: true,
    coverage: nodeCoverage,
    run: (seed, profile, listeners = {}) =>
      runSeed(seed, { profile: oneOf(profiles, profile), ...listeners }),
  },
  raft: {
    about: 'a bare Raft group (raft/DESIGN.md)',
    profiles: raftProfiles,
    hasHistories: false,
    coverage: raftCoverage,
    run: async (seed, profile, { print } = {}) =>
      runRaftSeed(seed, {
        profile: oneOf(raftProfiles, profile),
        ...(print === undefined ? {} : { print }),
      }),
  },
  partition: {
    about: 'a cluster of 1 to 7 nodes with its clients (partition/DESIGN.md)',
    profiles: [],
    hasHistories: true,
    coverage: clusterCoverage,
    run: (seed, _profile, listeners = {}) => runClusterSeed(seed, 'wires', listeners),
  },
  cluster: {
    about: 'a cluster with its meshes and placement: nodes join, drain and go (cluster/DESIGN.md)',
    profiles: [],
    hasHistories: true,
    coverage: meshCoverage,
    run: (seed, _profile, listeners = {}) => runClusterSeed(seed, 'mesh', listeners),
  },
  storage: {
    about: "a node's log and snapshots alone",
    profiles: [],
    hasHistories: false,
    coverage: storageCoverage,
    run: (seed, _profile, { print } = {}) => runStorageSeed(seed, print),
  },
};

/** A world by its name. */
export function worldOf(name: WorldName): SimWorld {
  return worlds[name];
}
