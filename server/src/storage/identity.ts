/** The log's identity: format version and salt, written once before anything else. */
import type { Disk, DiskFile } from '../base/doors.ts';
import { FormatError } from '../base/format-error.ts';
import { LogDamaged } from './damage.ts';
import type { Checksum } from './entry.ts';
import { logFolder, removeIfThere } from './segments.ts';

const identityName = `${logFolder}/identity`;
const newIdentityName = `${logFolder}/identity.new`;
const identityBytes = 32;
/** `TLOG`. */
const identityMagic = 0x474f4c54;
const formatVersion = 2;

/** Reads the salt; undefined where no log was ever begun. Rejects with LogDamaged, FormatError. */
export async function readIdentity(disk: Disk, checksum: Checksum): Promise<number | undefined> {
  if (!(await hasIdentity(disk))) return undefined;
  const file = await disk.open(identityName);
  const bytes = await file.read(0, identityBytes + 1);
  await file.close();
  const damaged = (what: string): LogDamaged =>
    new LogDamaged(what, { file: identityName, offset: 0 });
  if (bytes.length !== identityBytes) throw damaged('its identity has another size');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const crc = checksum(bytes.subarray(0, identityBytes - 4), 0);
  if (view.getUint32(identityBytes - 4, true) !== crc) throw damaged('its identity is unreadable');
  if (view.getUint32(0, true) !== identityMagic) throw damaged('its identity is of another kind');
  const found = view.getUint32(4, true);
  if (found !== formatVersion)
    throw new FormatError({ what: 'log', found, read: formatVersion, file: identityName });
  return view.getUint32(8, true);
}

/** Whether a log was ever begun here. */
export async function hasIdentity(disk: Disk): Promise<boolean> {
  return (await disk.list(logFolder)).includes('identity');
}

/** Begins a log. Its folder and identity are durable when this resolves. */
export async function writeIdentity(disk: Disk, checksum: Checksum, salt: number): Promise<void> {
  await disk.makeFolder(logFolder);
  await disk.syncFolder('');
  const bytes = new Uint8Array(identityBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, identityMagic, true);
  view.setUint32(4, formatVersion, true);
  view.setUint32(8, salt, true);
  view.setUint32(identityBytes - 4, checksum(bytes.subarray(0, identityBytes - 4), 0), true);
  await removeIfThere(disk, newIdentityName);
  const file: DiskFile = await disk.create(newIdentityName);
  await file.write(0, bytes);
  await file.sync();
  await file.close();
  await disk.rename(newIdentityName, identityName);
  await disk.syncFolder(logFolder);
}
