/**
 * The cursor of a notify stream: an opaque token to clients, to us where each partition stands. It
 * is no secret and no authority; one from another cluster or space is refused.
 */
import { DecodeError, Reader, Writer } from '@tuplet/proto';
import type { LogIndex, PartitionId, SpaceId } from '../base/ids.ts';

/** The place of an event in its partition's history. */
export interface Place {
  readonly revision: LogIndex;
  /** Among the events of that revision, from 0. */
  readonly position: number;
}

/** What a cursor says. */
export interface Cursor {
  /** 32 hex digits. */
  readonly clusterId: string;
  readonly space: SpaceId;
  /** The last event passed, of each partition that the stream addresses. */
  readonly places: ReadonlyMap<PartitionId, Place>;
}

const formatVersion = 1;

/** The cursor's bytes: a version, then numbers; about 10 bytes a partition. */
export function encodeCursor({ clusterId, space, places }: Cursor): Uint8Array {
  const writer = new Writer(64 + 12 * places.size);
  writer.uint32(formatVersion);
  writer.string(clusterId);
  writer.uint32(space);
  writer.uint32(places.size);
  for (const [partition, { revision, position }] of places) {
    writer.uint32(partition);
    writer.uint64(revision);
    writer.uint32(position);
  }
  return writer.finish();
}

/** What `encodeCursor` wrote; undefined for anything else. */
export function decodeCursor(bytes: Uint8Array): Cursor | undefined {
  try {
    return read(new Reader(bytes));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function read(reader: Reader): Cursor | undefined {
  if (reader.uint32() !== formatVersion) return undefined;
  const clusterId = reader.string();
  const space = reader.uint32() as SpaceId;
  const places = new Map<PartitionId, Place>();
  for (let left = reader.uint32(); left > 0; left -= 1) {
    const partition = reader.uint32() as PartitionId;
    const revision = reader.uint64() as LogIndex;
    places.set(partition, { revision, position: reader.uint32() });
  }
  return reader.position === reader.end ? { clusterId, space, places } : undefined;
}
