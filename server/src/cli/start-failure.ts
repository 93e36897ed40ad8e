import { BackupError } from '../backup/backup-error.ts';
import { DiskError } from '../base/doors.ts';
import { StartError } from '../partition/start-error.ts';
import { LogDamaged, SnapshotDamaged } from '../storage/damage.ts';

/** Where a server was to start. */
export interface StartPlace {
  readonly dataDir: string;
  readonly listen: string;
}

/** Why a server did not start, where, and what to do: one line for the operator. */
export function explainStart(error: unknown, place: StartPlace): string {
  return oneLine(listenFailure(error, place) ?? dataFailure(error, place));
}

function listenFailure(error: unknown, { listen }: StartPlace): string | undefined {
  const call = propertyOf(error, 'syscall');
  if (call !== 'listen' && call !== 'bind' && call !== 'getaddrinfo') return undefined;
  switch (propertyOf(error, 'code')) {
    case 'EADDRINUSE':
      return `${listen} is in use by another process; stop that one, or choose another with --listen`;
    case 'EACCES':
      return `this user may not listen at ${listen}; choose a port above 1023 with --listen`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${listen} is no address of this machine; choose another with --listen`;
    default:
      return `cannot listen at ${listen}: ${messageOf(error)}; choose another with --listen`;
  }
}

function dataFailure(error: unknown, { dataDir }: StartPlace): string {
  const message = messageOf(error);
  if (error instanceof BackupError) return `the backup cannot be restored: ${message}`;
  if (error instanceof LogDamaged) return `data folder ${dataDir}: ${message}`;
  if (error instanceof SnapshotDamaged)
    return `data folder ${dataDir}: ${message}; restore the data folder from a backup, or see with \`tuplet repair\` what is left`;
  if (error instanceof StartError) return startFailure(error, dataDir);
  if (error instanceof DiskError) return diskFailure(error, dataDir);
  return `data folder ${dataDir}: ${message}`;
}

function startFailure({ reason, message }: StartError, dataDir: string): string {
  switch (reason) {
    case 'PARTITIONS_FIXED':
      return `data folder ${dataDir}: ${message}; leave --partitions out, or choose another folder with --data`;
    case 'PARTITIONS_RANGE':
      return `${message}; choose another number with --partitions`;
    case 'DATA_INCOMPLETE':
      return `data folder ${dataDir}: ${message}; restore the data folder from a backup`;
    case 'NODE_OTHER':
      return `data folder ${dataDir}: ${message}; name that node with --node, or choose another folder with --data`;
    case 'NOT_FOUNDED':
      return `data folder ${dataDir}: ${message}; say --found if the cluster is founded now, and never where this node has been one of it`;
    case 'FOUNDERS_OTHER':
      return `data folder ${dataDir}: ${message}; name them with --founders as they were, or choose another folder with --data`;
    case 'NOT_JOINED':
      return `data folder ${dataDir}: ${message}; start it with --node and --founders, or choose an empty folder with --data`;
    case 'JOIN_REFUSED':
      return message;
    case 'DATA_LOST':
      return `data folder ${dataDir}: ${message}; have it replaced with \`tuplet cluster replace\`, and join with an empty folder`;
    case 'BACKUP_OTHER':
      return `data folder ${dataDir}: ${message}; name the backup of all founders with --restore, or choose an empty folder with --data`;
    case 'FORMAT_UNKNOWN':
      return `data folder ${dataDir}: ${message}; start the version of tuplet that wrote it, or choose another folder with --data`;
  }
}

function diskFailure(error: DiskError, dataDir: string): string {
  const { message } = error;
  switch (propertyOf(error.cause, 'code')) {
    case 'EACCES':
    case 'EPERM':
      return `data folder ${dataDir}: ${message}; give it to the user that serves, or choose another with --data`;
    case 'EEXIST':
    case 'ENOTDIR':
      return `data folder ${dataDir}: ${message}; a file stands in its place, choose another with --data`;
    case 'EROFS':
      return `data folder ${dataDir}: ${message}; choose one that can be written to with --data`;
  }
  // Something that is missing is no refusal, but for the command that locks the folder.
  if (error.kind === 'denied' && error.cause !== undefined)
    return `data folder ${dataDir}: ${message}; install it, and start again`;
  if (error.kind === 'full')
    return `data folder ${dataDir}: ${message}; make room on its disk, or choose another with --data`;
  // The lock: it names folder and holder.
  if (error.kind === 'denied') return `${message}; stop it, or choose another folder with --data`;
  return `data folder ${dataDir}: ${message}; look after the disk, and start again`;
}

function propertyOf(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}
