/** Gives up what a survey found lost, after copies of all that is changed. Used by `tuplet repair`. */
import { assert } from '../base/assert.ts';
import { type Clock, type Disk, DiskError, type DiskFile } from '../base/doors.ts';
import { logZeroBytes, repairsMax } from '../base/limits.ts';
import type { LogPrefix } from './recovery.ts';
import { logFolder } from './segments.ts';
import { snapshotFolder, snapshotName } from './snapshot-name.ts';
import { Storage, type StorageOptions } from './storage.ts';
import type { Survey } from './survey.ts';

/** What `repair` has done. */
export interface Repaired {
  /** The folder of the copies, within the data folder. */
  readonly folder: string;
  /** What was copied there, in order. */
  readonly copies: readonly string[];
}

/**
 * Cuts the log where it is damaged, takes damaged snapshots away, and takes groups back to the
 * snapshots that the survey names. A start succeeds when this resolves; a repair that was interrupted
 * is begun again. Rejects with DiskError; with LogDamaged where the folder has changed meanwhile.
 */
export async function repair(
  disk: Disk,
  clock: Clock,
  options: StorageOptions,
  found: Survey,
): Promise<Repaired> {
  assert(found.verdict === 'loss', 'there is a loss to accept');
  const spoilt = found.prefix?.spoilt ?? [];
  const damaged = found.damagedSnapshots.map(({ mark }) => snapshotName(mark));
  const changed = [...spoilt, ...damaged];
  const folder = await freeFolder(disk);
  await disk.makeFolder(folder);
  await disk.syncFolder('');
  const copies: string[] = [];
  for (const name of changed) copies.push(await copyAside(disk, name, folder));
  await disk.syncFolder(folder);
  if (found.prefix !== undefined) await cutLog(disk, found.prefix);
  for (const name of damaged) await disk.remove(name);
  if (damaged.length > 0) await disk.syncFolder(snapshotFolder);
  const { storage } = await Storage.open(disk, clock, { ...options, rewinds: found.rewinds });
  await storage.close();
  return { folder, copies };
}

async function freeFolder(disk: Disk): Promise<string> {
  for (let number = 1; number <= repairsMax; number++) {
    const folder = `repair-${number}`;
    if ((await disk.list(folder)).length === 0) return folder;
  }
  throw new DiskError('denied', `there are ${repairsMax} folders with copies of earlier repairs`);
}

async function copyAside(disk: Disk, name: string, folder: string): Promise<string> {
  const copyName = `${folder}/${name.replace('/', '-')}`;
  const from = await disk.open(name);
  const to = await disk.create(copyName);
  const size = await from.size();
  for (let offset = 0; offset < size; offset += logZeroBytes) {
    await to.write(offset, await from.read(offset, logZeroBytes));
  }
  await to.sync();
  await to.close();
  await from.close();
  return copyName;
}

/** Later segments go first, so that no gap can appear. */
async function cutLog(disk: Disk, { file, offset, spoilt }: LogPrefix): Promise<void> {
  for (const name of spoilt.filter((each) => each !== file).reverse()) {
    await disk.remove(name);
    await disk.syncFolder(logFolder);
  }
  if (!spoilt.includes(file)) return;
  const tail = await disk.open(file);
  await zero(tail, offset);
  await tail.close();
}

async function zero(file: DiskFile, from: number): Promise<void> {
  const size = await file.size();
  for (let offset = from; offset < size; offset += logZeroBytes) {
    await file.write(offset, new Uint8Array(Math.min(logZeroBytes, size - offset)));
  }
  await file.sync();
}
