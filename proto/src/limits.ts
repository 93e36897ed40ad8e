/**
 * Every bound that server and clients share, with its unit and its reason. A request beyond one of
 * them is refused whole with INVALID_ARGUMENT, which names the field and the limit.
 */
export const limits = {
  /** Fields of a tuple, and matchers of a pattern for tuples (SPEC §1): offsets fit one small array. */
  arityMax: 64,
  /** Elements of a list, and matchers of a list pattern (SPEC §1). */
  listLengthMax: 1_024,
  /** Keys of a record, and of a record pattern (SPEC §1). */
  recordKeysMax: 256,
  /** Lists and records inside each other (SPEC §1). Bounds every recursion over values. */
  valueDepthMax: 16,
  /** Bytes of an encoded tuple unless the space says otherwise (SPEC §1). */
  tupleBytesDefault: 1_048_576,
  /** Bytes of an encoded tuple that a space may allow at most (SPEC §1). */
  tupleBytesMax: 3_145_728,
  /** Bytes of a request or an answer (SPEC §1): below gRPC's usual 4 MiB, with room for headers. */
  messageBytesMax: 3_670_016,
  /** Alternatives of a template (SPEC §2). */
  alternativesMax: 8,
  /** Values of an `any_of` matcher (SPEC §2). */
  anyOfValuesMax: 256,
  /** Lists, records and negations inside each other in a template: a negation at each value level. */
  matcherDepthMax: 32,
  /**
   * Matchers and `any_of` values of a whole template, nested ones counted: every position of one
   * pattern may name 256 values. Keeps a compiled template within a few MiB.
   */
  templateMatchersMax: 16_384,
  /** Slots of the routing hash (SPEC §6). */
  slotCount: 4_096,
  /** Partitions of a cluster where its founder says nothing (SPEC §6). */
  partitionCountDefault: 16,
  /** Partitions of a cluster (SPEC §6). */
  partitionCountMax: 256,
  /** The least spread of a routing rule; 1 would be no rule. */
  spreadMin: 2,
  /** The largest spread of a routing rule: one bucket a slot. */
  spreadMax: 4_096,
  /** Fields that a routing rule hashes besides the tag. */
  spreadFieldsMax: 8,
} as const;

/** The limits that a space may set for its own tuples. */
export interface TupleLimits {
  /** Bytes of an encoded tuple, up to `limits.tupleBytesMax`. */
  readonly tupleBytesMax: number;
}

/** What holds for a space that sets nothing. */
export const defaultTupleLimits: TupleLimits = { tupleBytesMax: limits.tupleBytesDefault };
