/** What spaces hold, as a manifest says it and as it is shown. */
import type { SpaceRecord } from '../cluster/map-command.ts';
import { type ContentSum, sumOfSpaces } from '../space/content-sum.ts';
import type { Manifest } from './manifest.ts';

/** The spaces' part of a manifest. */
export type Contents = Pick<Manifest, 'spaces' | 'tuples' | 'checksum'>;

/** What the living spaces hold; tuples of others are on their way out, and do not count. */
export function contentsOf(spaces: readonly SpaceRecord[], sum: ContentSum): Contents {
  const sums = new Map(spaces.map(({ name, id }) => [name, sum.of(id)]));
  const { tuples, checksum } = sumOfSpaces(sums);
  const rows = spaces.map(({ name, id }) => {
    const own = sum.of(id);
    return { name, id: Number(id), tuples: own.tuples, checksum: hex(own.checksum) };
  });
  return {
    spaces: rows.sort((one, other) => (one.name < other.name ? -1 : 1)),
    tuples,
    checksum: hex(checksum),
  };
}

function hex(checksum: bigint): string {
  return checksum.toString(16).padStart(16, '0');
}
