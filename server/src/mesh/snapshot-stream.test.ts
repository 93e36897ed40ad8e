import { DecodeError } from '@tuplet/proto';
import test from 'ava';
import { snapshotChunkBytesMax } from '../base/limits.ts';
import { framedChunks, readChunks } from './snapshot-stream.ts';

const chunks = [1, 5, 300, 70_000].map((size) => new Uint8Array(size).fill(size % 251));

async function whole(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return Buffer.concat(parts);
}

async function* cutInto(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

for (const size of [1, 3, 4, 5, 1_000, 1_000_000]) {
  test(`chunks come as they went, in pieces of ${size}`, async (t) => {
    const bytes = await whole(framedChunks(chunks));
    const read = await readChunks(cutInto(bytes, size));
    t.deepEqual(
      read.map((chunk) => Buffer.from(chunk)),
      chunks.map((chunk) => Buffer.from(chunk)),
    );
  });
}

test('a snapshot that ends within a chunk is none', async (t) => {
  const bytes = await whole(framedChunks(chunks));
  for (const end of [bytes.length - 1, 2, 6]) {
    await t.throwsAsync(readChunks(cutInto(bytes.subarray(0, end), 100)), {
      instanceOf: DecodeError,
    });
  }
});

test('no memory is taken for a size that no chunk has', async (t) => {
  for (const size of [0, snapshotChunkBytesMax + 1]) {
    const head = new Uint8Array(8);
    new DataView(head.buffer).setUint32(0, size);
    await t.throwsAsync(readChunks(cutInto(head, 8)), { instanceOf: DecodeError });
  }
});
