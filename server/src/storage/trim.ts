/** Copies what a power cut left behind the log's tail aside, and makes it zeros again. */
import { type Disk, DiskError } from '../base/doors.ts';
import { logTornCopiesMax } from '../base/limits.ts';
import { logFolder, removeIfThere } from './segments.ts';

const copyPrefix = 'torn-';

/** Bytes behind the tail that are not zero. */
export interface TornBytes {
  readonly file: string;
  /** Offsets in the file; `bytes` lies between them. */
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

/** Copies first, then zeroes, each made durable; returns a sentence for each piece. */
export async function trimTail(disk: Disk, torn: readonly TornBytes[]): Promise<readonly string[]> {
  const warnings: string[] = [];
  for (const piece of torn) {
    const copied = await copyAside(disk, piece);
    const file = await disk.open(piece.file);
    await file.write(piece.from, new Uint8Array(piece.to - piece.from));
    await file.sync();
    await file.close();
    const bytes = piece.to - piece.from;
    warnings.push(
      `${bytes} bytes of an unfinished write were trimmed (${piece.file}, offset ${piece.from}; ${copied})`,
    );
  }
  if (torn.length > 0) await forgetOldCopies(disk);
  return warnings;
}

async function copyAside(disk: Disk, piece: TornBytes): Promise<string> {
  const name = `${logFolder}/${copyPrefix}${piece.file.slice(logFolder.length + 1)}-${piece.from}`;
  try {
    await removeIfThere(disk, name);
    const copy = await disk.create(name);
    await copy.write(0, piece.bytes);
    await copy.sync();
    await copy.close();
    await disk.syncFolder(logFolder);
    return `copied to ${name}`;
  } catch (error) {
    // A full disk must not keep the server from starting: nothing acknowledged is in these bytes.
    if (!(error instanceof DiskError) || error.kind !== 'full') throw error;
    await removeIfThere(disk, name);
    return 'not copied, because the disk is full';
  }
}

async function forgetOldCopies(disk: Disk): Promise<void> {
  const copies = (await disk.list(logFolder)).filter((name) => name.startsWith(copyPrefix));
  // Names sort by segment: the first are the oldest.
  for (const name of copies.slice(0, -logTornCopiesMax)) await disk.remove(`${logFolder}/${name}`);
}
