import {
  decodeTuple,
  decodeValue,
  type ErrorReason,
  encodeTuple,
  Float,
  floatOf,
  intOf,
  limits,
  numberOf,
  type Value,
} from '@tuplet/proto';

/** What an increment comes to: the new tuple, or why it is refused. */
export type Increment =
  | { readonly kind: 'new'; readonly bytes: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: ErrorReason; readonly message: string };

const intMin = -(2n ** 63n);
const intMax = 2n ** 63n - 1n;
/** What is stored was held to its space's own limit. */
const bounds = { tupleBytesMax: limits.tupleBytesMax + 16 };

/**
 * The tuple with one field increased (SPEC §3): int by int, exactly, refused beyond 64 bits; float by
 * int or float, as doubles add. `delta` is a stored value, an int or a float.
 */
export function incremented(tuple: Uint8Array, field: number, delta: Uint8Array): Increment {
  const fields = [...decodeTuple(tuple, bounds)];
  const old = fields[field];
  if (old === undefined) {
    return refused('FIELD_NOT_NUMERIC', `the tuple has ${fields.length} fields, none at ${field}`);
  }
  const by = decodeValue(delta);
  const from = numberOf(old);
  const step = numberOf(by);
  if (from === undefined) return refused('FIELD_NOT_NUMERIC', `field ${field} is no int or float`);
  if (step === undefined) return refused('FIELD_NOT_NUMERIC', 'the delta is no int or float');
  if (isFloat(old)) return withField(fields, field, floatOf(Number(from) + Number(step)));
  if (isFloat(by)) {
    return refused('FIELD_NOT_NUMERIC', `field ${field} is an int and the delta a float`);
  }
  const sum = BigInt(from) + BigInt(step);
  if (sum < intMin || sum > intMax) {
    return refused('INCREMENT_OVERFLOW', `field ${field} would leave the 64 bits of an int`);
  }
  return withField(fields, field, intOf(sum));
}

function withField(fields: Value[], field: number, value: Value): Increment {
  fields[field] = value;
  return { kind: 'new', bytes: encodeTuple(fields, bounds) };
}

function isFloat(value: Value): boolean {
  if (value instanceof Float) return true;
  return typeof value === 'number' && !Number.isSafeInteger(value);
}

function refused(reason: ErrorReason, message: string): Increment {
  return { kind: 'refused', reason, message };
}
