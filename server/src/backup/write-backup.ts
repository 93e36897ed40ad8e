/** Writes what a cluster holds into a folder. */
import { type FileHandle, mkdir, open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@tuplet/client';
import { version } from '../version.ts';
import { BackupError } from './backup-error.ts';
import { contentsOf } from './contents.ts';
import { encodeManifest, type GroupFile, type Manifest, manifestName } from './manifest.ts';
import { type GroupRead, readCluster } from './read-cluster.ts';

/** How a backup is made. */
export interface WriteBackupOptions {
  /** Made where there is none; empty. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** One more partition is there, or the map. */
  readonly onGroup: (read: GroupRead, partitions: number) => void;
}

/**
 * Makes a backup; it counts from the moment its manifest is there, durably. Rejects with BackupError, and with
 * what `readCluster` does; then the folder is none.
 */
export async function writeBackup(
  client: Client,
  { folder, signal, onGroup }: WriteBackupOptions,
): Promise<Manifest> {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0)
    throw new BackupError(`the folder ${folder} is not empty`);
  let file: FileHandle | undefined;
  try {
    const { map, groups, sum } = await readCluster(client, {
      signal,
      begin: async (group) => {
        await file?.close();
        file = await open(join(folder, fileOf(group)), 'w');
      },
      add: async (chunk) => {
        await file?.writeFile(chunk);
      },
      end: async (read, partitions) => {
        await file?.sync();
        await file?.close();
        file = undefined;
        onGroup(read, partitions);
      },
    });
    const manifest: Manifest = {
      clusterId: map.clusterId,
      version,
      takenAt: new Date().toISOString(),
      partitions: map.partitions,
      groups: groups.map(groupFileOf),
      ...contentsOf(map.spaces, sum),
    };
    await writeDurably(folder, encodeManifest(manifest));
    return manifest;
  } finally {
    await file?.close();
  }
}

function groupFileOf({ group, bytes, sha256, index, stampMs }: GroupRead): GroupFile {
  return { group, file: fileOf(group), bytes, sha256, index, stampMs };
}

function fileOf(group: number): string {
  return group === 0 ? 'map.snapshot' : `partition-${String(group).padStart(3, '0')}.snapshot`;
}

/** The manifest, last: file and name durable, and the names of what was written before. */
async function writeDurably(folder: string, bytes: Uint8Array): Promise<void> {
  const name = join(folder, manifestName);
  const file = await open(`${name}.new`, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${name}.new`, name);
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
