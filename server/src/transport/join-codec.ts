/** A node asks to become one of a cluster: `JoinRequest` and `JoinResponse` of peer.proto. Decoding is strict. */
import { malformed, Reader, Writer } from '@tuplet/proto';
import { FormatError } from '../base/format-error.ts';
import type { NodeId } from '../base/ids.ts';
import { clusterIdBytesMax, nodesMax, nodeTextBytesMax } from '../base/limits.ts';
import {
  lengthTag,
  nextTag,
  nextTagAmong,
  openField,
  positive,
  readNested,
  unknownField,
  varintTag,
  writeNumber,
  writePresentNumber,
  writeString,
} from '../base/wire-fields.ts';
import { peerFormat } from './peer-codec.ts';

/** Who asks. */
export interface JoinRequest {
  /** 32 lower-case hex digits, the node's own for ever: whoever asks twice joins once. */
  readonly key: string;
  readonly name: string;
  readonly zone: string;
  /** `host:port` at which the others shall dial it. */
  readonly peerAddress: string;
}

/** A node, and where the others dial it. */
export interface NodeAddress {
  readonly node: NodeId;
  /** `host:port`. */
  readonly address: string;
}

/** The node is one of the cluster. */
export interface JoinAnswer {
  readonly cluster: string;
  /** The number that it has for ever. */
  readonly node: NodeId;
  /** All nodes of the cluster, in order of number. */
  readonly nodes: readonly NodeAddress[];
}

/** The request. */
export function writeJoinRequest({ key, name, zone, peerAddress }: JoinRequest): Buffer {
  const writer = new Writer(128);
  writePresentNumber(writer, 1, peerFormat);
  writeString(writer, 2, key);
  writeString(writer, 3, name);
  writeString(writer, 4, zone);
  writeString(writer, 5, peerAddress);
  return bufferOf(writer);
}

/** What a request says. Throws FormatError for one of another format, else DecodeError. */
export function readJoinRequest(bytes: Uint8Array): JoinRequest {
  const reader = new Reader(bytes);
  let tag = bytes.length === 0 ? 0 : nextTag(reader, 0);
  // Before anything else: what follows may mean something else in another format.
  if (tag !== varintTag(1)) throw malformed('a request begins with its format');
  const found = reader.uint32();
  if (found !== peerFormat)
    throw new FormatError({ what: 'link between nodes', found, read: peerFormat });
  const request = { key: '', name: '', zone: '', peerAddress: '' };
  while (reader.position < reader.end) {
    tag = nextTag(reader, tag);
    if (tag === lengthTag(2)) request.key = text(reader);
    else if (tag === lengthTag(3)) request.name = text(reader);
    else if (tag === lengthTag(4)) request.zone = text(reader);
    else if (tag === lengthTag(5)) request.peerAddress = text(reader);
    else throw unknownField();
  }
  return request;
}

/** The answer. */
export function writeJoinAnswer({ cluster, node, nodes }: JoinAnswer): Buffer {
  const writer = new Writer(512);
  writeString(writer, 1, cluster);
  writeNumber(writer, 2, node);
  for (const each of nodes) {
    const mark = openField(writer, 3);
    writeNumber(writer, 1, each.node);
    writeString(writer, 2, each.address);
    writer.close(mark);
  }
  return bufferOf(writer);
}

/** What an answer says. Throws DecodeError. */
export function readJoinAnswer(bytes: Uint8Array): JoinAnswer {
  const reader = new Reader(bytes);
  let cluster = '';
  let node = 0;
  const nodes: NodeAddress[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, lengthTag(3));
    if (tag === lengthTag(1)) cluster = reader.string();
    else if (tag === varintTag(2)) node = reader.uint64();
    else if (tag !== lengthTag(3)) throw unknownField();
    else if (nodes.length === nodesMax) throw malformed('a cluster has not so many nodes');
    else nodes.push(readNested(reader, readNodeAddress));
  }
  if (cluster === '' || cluster.length > clusterIdBytesMax)
    throw malformed("a cluster's id is missing or too long");
  return { cluster, node: positive(node) as NodeId, nodes };
}

/** Reads a node and where it is, up to the reader's end. */
export function readNodeAddress(reader: Reader): NodeAddress {
  let node = 0;
  let address = '';
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === varintTag(1)) node = reader.uint64();
    else if (tag === lengthTag(2)) address = text(reader);
    else throw unknownField();
  }
  return { node: positive(node) as NodeId, address };
}

function text(reader: Reader): string {
  const read = reader.string();
  if (read.length > nodeTextBytesMax) throw malformed('a text of a node is too long');
  return read;
}

function bufferOf(writer: Writer): Buffer {
  const { buffer, byteOffset, byteLength } = writer.view();
  return Buffer.from(buffer, byteOffset, byteLength);
}
