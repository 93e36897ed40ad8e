/** What a backup says of itself: `manifest.json`. */
import { BackupError } from './backup-error.ts';

/** The format that is written, and the only one that is read. */
const manifestFormat = 1;
/** The file, in the folder of the backup. */
export const manifestName = 'manifest.json';

/** One file: the snapshot of a group. */
export interface GroupFile {
  /** 0: the cluster map; else the partition. */
  readonly group: number;
  readonly file: string;
  readonly bytes: number;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
  /** The last entry of the group's log that it contains. */
  readonly index: number;
  /** That entry's stamp, in milliseconds. */
  readonly stampMs: number;
}

/** What a space holds. */
export interface SpaceContents {
  readonly name: string;
  readonly id: number;
  readonly tuples: number;
  /** 16 lower-case hex digits. */
  readonly checksum: string;
}

/** See the top of the file. */
export interface Manifest {
  readonly clusterId: string;
  /** The version of the server that the files are of. */
  readonly version: string;
  /** When it was finished, ISO 8601. */
  readonly takenAt: string;
  readonly partitions: number;
  /** In order of group, the map first. */
  readonly groups: readonly GroupFile[];
  /** By name. */
  readonly spaces: readonly SpaceContents[];
  readonly tuples: number;
  readonly checksum: string;
}

/** The bytes of the file. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return Buffer.from(`${JSON.stringify({ format: manifestFormat, ...manifest }, undefined, 2)}\n`);
}

/** What `encodeManifest` wrote. Throws BackupError. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new BackupError(`${manifestName} is no JSON`, { cause: error });
  }
  const format = property(found, 'format');
  if (format !== manifestFormat)
    throw new BackupError(
      `${manifestName} has format ${String(format)}, this build reads format ${manifestFormat}`,
    );
  const manifest: Manifest = {
    clusterId: text(found, 'clusterId', /^[0-9a-f]{32}$/),
    version: text(found, 'version', /^/),
    takenAt: text(found, 'takenAt', /^/),
    partitions: count(found, 'partitions'),
    groups: list(found, 'groups').map(groupOf),
    spaces: list(found, 'spaces').map(spaceOf),
    tuples: count(found, 'tuples'),
    checksum: text(found, 'checksum', /^[0-9a-f]{16}$/),
  };
  const groups = manifest.groups.map(({ group }) => group);
  if (groups.length !== manifest.partitions + 1 || groups.some((group, at) => group !== at))
    throw new BackupError(`${manifestName} does not list the map and all partitions`);
  return manifest;
}

function groupOf(found: unknown): GroupFile {
  return {
    group: count(found, 'group'),
    // A file beside the manifest, and nowhere else.
    file: text(found, 'file', /^[a-z0-9-]+\.snapshot$/),
    bytes: count(found, 'bytes'),
    sha256: text(found, 'sha256', /^[0-9a-f]{64}$/),
    index: count(found, 'index'),
    stampMs: count(found, 'stampMs'),
  };
}

function spaceOf(found: unknown): SpaceContents {
  return {
    name: text(found, 'name', /^/),
    id: count(found, 'id'),
    tuples: count(found, 'tuples'),
    checksum: text(found, 'checksum', /^[0-9a-f]{16}$/),
  };
}

function property(found: unknown, name: string): unknown {
  return typeof found === 'object' && found !== null ? Reflect.get(found, name) : undefined;
}

function text(found: unknown, name: string, pattern: RegExp): string {
  const value = property(found, name);
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw new BackupError(`${manifestName} has no usable ${name}`);
}

function count(found: unknown, name: string): number {
  const value = property(found, name);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new BackupError(`${manifestName} has no usable ${name}`);
}

function list(found: unknown, name: string): readonly unknown[] {
  const value = property(found, name);
  if (Array.isArray(value)) return value;
  throw new BackupError(`${manifestName} has no usable ${name}`);
}
