import { copyBytes, Reader } from '@tuplet/proto';
import { raftPayloadChunkBytes, raftPayloadSharedMax } from '../base/limits.ts';
import { noBytes } from '../raft/message.ts';

/**
 * Where the payloads and tuples of received messages lie: not in the batch that brought them, since they
 * are kept for longer, and grpc-js gives out views of larger buffers. Small messages lie side by side: an
 * array of its own costs more than all the rest of a message (1.5 µs, measured, Node 20). A chunk
 * lives as long as one of its payloads.
 */
export class PayloadMemory {
  #chunk: Uint8Array = noBytes;
  #used = 0;

  /** As `copyOfRest`, and that reader has passed it. */
  takeRest(reader: Reader): Reader {
    const rest = this.copyOfRest(reader);
    reader.position = reader.end;
    return rest;
  }

  /** A reader of a copy of what a reader has left. */
  copyOfRest({ bytes, position, end }: Reader): Reader {
    const size = end - position;
    if (size > raftPayloadSharedMax) {
      const own = new Uint8Array(size);
      own.set(bytes.subarray(position, end));
      return new Reader(own);
    }
    if (this.#used + size > this.#chunk.length) {
      this.#chunk = new Uint8Array(raftPayloadChunkBytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += size;
    copyBytes(this.#chunk, start, bytes, position, end);
    return new Reader(this.#chunk, start, this.#used);
  }
}
