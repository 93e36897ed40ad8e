/**
 * The numbers that name things, branded so that the compiler refuses a swap. All are safe integers.
 * Ids of tuples and sessions name their partition and are never reused.
 */
import { partitionOfId } from '@tuplet/proto';
import { assert } from './assert.ts';
import type { Brand } from './brand.ts';

/** A server process of a cluster, from 1; never reused. */
export type NodeId = Brand<number, 'NodeId'>;
/** A Raft group of the node's log: 0 is the cluster map, the others are partitions. */
export type GroupId = Brand<number, 'GroupId'>;
/** A partition, 1 to 256. */
export type PartitionId = GroupId & { readonly __partition: true };
/** A leadership's number (Ongaro 2014 §3.3); PROTOCOL's epoch. From 1. */
export type Term = Brand<number, 'Term'>;
/** A position in one group's log, from 1; 0 means before the first. */
export type LogIndex = Brand<number, 'LogIndex'>;
/** Milliseconds since 1970 on a partition's own clock, which only its log moves (SPEC §4). */
export type StampMs = Brand<number, 'StampMs'>;
/** One of the 4,096 hash values of SPEC §6. */
export type Slot = Brand<number, 'Slot'>;
/** A space; never reused. From 1. */
export type SpaceId = Brand<number, 'SpaceId'>;
/** A tuple: partition × 2^44 + a counter from 1. */
export type TupleId = Brand<number, 'TupleId'>;
/** A session: home partition × 2^44 + a counter from 1. */
export type SessionId = Brand<number, 'SessionId'>;
/** An operation of a session, from 1. */
export type Sequence = Brand<number, 'Sequence'>;
/** A sending of an operation, from 1. */
export type Attempt = Brand<number, 'Attempt'>;

const countersPerPartition = 2 ** 44;

/** The number for a new tuple or session of a partition. */
export function idIn(partition: PartitionId, counter: number): number {
  assert(counter > 0, 'a counter begins at 1');
  assert(counter < countersPerPartition, 'a partition has ids left');
  return partition * countersPerPartition + counter;
}

/** The partition that an id names. */
export function partitionOf(id: TupleId | SessionId): PartitionId {
  return partitionOfId(id) as PartitionId;
}
