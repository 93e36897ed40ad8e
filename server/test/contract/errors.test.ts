/** SPEC §10 over a real node: what an error says, and what it does not. */
import { t as m, metaOf, TupletError } from '@tuplet/client';
import { errorRow, GrpcCode, readStatus } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import test from 'ava';
import type { BareClient, CallFailure } from '../gateway/client.ts';
import { any, template, tuple } from '../router/bench.ts';
import { BareSession, ifExists, jobs, startHouse } from './house.ts';

const { methods } = contract.TupleSpaceService;
const admin = contract.AdminService.methods;
const secret = 'the secret of another caller';
const job = template('job', any);
const one = Buffer.from([0x18, 0x02]);

/** Calls that fail beside a tuple of somebody else, by the reason that they fail for. */
const failing: readonly (readonly [string, (client: BareClient) => Promise<CallFailure>])[] = [
  ['SPACE_NOT_FOUND', (c) => c.failure(methods.count, { space: { name: 'none' } })],
  ['SPACE_EXISTS', (c) => c.failure(admin.createSpace, { name: 'jobs' })],
  ['TUPLE_ARITY', (c) => c.failure(methods.write, { space: jobs, tuple: new Uint8Array(0) })],
  [
    'NOT_PINNED',
    (c) => {
      const absent = template(any, any);
      return c.failure(methods.writeIfAbsent, { space: jobs, tuple: tuple('job', 1), absent });
    },
  ],
  [
    'FIELD_NOT_NUMERIC',
    (c) => c.failure(methods.increment, { space: jobs, template: job, field: 1, delta: one }),
  ],
  [
    'REVISION_CHANGED',
    async (c) => {
      const { found } = await c.call(methods.read, { space: jobs, template: job, wait: ifExists });
      const version = { tupleId: found?.tupleId ?? 0, revision: 1_000_000 };
      const target = { kind: 'version', value: version } as const;
      return c.failure(methods.replace, { space: jobs, target, tuple: tuple('job', 2) });
    },
  ],
  [
    'ROUTE_CHANGES',
    (c) => {
      const target = { kind: 'template', value: job } as const;
      return c.failure(methods.replace, { space: jobs, target, tuple: tuple('other', 2) });
    },
  ],
  [
    'SESSION_EXPIRED',
    (c) => c.failure(contract.SessionService.methods.keepSession, { sessionId: 2 ** 44 }),
  ],
  [
    'WAIT_OUT_OF_RANGE',
    (c) => c.failure(methods.take, { space: jobs, template: job, wait: { seconds: -1 } }),
  ],
];

test('every failure is a gRPC status with ErrorInfo of a reason in the table [10.1, 10.2]', async (t) => {
  const { bare, space } = await startHouse(t);
  await space.write(['job', secret]);
  for (const [reason, call] of failing) {
    const failure = await call(bare);
    t.is(failure.reason, reason as typeof failure.reason);
    t.regex(failure.reasonText, /^[A-Z]+(_[A-Z]+)*$/);
    if (failure.reason === undefined) continue;
    t.is(failure.grpcCode, GrpcCode[errorRow(failure.reason).code], reason);
    t.is(failure.code, failure.grpcCode, 'status and trailer agree');
  }
});

test('no error text shows what another caller wrote [10.6]', async (t) => {
  const { bare, space } = await startHouse(t);
  await space.write(['job', secret]);
  await space.write([secret, 'job']);
  for (const [reason, call] of failing) {
    const failure = await call(bare);
    const text = failure.message + [...failure.metadata].join();
    t.false(text.includes(secret), reason);
  }
  // The same operation in two requests: what the first one wrote is not told to the second.
  const session = await BareSession.open(bare);
  const operation = session.operation(1);
  await bare.call(methods.write, { space: jobs, tuple: tuple('job', secret), operation });
  const mismatch = await bare.failure(methods.take, {
    space: jobs,
    template: job,
    wait: ifExists,
    operation: session.operation(1, { attempt: 2 }),
  });
  t.is(mismatch.reason, 'OPERATION_MISMATCH');
  t.false(mismatch.message.includes(secret));
});

test('where time helps, an error says when to send again [10.1]', async (t) => {
  const { bare } = await startHouse(t, { gatewayLimits: { callsPerConnectionMax: 2 } });
  const exchange = bare.exchange();
  const value = { space: jobs, template: job };
  for (let callId = 1; callId <= 3; callId += 1)
    exchange.send({ callId, request: { kind: 'read', value } });
  const refused = await exchange.reply(3);
  if (refused?.kind !== 'error') return t.fail();
  const failure = readStatus(refused.value);
  t.is(failure.reason, 'TOO_MANY_IN_FLIGHT');
  t.true((failure.retryAfterMs ?? 0) > 0);
  exchange.stream.cancel();
});

test('INVALID_ARGUMENT names the field, in the SDK too [10.3]', async (t) => {
  const { bare, space } = await startHouse(t);
  const items = [{ tuple: tuple('a', 1) }, { tuple: Buffer.from('0a00', 'hex') }];
  const failure = await bare.failure(methods.writeMany, { space: jobs, items });
  t.is(failure.metadata.get('field'), 'items[1].tuple.fields[0]');
  const error = await t.throwsAsync(space.write(['a', ['\ud800']]), { instanceOf: TupletError });
  t.is(error.reason, 'STRING_NOT_UTF8');
  t.regex(error.field ?? '', /fields\[1\]/);
});

test('a definite error changed nothing, in any operation [10.5]', async (t) => {
  const { bare, space } = await startHouse(t);
  await space.write(['job', secret]);
  const before = metaOf(await space.read(['job', m.string]));
  let definite = 0;
  for (const [, call] of failing) {
    const failure = await call(bare);
    if (failure.reason !== undefined && errorRow(failure.reason).definite) definite += 1;
  }
  t.is(definite, failing.length - 1, 'all but that of the session');
  t.deepEqual(metaOf(await space.read(['job', m.string])), before);
  t.is(await space.count(undefined, { states: ['ready', 'handed'] }), 1);
});

test('what is not offered is refused: kept field numbers, unknown states and kinds [10.7]', async (t) => {
  const { bare, space } = await startHouse(t);
  const write = contract.WriteRequest.encode({ space: jobs, tuple: tuple('job', 1) });
  for (const number of [5, 6, 7, 8, 9]) {
    // Priority, not-before, group, ephemeral: from a client of a later contract.
    const later = Buffer.concat([write, Buffer.from([(number << 3) | 0, 1])]);
    const method = { ...methods.write, request: { ...methods.write.request, encode: () => later } };
    t.is((await bare.failure(method, {})).reason, 'UNKNOWN_FIELD', `field ${number}`);
  }
  const states = [3 as contract.TupleState];
  const read = { space: jobs, template: job, wait: ifExists, states };
  t.is((await bare.failure(methods.read, read)).grpcCode, GrpcCode.INVALID_ARGUMENT);
  const kinds = [9 as contract.EventKind];
  const from = { kind: 'now', value: {} } as const;
  const failed = await bare.notify({ space: jobs, kinds, from }).failed;
  t.is(failed.grpcCode, GrpcCode.INVALID_ARGUMENT);
  t.is(await space.count(), 0);
});
