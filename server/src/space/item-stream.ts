/** Cuts the bytes of a snapshot, which come in chunks cut anywhere, into its items. */
import { Reader } from '@tuplet/proto';

/** Hears of one item: from the reader's position to its end. Its bytes are valid during the call. */
export type SeeItem = (reader: Reader) => void;

/** Takes chunks in order and hands out each item once it is whole. */
export class ItemStream {
  readonly #see: SeeItem;
  /** Bytes of an item that is not yet whole. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(see: SeeItem) {
    this.#see = see;
  }

  /** Whether no item is begun. */
  get isBetweenItems(): boolean {
    return this.#rest.length === 0;
  }

  /** Adds a chunk; its bytes are not needed afterwards. */
  add(chunk: Uint8Array): void {
    const from = this.#rest.length > 0 ? this.#finishRest(chunk) : 0;
    const whole = this.#items(chunk, from);
    if (whole < chunk.length) this.#rest = joined(this.#rest, chunk.subarray(whole));
  }

  /** Adds to the item that is not yet whole; returns how much of the chunk belongs to it. */
  #finishRest(chunk: Uint8Array): number {
    let from = 0;
    while (!lengthIsWhole(this.#rest, 0) && from < chunk.length) {
      this.#rest = joined(this.#rest, chunk.subarray(from, from + 1));
      from += 1;
    }
    if (!lengthIsWhole(this.#rest, 0)) return from;
    const reader = new Reader(this.#rest);
    const missing = reader.uint32() - (reader.end - reader.position);
    const to = Math.min(from + missing, chunk.length);
    const item = joined(this.#rest, chunk.subarray(from, to));
    this.#rest = this.#items(item, 0) === item.length ? new Uint8Array(0) : item;
    return to;
  }

  /** Takes in the whole items from an offset on; returns where the first that is not whole begins. */
  #items(bytes: Uint8Array, from: number): number {
    const reader = new Reader(bytes);
    let whole = from;
    while (lengthIsWhole(bytes, whole)) {
      reader.position = whole;
      const size = reader.uint32();
      if (size > bytes.length - reader.position) break;
      reader.end = reader.position + size;
      this.#see(reader);
      whole = reader.end;
      reader.end = bytes.length;
    }
    return whole;
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}

/** Whether the varint at `at` ends within the bytes. */
function lengthIsWhole(bytes: Uint8Array, at: number): boolean {
  for (let i = at; i < bytes.length && i < at + 5; i += 1) {
    if ((bytes[i] as number) < 0x80) return true;
  }
  return at + 5 <= bytes.length;
}
