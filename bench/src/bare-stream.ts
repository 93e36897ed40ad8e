/** The messages of the bare stream: records one after the other, and an answer for each, in order. */

/** One stream of bytes either way. */
export const bareMethod = {
  path: '/tuplet.bench.Bare/Stream',
  requestStream: true,
  responseStream: true,
  requestSerialize: (bytes: Buffer): Buffer => bytes,
  requestDeserialize: (bytes: Buffer): Buffer => bytes,
  responseSerialize: (bytes: Buffer): Buffer => bytes,
  responseDeserialize: (bytes: Buffer): Buffer => bytes,
} as const;

/** What a record asks for, in its first byte. */
export const BareKind = {
  /** To be logged. */
  LOG: 1,
  /** To be answered with as many bytes as a tuple has. */
  READ: 2,
  /** To be logged, then passed on to who sent `RECEIVE`. */
  SEND: 3,
  /** To be sent what `SEND` brings; not answered otherwise. */
  RECEIVE: 4,
} as const;

/** Bytes of a record: as many as the request of a write of a 100-byte tuple. */
export const recordBytes = 115;

/** Bytes of the answer to a record: as many as Tuplet's. */
export function answerBytes(kind: number): number {
  return kind === BareKind.READ ? 130 : 20;
}
