import { Writer } from '@tuplet/proto';
import { envelopeBytesMax } from './envelope.ts';
import type { Link } from './link.ts';

/** Gathers the calls of one turn into as few messages as their bound allows, and sends them. */
export class Outbox {
  /** Where calls are written, after `room` was asked for. */
  readonly writer: Writer = new Writer(16_384);
  readonly #link: Link;
  readonly #messageBytesMax: number;
  #full = false;

  constructor(link: Link, messageBytesMax: number) {
    this.#link = link;
    this.#messageBytesMax = messageBytesMax;
  }

  /** Starts a turn. */
  begin(): void {
    this.#full = false;
  }

  /**
   * Whether a call whose body has `bodyBytes` may be written now: sends what is gathered first where
   * both together would be too large. False: the channel wants no more.
   */
  room(bodyBytes: number): boolean {
    if (this.#full) return false;
    const size = this.writer.position;
    if (size > 0 && size + bodyBytes + envelopeBytesMax > this.#messageBytesMax) this.finish();
    return !this.#full;
  }

  /** Sends what is gathered. */
  finish(): void {
    if (this.writer.position === 0) return;
    const message = this.writer.finish();
    this.writer.reset();
    if (!this.#link.send(message)) this.#full = true;
  }
}
