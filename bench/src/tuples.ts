/** A space that is full: many tuples of 5 fields and 60 bytes, with two shapes of templates indexed. */
import { type Client, connect, type Space, type Template, t } from '@tuplet/client';
import { encodeTuple } from '@tuplet/proto';

/** Tags of the tuples: enough that all partitions get their share. */
export const tagCount = 256;
const regionCount = 97;
const batch = 1_000;
const batchesInFlight = 8;

/** Number `i`: [tag, int, string, bool, string], 60 bytes when encoded. */
export function tupleOf(i: number): [string, number, string, boolean, string] {
  const head = [tagOf(i), i, regionOf(i), i % 2 === 0] as const;
  const bytes = encodeTuple([...head, '']).length;
  return [...head, 'x'.repeat(60 - bytes)];
}

/** The template of the first shape, tag and number: one tuple. */
export function keyedTemplate(i: number): Template {
  return [tagOf(i), i, t.any, t.any, t.any];
}

/** The template of the second shape, tag and region: some tuples. */
export function regionTemplate(i: number): Template {
  return [tagOf(i), t.any, regionOf(i), t.any, t.any];
}

function tagOf(i: number): string {
  return `shop-${i % tagCount}`;
}

function regionOf(i: number): string {
  return `region-${Math.floor(i / tagCount) % regionCount}`;
}

/** Writes tuples 0 to `count`, and reads by both shapes in every partition until both are indexed. */
export async function fill(address: string, count: number): Promise<void> {
  const client = await connect(`tuplet://${address}`);
  try {
    const space = client.space('default');
    let next = 0;
    const writer = async (): Promise<void> => {
      while (next < count) {
        const from = next;
        next = Math.min(count, from + batch);
        const tuples = Array.from({ length: next - from }, (_, i) => tupleOf(from + i));
        for (const outcome of await space.writeMany(tuples)) {
          if (outcome.kind === 'failed') throw outcome.error;
        }
      }
    };
    await Promise.all(Array.from({ length: batchesInFlight }, writer));
    await index(space, count);
    await checkCount(client, count);
  } finally {
    await client.close();
  }
}

/** Both shapes, with every tag, so in every partition. The indexes are built while they are asked. */
async function index(space: Space, count: number): Promise<void> {
  const tags = Array.from({ length: Math.min(count, tagCount) }, (_, i) => i);
  for (let again = 0; again < 20; again += 1) {
    const found = await Promise.all(
      tags.flatMap((i) => [
        space.readIfExists(keyedTemplate(i)),
        space.readIfExists(regionTemplate(i)),
      ]),
    );
    if (found.includes(undefined)) throw new Error('a tuple that was written is not found');
  }
}

/** Rejects unless the node has so many ready tuples. */
export async function checkCount(client: Client, count: number): Promise<void> {
  const { partitions } = await client.admin.describeNode();
  const ready = partitions.reduce((sum, partition) => sum + partition.ready, 0);
  if (ready < count) throw new Error(`${ready} tuples are there, not ${count}`);
}
