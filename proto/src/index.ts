export {
  byteAt,
  compareBytes,
  copyBytes,
  equalBytes,
  type Run,
  startsWithBytes,
} from './bytes.ts';
export {
  canonicalTuple,
  canonicalValue,
  checkTuple,
  isCanonicalTuple,
  problemOf,
  type TupleCheck,
} from './check.ts';
export type { Codec, Method } from './codec.ts';
export { compileTemplate } from './compile.ts';
export { decodeTuple, decodeValue } from './decode.ts';
export { compareCodePoints, encodeTuple, encodeValue, writeTuple } from './encode.ts';
export { equalStored, sameNumber } from './equal.ts';
export {
  decodeStatus,
  ERROR_DOMAIN,
  type ErrorReason,
  type ErrorRow,
  encodeStatus,
  errorRow,
  errorRows,
  type Failure,
  failureOf,
  GrpcCode,
  type GrpcCodeName,
  isErrorReason,
  type ReceivedFailure,
  readStatus,
  STATUS_TRAILER,
  statusOf,
} from './errors.ts';
export { FieldOffsets } from './fields.ts';
export { type GrpcMethod, type GrpcService, grpcService, type Service } from './grpc.ts';
export { type Hash64, hash32, hash64, hashInto, hashModulo } from './hash.ts';
export { KEY_END, KeyTag, keyOf, keyOfStored, writeFieldKey, writeKey } from './key.ts';
export { defaultTupleLimits, limits, type TupleLimits } from './limits.ts';
export { MATCHES, MISSES_ARITY, matchTuple, matchValue, missOf } from './match.ts';
export { NumberMap } from './number-map.ts';
export {
  DecodeError,
  EncodeError,
  type InvalidReason,
  isProblem,
  type Problem,
  ProblemError,
} from './problem.ts';
export { fixedValue, hashOfPattern, hashOfTuple, shapeOf } from './shape.ts';
export {
  checkRouting,
  partitionOfId,
  partitionOfSlot,
  Routing,
  type RoutingRule,
  type SlotsOfTemplate,
} from './slots.ts';
export { numberAt, StoredTag } from './stored.ts';
export {
  type CompiledEntry,
  type CompiledMatcher,
  type CompiledPattern,
  Template,
} from './template.ts';
export type {
  BoundSpec,
  MatcherSpec,
  PatternSpec,
  RangeFamily,
  TemplateSpec,
} from './template-spec.ts';
export { encodeTemplate, writeTemplate } from './template-spec.ts';
export {
  durationOfMs,
  msOfDuration,
  msOfTimestamp,
  type SecondsAndNanos,
  timestampOfMs,
} from './time.ts';
export { isUtf8 } from './utf8.ts';
export {
  Float,
  floatOf,
  intOf,
  isTimestamp,
  Kind,
  kindOf,
  numberOf,
  Timestamp,
  type TupleBytes,
  type Value,
} from './value.ts';
export { malformed, Reader, varintSize, WireType, Writer } from './wire.ts';
