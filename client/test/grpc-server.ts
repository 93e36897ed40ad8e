/** The fake server behind real gRPC: Exchange, DescribeSpace, and a Notify of the test's own. */
import { Buffer } from 'node:buffer';
import {
  status as codes,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { type ErrorReason, encodeStatus, STATUS_TRAILER } from '@tuplet/proto';
import { DescribeSpaceRequest, DescribeSpaceResponse, NotifyRequest } from '@tuplet/proto/contract';
import { nodeClock } from '../src/grpc/clock.ts';
import { FakeServer } from './fake-server.ts';

const serialize = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const deserialize = (bytes: Buffer): Uint8Array => bytes;

type NotifyCall = ServerWritableStream<Uint8Array, Uint8Array>;

export interface GrpcFake {
  readonly url: string;
  readonly space: FakeServer;
  /** The requests of Notify, decoded, in order. */
  readonly notifies: NotifyRequest[];
  /** What Notify does, for each call in turn; the last one goes on being used. */
  onNotify: ((call: NotifyCall) => void)[];
  /** What DescribeSpace knows. */
  readonly spaces: Map<string, { id: number; mapEpoch: number }>;
  /** How often DescribeSpace was asked. */
  described: number;
  /** Ends all connections as a crash does. */
  breakAll(): void;
  stop(): void;
}

export function failWith(call: NotifyCall, reason: ErrorReason, code: codes): void {
  const metadata = new Metadata();
  metadata.set(STATUS_TRAILER, serialize(encodeStatus({ reason, message: 'by the test' })));
  call.emit('error', { code, details: 'by the test', metadata });
}

function exchange(fake: FakeServer) {
  return (call: ServerDuplexStream<Uint8Array, Uint8Array>): void => {
    const channel = fake.connect({
      message: (bytes) => {
        call.write(bytes);
      },
      drained: () => {},
      closed: () => {
        const metadata = new Metadata();
        call.emit('error', { code: codes.UNAVAILABLE, details: 'broken', metadata });
      },
    });
    call.on('data', (bytes: Uint8Array) => channel.send(bytes));
    call.on('end', () => call.end());
    call.on('cancelled', () => channel.close());
    call.on('error', () => channel.close());
  };
}

function describe(fake: GrpcFake) {
  return (
    call: ServerUnaryCall<Uint8Array, Uint8Array>,
    answer: sendUnaryData<Uint8Array>,
  ): void => {
    fake.described += 1;
    const { name } = DescribeSpaceRequest.decode(call.request);
    const space = fake.spaces.get(name);
    if (space !== undefined) {
      const { id, mapEpoch } = space;
      answer(null, DescribeSpaceResponse.encode({ space: { name, id }, mapEpoch, partitions: 1 }));
      return;
    }
    const metadata = new Metadata();
    const bytes = encodeStatus({ reason: 'SPACE_NOT_FOUND', message: `no space ${name}` });
    metadata.set(STATUS_TRAILER, serialize(bytes));
    answer({ code: codes.NOT_FOUND, details: `no space ${name}`, metadata });
  };
}

const method = { requestSerialize: serialize, requestDeserialize: deserialize } as const;
const answers = { responseSerialize: serialize, responseDeserialize: deserialize } as const;

/** Starts it on a free port of the loopback. */
export async function startGrpcFake(): Promise<GrpcFake> {
  const space = new FakeServer(nodeClock());
  const server = new Server();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const fake: GrpcFake = {
    url: `tuplet://127.0.0.1:${port}`,
    space,
    notifies: [],
    onNotify: [],
    spaces: new Map([['jobs', { id: 3, mapEpoch: 1 }]]),
    described: 0,
    breakAll: () => {
      for (const connection of space.connections) if (connection.isOpen) connection.break();
    },
    stop: () => server.forceShutdown(),
  };
  const spaceService = '/tuplet.v1.TupleSpaceService/';
  const stream = { ...method, ...answers, requestStream: true, responseStream: true };
  server.addService(
    {
      exchange: { ...stream, path: `${spaceService}Exchange` },
      notify: { ...stream, requestStream: false, path: `${spaceService}Notify` },
    },
    {
      exchange: exchange(space),
      notify: (call: NotifyCall) => {
        fake.notifies.push(NotifyRequest.decode(call.request));
        const run = fake.onNotify.length > 1 ? fake.onNotify.shift() : fake.onNotify[0];
        run?.(call);
      },
    },
  );
  const unary = { ...method, ...answers, requestStream: false, responseStream: false };
  server.addService(
    { describeSpace: { ...unary, path: '/tuplet.v1.AdminService/DescribeSpace' } },
    { describeSpace: describe(fake) },
  );
  return fake;
}
