/** How a group begins: with the same first entries on the disks of all who found it. */
import type { GroupId, LogIndex, NodeId, Term } from '../base/ids.ts';
import type { Founder } from '../cluster/map-command.ts';
import { StepKind, Transition } from '../raft/change.ts';
import { encodeChange } from '../raft/change-codec.ts';
import { configurationOf, emptyConfiguration } from '../raft/configuration.ts';
import { Entry, EntryKind, noBytes } from '../raft/message.ts';
import type { LogBatch } from '../storage/entry.ts';
import type { GroupPast } from './group.ts';
import { logEntryOf, type ReplicaStart } from './replica.ts';

/** Who founds the groups of a cluster. */
export interface Founding {
  /** The id of this node's first replica of each group. */
  readonly replica: number;
  /**
   * In place of what the map says: the ids of all founders' first replicas of a partition, ascending; the
   * same on every founder.
   */
  replicasOf?(group: GroupId): readonly number[];
  /** All founders, in order of id: what the map begins with. */
  readonly founders: readonly Founder[];
  /** How many replicas each partition shall have. */
  readonly replicaCount: number;
}

/** The founding of groups that have a replica on each of some nodes; `replica` is one of them. */
export function foundingAll(replica: number, nodes: readonly number[]): Founding {
  return {
    replica,
    founders: nodes.map((id) => founderAt(id as NodeId, defaultPeerAddress)),
    replicaCount: nodes.length,
  };
}

/** A founder as others know it until it describes itself. */
export function founderAt(id: NodeId, peerAddress: string): Founder {
  return { id, name: `node-${id}`, zone: '', peerAddress, clientAddress: '' };
}

/** Where a node that is alone would hear others. */
const defaultPeerAddress = '127.0.0.1:7448';

/** A node that is alone founds by itself. */
export const lone: Founding = foundingAll(1, [1]);

/** The term of a group's first entries; nobody was elected in it. */
export const foundingTerm: Term = 1 as Term;

/** What a founder's group has behind it: its first entries. */
export const foundingPast: GroupPast = {
  tailBytes: 0,
  snapshotBytes: 0,
  appliedTerm: foundingTerm,
};

/** The first entries of a group: one that adds each founder, all of them committed from the start. */
function foundingEntries(replicas: readonly number[]): Entry[] {
  return replicas.map((replica, at) => {
    const steps = [{ kind: StepKind.voter, replica }];
    const payload = encodeChange({ transition: Transition.auto, steps, context: noBytes });
    return new Entry(foundingTerm, at + 1, EntryKind.change, payload);
  });
}

/** What makes a founder's replica of a group durable, before its first answer. */
export function foundingBatch(
  group: GroupId,
  replica: number,
  replicas: readonly number[],
): LogBatch {
  return {
    replicas: [{ group, replica, state: 'living' }],
    entries: foundingEntries(replicas).map((entry) => logEntryOf(group, entry)),
    hardStates: [{ group, term: foundingTerm, vote: 0, commit: replicas.length as LogIndex }],
  };
}

/** A founder's replica, once that is durable and its state machine has passed the first entries. */
export function foundingStart(
  group: GroupId,
  replica: number,
  replicas: readonly number[],
): ReplicaStart {
  const configuration = configurationOf(replicas);
  const applied = replicas.length as LogIndex;
  return {
    group,
    id: replica,
    configuration,
    applied,
    log: {
      hardState: { term: foundingTerm, vote: 0, commit: applied },
      configuration,
      baseIndex: 0,
      baseTerm: 0,
      entries: foundingEntries(replicas),
      snapshot: null,
    },
  };
}

/** Nothing. */
export const joiningPast: GroupPast = { tailBytes: 0, snapshotBytes: 0, appliedTerm: 0 };

/** What makes a replica durable that joins a group, before its first answer. */
export function joiningBatch(group: GroupId, replica: number): LogBatch {
  return { entries: [], replicas: [{ group, replica, state: 'living' }] };
}

/** A replica that joins a group which others have founded: it knows nothing yet. */
export function joiningStart(group: GroupId, replica: number): ReplicaStart {
  return {
    group,
    id: replica,
    configuration: emptyConfiguration,
    applied: 0 as LogIndex,
    log: {
      hardState: { term: 0, vote: 0, commit: 0 },
      configuration: emptyConfiguration,
      baseIndex: 0,
      baseTerm: 0,
      entries: [],
      snapshot: null,
    },
  };
}
