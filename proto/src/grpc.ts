import type { Codec, Method } from './codec.ts';

/** A method as gRPC libraries for Node take it (`MethodDefinition` of @grpc/grpc-js). */
export interface GrpcMethod<Request, RequestInit, Response, ResponseInit> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  requestSerialize(message: RequestInit): Buffer;
  requestDeserialize(bytes: Buffer): Request;
  responseSerialize(message: ResponseInit): Buffer;
  responseDeserialize(bytes: Buffer): Response;
}

/** Any service of the contract. */
export interface Service {
  /** The full name: `tuplet.v1.TupleSpaceService`. */
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: each method has messages of its own; `never` and `unknown` fit neither side of a codec
  readonly methods: { readonly [name: string]: Method<any, any, any, any> };
}

/** The methods of a service as gRPC libraries take them, each with its own types. */
export type GrpcService<S extends Service> = {
  readonly [Name in keyof S['methods']]: S['methods'][Name] extends Method<
    infer Request,
    infer RequestInit,
    infer Response,
    infer ResponseInit
  >
    ? GrpcMethod<Request, RequestInit, Response, ResponseInit>
    : never;
};

/**
 * The definition of a service for a server or a client. Requests with unknown fields are refused,
 * since what is not offered is refused (SPEC §7); unknown fields of responses are passed over.
 * `bytes` fields are views of what the library received: copy what is kept.
 */
export function grpcService<S extends Service>(service: S): GrpcService<S> {
  const entries = Object.entries(service.methods).map(([name, method]) => {
    const { path, requestStream, responseStream, request, response } = method;
    return [
      name,
      {
        path,
        requestStream,
        responseStream,
        requestSerialize: serializer(request),
        requestDeserialize: (bytes: Buffer): unknown => request.decode(bytes, 'refuse'),
        responseSerialize: serializer(response),
        responseDeserialize: (bytes: Buffer): unknown => response.decode(bytes),
      },
    ];
  });
  return Object.fromEntries(entries) as GrpcService<S>;
}

function serializer(codec: Codec<unknown, unknown>): (message: unknown) => Buffer {
  return (message) => {
    const bytes = codec.encode(message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}
