import { assert } from '../base/assert.ts';
import { linkFrameBytesMax, linkMessageBytes } from '../base/limits.ts';
import type { LaneRule } from './lane.ts';
import { writeFrames } from './peer-codec.ts';

/** Frames of one lane that wait for one peer, in order, within bounds. */
export class LaneQueue {
  readonly #rule: LaneRule;
  // Invariant: #bytes is the sum of what #frames holds.
  #frames: Uint8Array[] = [];
  #bytes = 0;
  #writingBytes = 0;
  #dropped = 0;

  constructor(rule: LaneRule) {
    this.#rule = rule;
  }

  /** Frames that wait. */
  get size(): number {
    return this.#frames.length;
  }

  /** Bytes of frames that wait or are being written. */
  get bytes(): number {
    return this.#bytes + this.#writingBytes;
  }

  /** Frames that found no place, or lost it. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a frame, which is not copied before it is written. False: the link has to break. */
  push(frame: Uint8Array): boolean {
    assert(frame.length > 0, 'a frame says something');
    assert(frame.length <= linkFrameBytesMax, 'a frame fits a message');
    const { overflow } = this.#rule;
    if (overflow === 'drop-oldest') {
      while (this.#frames.length > 0 && !this.#hasRoom(frame)) this.#dropOldest();
    } else if (!this.#hasRoom(frame)) {
      this.#dropped += 1;
      return overflow !== 'break';
    }
    this.#frames.push(frame);
    this.#bytes += frame.length;
    return true;
  }

  /** The next message, to be written before any other; `written` follows. Undefined: nothing waits. */
  take(): Buffer | undefined {
    assert(this.#writingBytes === 0, 'one message of a lane is written at a time');
    if (this.#frames.length === 0) return undefined;
    let count = 0;
    let bytes = 0;
    for (const frame of this.#frames) {
      if (count > 0 && bytes + frame.length > linkMessageBytes) break;
      bytes += frame.length;
      count += 1;
    }
    let taken = this.#frames;
    if (count === taken.length) this.#frames = [];
    else taken = this.#frames.splice(0, count);
    this.#bytes -= bytes;
    this.#writingBytes = bytes;
    return writeFrames(taken);
  }

  /** The connection has taken the message. */
  written(): void {
    this.#writingBytes = 0;
  }

  #hasRoom(frame: Uint8Array): boolean {
    if (this.#frames.length === 0 && this.#writingBytes === 0) return true;
    const { framesMax, bytesMax } = this.#rule;
    return this.#frames.length < framesMax && this.bytes + frame.length <= bytesMax;
  }

  #dropOldest(): void {
    const oldest = this.#frames.shift();
    this.#bytes -= oldest?.length ?? 0;
    this.#dropped += 1;
  }
}
