import type { MethodDefinition } from '@grpc/grpc-js';

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

/** The only method of the echo server: bytes in, the same bytes out. */
export const echoMethod: MethodDefinition<Buffer, Buffer> = {
  path: '/bench.Echo/Echo',
  requestStream: false,
  responseStream: false,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
};
