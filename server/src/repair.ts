/** The composition root of `tuplet repair`: a data folder, locked, without a node. */
import { statSync } from 'node:fs';
import { logSegmentBytes, snapshotReserveBytesMin } from './base/limits.ts';
import { hostChecksum } from './host/checksum.ts';
import { hostClock } from './host/clock.ts';
import { HostDisk } from './host/disk.ts';
import { hostRandom } from './host/random.ts';
import { type Repaired, repair } from './storage/repair.ts';
import { NothingToSurvey, type Survey, survey } from './storage/survey.ts';

/** What `repairFolder` resolves to. */
export interface FolderRepair {
  readonly survey: Survey;
  /** Undefined where nothing was changed. */
  readonly repaired: Repaired | undefined;
}

/**
 * Looks what a data folder holds; with `acceptLoss`, gives up what is lost, so that a node can start.
 * Rejects with what `survey` and `repair` do, and where another process has the folder.
 */
export async function repairFolder(
  folder: string,
  { acceptLoss }: { readonly acceptLoss: boolean },
): Promise<FolderRepair> {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new NothingToSurvey('there is no such folder');
  const disk = await HostDisk.open(folder);
  const release = await disk.lock();
  try {
    const found = await survey(disk, hostChecksum);
    if (!acceptLoss || found.verdict !== 'loss') return { survey: found, repaired: undefined };
    let fatal: Error | undefined;
    const options = {
      checksum: hostChecksum,
      random: hostRandom,
      segmentBytes: logSegmentBytes,
      reserveBytesMin: snapshotReserveBytesMin,
      onFatal: (error: Error) => {
        fatal = error;
      },
    };
    const repaired = await repair(disk, hostClock, options, found);
    if (fatal !== undefined) throw fatal;
    return { survey: found, repaired };
  } finally {
    release();
  }
}
