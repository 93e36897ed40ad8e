/** The names of snapshots' files. */
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import type { SnapshotMark } from './entry.ts';

/** The folder of the snapshots. */
export const snapshotFolder = 'snapshots';

/** The file of a snapshot within the data folder. */
export function snapshotName({ group, index, term }: SnapshotMark): string {
  const digits = (value: number, count: number): string => String(value).padStart(count, '0');
  return `${snapshotFolder}/${digits(group, 3)}-${digits(index, 16)}-${digits(term, 16)}`;
}

/** The snapshot that a name in the folder stands for; undefined for other files. */
export function markNamed(name: string): SnapshotMark | undefined {
  const [, group, index, term] = /^(\d{3})-(\d{16})-(\d{16})$/.exec(name) ?? [];
  if (group === undefined) return undefined;
  return {
    group: Number(group) as GroupId,
    index: Number(index) as LogIndex,
    term: Number(term) as Term | 0,
  };
}
