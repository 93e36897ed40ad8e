/** What group 0's log says, and what applying it comes to. */
import type { ErrorReason, RoutingRule } from '@tuplet/proto';
import type { LogIndex, NodeId, SpaceId, StampMs } from '../base/ids.ts';
import type { NodeDescription, NodeRecord, PlacementCommand } from './placement-types.ts';

/** What a space is created with. */
export interface SpaceSettings {
  /** At most 64, one for each tag; none together with `like`. */
  readonly rules: readonly RoutingRule[];
  /** The space whose routing this one shares. */
  readonly like: string | undefined;
  /** The largest encoded tuple, in bytes. */
  readonly tupleBytesMax: number;
}

/** A space of the map. Never changes after its creation. */
export interface SpaceRecord {
  /** Never reused. */
  readonly id: SpaceId;
  readonly name: string;
  readonly settings: SpaceSettings;
  /** What routing hashes: its own name, or that of the space it was created like. */
  readonly routingName: string;
  /** The rules in force: its own, or those of the space it was created like. */
  readonly rules: readonly RoutingRule[];
  readonly createdAtMs: StampMs;
}

/** What a cluster takes over from another one's backup. */
export interface RestoredMap {
  /** Which backup: the SHA-256 of its manifest, 64 lower-case hex digits. */
  readonly backup: string;
  /** In order of id. */
  readonly spaces: readonly SpaceRecord[];
  readonly nextSpaceId: SpaceId;
  readonly epoch: number;
}

/** The cluster begins: once, as the first command of the map. Without a backup it makes the space `default` as well. */
export interface FoundCommand {
  readonly kind: 'found';
  /** 32 lower-case hex digits, random. */
  readonly clusterId: string;
  /** 1 to 256; fixed for ever. */
  readonly partitions: number;
  /** How many replicas each partition shall have, 1 to 7. */
  readonly replicaCount: number;
  /** In order of id. */
  readonly founders: readonly Founder[];
  /** Absent: it begins with nothing. */
  readonly restored?: RestoredMap;
}

/** A node that founds the cluster with others. */
export interface Founder extends NodeDescription {
  readonly id: NodeId;
}

/** A new space. */
export interface CreateSpaceCommand {
  readonly kind: 'create-space';
  readonly name: string;
  readonly settings: SpaceSettings;
}

/** A space goes. Its id is kept until every partition has dropped its tuples. */
export interface DropMapSpaceCommand {
  readonly kind: 'drop-space';
  readonly name: string;
}

/** Every partition has dropped the tuples of a dropped space. */
export interface ForgetSpaceCommand {
  readonly kind: 'forget-space';
  readonly space: SpaceId;
}

/** The first entry of a leadership (L1). */
export interface LeadMapCommand {
  readonly kind: 'lead';
}

export type MapCommand =
  | FoundCommand
  | CreateSpaceCommand
  | DropMapSpaceCommand
  | ForgetSpaceCommand
  | LeadMapCommand
  | PlacementCommand;

/** One entry of group 0's log. Invariant: stamps never fall. */
export interface MapEntry {
  readonly stampMs: StampMs;
  readonly command: MapCommand;
}

/** Why a command of the map is refused; `reason` is a row of `proto/errors.json`, which says what is definite. */
export interface MapProblem {
  readonly reason: Extract<
    ErrorReason,
    | 'SPACE_NAME'
    | 'ROUTING_RULE'
    | 'VALUE_OUT_OF_RANGE'
    | 'SPACE_EXISTS'
    | 'SPACE_NOT_FOUND'
    | 'SPACE_LIKE_NOT_FOUND'
    | 'SPACES_EXHAUSTED'
    | 'TOO_MANY_IN_FLIGHT'
    | 'SHUTTING_DOWN'
    | 'DISK_FULL'
    | 'NO_LEADER'
    | 'OUTCOME_UNKNOWN'
    | 'NODE_DESCRIPTION'
    | 'NODE_NAME_TAKEN'
    | 'NODE_NOT_FOUND'
    | 'NODE_NOT_EMPTY'
    | 'NODE_REACHABLE'
    | 'NODE_REMOVED'
    | 'NODES_EXHAUSTED'
    | 'MOVE_IN_PROGRESS'
    | 'MOVE_STALE'
  >;
  /** The path of the argument, in the words of the contract. */
  readonly field: string;
  readonly message: string;
  /** The limit that was broken, where there is one. */
  readonly limit?: number;
}

/** The same on every replica. */
export type MapOutcome =
  | { readonly kind: 'created'; readonly space: SpaceRecord; readonly epoch: number }
  | { readonly kind: 'dropped'; readonly space: SpaceRecord; readonly epoch: number }
  | { readonly kind: 'refused'; readonly problem: MapProblem }
  | { readonly kind: 'node'; readonly node: NodeRecord }
  | { readonly kind: 'done' };

/** Where the map's log stands before its first entry. */
export const mapIndexZero: LogIndex = 0 as LogIndex;
