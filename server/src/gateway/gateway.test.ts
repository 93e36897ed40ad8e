import { GrpcCode, readStatus } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import { EmptyScope, Outcome, TupleState } from '@tuplet/proto/contract';
import test, { type ExecutionContext } from 'ava';
import { BareClient, type CallFailure } from '../../test/gateway/client.ts';
import { any, template, tuple } from '../../test/router/bench.ts';
import { startTestNode, type TestNode, type TestNodeOptions } from '../testing.ts';

const { methods } = contract.TupleSpaceService;
const sessions = contract.SessionService.methods;
const admin = contract.AdminService.methods;
const space = { name: 'default' };
const now = { seconds: 0, nanos: 0 };

interface Bench {
  readonly node: TestNode;
  readonly client: BareClient;
}

async function start(t: ExecutionContext, options: TestNodeOptions = {}): Promise<Bench> {
  const node = await startTestNode(options);
  const client = new BareClient(node.address);
  t.teardown(async () => {
    client.close();
    await node.close();
  });
  return { node, client };
}

async function openSession({ client }: Bench): Promise<number> {
  return (await client.call(sessions.openSession, {})).sessionId;
}

function inSession(sessionId: number, sequence: number, attempt = 1): contract.OperationIdInit {
  const value = { sessionId, sequence, attempt, floor: sequence };
  return { kind: { kind: 'session', value } };
}

test('a tuple is written, read, counted and taken [3.1, 3.4, 3.13]', async (t) => {
  const { client } = await start(t);
  const bytes = tuple('job', 1);
  const { written } = await client.call(methods.write, { space, tuple: bytes });
  t.true((written?.tupleId ?? 0) > 0);
  t.true((written?.revision ?? 0) > 0);
  const ask = { space, template: template('job', any), wait: now };
  const read = await client.call(methods.read, ask);
  t.is(read.outcome, Outcome.FOUND);
  t.deepEqual(Buffer.from(read.found?.tuple ?? []), Buffer.from(bytes));
  t.is(read.found?.tupleId, written?.tupleId);
  t.is(read.found?.partition, written?.partition);
  t.is((await client.call(methods.count, { space })).count, 1);
  const taken = await client.call(methods.take, ask);
  t.is(taken.found?.tupleId, written?.tupleId);
  const again = await client.call(methods.take, ask);
  t.is(again.outcome, Outcome.NOTHING);
  t.is(again.scope, EmptyScope.LINEARIZABLE);
});

test('a blocked take is woken by a write [3.19]', async (t) => {
  const { client } = await start(t);
  const taking = client.begin(methods.take, { space, template: template('job', any) });
  await client.call(methods.count, { space });
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  t.is((await taking.answer).outcome, Outcome.FOUND);
});

test('an unpinned take that is blocked is woken by a write to any partition [6.11]', async (t) => {
  const { client } = await start(t);
  for (const tag of ['a', 'b', 'c', 'd']) {
    const taking = client.begin(methods.take, { space, template: template(any, 1) });
    await client.call(methods.count, { space });
    await client.call(methods.write, { space, tuple: tuple(tag, 1) });
    t.is((await taking.answer).outcome, Outcome.FOUND);
  }
  const nothing = await client.call(methods.take, { space, template: template(any, 1), wait: now });
  t.is(nothing.scope, EmptyScope.EACH_PARTITION);
});

test('a wait ends with the normal answer that nothing was found [3.18]', async (t) => {
  const { node, client } = await start(t);
  const wait = { seconds: 5, nanos: 0 };
  for (const ask of [template('job', any), template(any, any)]) {
    const reading = client.begin(methods.read, { space, template: ask, wait });
    const taking = client.begin(methods.take, { space, template: ask, wait });
    await client.call(methods.count, { space });
    await node.advance(5_000);
    t.is((await reading.answer).outcome, Outcome.NOTHING);
    t.is((await taking.answer).outcome, Outcome.NOTHING);
  }
});

test('a wait ends before its gRPC deadline [3.21]', async (t) => {
  const { node, client } = await start(t);
  const taking = client.begin(methods.take, { space, template: template('job', any) }, 60_000);
  await client.call(methods.count, { space });
  await node.advance(59_900);
  t.is((await taking.answer).outcome, Outcome.NOTHING);
});

test('write many writes to several partitions and answers for each tuple [3.2]', async (t) => {
  const { client } = await start(t);
  const items = ['a', 'b', 'c', 'd', 'e'].map((tag) => ({ tuple: tuple(tag, 1) }));
  const { outcomes } = await client.call(methods.writeMany, { space, items });
  t.deepEqual(
    outcomes.map(({ kind }) => kind?.kind),
    items.map(() => 'written'),
  );
  const ask = { space, template: template(any, 1), max: 10, wait: now };
  t.is((await client.call(methods.readMany, ask)).found.length, 5);
});

test('take many takes up to its maximum [3.6]', async (t) => {
  const { client } = await start(t);
  const items = [1, 2, 3, 4, 5].map((number) => ({ tuple: tuple('job', number) }));
  await client.call(methods.writeMany, { space, items });
  const ask = { space, template: template('job', any), max: 3, min: 2, wait: now };
  t.is((await client.call(methods.takeMany, ask)).found.length, 3);
  t.is((await client.call(methods.takeMany, ask)).found.length, 2);
  t.is((await client.call(methods.takeMany, ask)).outcome, Outcome.NOTHING);
});

test('write if absent writes once [3.3]', async (t) => {
  const { client } = await start(t);
  const request = { space, tuple: tuple('lock', 1), absent: template('lock', any) };
  t.not((await client.call(methods.writeIfAbsent, request)).written, null);
  t.is((await client.call(methods.writeIfAbsent, request)).written, null);
});

test('replace keeps the id and gives a new revision; an old revision is refused [3.8, 3.10]', async (t) => {
  const { client } = await start(t);
  const { written } = await client.call(methods.write, { space, tuple: tuple('job', 1) });
  if (written === null) return t.fail();
  const byTemplate = await client.call(methods.replace, {
    space,
    target: { kind: 'template', value: template('job', any) },
    tuple: tuple('job', 2),
  });
  t.is(byTemplate.written?.tupleId, written.tupleId);
  t.true((byTemplate.written?.revision ?? 0) > written.revision);
  t.deepEqual(Buffer.from(byTemplate.replaced?.tuple ?? []), Buffer.from(tuple('job', 1)));
  const { tupleId, revision } = written;
  const failure = await client.failure(methods.replace, {
    space,
    target: { kind: 'version', value: { tupleId, revision } },
    tuple: tuple('job', 3),
  });
  t.is(failure.reason, 'REVISION_CHANGED');
  t.is(failure.grpcCode, GrpcCode.ABORTED);
});

test('increment returns the increased tuple; an overflow changes nothing [3.11, 3.12]', async (t) => {
  const { client } = await start(t);
  await client.call(methods.write, { space, tuple: tuple('counter', 2n ** 63n - 2n) });
  const request = {
    space,
    template: template('counter', any),
    field: 1,
    delta: new Uint8Array([0x18, 0x02]),
  };
  const { found } = await client.call(methods.increment, request);
  const increased = Buffer.from(tuple('counter', 2n ** 63n - 1n));
  t.deepEqual(Buffer.from(found?.tuple ?? []), increased);
  const failure = await client.failure(methods.increment, request);
  t.is(failure.reason, 'INCREMENT_OVERFLOW');
  t.is(failure.grpcCode, GrpcCode.OUT_OF_RANGE);
});

test('renew prolongs a lease, cancel removes a tuple [3.14]', async (t) => {
  const { node, client } = await start(t);
  const lease = { seconds: 10, nanos: 0 };
  const { written } = await client.call(methods.write, { space, tuple: tuple('job', 1), lease });
  const tupleId = written?.tupleId ?? 0;
  t.not(written?.leaseEnd, null);
  await node.advance(8_000);
  t.true((await client.call(methods.renew, { space, tupleId, lease })).renewed);
  await node.advance(8_000);
  t.is((await client.call(methods.count, { space })).count, 1);
  t.true((await client.call(methods.cancel, { space, tupleId })).cancelled);
  t.false((await client.call(methods.cancel, { space, tupleId })).cancelled);
  t.is((await client.call(methods.count, { space })).count, 0);
});

test('a tuple whose lease is over is seen no more [4.27]', async (t) => {
  const { node, client } = await start(t);
  const lease = { seconds: 1, nanos: 0 };
  await client.call(methods.write, { space, tuple: tuple('job', 1), lease });
  await node.advance(1_100);
  const ask = { space, template: template('job', any), wait: now };
  t.is((await client.call(methods.read, ask)).outcome, Outcome.NOTHING);
});

test('a stale read says how old it is [4.3]', async (t) => {
  const { client } = await start(t);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  const ask = { space, template: template('job', any), wait: now };
  t.deepEqual((await client.call(methods.read, { ...ask, stale: true })).age, now);
  t.is((await client.call(methods.read, ask)).age, null);
});

test('a tuple taken in a session is handed over until its receipt [4.18]', async (t) => {
  const bench = await start(t);
  const { client } = bench;
  const sessionId = await openSession(bench);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  const ask = { space, template: template('job', any), wait: now };
  const first = await client.call(methods.take, { ...ask, operation: inSession(sessionId, 1) });
  const tupleId = first.found?.tupleId ?? 0;
  const handed = { space, states: [TupleState.HANDED] };
  t.is((await client.call(methods.count, handed)).count, 1);
  const again = await client.call(methods.take, { ...ask, operation: inSession(sessionId, 1, 2) });
  t.is(again.found?.tupleId, tupleId, 'the same operation fetches the same tuple');
  const receipts = [{ sequence: 1, tupleId }];
  const acknowledge = { sessionId, floor: 1, receipts };
  t.deepEqual((await client.call(methods.acknowledge, acknowledge)).received, receipts);
  t.deepEqual((await client.call(methods.acknowledge, acknowledge)).received, receipts);
  t.is((await client.call(methods.count, handed)).count, 0);
});

test('a session that ends gives back what was not acknowledged [4.20]', async (t) => {
  const bench = await start(t);
  const { node, client } = bench;
  const sessionId = await openSession(bench);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  const ask = { space, template: template('job', any), wait: now };
  await client.call(methods.take, { ...ask, operation: inSession(sessionId, 1) });
  t.is((await client.call(methods.read, ask)).outcome, Outcome.NOTHING);
  await node.advance(11_000);
  const { found } = await client.call(methods.read, ask);
  t.is(found?.deliveries, 1);
  const failure = await client.failure(sessions.keepSession, { sessionId });
  t.is(failure.reason, 'SESSION_EXPIRED');
  t.is(failure.grpcCode, GrpcCode.FAILED_PRECONDITION);
});

test('a session is kept and closed [4.10]', async (t) => {
  const bench = await start(t);
  const { node, client } = bench;
  const lease = { seconds: 5, nanos: 0 };
  const { sessionId } = await client.call(sessions.openSession, { lease, name: 'worker' });
  for (let each = 0; each < 3; each += 1) {
    await node.advance(4_000);
    t.deepEqual((await client.call(sessions.keepSession, { sessionId })).lease, lease);
  }
  await client.call(sessions.closeSession, { sessionId });
  const failure = await client.failure(methods.write, {
    space,
    tuple: tuple('job', 1),
    operation: inSession(sessionId, 1),
  });
  t.is(failure.reason, 'SESSION_EXPIRED');
});

test('a take of a session is cancelled from another connection [3.22]', async (t) => {
  const bench = await start(t);
  const { node, client } = bench;
  const sessionId = await openSession(bench);
  const other = new BareClient(node.address);
  t.teardown(() => other.close());
  for (const [at, ask] of [template('job', any), template(any, any)].entries()) {
    const sequence = at + 1;
    client.begin(methods.take, {
      space,
      template: ask,
      operation: inSession(sessionId, sequence),
    });
    await client.call(methods.count, { space });
    const operation = { sessionId, sequence, attempt: 2, floor: sequence };
    const cancelled = await other.call(methods.cancelTake, { space, operation, template: ask });
    t.is(cancelled.outcome, Outcome.CANCELLED);
  }
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  t.is((await client.call(methods.count, { space })).count, 1, 'the cancelled take took nothing');
});

test('a request id is remembered [4.16]', async (t) => {
  const { client } = await start(t);
  const operation: contract.OperationIdInit = {
    kind: { kind: 'requestId', value: new Uint8Array([1, 2, 3]) },
  };
  const request = { space, tuple: tuple('job', 1), operation };
  const first = await client.call(methods.write, request);
  const second = await client.call(methods.write, request);
  t.deepEqual(second, first);
  t.is((await client.call(methods.count, { space })).count, 1);
});

const invalid: readonly (readonly [
  string,
  string,
  (client: BareClient) => Promise<CallFailure>,
])[] = [
  ['REQUEST_INVALID', 'space', (c) => c.failure(methods.write, { tuple: tuple('a') })],
  ['REQUEST_INVALID', 'tuple', (c) => c.failure(methods.write, { space })],
  ['REQUEST_INVALID', 'template', (c) => c.failure(methods.take, { space, wait: now })],
  [
    'LEASE_OUT_OF_RANGE',
    'lease',
    (c) => c.failure(methods.write, { space, tuple: tuple('a'), lease: now }),
  ],
  [
    'WAIT_OUT_OF_RANGE',
    'wait',
    (c) => c.failure(methods.read, { space, template: template(any), wait: { seconds: -1 } }),
  ],
  ['TUPLE_ARITY', 'tuple', (c) => c.failure(methods.write, { space, tuple: new Uint8Array(0) })],
  [
    'TEMPLATE_ALTERNATIVES',
    'template',
    (c) => c.failure(methods.read, { space, template: new Uint8Array(0), wait: now }),
  ],
  [
    'NOT_PINNED',
    'template',
    (c) =>
      c.failure(methods.readMany, { space, template: template(any), max: 5, min: 2, wait: now }),
  ],
  [
    'REQUEST_INVALID',
    'max',
    (c) => c.failure(methods.readMany, { space, template: template(any), wait: now }),
  ],
  ['REQUEST_INVALID', 'items', (c) => c.failure(methods.writeMany, { space })],
  [
    'REQUEST_TOO_LARGE',
    'items',
    (c) => {
      const items = Array.from({ length: 1_001 }, () => ({ tuple: tuple('a') }));
      return c.failure(methods.writeMany, { space, items });
    },
  ],
  [
    'REQUEST_INVALID',
    'operation.request_id',
    (c) =>
      c.failure(methods.take, {
        space,
        template: template(any),
        wait: now,
        operation: { kind: { kind: 'requestId', value: new Uint8Array(1) } },
      }),
  ],
  [
    'REQUEST_INVALID',
    'operation.session.floor',
    (c) =>
      c.failure(methods.write, {
        space,
        tuple: tuple('a'),
        operation: {
          kind: { kind: 'session', value: { sessionId: 1, sequence: 1, attempt: 1, floor: 2 } },
        },
      }),
  ],
  [
    'LEASE_OUT_OF_RANGE',
    'lease',
    (c) => c.failure(sessions.openSession, { lease: { seconds: 0, nanos: 1_000_000 } }),
  ],
];

for (const [at, [reason, field, call]] of invalid.entries()) {
  test(`INVALID_ARGUMENT names the field: ${reason} at ${field} (${at}) [10.3]`, async (t) => {
    const { client } = await start(t);
    const failure = await call(client);
    t.is(failure.reason, reason as typeof failure.reason);
    t.is(failure.grpcCode, GrpcCode.INVALID_ARGUMENT);
    t.true(failure.metadata.get('field')?.startsWith(field), failure.metadata.get('field'));
    t.is((await client.call(methods.count, { space })).count, 0);
  });
}

test('a message that is none is refused with its reason', async (t) => {
  const { client } = await start(t);
  const broken = {
    ...methods.write,
    request: { ...methods.write.request, encode: () => new Uint8Array([0xff, 0xff]) },
  };
  const failure = await client.failure(broken, {});
  t.is(failure.reason, 'MALFORMED_MESSAGE');
  t.is(failure.grpcCode, GrpcCode.INVALID_ARGUMENT);
});

test('a field that is not offered is refused, not passed over [10.7]', async (t) => {
  const { client } = await start(t);
  const encode = (request: contract.WriteRequestInit): Uint8Array =>
    Buffer.concat([methods.write.request.encode(request), Buffer.from([0x28, 0x01])]);
  const later = { ...methods.write, request: { ...methods.write.request, encode } };
  const failure = await client.failure(later, { space, tuple: tuple('job', 1) });
  t.is(failure.reason, 'UNKNOWN_FIELD');
});

test('a request above 3.5 MiB is refused whole [1.20]', async (t) => {
  const { client } = await start(t);
  const items = [1, 2, 3, 4].map((number) => ({
    tuple: tuple('job', number, 'x'.repeat(920_000)),
  }));
  const failure = await client.failure(methods.writeMany, { space, items });
  t.is(failure.reason, 'REQUEST_TOO_LARGE');
  t.is(failure.grpcCode, GrpcCode.INVALID_ARGUMENT);
  t.is((await client.call(methods.count, { space })).count, 0);
});

test('spaces are created, described, listed and dropped', async (t) => {
  const { client } = await start(t);
  const settings = { rules: [{ tag: new Uint8Array([0x18, 0x02]), spread: 4, fields: [1] }] };
  const created = await client.call(admin.createSpace, { name: 'jobs', settings });
  t.is(created.space?.name, 'jobs');
  t.is(created.space?.rules[0]?.spread, 4);
  const exists = await client.failure(admin.createSpace, { name: 'jobs' });
  t.is(exists.reason, 'SPACE_EXISTS');
  t.is(exists.grpcCode, GrpcCode.ALREADY_EXISTS);
  const described = await client.call(admin.describeSpace, { name: 'jobs' });
  t.deepEqual(described.space, created.space);
  t.is(described.mapEpoch, created.mapEpoch);
  t.is(described.partitions, 16);
  const { spaces } = await client.call(admin.listSpaces, {});
  t.deepEqual(
    spaces.map(({ name }) => name),
    ['default', 'jobs'],
  );
  const byId = { id: created.space?.id, mapEpoch: created.mapEpoch };
  await client.call(methods.write, { space: byId, tuple: tuple('job', 1) });
  await client.call(admin.dropSpace, { name: 'jobs' });
  const stale = await client.failure(methods.write, { space: byId, tuple: tuple('job', 1) });
  t.is(stale.reason, 'STALE_MAP');
  const gone = await client.failure(methods.write, {
    space: { name: 'jobs' },
    tuple: tuple('job'),
  });
  t.is(gone.reason, 'SPACE_NOT_FOUND');
  t.is(gone.grpcCode, GrpcCode.NOT_FOUND);
  for (const name of ['', '-x', 'x'.repeat(129)])
    t.is((await client.failure(admin.createSpace, { name })).reason, 'SPACE_NAME');
});

test('a node describes itself', async (t) => {
  const { client } = await start(t);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  const node = await client.call(admin.describeNode, {});
  t.is(node.partitions.length, 16);
  t.is(node.clusterId.length, 32);
  t.is(
    node.partitions.reduce((sum, { ready }) => sum + ready, 0),
    1,
  );
});

test('Exchange answers batches of calls, and each with its own error', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  const write = (callId: number, number: number): contract.CallInit => ({
    callId,
    request: { kind: 'write', value: { space, tuple: tuple('job', number) } },
  });
  exchange.send(write(1, 1), write(2, 2), {
    callId: 3,
    request: { kind: 'write', value: { space: { name: 'none' }, tuple: tuple('job', 3) } },
  });
  t.is((await exchange.reply(1))?.kind, 'write');
  t.is((await exchange.reply(2))?.kind, 'write');
  const failed = await exchange.reply(3);
  if (failed?.kind !== 'error') return t.fail();
  t.is(readStatus(failed.value).reason, 'SPACE_NOT_FOUND');
  exchange.send({ callId: 4, request: null });
  const empty = await exchange.reply(4);
  t.is(empty?.kind === 'error' ? readStatus(empty.value).reason : '', 'REQUEST_INVALID');
  exchange.stream.end();
  t.is(await exchange.ended, undefined);
});

test('replies that come up in one turn go out together', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  const calls = Array.from({ length: 100 }, (_, at) => ({
    callId: at + 1,
    request: { kind: 'write', value: { space, tuple: tuple('job', at) } } as const,
  }));
  exchange.send(...calls);
  await Promise.all(calls.map(({ callId }) => exchange.reply(callId)));
  t.true(exchange.batches.length <= 10, `${exchange.batches.length} messages for 100 replies`);
  exchange.stream.end();
});

test('a blocked call of Exchange is ended by end_call', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  const value = { space, template: template('job', any) };
  exchange.send({ callId: 1, request: { kind: 'take', value } });
  exchange.send({ callId: 2, request: { kind: 'endCall', value: { callId: 1 } } });
  const reply = await exchange.reply(1);
  t.is(reply?.kind === 'take' ? reply.value.outcome : 0, Outcome.CANCELLED);
  exchange.stream.end();
});

test('the end of an Exchange ends its blocked calls as if cancelled', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  const value = { space, template: template('job', any) };
  exchange.send({ callId: 1, request: { kind: 'take', value } });
  exchange.stream.end();
  const reply = await exchange.reply(1);
  t.is(reply?.kind === 'take' ? reply.value.outcome : 0, Outcome.CANCELLED);
  t.is(await exchange.ended, undefined);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  t.is((await client.call(methods.count, { space })).count, 1);
});

test('a number that is still open ends the Exchange', async (t) => {
  const { client } = await start(t);
  const exchange = client.exchange();
  const value = { space, template: template('job', any) };
  exchange.send({ callId: 1, request: { kind: 'take', value } });
  exchange.send({ callId: 1, request: { kind: 'take', value } });
  t.is((await exchange.ended)?.code, GrpcCode.INVALID_ARGUMENT);
});

test('a connection has a bounded number of calls in flight', async (t) => {
  const { client } = await start(t, { gatewayLimits: { callsPerConnectionMax: 3 } });
  const exchange = client.exchange();
  const value = { space, template: template('job', any) };
  for (let callId = 1; callId <= 4; callId += 1)
    exchange.send({ callId, request: { kind: 'read', value } });
  const refused = await exchange.reply(4);
  if (refused?.kind !== 'error') return t.fail();
  const failure = readStatus(refused.value);
  t.is(failure.reason, 'TOO_MANY_IN_FLIGHT');
  t.is(failure.code, GrpcCode.RESOURCE_EXHAUSTED);
  t.true((failure.retryAfterMs ?? 0) > 0);
  t.is((await client.failure(methods.count, { space })).reason, 'TOO_MANY_IN_FLIGHT');
  exchange.send({ callId: 5, request: { kind: 'endCall', value: { callId: 1 } } });
  await exchange.reply(1);
  t.is((await client.call(methods.count, { space })).count, 0);
  exchange.stream.cancel();
});
