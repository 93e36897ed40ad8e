import { EncodeError, Float, limits, type Value as StoredValue, Timestamp } from '@tuplet/proto';
import { TupletError } from './error.ts';

/**
 * A value as it is read: an int is a `number` where safe, else a `bigint`; a float is a `number`; a
 * record is a plain object.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Timestamp
  | readonly Value[]
  | { readonly [key: string]: Value };

/**
 * A value as it can be written: a safe integral `number` is an int, any other a float; `float(x)` is
 * a float whatever it is; a `bigint` is an int of 64 bits; a Date is a timestamp.
 */
export type Writable =
  | null
  | boolean
  | number
  | bigint
  | Float
  | string
  | Uint8Array
  | Timestamp
  | Date
  | readonly Writable[]
  | { readonly [key: string]: Writable };

/** A float, also where the number is integral: `float(1)` is stored as 1.0 and equals 1. */
export function float(value: number): Float {
  return new Float(value);
}

function refuse(
  reason: 'VALUE_WITHOUT_KIND' | 'NESTED_TOO_DEEP' | 'TIMESTAMP_OUT_OF_RANGE',
  message: string,
): never {
  throw new EncodeError({ reason, field: '', message });
}

/** The form in which @tuplet/proto takes a value. Throws EncodeError for what is no value. */
export function toStored(value: Writable, depth = 0): StoredValue {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Float || value instanceof Uint8Array || value instanceof Timestamp) {
    return value;
  }
  if (value instanceof Date) {
    const ms = value.getTime();
    if (Number.isNaN(ms)) refuse('TIMESTAMP_OUT_OF_RANGE', 'an invalid Date is no timestamp');
    return Timestamp.fromMilliseconds(ms);
  }
  // Also what ends the walk around an object that contains itself.
  if (depth >= limits.valueDepthMax) {
    refuse('NESTED_TOO_DEEP', `nests deeper than ${limits.valueDepthMax}`);
  }
  if (isList(value)) return value.map((element) => toStored(element, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    refuse('VALUE_WITHOUT_KIND', `an instance of ${value.constructor.name} is no value`);
  }
  const entries = new Map<string, StoredValue>();
  for (const [key, inner] of Object.entries(value)) entries.set(key, toStored(inner, depth + 1));
  return entries;
}

function isList(value: object): value is readonly Writable[] {
  return Array.isArray(value);
}

/** The fields of a tuple in the form in which @tuplet/proto takes them: the same array where possible. */
export function toStoredFields(fields: readonly Writable[]): readonly StoredValue[] {
  for (let i = 0; i < fields.length; i += 1) {
    const field = fields[i];
    if (typeof field === 'object' && field !== null) return convertFields(fields);
  }
  return fields as readonly StoredValue[];
}

function convertFields(fields: readonly Writable[]): readonly StoredValue[] {
  return fields.map((field, index) => {
    try {
      return toStored(field);
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error;
      throw new EncodeError({ ...error.problem, field: `fields[${index}]` });
    }
  });
}

/** The value as users read it; bytes are copied out of the message they came in. */
export function fromStored(value: StoredValue): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Float) return value.value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (value instanceof Timestamp) return value;
  if (!(value instanceof Map)) return (value as readonly StoredValue[]).map(fromStored);
  const record: Record<string, Value> = {};
  for (const [key, inner] of value as ReadonlyMap<string, StoredValue>) {
    if (key !== '__proto__') record[key] = fromStored(inner);
    else {
      // A plain assignment would set the prototype.
      const own = {
        value: fromStored(inner),
        enumerable: true,
        writable: true,
        configurable: true,
      };
      Object.defineProperty(record, key, own);
    }
  }
  return record;
}

/** What an encoder refused, as users see it: nothing was sent. */
export function invalidArgument(error: EncodeError): TupletError {
  return new TupletError({
    reason: error.problem.reason,
    code: 'INVALID_ARGUMENT',
    definite: true,
    retryable: false,
    message: error.message,
    field: error.problem.field === '' ? undefined : error.problem.field,
    cause: error,
  });
}
