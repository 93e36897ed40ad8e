/** What nodes say of each other and of groups that they lead: `KnownNodes`, `LeaderHandOver`, `StatusAsk` and `StatusAnswer` of coordination.proto. */
import { malformed, type Reader, type Writer } from '@tuplet/proto';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { groupMax, nodesMax, replicasOfGroupMax } from '../base/limits.ts';
import {
  lengthTag,
  nextTag,
  nextTagAmong,
  openField,
  positive,
  readFlag,
  readNested,
  readUpTo,
  unknownField,
  varintTag,
  writeFlag,
  writeNumber,
  writeString,
} from '../base/wire-fields.ts';
import { type NodeAddress, readNodeAddress } from './join-codec.ts';

/** Nodes of the cluster that the sender's map has, and where they are: the receiver's may be behind. */
export interface KnownNodesItem {
  readonly kind: 'known-nodes';
  readonly nodes: readonly NodeAddress[];
}

/** The receiver, who leads a group, is to hand it over. */
export interface HandOverItem {
  readonly kind: 'hand-over';
  readonly group: GroupId;
  /** The replica that shall lead. */
  readonly to: number;
}

/** A question for what the receiver leads. */
export interface StatusAskItem {
  readonly kind: 'status-ask';
  /** Of this question; never used again in the sender's life. */
  readonly call: number;
}

/** A replica of a group, as its leader knows it. */
export interface ReplicaStatus {
  readonly replica: number;
  /** Its log agrees with the leader's up to here, durably; 0: not known. */
  readonly match: LogIndex;
  /** Whether it has answered lately. */
  readonly isActive: boolean;
}

/** A group, as its leader knows it. */
export interface GroupStatus {
  readonly group: GroupId;
  readonly term: Term;
  readonly committed: LogIndex;
  /** The leader's own, voters and learners, in order of replica. */
  readonly replicas: readonly ReplicaStatus[];
}

/** The answer to it. */
export interface StatusAnswerItem {
  readonly kind: 'status-answer';
  readonly call: number;
  /** In order of group. */
  readonly groups: readonly GroupStatus[];
}

/** Appends the content of what is known of nodes. */
export function writeKnownNodes(writer: Writer, { nodes }: KnownNodesItem): void {
  for (const { node, address } of nodes) {
    const mark = openField(writer, 1);
    writeNumber(writer, 1, node);
    writeString(writer, 2, address);
    writer.close(mark);
  }
}

/** Reads it up to the reader's end. */
export function readKnownNodes(reader: Reader): KnownNodesItem {
  const nodes: NodeAddress[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(1));
    if (tag !== lengthTag(1)) throw unknownField();
    if (nodes.length === nodesMax) throw malformed('a cluster has not so many nodes');
    nodes.push(readNested(reader, readNodeAddress));
  }
  return { kind: 'known-nodes', nodes };
}

/** Appends the content of a request to hand over. */
export function writeHandOver(writer: Writer, { group, to }: HandOverItem): void {
  writeNumber(writer, 1, group);
  writeNumber(writer, 2, to);
}

/** Reads such a request up to the reader's end. */
export function readHandOver(reader: Reader): HandOverItem {
  let group = 0;
  let to = 0;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) group = readUpTo(reader, groupMax);
    else if (tag === varintTag(2)) to = reader.uint64();
    else throw unknownField();
  }
  return { kind: 'hand-over', group: group as GroupId, to: positive(to) };
}

/** Appends the content of an answer. */
export function writeStatusAnswer(writer: Writer, { call, groups }: StatusAnswerItem): void {
  writeNumber(writer, 1, call);
  for (const { group, term, committed, replicas } of groups) {
    const mark = openField(writer, 2);
    writeNumber(writer, 1, group);
    writeNumber(writer, 2, term);
    writeNumber(writer, 3, committed);
    for (const { replica, match, isActive } of replicas) {
      const inner = openField(writer, 4);
      writeNumber(writer, 1, replica);
      writeNumber(writer, 2, match);
      writeFlag(writer, 3, isActive);
      writer.close(inner);
    }
    writer.close(mark);
  }
}

/** Reads an answer up to the reader's end. */
export function readStatusAnswer(reader: Reader): StatusAnswerItem {
  let call = 0;
  const groups: GroupStatus[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(2));
    if (tag === varintTag(1)) call = reader.uint64();
    else if (tag !== lengthTag(2)) throw unknownField();
    else if (groups.length > groupMax) throw malformed('there are not so many groups');
    else groups.push(readNested(reader, readGroup));
  }
  return { kind: 'status-answer', call: positive(call), groups };
}

function readGroup(reader: Reader): GroupStatus {
  let group = 0;
  let term = 0;
  let committed = 0;
  const replicas: ReplicaStatus[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(4));
    if (tag === varintTag(1)) group = readUpTo(reader, groupMax);
    else if (tag === varintTag(2)) term = reader.uint64();
    else if (tag === varintTag(3)) committed = reader.uint64();
    else if (tag !== lengthTag(4)) throw unknownField();
    else if (replicas.length === replicasOfGroupMax) throw malformed('a group is not so large');
    else replicas.push(readNested(reader, readReplica));
  }
  return {
    group: group as GroupId,
    term: positive(term) as Term,
    committed: committed as LogIndex,
    replicas,
  };
}

function readReplica(reader: Reader): ReplicaStatus {
  let replica = 0;
  let match = 0;
  let isActive = false;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) replica = reader.uint64();
    else if (tag === varintTag(2)) match = reader.uint64();
    else if (tag === varintTag(3)) isActive = readFlag(reader);
    else throw unknownField();
  }
  return { replica: positive(replica), match: match as LogIndex, isActive };
}
