import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { GrpcCode, readStatus } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import { Outcome } from '@tuplet/proto/contract';
import test from 'ava';
import { failureOf } from '../../test/gateway/client.ts';
import { start, turns } from '../../test/gateway/start.ts';
import { any, template, tuple } from '../../test/router/bench.ts';

const { methods } = contract.TupleSpaceService;
const space = { name: 'default' };
const ifExists = { seconds: 0, nanos: 0 };
const large = 'x'.repeat(100_000);

test('an Exchange whose replies are not read is not read from; nothing is lost', async (t) => {
  const { client, connect } = await start(t, {
    gatewayLimits: { replyBytesPause: 262_144, replyBytesMax: 16_777_216 },
  });
  await client.call(methods.write, { space, tuple: tuple('counter', 0, large) });
  const exchange = connect().exchange();
  exchange.stream.pause();
  const total = 600;
  for (let callId = 1; callId <= total; callId += 1) {
    const value = {
      space,
      template: template('counter', any, any),
      field: 1,
      delta: new Uint8Array([0x18, 0x02]),
    };
    exchange.send({ callId, request: { kind: 'increment', value } });
  }
  const counted = async (): Promise<number> => {
    const value = template('counter', any, any);
    const { found } = await client.call(methods.read, { space, template: value, wait: ifExists });
    return found?.revision ?? 0;
  };
  // Until it stands still: as many increments as replies may wait.
  let last = -1;
  for (let revision = await counted(); revision !== last; revision = await counted()) {
    last = revision;
    await turns(100);
  }
  t.true(last < 250, `${last} of ${total} were carried out for a reader that does not read`);
  exchange.stream.resume();
  for (let callId = 1; callId <= total; callId += 1)
    t.is((await exchange.reply(callId))?.kind, 'increment');
  exchange.stream.end();
});

test('more calls wait on one Exchange than may answer at once', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  const total = 1_000;
  for (let callId = 1; callId <= total; callId += 1) {
    const value = { space, template: template('job', callId) };
    exchange.send({ callId, request: { kind: 'take', value } });
  }
  exchange.send({ callId: 5_000, request: { kind: 'count', value: { space } } });
  await exchange.reply(5_000);
  const items = Array.from({ length: total }, (_, at) => ({ tuple: tuple('job', at + 1) }));
  await client.call(methods.writeMany, { space, items });
  for (let callId = 1; callId <= total; callId += 1) {
    const reply = await exchange.reply(callId);
    t.is(reply?.kind === 'take' ? reply.value.outcome : 0, Outcome.FOUND);
  }
  exchange.stream.end();
});

test('many large tuples read at once arrive all, over one Exchange', async (t) => {
  const { client } = await start(t);
  const items = Array.from({ length: 30 }, (_, at) => ({ tuple: tuple('job', at, large) }));
  await client.call(methods.writeMany, { space, items });
  const exchange = client.exchange();
  const calls = Array.from({ length: 500 }, (_, at) => ({
    callId: at + 1,
    request: {
      kind: 'read',
      value: { space, template: template('job', at % 30, any), wait: ifExists },
    } as const,
  }));
  exchange.send(...calls);
  for (const { callId } of calls) {
    const reply = await exchange.reply(callId);
    if (reply?.kind !== 'read' || reply.value.outcome !== Outcome.FOUND) return t.fail();
  }
  exchange.stream.end();
  t.is(await exchange.ended, undefined);
});

test('an Exchange whose blocked calls answer a reader that does not read is ended', async (t) => {
  const { client, connect } = await start(t, {
    gatewayLimits: { replyBytesPause: 262_144, replyBytesMax: 1_048_576 },
  });
  const exchange = connect().exchange();
  for (let callId = 1; callId <= 50; callId += 1) {
    const value = { space, template: template('job', any) };
    exchange.send({ callId, request: { kind: 'read', value } });
  }
  exchange.send({ callId: 99, request: { kind: 'count', value: { space } } });
  await exchange.reply(99);
  exchange.stream.pause();
  await client.call(methods.write, { space, tuple: tuple('job', large) });
  await turns(50);
  exchange.stream.resume();
  const error = await exchange.ended;
  if (error === undefined) return t.fail();
  t.is(failureOf(error).reason, 'SLOW_CONSUMER');
  t.is(error.code, GrpcCode.RESOURCE_EXHAUSTED);
});

test('takes on an Exchange that is ended for a slow reader come back', async (t) => {
  const { node, client, connect } = await start(t, {
    gatewayLimits: { replyBytesPause: 262_144, replyBytesMax: 524_288 },
  });
  const exchange = connect().exchange();
  for (let callId = 1; callId <= 30; callId += 1) {
    const value = { space, template: template('job', any, any) };
    exchange.send({ callId, request: { kind: 'take', value } });
  }
  exchange.send({ callId: 99, request: { kind: 'count', value: { space } } });
  await exchange.reply(99);
  exchange.stream.pause();
  const items = Array.from({ length: 30 }, (_, at) => ({ tuple: tuple('job', at, large) }));
  await client.call(methods.writeMany, { space, items });
  await turns(50);
  await node.advance(3_000);
  exchange.stream.resume();
  t.not(await exchange.ended, undefined);
  const { count } = await client.call(methods.count, { space });
  t.true(count >= 15, `${count} of 30 came back; the others were on the connection already`);
});

test('an Exchange of one call a message and many calls a message give the same answers', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  const write = (callId: number): contract.CallInit => ({
    callId,
    request: { kind: 'write', value: { space, tuple: tuple('job', callId) } },
  });
  for (let callId = 1; callId <= 50; callId += 1) exchange.send(write(callId));
  exchange.send(...Array.from({ length: 50 }, (_, at) => write(51 + at)));
  for (let callId = 1; callId <= 100; callId += 1)
    t.is((await exchange.reply(callId))?.kind, 'write');
  const takes = Array.from({ length: 100 }, (_, at) => ({
    callId: 201 + at,
    request: {
      kind: 'take',
      value: { space, template: template('job', any), wait: ifExists },
    } as const,
  }));
  exchange.send(...takes);
  const taken = new Set<number>();
  for (const { callId } of takes) {
    const reply = await exchange.reply(callId);
    if (reply?.kind !== 'take') return t.fail(JSON.stringify(reply));
    t.is(reply.value.outcome, Outcome.FOUND);
    taken.add(reply.value.found?.tupleId ?? 0);
  }
  t.is(taken.size, 100);
  exchange.stream.end();
});

test('a request above the limit inside an Exchange ends it with the reason', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  const calls = [1, 2, 3, 4].map((callId) => ({
    callId,
    request: {
      kind: 'write',
      value: { space, tuple: tuple('job', 'x'.repeat(925_000)) },
    } as const,
  }));
  exchange.send(...calls);
  const error = await exchange.ended;
  if (error === undefined) return t.fail();
  t.is(failureOf(error).reason, 'REQUEST_TOO_LARGE');
});

test('a broken message ends the Exchange with the reason', async (t) => {
  const { node } = await start(t);
  const client = new Client(node.address, credentials.createInsecure());
  t.teardown(() => client.close());
  const stream = client.makeBidiStreamRequest(
    methods.exchange.path,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    new Metadata(),
  );
  stream.on('data', () => undefined);
  stream.write(Buffer.from([0x0a, 0x05, 0x01]));
  const error = await new Promise<Parameters<typeof failureOf>[0]>((resolve) => {
    stream.on('error', resolve);
  });
  t.is(failureOf(error).reason, 'MALFORMED_MESSAGE');
});

test('connections beyond the bound are closed, and the others go on', async (t) => {
  const { client, connect } = await start(t, { gatewayLimits: { connectionsMax: 2 } });
  const second = connect();
  await client.call(methods.count, { space });
  await second.call(methods.count, { space });
  const third = connect();
  await t.throwsAsync(third.call(methods.count, { space }, 500));
  t.is((await client.call(methods.count, { space })).count, 0);
});

test('each reply of an Exchange carries its own error', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  exchange.send(
    { callId: 1, request: { kind: 'closeSession', value: { sessionId: 5 } } },
    { callId: 2, request: { kind: 'take', value: { space } } },
    { callId: 3, request: { kind: 'write', value: { space, tuple: tuple('job', 1) } } },
  );
  const reasons = await Promise.all(
    [1, 2].map(async (callId) => {
      const reply = await exchange.reply(callId);
      return reply?.kind === 'error' ? readStatus(reply.value).reason : reply?.kind;
    }),
  );
  t.deepEqual(reasons, ['SESSION_EXPIRED', 'REQUEST_INVALID']);
  t.is((await exchange.reply(3))?.kind, 'write');
  exchange.stream.end();
});

test('a message of more calls than a connection may begin and end is refused before it is decoded', async (t) => {
  const { node } = await start(t);
  const client = new Client(node.address, credentials.createInsecure());
  t.teardown(() => client.close());
  const asIs = (bytes: Buffer): Buffer => bytes;
  const sendOf = async (calls: number): Promise<{ replies: number; code: number }> => {
    const { path } = methods.exchange;
    const stream = client.makeBidiStreamRequest(path, asIs, asIs, new Metadata());
    let replies = 0;
    stream.on('data', (bytes: Buffer) => {
      replies += methods.exchange.response.decode(bytes).replies.length;
    });
    const ended = new Promise<number>((resolve) => {
      stream.on('error', (error: ServiceError) => resolve(error.code));
      stream.on('end', () => resolve(GrpcCode.OK));
    });
    // The call that asks for nothing, two bytes each.
    stream.write(Buffer.alloc(calls * 2, Buffer.from([0x0a, 0])));
    stream.end();
    return { code: await ended, replies };
  };
  t.deepEqual(await sendOf(1_800_000), { code: GrpcCode.INVALID_ARGUMENT, replies: 0 });
  t.deepEqual(await sendOf(32_769), { code: GrpcCode.INVALID_ARGUMENT, replies: 0 });
  t.deepEqual(await sendOf(32_768), { code: GrpcCode.OK, replies: 32_768 });
});
