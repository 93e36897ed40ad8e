/** Snapshots on their way to a peer. */
import { status } from '@grpc/grpc-js';
import { assert } from '../base/assert.ts';
import {
  linkHeaderBytesMax,
  linkPieceBytesMax,
  linkSnapshotsAtOnce,
  linkSnapshotsWaitingMax,
} from '../base/limits.ts';
import type { OutgoingCall } from './outgoing-call.ts';
import type { Dialled } from './peer-client.ts';
import { writeSnapshotPart } from './peer-codec.ts';

/** What became of a snapshot: the receiver has taken the whole of it, or it may be anywhere. */
export type SnapshotEnd = 'arrived' | 'lost';

/** What is sent. */
export interface SnapshotSource {
  /** From one byte to `linkHeaderBytesMax`. */
  readonly header: Uint8Array;
  /** Pulled as the connection takes them, and let go (`return`) when it is over. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** One snapshot. */
class OutgoingSnapshot {
  readonly #source: SnapshotSource;
  readonly #onEnd: (end: SnapshotEnd) => void;
  #call: OutgoingCall | undefined;
  #taken: (() => void) | undefined;
  #isAnswered = false;
  #isOver = false;

  constructor(source: SnapshotSource, onEnd: (end: SnapshotEnd) => void) {
    this.#source = source;
    this.#onEnd = onEnd;
  }

  /** Sends it. */
  async begin(dialled: Dialled): Promise<void> {
    this.#call = dialled.openSnapshot({
      message: () => {
        this.#isAnswered = true;
      },
      taken: () => this.#proceed(),
      ended: ({ code }) => this.#end(code === status.OK && this.#isAnswered ? 'arrived' : 'lost'),
    });
    const { header, chunks } = this.#source;
    let totalBytes = 0;
    try {
      await this.#send({ hello: dialled.snapshotHello, header });
      for await (const chunk of chunks) {
        totalBytes += chunk.length;
        await this.#sendChunk(chunk);
        if (this.#isOver) return;
      }
    } catch {
      // Its source has failed, and has told whoever owns it.
      this.lose();
      return;
    }
    await this.#send({ totalBytes });
    if (!this.#isOver) this.#call.halfClose();
  }

  /** Gives it up. */
  lose(): void {
    this.#end('lost');
  }

  async #sendChunk(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length && !this.#isOver; at += linkPieceBytesMax) {
      await this.#send({ piece: chunk.subarray(at, at + linkPieceBytesMax) });
    }
  }

  /** Resolves when the connection has taken it, or never will. */
  #send(part: Parameters<typeof writeSnapshotPart>[0]): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#taken = resolve;
      this.#call?.send(writeSnapshotPart(part));
    });
  }

  #proceed(): void {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
  }

  #end(end: SnapshotEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call?.cancel();
    this.#proceed();
    this.#onEnd(end);
  }
}

/** All snapshots of one connection: some at once, the others in turn. */
export class OutgoingSnapshots {
  readonly #dialled: Dialled;
  readonly #running: Set<OutgoingSnapshot> = new Set();
  readonly #waiting: Set<OutgoingSnapshot> = new Set();
  #isOver = false;

  constructor(dialled: Dialled) {
    this.#dialled = dialled;
  }

  /** Sends one. The signal gives it up. */
  send(source: SnapshotSource, signal: AbortSignal | undefined): Promise<SnapshotEnd> {
    assert(source.header.length > 0, 'a snapshot has a header');
    assert(source.header.length <= linkHeaderBytesMax, 'a header has its bounds');
    const isRefused = this.#isOver || signal?.aborted === true;
    if (isRefused || this.#waiting.size === linkSnapshotsWaitingMax) return Promise.resolve('lost');
    return new Promise((resolve) => {
      const abort = (): void => snapshot.lose();
      const snapshot = new OutgoingSnapshot(source, (end) => {
        signal?.removeEventListener('abort', abort);
        this.#running.delete(snapshot);
        this.#waiting.delete(snapshot);
        this.#beginNext();
        resolve(end);
      });
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.add(snapshot);
      this.#beginNext();
    });
  }

  /** All are lost. */
  close(): void {
    this.#isOver = true;
    for (const snapshot of [...this.#running, ...this.#waiting]) snapshot.lose();
  }

  #beginNext(): void {
    if (this.#isOver) return;
    for (const snapshot of this.#waiting) {
      if (this.#running.size === linkSnapshotsAtOnce) return;
      this.#waiting.delete(snapshot);
      this.#running.add(snapshot);
      void snapshot.begin(this.#dialled);
    }
  }
}
