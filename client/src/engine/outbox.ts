import { Writer } from '@tuplet/proto';
import { envelopeBytesMax, writeTopologyWanted } from './envelope.ts';

/** Gathers the calls of one turn into as few messages as their bound allows, and sends them. */
export class Outbox {
  /** Where calls are written, after `room` was asked for. */
  readonly writer: Writer = new Writer(16_384);
  readonly #send: (bytes: Uint8Array) => boolean;
  readonly #messageBytesMax: number;
  #isTopologyWanted = false;

  /** `send` takes a message, and returns false where no more may follow now. */
  constructor(send: (bytes: Uint8Array) => boolean, messageBytesMax: number) {
    this.#send = send;
    this.#messageBytesMax = messageBytesMax;
  }

  /** Whether something is gathered. */
  get isDue(): boolean {
    return this.#isTopologyWanted || this.writer.position > 0;
  }

  /** The next message asks for the topology. */
  wantTopology(): void {
    this.#isTopologyWanted = true;
  }

  /**
   * Whether a call whose body has `bodyBytes` may be written now: sends what is gathered first where
   * both together would be too large. False: the channel wants no more.
   */
  room(bodyBytes: number): boolean {
    const size = this.writer.position;
    if (size === 0 || size + bodyBytes + envelopeBytesMax <= this.#messageBytesMax) return true;
    return this.finish();
  }

  /** Sends what is gathered; false where no more may follow now. */
  finish(): boolean {
    if (!this.isDue) return true;
    if (this.#isTopologyWanted) writeTopologyWanted(this.writer);
    this.#isTopologyWanted = false;
    const message = this.writer.finish();
    this.writer.reset();
    return this.#send(message);
  }

  /** Drops what is gathered. */
  clear(): void {
    this.writer.reset();
    this.#isTopologyWanted = false;
  }
}
