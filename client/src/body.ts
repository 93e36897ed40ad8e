import {
  copyBytes,
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

/** Where bodies that may wait long lie, one after the other; a full one is left to those who hold it. */
class LastingSlab {
  bytes: Uint8Array = new Uint8Array(0);
  #used = 0;

  /** Copies a run of `source`; returns where it is in `bytes`. */
  keep(source: Uint8Array, from: number, size: number): number {
    if (this.#used + size > this.bytes.length) {
      this.bytes = new Uint8Array(clientLimits.lastingSlabBytes);
      this.#used = 0;
    }
    const start = this.#used;
    copyBytes(this.bytes, start, source, from, from + size);
    this.#used = start + size;
    return start;
  }
}

const lastingSlab = new LastingSlab();

/**
 * Writes the bodies of requests, one after the other. Small bodies are written where they stay, side
 * by side in a slab, since a buffer of its own costs more than encoding a small tuple.
 */
export class BodyWriter {
  #writer = new Writer(clientLimits.slabBytes);
  /** The slab, unless the writer has grown out of it. */
  #slab: Uint8Array = this.#writer.bytes;
  /** Where the present body begins: what lies before it belongs to others. */
  #start = 0;
  #templateEnd = 0;

  /** Forgets what was written and not handed out. */
  begin(): this {
    const hasGrown = this.#writer.bytes !== this.#slab;
    if (hasGrown || this.#start + clientLimits.slabBodyBytesMax > this.#slab.length) {
      this.#writer = new Writer(clientLimits.slabBytes);
      this.#slab = this.#writer.bytes;
      this.#start = 0;
    }
    this.#writer.position = this.#start;
    this.#templateEnd = this.#start;
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
    return this.#writer.bytes.slice(this.#start, this.#writer.position);
  }

  /** The body; `lasting` where it may wait for long, and should hold no more than a small slab. */
  body(lasting: boolean): Body {
    const { bytes, position } = this.#writer;
    const start = this.#start;
    const size = position - start;
    const templateSize = this.#templateEnd - start;
    const { slabBodyBytesMax, lastingBodyBytesMax } = clientLimits;
    if (size > (lasting ? lastingBodyBytesMax : slabBodyBytesMax) || bytes !== this.#slab) {
      return { bytes: this.finish(), start: 0, end: size, templateEnd: templateSize };
    }
    if (!lasting) {
      this.#start = position;
      return { bytes, start, end: position, templateEnd: this.#templateEnd };
    }
    const kept = lastingSlab.keep(bytes, start, size);
    return {
      bytes: lastingSlab.bytes,
      start: kept,
      end: kept + size,
      templateEnd: kept + templateSize,
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
