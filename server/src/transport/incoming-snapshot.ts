import { status } from '@grpc/grpc-js';
import { malformed } from '@tuplet/proto';
import { assert, InvariantError } from '../base/assert.ts';
import type { IncomingCall } from './incoming-call.ts';
import { readSnapshotPart } from './peer-codec.ts';

/**
 * Takes a snapshot: reads its chunks, in its own time, and fulfils its promise when the whole of it is
 * where it belongs. Rejecting, or not reading to the end, gives it up. The iteration throws where the
 * sender or the network did so. A chunk is a view, of which only this call has the memory.
 */
export type TakeSnapshot = (header: Uint8Array, chunks: AsyncIterable<Uint8Array>) => Promise<void>;

type Piece = IteratorResult<Uint8Array, undefined>;

/** A snapshot that comes in. It is read as fast as it is iterated over. */
export class IncomingSnapshot implements AsyncIterator<Uint8Array, undefined> {
  readonly #call: IncomingCall;
  #waiting: { resolve(piece: Piece): void; reject(error: Error): void } | undefined;
  #bytes = 0;
  #isWhole = false;
  #failure: Error | undefined;

  constructor(call: IncomingCall) {
    this.#call = call;
    call.handTo({
      message: (bytes) => this.#message(bytes),
      // A stream that is reset ends so, too: only its last message makes a snapshot whole.
      ended: () => this.#fail(new Error('the sender has given the snapshot up')),
      gone: () => this.#fail(new Error('the connection that brought the snapshot is gone')),
    });
  }

  /** Has it taken, and answers. */
  async run(header: Uint8Array, take: TakeSnapshot): Promise<void> {
    try {
      await take(header, { [Symbol.asyncIterator]: () => this });
    } catch (error) {
      // A promise of our own that was broken is nobody's to catch.
      if (error instanceof InvariantError) throw error;
      this.#giveUp();
      return;
    }
    if (!this.#isWhole || this.#failure !== undefined) {
      this.#giveUp();
      return;
    }
    this.#call.send(Buffer.alloc(0));
    this.#call.end(status.OK, 'OK');
  }

  next(): Promise<Piece> {
    assert(this.#waiting === undefined, 'one chunk is asked for at a time');
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#isWhole) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#call.read();
    });
  }

  return(): Promise<Piece> {
    if (!this.#isWhole) this.#giveUp();
    return Promise.resolve({ done: true, value: undefined });
  }

  #giveUp(): void {
    this.#failure ??= new Error('the snapshot was not wanted');
    this.#call.end(status.ABORTED, 'the receiver has given the snapshot up');
  }

  #message(bytes: Buffer): void {
    try {
      this.#take(bytes);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      this.#call.end(status.INVALID_ARGUMENT, 'the snapshot is malformed');
    }
  }

  #take(bytes: Buffer): void {
    const { hello, header, piece, totalBytes } = readSnapshotPart(bytes);
    if (hello !== undefined || header !== undefined)
      throw malformed('a snapshot has one beginning');
    if ((piece === undefined) === (totalBytes === undefined)) {
      throw malformed('a part of a snapshot is a piece or the end');
    }
    if (piece !== undefined) {
      this.#bytes += piece.length;
      this.#give({ done: false, value: piece });
      return;
    }
    if (totalBytes !== this.#bytes) throw malformed('a snapshot is shorter or longer than it says');
    this.#isWhole = true;
    this.#give({ done: true, value: undefined });
  }

  #give(piece: Piece): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(piece);
  }

  #fail(error: Error): void {
    // The end of the stream follows a whole snapshot.
    if (this.#isWhole) return;
    this.#failure ??= error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
