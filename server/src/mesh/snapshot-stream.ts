/** A snapshot's chunks as a stream of pieces of any size, and back: each chunk behind its length. */
import { malformed } from '@tuplet/proto';
import { snapshotChunkBytesMax } from '../base/limits.ts';

const lengthBytes = 4;

/** The chunks, each with its length before it. */
export async function* framedChunks(chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) {
    const head = new Uint8Array(lengthBytes);
    new DataView(head.buffer).setUint32(0, chunk.length);
    yield head;
    yield chunk;
  }
}

/** The chunks again, copies. Rejects with DecodeError where it is not what `framedChunks` gave. */
export async function readChunks(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  const head = new Uint8Array(lengthBytes);
  let headUsed = 0;
  let chunk: Uint8Array | undefined;
  let used = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      if (chunk === undefined) {
        head[headUsed] = piece[at] as number;
        headUsed += 1;
        at += 1;
        if (headUsed < lengthBytes) continue;
        const size = new DataView(head.buffer).getUint32(0);
        if (size === 0 || size > snapshotChunkBytesMax) throw malformed('no chunk has that size');
        chunk = new Uint8Array(size);
        headUsed = 0;
        used = 0;
        continue;
      }
      const part = piece.subarray(at, at + chunk.length - used);
      chunk.set(part, used);
      used += part.length;
      at += part.length;
      if (used < chunk.length) continue;
      chunks.push(chunk);
      chunk = undefined;
    }
  }
  if (chunk !== undefined || headUsed > 0) throw malformed('a snapshot ends within a chunk');
  return chunks;
}
