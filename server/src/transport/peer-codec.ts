/**
 * Messages of `PeerService` (peer.proto). Written by hand, as frames pass here with every turn; held to
 * the protobufjs runtime by its test. Decoding is strict, and what it returns are views.
 */
import { copyBytes, malformed, Reader, Writer } from '@tuplet/proto';
import { FormatError } from '../base/format-error.ts';
import type { NodeId } from '../base/ids.ts';
import { clusterIdBytesMax, linkHeaderBytesMax, linkPieceBytesMax } from '../base/limits.ts';
import {
  lengthTag,
  nextTag,
  nextTagAmong,
  numberSize,
  openField,
  positive,
  putNumber,
  readNested,
  required,
  unknownField,
  varintTag,
  writeBytes,
  writeNumber,
  writePresentNumber,
  writeString,
} from '../base/wire-fields.ts';
import { Lane, snapshotLane } from './lane.ts';

/** The format that is spoken, and the only one that is understood. */
export const peerFormat = 1;

/** Begins each stream. */
export interface Hello {
  /** Of the caller; empty: none yet. */
  readonly cluster: string;
  readonly from: NodeId;
  readonly to: NodeId;
  /** Another number in each run of the calling process, from 1. */
  readonly life: number;
  readonly lane: Lane | typeof snapshotLane;
}

/** The answer to it. */
export interface Welcome {
  /** Of who was reached; empty: none yet. */
  readonly cluster: string;
  readonly node: NodeId;
  readonly life: number;
}

/** A message of a snapshot's stream. */
export interface SnapshotPart {
  readonly hello?: Hello;
  readonly header?: Uint8Array;
  readonly piece?: Uint8Array;
  readonly totalBytes?: number;
}

const linkTags = { hello: lengthTag(1), frames: lengthTag(2), welcome: lengthTag(1) } as const;

const helloTags = {
  format: varintTag(1),
  cluster: lengthTag(2),
  from: varintTag(3),
  to: varintTag(4),
  life: varintTag(5),
  lane: varintTag(6),
} as const;

const welcomeTags = {
  format: varintTag(1),
  cluster: lengthTag(2),
  node: varintTag(3),
  life: varintTag(4),
} as const;

const partTags = {
  hello: lengthTag(1),
  header: lengthTag(2),
  piece: lengthTag(3),
  totalBytes: varintTag(4),
} as const;

/** A message of frames; of none, a sign of life. */
export function writeFrames(frames: readonly Uint8Array[]): Buffer {
  let size = 0;
  for (const { length } of frames) size += 1 + numberSize(length) + length;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const frame of frames) {
    at = putNumber(bytes, at, linkTags.frames, frame.length);
    copyBytes(bytes, at, frame, 0, frame.length);
    at += frame.length;
  }
  return bytes;
}

/** The frames of a message that is not the first: views. Throws DecodeError. */
export function readFrames(bytes: Uint8Array): readonly Uint8Array[] {
  const reader = new Reader(bytes);
  const frames: Uint8Array[] = [];
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTagAmong(reader, tag, linkTags.frames);
    if (tag !== linkTags.frames) throw unknownField();
    const frame = reader.lengthDelimited();
    if (frame.length === 0) throw malformed('a frame is empty');
    frames.push(frame);
  }
  return frames;
}

/** The first message of a lane. */
export function writeLinkHello(hello: Hello): Buffer {
  return written((writer) => writeHello(writer, linkTags.hello >>> 3, hello));
}

/** What a lane's first message says. Throws FormatError for one of another format, else DecodeError. */
export function readLinkHello(bytes: Uint8Array): Hello {
  const reader = new Reader(bytes);
  if (bytes.length === 0 || reader.tag() !== linkTags.hello) throw noHello();
  const hello = readNested(reader, readHello);
  if (reader.position < reader.end) throw malformed('a hello stands alone');
  return hello;
}

/** The answer to a lane's hello. */
export function writeLinkWelcome(welcome: Welcome): Buffer {
  return written((writer) => {
    const mark = openField(writer, linkTags.welcome >>> 3);
    writePresentNumber(writer, 1, peerFormat);
    writeString(writer, 2, welcome.cluster);
    writeNumber(writer, 3, welcome.node);
    writeNumber(writer, 4, welcome.life);
    writer.close(mark);
  });
}

/** What answered. Throws FormatError for one of another format, else DecodeError. */
export function readLinkWelcome(bytes: Uint8Array): Welcome {
  const reader = new Reader(bytes);
  if (bytes.length === 0 || reader.tag() !== linkTags.welcome) throw malformed('no welcome came');
  const welcome = readNested(reader, readWelcome);
  if (reader.position < reader.end) throw malformed('a welcome stands alone');
  return welcome;
}

/** A message of a snapshot's stream. */
export function writeSnapshotPart(part: SnapshotPart): Buffer {
  const { hello, header, piece, totalBytes } = part;
  return written((writer) => {
    if (hello !== undefined) writeHello(writer, partTags.hello >>> 3, hello);
    if (header !== undefined) writeBytes(writer, partTags.header >>> 3, header);
    if (piece !== undefined) writeBytes(writer, partTags.piece >>> 3, piece);
    if (totalBytes !== undefined) writePresentNumber(writer, partTags.totalBytes >>> 3, totalBytes);
  });
}

/** What such a message says. Throws FormatError for a hello of another format, else DecodeError. */
export function readSnapshotPart(bytes: Uint8Array): SnapshotPart {
  const reader = new Reader(bytes);
  let hello: Hello | undefined;
  let header: Uint8Array | undefined;
  let piece: Uint8Array | undefined;
  let totalBytes: number | undefined;
  for (let tag = 0; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === partTags.hello) hello = readNested(reader, readHello);
    else if (tag === partTags.header) header = reader.lengthDelimited();
    else if (tag === partTags.piece) piece = reader.lengthDelimited();
    else if (tag === partTags.totalBytes) totalBytes = reader.uint64();
    else throw unknownField();
  }
  if ((header?.length ?? 0) > linkHeaderBytesMax) throw malformed('a header has too many bytes');
  if ((piece?.length ?? 0) > linkPieceBytesMax) throw malformed('a piece has too many bytes');
  return {
    ...(hello === undefined ? {} : { hello }),
    ...(header === undefined ? {} : { header }),
    ...(piece === undefined ? {} : { piece }),
    ...(totalBytes === undefined ? {} : { totalBytes }),
  };
}

/** The hello that a snapshot's stream begins with. */
export function helloOf({ hello }: SnapshotPart): Hello {
  if (hello?.lane !== snapshotLane) throw noHello();
  return hello;
}

function noHello(): Error {
  return malformed('a stream begins with a hello');
}

function written(write: (writer: Writer) => void): Buffer {
  const writer = new Writer(128);
  write(writer);
  const { buffer, byteOffset, byteLength } = writer.view();
  return Buffer.from(buffer, byteOffset, byteLength);
}

function writeHello(writer: Writer, field: number, hello: Hello): void {
  const mark = openField(writer, field);
  writePresentNumber(writer, 1, peerFormat);
  writeString(writer, 2, hello.cluster);
  writeNumber(writer, 3, hello.from);
  writeNumber(writer, 4, hello.to);
  writeNumber(writer, 5, hello.life);
  writeNumber(writer, 6, hello.lane);
  writer.close(mark);
}

/** Reads what every greeting begins with: what follows may mean something else in another format. */
function readFormat(reader: Reader, tagWanted: number): void {
  const tag = reader.position < reader.end ? nextTag(reader, 0) : 0;
  if (tag !== tagWanted) throw malformed('a greeting begins with its format');
  const found = reader.uint32();
  if (found === peerFormat) return;
  throw new FormatError({ what: 'link between nodes', found, read: peerFormat });
}

function readHello(reader: Reader): Hello {
  readFormat(reader, helloTags.format);
  let cluster = '';
  let from = 0;
  let to = 0;
  let life = 0;
  let lane: Hello['lane'] | undefined;
  for (let tag: number = helloTags.format; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === helloTags.cluster) cluster = readCluster(reader);
    else if (tag === helloTags.from) from = reader.uint64();
    else if (tag === helloTags.to) to = reader.uint64();
    else if (tag === helloTags.life) life = reader.uint64();
    else if (tag === helloTags.lane) lane = laneOf(reader.uint64());
    else throw unknownField();
  }
  return {
    cluster,
    from: positive(from) as NodeId,
    to: positive(to) as NodeId,
    life: positive(life),
    lane: required(lane),
  };
}

function readWelcome(reader: Reader): Welcome {
  readFormat(reader, welcomeTags.format);
  let cluster = '';
  let node = 0;
  let life = 0;
  for (let tag: number = welcomeTags.format; reader.position < reader.end; ) {
    tag = nextTag(reader, tag);
    if (tag === welcomeTags.cluster) cluster = readCluster(reader);
    else if (tag === welcomeTags.node) node = reader.uint64();
    else if (tag === welcomeTags.life) life = reader.uint64();
    else throw unknownField();
  }
  return { cluster, node: positive(node) as NodeId, life: positive(life) };
}

function readCluster(reader: Reader): string {
  const cluster = reader.string();
  if (cluster.length > clusterIdBytesMax) throw malformed("a cluster's id is too long");
  return cluster;
}

/** The lane that a number of the wire means. */
function laneOf(number: number): Hello['lane'] {
  if (number === snapshotLane) return snapshotLane;
  const lane = Object.values(Lane).find((each) => each === number);
  if (lane === undefined) throw malformed('a stream has no lane of ours');
  return lane;
}
