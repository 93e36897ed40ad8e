/** What a run showed, folded into one number: the same seed gives the same hash on any machine. */
import { crc32 } from 'node:zlib';

/** Folds strings, numbers and bytes, in order, into 64 bits. */
export class Trace {
  #low = 0x811c9dc5;
  #high = 0x9747b28c;
  readonly #print: ((line: string) => void) | undefined;

  /** `print`: also shows each noted line. */
  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  /** Folds a line in. */
  note(line: string): void {
    this.#mix(crc32(line), line.length);
    this.#print?.(line);
  }

  /** Folds bytes in, under a label that is only printed. */
  bytes(label: string, bytes: Uint8Array): void {
    this.#mix(crc32(bytes), bytes.length);
    this.#print?.(`${label} ${bytes.length} bytes`);
  }

  /** 16 hexadecimal digits. */
  get hash(): string {
    return [this.#high, this.#low].map((half) => half.toString(16).padStart(8, '0')).join('');
  }

  #mix(first: number, second: number): void {
    // Two lanes of murmur3's mixing with different multipliers.
    this.#low = lane(lane(this.#low, first, 0xcc9e2d51), second, 0xcc9e2d51);
    this.#high = lane(lane(this.#high, first, 0x1b873593), second, 0x1b873593);
  }
}

function lane(state: number, value: number, multiplier: number): number {
  let mixed = Math.imul(value, multiplier);
  mixed = (mixed << 15) | (mixed >>> 17);
  let next = state ^ mixed;
  next = (next << 13) | (next >>> 19);
  return (Math.imul(next, 5) + 0xe6546b64) >>> 0;
}
