import {
  EncodeError,
  limits,
  type Value as StoredValue,
  Writer,
  writeTemplate,
  writeTuple,
} from '@tuplet/proto';
import { writeDuration } from './engine/envelope.ts';
import { clientLimits } from './engine/limits.ts';
import type { Body } from './engine/operation.ts';
import type { PreparedTemplate } from './template.ts';
import { invalidArgument } from './value.ts';

const bounds = { tupleBytesMax: limits.tupleBytesMax };

/** Bodies lie in it one after the other; a full one is left to those who still hold it. */
class Slab {
  bytes: Uint8Array = new Uint8Array(0);
  readonly #size: number;
  #used = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Copies the first `size` bytes of `source`; returns where they are in `bytes`. */
  keep(source: Uint8Array, size: number): number {
    if (this.#used + size > this.bytes.length) {
      this.bytes = new Uint8Array(this.#size);
      this.#used = 0;
    }
    const start = this.#used;
    const { bytes } = this;
    for (let i = 0; i < size; i += 1) bytes[start + i] = source[i] as number;
    this.#used = start + size;
    return start;
  }
}

const promptSlab = new Slab(clientLimits.slabBytes);
const lastingSlab = new Slab(clientLimits.lastingSlabBytes);

/**
 * Writes the bodies of requests, one after the other. Small bodies share a slab, since a buffer of
 * its own costs more than encoding a small tuple.
 */
export class BodyWriter {
  readonly #writer = new Writer(4_096);
  #templateEnd = 0;

  /** Forgets what was written. */
  begin(): this {
    this.#writer.reset();
    this.#templateEnd = 0;
    return this;
  }

  /** A Tuple. Throws EncodeError. */
  tuple(field: number, fields: readonly StoredValue[]): this {
    const writer = this.#writer;
    writer.uint32((field << 3) | 2);
    const mark = writer.open();
    writeTuple(writer, fields, bounds);
    writer.close(mark);
    return this;
  }

  /** A Template, before anything else of a take. Throws EncodeError. */
  template(field: number, template: PreparedTemplate): this {
    const writer = this.#writer;
    writer.uint32((field << 3) | 2);
    const mark = writer.open();
    writeTemplate(writer, template.specs);
    writer.close(mark);
    this.#templateEnd = writer.position;
    return this;
  }

  /** A Duration in milliseconds; left out where undefined. */
  duration(field: number, ms: number | undefined): this {
    if (ms !== undefined) writeDuration(this.#writer, field, ms);
    return this;
  }

  /** An unsigned integer or a bool; left out where it is 0, false or undefined. */
  number(field: number, value: number | boolean | undefined): this {
    if (value === undefined || value === false || value === 0) return this;
    this.#writer.uint32(field << 3);
    this.#writer.uint64(Number(value));
    return this;
  }

  /** Bytes or a nested message that is encoded already. */
  bytes(field: number, bytes: Uint8Array): this {
    this.#writer.uint32((field << 3) | 2);
    this.#writer.lengthDelimited(bytes);
    return this;
  }

  /** A string. */
  string(field: number, text: string): this {
    if (text === '') return this;
    this.#writer.uint32((field << 3) | 2);
    this.#writer.string(text);
    return this;
  }

  /** A nested message. */
  message(field: number, write: (body: BodyWriter) => void): this {
    this.#writer.uint32((field << 3) | 2);
    const mark = this.#writer.open();
    write(this);
    this.#writer.close(mark);
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#writer.finish();
  }

  /** The body; `lasting` where it may wait for long, and should hold no more than a small slab. */
  body(lasting: boolean): Body {
    const writer = this.#writer;
    const size = writer.position;
    const slab = lasting ? lastingSlab : promptSlab;
    const { slabBodyBytesMax, lastingBodyBytesMax } = clientLimits;
    if (size > (lasting ? lastingBodyBytesMax : slabBodyBytesMax)) {
      return { bytes: writer.finish(), start: 0, end: size, templateEnd: this.#templateEnd };
    }
    const start = slab.keep(writer.bytes, size);
    return {
      bytes: slab.bytes,
      start,
      end: start + size,
      templateEnd: start + this.#templateEnd,
    };
  }
}

/** Runs what encodes arguments; what it refuses becomes INVALID_ARGUMENT. */
export function checked<Result>(encode: () => Result): Result {
  try {
    return encode();
  } catch (error) {
    throw error instanceof EncodeError ? invalidArgument(error) : error;
  }
}
