import { Buffer } from 'node:buffer';
import { type ChannelInterface, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import test from 'ava';
import type { TupletError } from '../error.ts';
import { openExchange } from './exchange.ts';

type GrpcCall = ReturnType<ChannelInterface['createCall']>;
type Listener = Parameters<GrpcCall['start']>[1];

/** A call of gRPC that takes messages when the test says so. */
class FakeCall implements GrpcCall {
  listener: Listener | undefined;
  readonly sent: number[] = [];
  reads = 0;
  cancelled: string | undefined;
  #taken: (() => void)[] = [];

  start(_metadata: Metadata, listener: Listener): void {
    this.listener = listener;
  }

  sendMessageWithContext(context: { callback?: () => void }, message: Buffer): void {
    this.sent.push(message[0] ?? -1);
    this.#taken.push(() => context.callback?.());
  }

  /** gRPC takes the message that it was given last. */
  take(): void {
    const taken = this.#taken;
    this.#taken = [];
    for (const each of taken) each();
  }

  startRead(): void {
    this.reads += 1;
  }

  cancelWithStatus(_status: status, details: string): void {
    this.cancelled = details;
  }

  getPeer = (): string => 'nowhere';
  halfClose = (): void => {};
  getCallNumber = (): number => 1;
  setCredentials = (): void => {};
  getAuthContext = (): null => null;
}

function open() {
  const call = new FakeCall();
  const heard: { messages: Uint8Array[]; drained: number; closed: TupletError[] } = {
    messages: [],
    drained: 0,
    closed: [],
  };
  const channel = openExchange(
    { createCall: () => call },
    {
      message: (bytes) => heard.messages.push(bytes),
      drained: () => {
        heard.drained += 1;
      },
      closed: (error) => heard.closed.push(error),
    },
  );
  return { call, heard, channel };
}

const ended = (code: status, details: string): StatusObject => ({
  code,
  details,
  metadata: new Metadata(),
});

test('messages go to gRPC one after the other, in order', (t) => {
  const { call, channel, heard } = open();
  for (const each of [1, 2, 3]) t.true(channel.send(Uint8Array.of(each)));
  t.deepEqual(call.sent, [1]);
  call.take();
  t.deepEqual(call.sent, [1, 2]);
  call.take();
  call.take();
  t.deepEqual(call.sent, [1, 2, 3]);
  t.true(channel.send(Uint8Array.of(4)));
  t.deepEqual(call.sent, [1, 2, 3, 4]);
  t.is(heard.drained, 0);
});

test('a channel that is full says so, keeps what it was given, and says once when it has drained', (t) => {
  const { call, channel, heard } = open();
  let sent = 0;
  while (sent < 100 && channel.send(Uint8Array.of(sent))) sent += 1;
  t.is(sent, 16, 'one on its way and fifteen behind it; the next one fills it');
  for (let each = 0; each < 16; each += 1) call.take();
  t.is(heard.drained, 0);
  call.take();
  t.is(heard.drained, 1);
  t.deepEqual(
    call.sent,
    Array.from({ length: 17 }, (_, index) => index),
  );
  t.true(channel.send(Uint8Array.of(50)));
  call.take();
  t.is(heard.drained, 1);
});

test('the next message is asked for when the last one has been heard', (t) => {
  const { call, heard } = open();
  t.is(call.reads, 1);
  call.listener?.onReceiveMessage(Buffer.from([7, 8]));
  t.is(call.reads, 2);
  t.deepEqual(heard.messages, [Uint8Array.of(7, 8)]);
});

test('the end of the call closes the channel once, with the reason of its status', (t) => {
  const broken = open();
  broken.call.listener?.onReceiveStatus(ended(status.UNAVAILABLE, 'connection dropped'));
  broken.call.listener?.onReceiveStatus(ended(status.UNAVAILABLE, 'again'));
  t.is(broken.heard.closed.length, 1);
  t.like(broken.heard.closed[0], {
    reason: 'CONNECTION_LOST',
    retryable: true,
    definite: false,
    message: 'connection dropped',
  });
  t.false(broken.channel.send(Uint8Array.of(1)));
  const finished = open();
  finished.call.listener?.onReceiveStatus(ended(status.OK, ''));
  t.like(finished.heard.closed[0], { reason: 'CONNECTION_LOST', retryable: true });
});

test('a channel that was closed is not heard any more', (t) => {
  const { call, channel, heard } = open();
  channel.send(Uint8Array.of(1));
  channel.send(Uint8Array.of(2));
  channel.close();
  t.is(call.cancelled, 'closed by the client');
  call.take();
  call.listener?.onReceiveMessage(Buffer.from([1]));
  call.listener?.onReceiveStatus(ended(status.CANCELLED, 'closed by the client'));
  t.deepEqual(call.sent, [1]);
  t.deepEqual(heard, { messages: [], drained: 0, closed: [] });
});
