/**
 * A bare grpc-js server with a log and nothing else: records of a stream are written to a preallocated
 * file, one fdatasync for all that wait, and answered. No durable server over grpc-js does less.
 */
import * as fs from 'node:fs';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { answerBytes, BareKind, bareMethod, recordBytes } from './bare-stream.ts';

type Stream = ServerDuplexStream<Buffer, Buffer>;

interface Message {
  readonly stream: Stream;
  readonly bytes: Buffer;
}

const logBytes = 256 * 1024 * 1024;
const log = preallocated(process.argv[2] ?? '');
let offset = 0;
let waiting: Message[] = [];
let isSyncing = false;
let receiver: Stream | undefined;
/** What was sent before anybody receives. */
let unreceived: Buffer[] = [];

function preallocated(path: string): number {
  const descriptor = fs.openSync(path, 'wx+');
  const piece = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < logBytes; at += piece.length)
    fs.writeSync(descriptor, piece, 0, piece.length, at);
  fs.fsyncSync(descriptor);
  return descriptor;
}

function received(message: Message): void {
  const kind = message.bytes[0];
  if (kind === BareKind.RECEIVE) receive(message.stream);
  else if (kind === BareKind.READ) answer(message);
  else {
    waiting.push(message);
    if (waiting.length === 1) setImmediate(sync);
  }
}

function sync(): void {
  if (isSyncing || waiting.length === 0) return;
  isSyncing = true;
  const group = waiting;
  waiting = [];
  for (const { bytes } of group) {
    if (offset + bytes.length > logBytes) offset = 0;
    offset += fs.writeSync(log, bytes, 0, bytes.length, offset);
  }
  fs.fdatasync(log, (error) => {
    if (error !== null) throw error;
    isSyncing = false;
    for (const message of group) answer(message);
    sync();
  });
}

function answer({ stream, bytes }: Message): void {
  const kind = bytes[0] ?? 0;
  if (kind === BareKind.SEND) handOver(bytes);
  stream.write(Buffer.alloc((bytes.length / recordBytes) * answerBytes(kind)));
}

function handOver(bytes: Buffer): void {
  if (receiver === undefined) unreceived.push(bytes);
  else receiver.write(bytes);
}

function receive(stream: Stream): void {
  receiver = stream;
  for (const bytes of unreceived) stream.write(bytes);
  unreceived = [];
}

function gone(stream: Stream): void {
  if (receiver === stream) receiver = undefined;
}

const server = new Server();
server.addService(
  { stream: bareMethod },
  {
    stream: (stream: Stream) => {
      stream.on('data', (bytes: Buffer) => received({ stream, bytes }));
      stream.on('end', () => {
        gone(stream);
        stream.end();
      });
      stream.on('error', () => {});
    },
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`127.0.0.1:${port}\n`);
});
