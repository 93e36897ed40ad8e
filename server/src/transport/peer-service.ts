/** `PeerService` as grpc-js takes it: bytes in, bytes out; our codecs do the rest. */
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

/** A lane's stream. */
export const linkPath = '/tuplet.internal.v1.PeerService/Link';
/** A snapshot's stream. */
export const sendSnapshotPath = '/tuplet.internal.v1.PeerService/SendSnapshot';
/** A node that wants to become one of the cluster. */
export const joinPath = '/tuplet.internal.v1.PeerService/Join';
/** The trailer that names the reason of a refusal. */
export const refusalTrailer = 'tuplet-refusal';

/** The methods, for a server. */
export const peerService: ServiceDefinition = {
  link: method(linkPath, { requestStream: true, responseStream: true }),
  sendSnapshot: method(sendSnapshotPath, { requestStream: true, responseStream: false }),
  join: method(joinPath, { requestStream: false, responseStream: false }),
};

function method(
  path: string,
  streams: { readonly requestStream: boolean; readonly responseStream: boolean },
): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    ...streams,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
