/** Reads a backup's folder: what it holds, checked to the last byte. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DecodeError } from '@tuplet/proto';
import { present } from '../base/assert.ts';
import { FormatError } from '../base/format-error.ts';
import type { PartitionId, StampMs } from '../base/ids.ts';
import { logPayloadBytesMax, nodesMax } from '../base/limits.ts';
import type { ClusterMapState } from '../cluster/cluster-map.ts';
import { decodeMapState, encodeMapEntry } from '../cluster/map-codec.ts';
import type { RestoredMap } from '../cluster/map-command.ts';
import { MapFormatError } from '../cluster/map-format-error.ts';
import type { Restore } from '../partition/restoring.ts';
import { ContentSum } from '../space/content-sum.ts';
import { TupleReader } from '../space/tuple-reader.ts';
import { BackupError } from './backup-error.ts';
import { contentsOf } from './contents.ts';
import { decodeManifest, type GroupFile, type Manifest, manifestName } from './manifest.ts';

/** Bytes of a file that are read at once. */
const readBytes = 262_144;
/** Bytes of a founding beside its spaces: a description of each node. */
const foundingBytesMax = nodesMax * 2_048;

/** A backup that can be used. */
export interface Backup {
  readonly manifest: Manifest;
  readonly restore: Restore;
}

/** Opens a backup and looks all of it through. Rejects with BackupError. */
export async function openBackup(folder: string): Promise<Backup> {
  try {
    return await opened(folder);
  } catch (error) {
    if (error instanceof BackupError) throw error;
    const isOdd = [DecodeError, FormatError, MapFormatError].some((each) => error instanceof each);
    if (!isOdd && !(error instanceof Error && 'code' in error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new BackupError(`${folder}: ${message}`, { cause: error });
  }
}

async function opened(folder: string): Promise<Backup> {
  const bytes = await readFile(join(folder, manifestName));
  const manifest = decodeManifest(bytes);
  const [mapFile, ...partitions] = manifest.groups;
  const map = await readMapFile(folder, present(mapFile, 'the map is listed'));
  if (map.clusterId !== manifest.clusterId || map.partitions !== manifest.partitions)
    throw new BackupError(`${folder}: the map is of another cluster than ${manifestName}`);
  const sum = new ContentSum();
  for (const file of partitions) await checkPartition(folder, file, sum);
  const { spaces, tuples, checksum } = contentsOf(map.spaces, sum);
  const said = { spaces: manifest.spaces, tuples: manifest.tuples, checksum: manifest.checksum };
  if (JSON.stringify({ spaces, tuples, checksum }) !== JSON.stringify(said))
    throw new BackupError(`${folder}: the contents are not those that ${manifestName} says`);
  const { epoch, nextSpaceId } = map;
  const backup = createHash('sha256').update(bytes).digest('hex');
  const restored: RestoredMap = { backup, epoch, nextSpaceId, spaces: map.spaces };
  checkFits(restored, map);
  return {
    manifest,
    restore: {
      map: restored,
      partitions: manifest.partitions,
      chunksOf: (partition: PartitionId) => {
        const file = present(manifest.groups[partition], 'all partitions are listed');
        return createReadStream(join(folder, file.file), { highWaterMark: readBytes });
      },
    },
  };
}

/** A founding is one entry of a log. */
function checkFits(restored: RestoredMap, { clusterId, partitions }: ClusterMapState): void {
  const found = { kind: 'found', clusterId, partitions, replicaCount: 1, founders: [] } as const;
  const entry = { stampMs: 0 as StampMs, command: { ...found, restored } };
  if (encodeMapEntry(entry).length + foundingBytesMax <= logPayloadBytesMax) return;
  throw new BackupError(
    `${restored.spaces.length} spaces with their rules are too much to restore`,
  );
}

async function readMapFile(folder: string, file: GroupFile): Promise<ClusterMapState> {
  const chunks: Uint8Array[] = [];
  await checkFile(folder, file, (chunk) => chunks.push(chunk));
  return decodeMapState(Buffer.concat(chunks));
}

async function checkPartition(folder: string, file: GroupFile, sum: ContentSum): Promise<void> {
  let isRight = false;
  const reader = new TupleReader({
    begun: ({ partition, appliedIndex }) => {
      isRight = Number(partition) === file.group && Number(appliedIndex) === file.index;
    },
    tuple: (tuple, bytes) => sum.add(tuple, bytes),
  });
  await checkFile(folder, file, (chunk) => reader.add(chunk));
  reader.finish();
  if (!isRight)
    throw new BackupError(`${join(folder, file.file)} is of another partition or point`);
}

async function checkFile(
  folder: string,
  { file, bytes, sha256 }: GroupFile,
  see: (chunk: Buffer) => void,
): Promise<void> {
  const path = join(folder, file);
  const hash = createHash('sha256');
  let count = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: readBytes })) {
      hash.update(chunk);
      count += chunk.length;
      see(chunk);
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new BackupError(`${path} is damaged: ${error.message}`, { cause: error });
  }
  if (count !== bytes || hash.digest('hex') !== sha256)
    throw new BackupError(`${path} is damaged: it is not what ${manifestName} says`);
}
