import {
  type CompiledMatcher,
  type CompiledPattern,
  type FieldOffsets,
  Kind,
  StoredTag,
} from '@tuplet/proto';

/**
 * What a number of 31 bits can tell of a tuple: the kinds of its first fields, nine bits each, and how
 * many fields it has, up to four. A pattern's number has the bits of all that it lets through, so that
 * most tuples which do not match are seen from it, without a look at the pattern.
 */
const kindBits = 9;
const fieldsSeen = 3;
const allKinds = (1 << kindBits) - 1;
const arityShift = fieldsSeen * kindBits;
const aritySeen = 4;

/** The bit of the kind of a stored value, from its first byte. */
function bitOf(tag: number): number {
  return 1 << ((tag >>> 3) - 1);
}

const numberKinds = bitOf(StoredTag.INT) | bitOf(StoredTag.FLOAT);

const kindsOfFormal: { readonly [Each in Kind]: number } = {
  [Kind.NULL]: bitOf(StoredTag.NULL),
  [Kind.BOOL]: bitOf(StoredTag.BOOL),
  [Kind.INT]: bitOf(StoredTag.INT),
  [Kind.FLOAT]: bitOf(StoredTag.FLOAT),
  [Kind.NUMBER]: numberKinds,
  [Kind.STRING]: bitOf(StoredTag.STRING),
  [Kind.BYTES]: bitOf(StoredTag.BYTES),
  [Kind.TIMESTAMP]: bitOf(StoredTag.TIMESTAMP),
  [Kind.LIST]: bitOf(StoredTag.LIST),
  [Kind.RECORD]: bitOf(StoredTag.RECORD),
};

function arityBit(arity: number): number {
  return 1 << (arityShift + Math.min(arity, aritySeen) - 1);
}

/** The bits of a tuple whose fields `offsets` has found. It has one field at least. */
export function kindsOfTuple(tuple: Uint8Array, offsets: FieldOffsets): number {
  const { arity } = offsets;
  let kinds = arityBit(arity);
  for (let field = 0; field < arity && field < fieldsSeen; field += 1) {
    kinds |= bitOf(tuple[offsets.start(field)] as number) << (field * kindBits);
  }
  return kinds;
}

/** The bits of everything that a pattern may match: a tuple with another bit it does not match. */
export function kindsOfPattern({ matchers, rest }: CompiledPattern): number {
  let kinds = 0;
  for (let arity = Math.max(1, matchers.length); arity <= aritySeen; arity += 1) {
    kinds |= arityBit(arity);
    if (!rest) break;
  }
  if (matchers.length > aritySeen) kinds |= arityBit(aritySeen);
  for (let field = 0; field < fieldsSeen; field += 1) {
    const matcher = matchers[field];
    kinds |= (matcher === undefined ? allKinds : kindsOf(matcher)) << (field * kindBits);
  }
  return kinds;
}

function kindsOf(matcher: CompiledMatcher): number {
  switch (matcher.kind) {
    case 'formal':
      return kindsOfFormal[matcher.formal];
    case 'number-range':
      return numberKinds;
    case 'octet-range':
    case 'prefix':
      return bitOf(matcher.tag);
    case 'list':
      return bitOf(StoredTag.LIST);
    case 'record':
      return bitOf(StoredTag.RECORD);
    case 'negation': {
      // Of the inner matchers only these match everything of the kinds that they let through.
      const { kind } = matcher.matcher;
      if (kind === 'any') return 0;
      return kind === 'formal' ? allKinds & ~kindsOf(matcher.matcher) : allKinds;
    }
    default:
      return allKinds;
  }
}
