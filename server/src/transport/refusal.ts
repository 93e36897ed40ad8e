import { DecodeError } from '@tuplet/proto';
import { FormatError } from '../base/format-error.ts';
import type { NodeId } from '../base/ids.ts';
import { type Hello, peerFormat, type Welcome } from './peer-codec.ts';

/** Why a node does not speak to another; as it stands in the trailer `tuplet-refusal`. */
export const refusalReasons = [
  'FORMAT',
  'CLUSTER',
  'WRONG_NODE',
  'OWN_NODE',
  'TWICE',
  'UNKNOWN_NODE',
  'REMOVED_NODE',
  'NOT_ADMITTED',
  'MALFORMED',
] as const;
/** One of them. */
export type RefusalReason = (typeof refusalReasons)[number];

/** A greeting that is not accepted. Trying again is of no use until somebody has changed something. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
}

/** Who a node is towards its peers. */
export interface Self {
  readonly node: NodeId;
  /** The cluster's id; empty: none yet. */
  readonly cluster: string;
  /** Another number in each run of the process, from 1. */
  readonly life: number;
}

/** What a node that calls is to this one. */
export type Standing = 'known' | 'removed' | 'unknown';

/**
 * Whether the caller is one to speak to; undefined: it is. `lifeOf`: that of a node which is linked, and
 * heard; a link to one that has died breaks first.
 */
export function refusalOfHello(
  hello: Hello,
  self: Self,
  standing: (node: NodeId) => Standing,
  lifeOf: (node: NodeId) => number | undefined,
): Refusal | undefined {
  const { from, to } = hello;
  const cluster = clusterRefusal(hello.cluster, self.cluster);
  if (cluster !== undefined) return cluster;
  if (to !== self.node) {
    return { reason: 'WRONG_NODE', message: `this is node ${self.node}, not node ${to}` };
  }
  if (from === self.node) {
    return { reason: 'OWN_NODE', message: `the caller says that it is node ${from}, as this one` };
  }
  const caller = standing(from);
  const life = lifeOf(from);
  if (caller === 'known' && life !== undefined && life !== hello.life) {
    const message = `node ${from} is here already: two processes say that they are that node, perhaps on a copy of its data`;
    return { reason: 'TWICE', message };
  }
  if (caller === 'known') return undefined;
  if (caller === 'removed') {
    return {
      reason: 'REMOVED_NODE',
      message: `node ${from} was removed from the cluster, for ever`,
    };
  }
  return { reason: 'UNKNOWN_NODE', message: `node ${self.node} knows no node ${from}` };
}

/** Whether who was reached is the one that was meant; undefined: it is. */
export function refusalOfWelcome(welcome: Welcome, meant: NodeId, self: Self): Refusal | undefined {
  const cluster = clusterRefusal(welcome.cluster, self.cluster);
  if (cluster !== undefined) return cluster;
  if (welcome.node === meant) return undefined;
  const message = `node ${welcome.node} answers at the address of node ${meant}`;
  return { reason: 'WRONG_NODE', message };
}

/** The refusal that bytes deserve which could not be read. Anything but the codecs' errors is thrown on. */
export function refusalOfError(error: unknown): Refusal {
  if (error instanceof FormatError) {
    const { found } = error.format;
    const message = `the caller speaks format ${found}, this node format ${peerFormat}`;
    return { reason: 'FORMAT', message };
  }
  if (error instanceof DecodeError) return { reason: 'MALFORMED', message: error.message };
  throw error;
}

function clusterRefusal(theirs: string, ours: string): Refusal | undefined {
  if (theirs === ours || theirs === '' || ours === '') return undefined;
  return { reason: 'CLUSTER', message: `cluster ${theirs} and cluster ${ours} are not the same` };
}
