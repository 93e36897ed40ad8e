import type { Brand } from './brand.ts';

/**
 * A double that would read as an int if it were a bare number: `new Float(1)` is 1.0. A bare number
 * that is no safe integer is a float already; `floatOf` chooses.
 */
export class Float {
  /** The double: integral and safe, or -0. */
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** Nanoseconds in a second. */
const NANOS = 1_000_000_000n;

/** An instant in UTC: the nanoseconds since 1970 fit 64 signed bits (years 1677 to 2262). */
export class Timestamp {
  /** Whole seconds since 1970, rounded down. */
  readonly seconds: number;
  /** Nanoseconds within the second: 0..999,999,999. */
  readonly nanos: number;

  constructor(seconds: number, nanos = 0) {
    this.seconds = seconds;
    this.nanos = nanos;
  }

  /** The instant of so many nanoseconds since 1970. */
  static fromNanoseconds(nanoseconds: bigint): Timestamp {
    const nanos = ((nanoseconds % NANOS) + NANOS) % NANOS;
    return new Timestamp(Number((nanoseconds - nanos) / NANOS), Number(nanos));
  }

  /** The instant of so many whole milliseconds since 1970. */
  static fromMilliseconds(milliseconds: number): Timestamp {
    const seconds = Math.floor(milliseconds / 1_000);
    return new Timestamp(seconds, (milliseconds - seconds * 1_000) * 1_000_000);
  }

  /** Nanoseconds since 1970. */
  toNanoseconds(): bigint {
    return BigInt(this.seconds) * NANOS + BigInt(this.nanos);
  }

  /** Milliseconds since 1970, with a fraction. */
  toMilliseconds(): number {
    return this.seconds * 1_000 + this.nanos / 1_000_000;
  }
}

/** The first and last second of a timestamp, and how far it reaches into them (int64 nanoseconds). */
const SECONDS_MIN = -9_223_372_037;
const SECONDS_MAX = 9_223_372_036;
const NANOS_OF_FIRST = 145_224_192;
const NANOS_OF_LAST = 854_775_807;

/** Whether seconds and nanos make an instant that fits 64 signed bits of nanoseconds. */
export function isTimestamp(seconds: number, nanos: number): boolean {
  if (!Number.isInteger(seconds) || !Number.isInteger(nanos)) return false;
  if (nanos < 0 || nanos > 999_999_999) return false;
  if (seconds > SECONDS_MIN && seconds < SECONDS_MAX) return true;
  if (seconds === SECONDS_MIN) return nanos >= NANOS_OF_FIRST;
  return seconds === SECONDS_MAX && nanos <= NANOS_OF_LAST;
}

/**
 * One value (SPEC §1), in the form that JavaScript holds cheaply. Each stored value has exactly one
 * form, so that decoding and encoding again gives the same bytes:
 * - int: a `number` that is a safe integer, else a `bigint`;
 * - float: a `number` that is no safe integer (2.5, 1e300, NaN, Infinity), else a `Float`;
 * - the rest: null, boolean, string (well-formed), Uint8Array, Timestamp, array, Map.
 *
 * Encoding also takes a safe `bigint` (an int), a `Float` of any double, and -0 (the int 0; a `Float`
 * keeps the sign).
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | Float
  | string
  | Uint8Array
  | Timestamp
  | readonly Value[]
  | ReadonlyMap<string, Value>;

/** The canonical bytes of a tuple: what is stored, and what `checkTuple` called canonical. */
export type TupleBytes = Brand<Uint8Array, 'TupleBytes'>;

/** The kinds of values, with their numbers in the contract (`tuplet.v1.Kind`; NUMBER is int or float). */
export const Kind = {
  NULL: 1,
  BOOL: 2,
  INT: 3,
  FLOAT: 4,
  NUMBER: 5,
  STRING: 6,
  BYTES: 7,
  TIMESTAMP: 8,
  LIST: 9,
  RECORD: 10,
} as const;
/** One of `Kind`. */
export type Kind = (typeof Kind)[keyof typeof Kind];

/** What a value is; never `Kind.NUMBER`. */
export function kindOf(value: Value): Kind {
  if (value === null) return Kind.NULL;
  switch (typeof value) {
    case 'boolean':
      return Kind.BOOL;
    case 'number':
      return Number.isSafeInteger(value) ? Kind.INT : Kind.FLOAT;
    case 'bigint':
      return Kind.INT;
    case 'string':
      return Kind.STRING;
    default:
      break;
  }
  if (value instanceof Float) return Kind.FLOAT;
  if (value instanceof Uint8Array) return Kind.BYTES;
  if (value instanceof Timestamp) return Kind.TIMESTAMP;
  return value instanceof Map ? Kind.RECORD : Kind.LIST;
}

/** The value that holds this double as a float. */
export function floatOf(value: number): Value {
  return Number.isSafeInteger(value) ? new Float(value) : value;
}

/** The value that holds this int, which fits 64 signed bits. */
export function intOf(value: bigint): Value {
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : value;
}

/** The number that an int or float stands for; undefined for other kinds. JavaScript compares both forms exactly. */
export function numberOf(value: Value): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  return value instanceof Float ? value.value : undefined;
}
