import { malformed, Reader, Writer } from './wire.ts';

/**
 * One message of the contract. `T` is what comes off the wire, complete; `Init` is what it is built
 * of, where everything left out has its default.
 */
export interface Codec<T, Init = T> {
  /** The message's full name in the contract. */
  readonly name: string;
  /** The message's bytes, the caller's own. Throws EncodeError for what the wire cannot hold. */
  encode(message: Init): Uint8Array;
  /** Writes the message where the writer stands, without tag or length. Throws EncodeError. */
  write(writer: Writer, message: Init): void;
  /**
   * Reads a message; `bytes` fields are views. Throws DecodeError, and nothing else, for what is no
   * such message. Unknown fields are passed over, or refused: a server refuses what it does not
   * offer, and a client passes over what a newer server adds.
   */
  decode(bytes: Uint8Array, unknownFields?: 'pass' | 'refuse'): T;
  /** Reads a message that is a run of `bytes`, passing over unknown fields. Throws DecodeError. */
  decodeRun(bytes: Uint8Array, start: number, end: number): T;
}

/** One method of a service, for any transport. */
export interface Method<Request, RequestInit, Response, ResponseInit> {
  /** The path of HTTP/2: `/package.Service/Method`. */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly request: Codec<Request, RequestInit>;
  readonly response: Codec<Response, ResponseInit>;
}

/** The default of a `bytes` field. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

const shared = new Writer(16_384);

/** Makes a codec of the generated halves. */
export function codec<T, Init>(
  name: string,
  write: (writer: Writer, message: Init) => void,
  read: (reader: Reader) => T,
): Codec<T, Init> {
  return {
    name,
    write,
    encode(message) {
      shared.reset();
      write(shared, message);
      return shared.finish();
    },
    decode(bytes, unknownFields = 'pass') {
      const reader = new Reader(bytes);
      reader.refusesUnknown = unknownFields === 'refuse';
      return read(reader);
    },
    decodeRun: (bytes, start, end) => read(new Reader(bytes, start, end)),
  };
}

/** Reads a length and, bounded by it, a nested message. */
export function nested<T>(reader: Reader, read: (reader: Reader) => T): T {
  const size = reader.length();
  const outer = reader.end;
  reader.end = reader.position + size;
  const message = read(reader);
  reader.end = outer;
  return message;
}

/**
 * Holds a number to an enum. An unknown one is refused, not passed on: the code behind switches over
 * all of them, and what is not offered is refused (SPEC §7).
 */
export function enumOf<T extends number>(known: ReadonlySet<T>, value: number): T {
  if (known.has(value as T)) return value as T;
  throw malformed(`${value} is no value of the enum`, 'ENUM_UNKNOWN');
}

/** Reads one entry of a map, whose parts may come in either order or stay away. */
export function readEntry<T>(
  reader: Reader,
  wire: number,
  empty: T,
  read: () => T,
  entries: Map<string, T>,
): void {
  let key = '';
  let value = empty;
  while (reader.position < reader.end) {
    const tag = reader.tag();
    if (tag === 10) key = reader.string();
    else if (tag === (16 | wire)) value = read();
    else reader.unknown(tag);
  }
  entries.set(key, value);
}
