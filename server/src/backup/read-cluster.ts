/** Everything that a cluster holds, read group by group from those who lead them. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, TupletError } from '@tuplet/client';
import { present } from '../base/assert.ts';
import type { ClusterMapState } from '../cluster/cluster-map.ts';
import { decodeMapState } from '../cluster/map-codec.ts';
import { ContentSum } from '../space/content-sum.ts';
import type { LoadedTuple } from '../space/tuple-load.ts';
import { TupleReader } from '../space/tuple-reader.ts';

/** Milliseconds between two tries to read a group whose leader moves or goes away. */
const againMs = 500;
/** How often a group is tried: for a minute at least. */
const triesMax = 120;

/** What was read of a group. */
export interface GroupRead {
  /** 0: the cluster map; else the partition. */
  readonly group: number;
  readonly bytes: number;
  readonly sha256: string;
  /** The last entry of its log that the state contains, and its stamp. */
  readonly index: number;
  readonly stampMs: number;
  /** Tuples; 0 for the map. */
  readonly tuples: number;
}

/** A cluster that was read. */
export interface ClusterRead {
  readonly map: ClusterMapState;
  /** In order of group, the map first. */
  readonly groups: readonly GroupRead[];
  readonly sum: ContentSum;
}

/** Who wants it. */
export interface ClusterReader {
  /** A group begins; again, from its beginning, where its leader went away on the way. */
  begin?(group: number): Promise<void>;
  /** The next bytes of its snapshot. */
  add?(chunk: Uint8Array): Promise<void>;
  /** A tuple of the group: valid during the call. */
  tuple?(tuple: LoadedTuple, bytes: Uint8Array): void;
  /** All of the group's bytes came. */
  end?(read: GroupRead, partitions: number): Promise<void>;
  readonly signal: AbortSignal;
}

/** Reads all partitions, then the map. Rejects with TupletError, DecodeError, FormatError and what the reader throws. */
export async function readCluster(client: Client, reader: ClusterReader): Promise<ClusterRead> {
  const { groups: described } = await client.admin.describeCluster();
  const partitions = described.length - 1;
  const sum = new ContentSum();
  const groups: GroupRead[] = [];
  for (let group = 1; group <= partitions; group += 1) {
    const read = await persistently(client, group, reader, async (address) => {
      const own = new ContentSum();
      const done = await readPartition(client, { group, address, reader, sum: own });
      sum.addAll(own);
      return done;
    });
    groups.push(read);
    await reader.end?.(read, partitions);
  }
  const { read, map } = await readMap(client, reader);
  await reader.end?.(read, partitions);
  return { map, groups: [read, ...groups], sum };
}

/** Reads the map alone. */
export async function readMap(
  client: Client,
  reader: ClusterReader,
): Promise<{ readonly read: GroupRead; readonly map: ClusterMapState }> {
  return await persistently(client, 0, reader, async (address) => {
    const chunks: Uint8Array[] = [];
    const { bytes, sha256 } = await readBytes(client, { group: 0, address, reader }, (chunk) =>
      chunks.push(chunk.slice()),
    );
    const map = decodeMapState(Buffer.concat(chunks));
    const { appliedIndex: index, stampMs } = map;
    return { map, read: { group: 0, bytes, sha256, index, stampMs, tuples: 0 } };
  });
}

async function readPartition(
  client: Client,
  { sum, ...from }: Source & { readonly sum: ContentSum },
): Promise<GroupRead> {
  const { group, reader } = from;
  let head: { readonly index: number; readonly stampMs: number } | undefined;
  let tuples = 0;
  const parser = new TupleReader({
    begun: ({ appliedIndex, stampMs }) => {
      head = { index: appliedIndex, stampMs };
    },
    tuple: (tuple, bytes) => {
      tuples += 1;
      sum.add(tuple, bytes);
      reader.tuple?.(tuple, bytes);
    },
  });
  const { bytes, sha256 } = await readBytes(client, from, (chunk) => parser.add(chunk));
  parser.finish();
  return { group, bytes, sha256, tuples, ...present(head, 'a header came') };
}

interface Source {
  readonly group: number;
  readonly address: string | undefined;
  readonly reader: ClusterReader;
}

async function readBytes(
  client: Client,
  { group, address, reader }: Source,
  see: (chunk: Uint8Array) => void,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  await reader.begin?.(group);
  const options = { signal: reader.signal, ...(address === undefined ? {} : { address }) };
  for await (const chunk of client.admin.readGroup(group, options)) {
    hash.update(chunk);
    bytes += chunk.length;
    see(chunk);
    await reader.add?.(chunk);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Asks whoever leads the group, again and again while that may help. */
async function persistently<T>(
  client: Client,
  group: number,
  { signal }: ClusterReader,
  read: (address: string | undefined) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    try {
      return await read(await leaderOf(client, group));
    } catch (error) {
      const mayHelp = error instanceof TupletError && error.retryable;
      if (!mayHelp || signal.aborted || tries >= triesMax) throw error;
    }
    await sleep(againMs);
  }
}

/** Where clients reach the leader of a group; undefined: the node connected to is as good as any. */
async function leaderOf(client: Client, group: number): Promise<string | undefined> {
  const { nodes, groups } = await client.admin.describeCluster();
  const leader = groups.find((each) => each.group === group)?.leader;
  const address = nodes.find(({ node }) => node === leader)?.clientAddress ?? '';
  return address === '' ? undefined : address;
}
