/** SPEC §4 over a real node: sessions, exact retries, hand-overs, receipts. */
import { t as m } from '@tuplet/client';
import { GrpcCode } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import { Outcome, TupleState } from '@tuplet/proto/contract';
import test from 'ava';
import { failureOf } from '../gateway/client.ts';
import { turns } from '../gateway/start.ts';
import { any, template, tuple } from '../router/bench.ts';
import { BareSession, countOf, type House, ifExists, jobs, startHouse } from './house.ts';

const { methods } = contract.TupleSpaceService;
const sessions = contract.SessionService.methods;
const { HANDED, READY } = TupleState;
const job = template('job', any);
/** The same tuples, asked for in a way that is pinned, and in one that is not. */
const asks = [job, template(any, any)];

/** A take of a bare session that does not wait. */
function take(
  { bare }: House,
  operation: contract.OperationIdInit,
  of: Uint8Array = job,
): Promise<contract.TakeResponse> {
  return bare.call(methods.take, { space: jobs, template: of, wait: ifExists, operation });
}

/** How many entries all partitions have applied. */
async function entries({ bare }: House): Promise<number> {
  const { partitions } = await bare.call(contract.AdminService.methods.describeNode, {});
  return partitions.reduce((sum, { applied }) => sum + applied, 0);
}

test('a session is a record at the home that its id names, kept alive without entries [4.5]', async (t) => {
  const house = await startHouse(t);
  const { node, bare } = house;
  const opened = await bare.call(sessions.openSession, {});
  t.deepEqual(opened.lease, { seconds: 10, nanos: 0 }, 'the default');
  const home = Math.floor(opened.sessionId / 2 ** 44);
  t.true(home >= 1 && home <= 16);
  const before = await entries(house);
  for (let each = 0; each < 10; each += 1) {
    await node.advance(5_000);
    await bare.call(sessions.keepSession, { sessionId: opened.sessionId });
  }
  t.is(await entries(house), before);
  const ids = new Set<number>([opened.sessionId]);
  for (let each = 0; each < 40; each += 1) {
    const { sessionId } = await bare.call(sessions.openSession, {});
    await bare.call(sessions.closeSession, { sessionId });
    ids.add(sessionId);
  }
  t.is(ids.size, 41, 'never reused');
});

test('a session that its home does not know is served by no partition [4.6]', async (t) => {
  const { bare, space } = await startHouse(t);
  const session = await BareSession.open(bare);
  await bare.call(sessions.closeSession, { sessionId: session.id });
  const unknown = { ...session, id: session.id + 1_000 };
  for (const [at, { id }] of [session, unknown].entries()) {
    for (let tag = 0; tag < 20; tag += 1) {
      const value = { sessionId: id, sequence: tag + 1, attempt: 1, floor: 1 };
      const operation: contract.OperationIdInit = { kind: { kind: 'session', value } };
      const write = { space: jobs, tuple: tuple(`tag-${tag}`, at), operation };
      const failure = await bare.failure(methods.write, write);
      t.is(failure.reason, 'SESSION_EXPIRED');
    }
  }
  t.is(await space.count(), 0);
});

test('the end of a session gives back in every partition it touched, and stands [4.7, 4.20]', async (t) => {
  const house = await startHouse(t);
  const { node, bare, space } = house;
  const session = await BareSession.open(bare);
  const tags = Array.from({ length: 24 }, (_, at) => `tag-${at}`);
  await space.writeMany(tags.map((tag) => [tag, 1]));
  for (const [at, tag] of tags.entries()) {
    const taken = await take(house, session.operation(at + 1), template(tag, any));
    t.is(taken.outcome, Outcome.FOUND);
  }
  t.is(await countOf(bare, HANDED), 24);
  // Nobody keeps it alive: the home ends it, and tells all.
  await node.advance(11_000);
  t.is(await countOf(bare, READY), 24);
  const read = await space.readMany([m.string, m.int]);
  t.is(read.length, 24);
  for (const [at, tag] of tags.entries()) {
    const operation = session.operation(at + 1, { attempt: 2 });
    const request = { space: jobs, template: template(tag, any), wait: ifExists, operation };
    t.is((await bare.failure(methods.take, request)).reason, 'SESSION_EXPIRED');
  }
  t.is(await countOf(bare, HANDED), 0);
});

test('after a restart every session has its full lease again [4.8]', async (t) => {
  const first = await startHouse(t);
  const session = await BareSession.open(first.bare, 10);
  await first.space.write(['job', 1]);
  await take(first, session.operation(1));
  await first.node.advance(9_000);
  await first.client.close();
  await first.node.close();
  const second = await startHouse(t, { disk: first.node.disk });
  await second.node.advance(9_000);
  t.is(await countOf(second.bare, HANDED), 1, '18 s after the last word of its client');
  await second.node.advance(2_000);
  t.is(await countOf(second.bare, HANDED), 0);
  t.is((await second.bare.failure(sessions.keepSession, { sessionId: session.id })).grpcCode, 9);
});

test('sessions are opened, kept and closed by unary calls; the lease has bounds [4.10]', async (t) => {
  const { node, bare } = await startHouse(t);
  const { sessionId } = await bare.call(sessions.openSession, { lease: { seconds: 2, nanos: 0 } });
  await node.advance(1_500);
  const kept = await bare.call(sessions.keepSession, { sessionId });
  t.deepEqual(kept.lease, { seconds: 2, nanos: 0 });
  await node.advance(1_500);
  await bare.call(sessions.keepSession, { sessionId });
  await bare.call(sessions.closeSession, { sessionId });
  const failure = await bare.failure(sessions.keepSession, { sessionId });
  t.is(failure.reason, 'SESSION_EXPIRED');
  for (const seconds of [0, 3_601]) {
    const refused = await bare.failure(sessions.openSession, { lease: { seconds, nanos: 0 } });
    t.is(refused.grpcCode, GrpcCode.INVALID_ARGUMENT);
  }
});

test('a change that is sent again returns its first result, also after a restart [4.11]', async (t) => {
  const first = await startHouse(t);
  const session = await BareSession.open(first.bare, 3_600);
  const changes = (house: House, attempt: number): Promise<unknown>[] => {
    const { bare } = house;
    const operation = (sequence: number) => session.operation(sequence, { attempt });
    const at = { kind: 'template', value: template('b', any) } as const;
    const increment = { template: template('c', any), field: 1, delta: Buffer.from([0x18, 0x02]) };
    return [
      bare.call(methods.write, { space: jobs, tuple: tuple('a', 1), operation: operation(1) }),
      bare.call(methods.replace, {
        space: jobs,
        target: at,
        tuple: tuple('b', 2),
        operation: operation(2),
      }),
      bare.call(methods.increment, { space: jobs, ...increment, operation: operation(3) }),
      bare.call(methods.writeIfAbsent, {
        space: jobs,
        tuple: tuple('d', 1),
        absent: template('d', any),
        operation: operation(4),
      }),
      bare.call(methods.writeMany, {
        space: jobs,
        items: ['e', 'f', 'g'].map((tag) => ({ tuple: tuple(tag, 1) })),
        operation: operation(5),
      }),
    ];
  };
  await first.space.writeMany([
    ['b', 1],
    ['c', 1],
  ]);
  const results = await Promise.all(changes(first, 1));
  t.deepEqual(await Promise.all(changes(first, 2)), results);
  await first.client.close();
  await first.node.close();
  const second = await startHouse(t, { disk: first.node.disk });
  t.deepEqual(await Promise.all(changes(second, 3)), results);
  t.is(await second.space.count(), 7);
  t.deepEqual(await second.space.read(['c', m.int]), ['c', 2]);
});

test('a newer attempt of a take fences the earlier one in every partition [4.13]', async (t) => {
  for (const of of asks) {
    const house = await startHouse(t);
    const { bare, bareClient, space } = house;
    const session = await BareSession.open(bare);
    const request = (attempt: number) => ({
      space: jobs,
      template: of,
      operation: session.operation(1, { attempt }),
    });
    const first = bareClient().begin(methods.take, request(1));
    await bare.call(methods.count, { space: jobs });
    const second = bareClient().begin(methods.take, request(2));
    await bare.call(methods.count, { space: jobs });
    await turns(50);
    await space.writeMany([
      ['job', 1],
      ['job', 2],
      ['other', 3],
    ]);
    const taken = await second.answer;
    t.is(taken.outcome, Outcome.FOUND);
    const fenced = await t.throwsAsync(first.answer);
    t.is(failureOf(fenced as Parameters<typeof failureOf>[0]).reason, 'FENCED');
    // Attempts that come late are refused for ever; a newer one gets the same tuple.
    t.is((await bare.failure(methods.take, request(1))).reason, 'FENCED');
    const third = await bare.call(methods.take, request(3));
    t.is(third.found?.tupleId, taken.found?.tupleId);
    t.is((await bare.failure(methods.take, request(2))).reason, 'FENCED');
    t.is(await countOf(bare, HANDED), 1);
  }
});

test('requests below the lowest open sequence are refused [4.15]', async (t) => {
  const house = await startHouse(t);
  const { bare } = house;
  const session = await BareSession.open(bare);
  const write = (sequence: number, floor: number, attempt = 1) => ({
    space: jobs,
    tuple: tuple('job', sequence),
    operation: session.operation(sequence, { floor, attempt }),
  });
  await bare.call(methods.write, write(1, 1));
  await bare.call(methods.write, write(5, 5));
  for (const [sequence, attempt] of [
    [1, 2],
    [3, 1],
    [4, 1],
  ] as const) {
    const failure = await bare.failure(methods.write, write(sequence, 1, attempt));
    t.is(failure.reason, 'CLOSED_OPERATION');
    t.is(failure.grpcCode, GrpcCode.FAILED_PRECONDITION);
    const request = { space: jobs, template: job, wait: ifExists };
    const operation = session.operation(sequence, { attempt: attempt + 5 });
    t.is((await bare.failure(methods.take, { ...request, operation })).reason, 'CLOSED_OPERATION');
  }
  t.is(await countOf(bare, READY), 2);
});

test('without a session a request id is remembered for 5 minutes, and then acts again [4.16]', async (t) => {
  const { node, bare } = await startHouse(t);
  const operation: contract.OperationIdInit = {
    kind: { kind: 'requestId', value: Buffer.from('a-request') },
  };
  const request = { space: jobs, tuple: tuple('job', 1), operation };
  const first = await bare.call(methods.write, request);
  await node.advance(299_000);
  t.deepEqual(await bare.call(methods.write, request), first);
  await node.advance(2_000);
  // Results go with the next entry of the partition.
  await bare.call(methods.write, { space: jobs, tuple: tuple('job', 2) });
  const later = await bare.call(methods.write, request);
  t.not(later.written?.tupleId, first.written?.tupleId);
  t.is(await countOf(bare, READY), 3);
});

test('a request id of one space says nothing in another [4.16]', async (t) => {
  const { bare, client } = await startHouse(t);
  await client.admin.createSpace('others', { like: jobs.name });
  const operation: contract.OperationIdInit = {
    kind: { kind: 'requestId', value: Buffer.from('an-id') },
  };
  const request = { space: jobs, tuple: tuple('job', 1), operation };
  const first = await bare.call(methods.write, request);
  const there = await bare.call(methods.write, { ...request, space: { name: 'others' } });
  t.not(there.written?.tupleId, first.written?.tupleId);
  t.deepEqual(await bare.call(methods.write, request), first);
});

test('a session has 4,096 unfinished operations; beyond it is busy, and forgets nothing [4.17]', async (t) => {
  const { bare } = await startHouse(t);
  const session = await BareSession.open(bare, 3_600);
  const exchange = bare.exchange();
  const call = (sequence: number, floor = 1, attempt = 1): contract.CallInit => {
    const operation = session.operation(sequence, { floor, attempt });
    const value = { space: jobs, tuple: tuple('job', sequence), operation };
    return { callId: sequence * 10 + attempt, request: { kind: 'write', value } };
  };
  const reply = async (sequence: number, attempt = 1) => {
    const found = await exchange.reply(sequence * 10 + attempt);
    if (found?.kind === 'write') return found.value.written?.tupleId;
    return found?.kind === 'error' ? found.value.code : undefined;
  };
  const sequences = Array.from({ length: 4_096 }, (_, at) => at + 1);
  for (let at = 0; at < 4_096; at += 512)
    exchange.send(...sequences.slice(at, at + 512).map((sequence) => call(sequence)));
  const ids = await Promise.all(sequences.map((sequence) => reply(sequence)));
  exchange.send(call(4_097));
  t.is(await reply(4_097), GrpcCode.RESOURCE_EXHAUSTED);
  exchange.send(call(1, 1, 2), call(4_096, 1, 2));
  t.is(await reply(1, 2), ids[0], 'the first result is still there');
  t.is(await reply(4_096, 2), ids[4_095]);
  exchange.send(call(4_098, 4_097));
  t.true(((await reply(4_098)) ?? 0) > 1_000, 'the floor makes room');
  t.is(await countOf(bare, READY), 4_097);
  exchange.stream.end();
});

test('a taken tuple can be fetched again until its receipt, and then is gone [4.18, 4.19]', async (t) => {
  for (const of of asks) {
    const house = await startHouse(t);
    const { bare, space } = house;
    const session = await BareSession.open(bare);
    await space.writeMany([
      ['job', 1],
      ['job', 2],
    ]);
    const first = await take(house, session.operation(1), of);
    const tupleId = first.found?.tupleId ?? 0;
    t.is(await countOf(bare, READY), 1);
    for (let attempt = 2; attempt < 5; attempt += 1) {
      const again = await take(house, session.operation(1, { attempt }), of);
      t.is(again.found?.tupleId, tupleId);
    }
    // A receipt for another sequence confirms nothing.
    const acknowledge = (sequence: number) =>
      bare.call(methods.acknowledge, {
        sessionId: session.id,
        floor: 1,
        receipts: [{ sequence, tupleId }],
      });
    await acknowledge(2);
    t.is(await countOf(bare, HANDED), 1);
    t.deepEqual((await acknowledge(1)).received, [{ sequence: 1, tupleId }]);
    t.is(await countOf(bare, HANDED), 0);
    t.deepEqual(
      (await acknowledge(1)).received,
      [{ sequence: 1, tupleId }],
      'again until confirmed',
    );
  }
});

test('a lowest open sequence that passes an unacknowledged hand-over gives it back [4.21]', async (t) => {
  const house = await startHouse(t);
  const { bare, space } = house;
  const session = await BareSession.open(bare);
  await space.write(['job', 1]);
  await take(house, session.operation(1));
  const write = { space: jobs, tuple: tuple('job', 2), operation: session.operation(2) };
  await bare.call(methods.write, write);
  t.is(await countOf(bare, HANDED), 1, 'still open');
  const operation = session.operation(3, { floor: 2 });
  await bare.call(methods.write, { space: jobs, tuple: tuple('job', 3), operation });
  t.is(await countOf(bare, HANDED), 0);
  const ask = { space: jobs, template: job, wait: ifExists };
  const back = await bare.call(methods.read, ask);
  t.is(back.found?.deliveries, 1);
  t.deepEqual(Buffer.from(back.found?.tuple ?? []), Buffer.from(tuple('job', 1)));
});

test('nobody gets a tuple before the session of its first receiver has ended [4.22]', async (t) => {
  const house = await startHouse(t);
  const { node, bare, space } = house;
  const session = await BareSession.open(bare);
  await space.write(['job', 1]);
  await take(house, session.operation(1));
  let come = 0;
  const waiting = [space.take(['job', m.int]), space.take([m.string, m.int])];
  for (const each of waiting) void each.then(() => (come += 1));
  for (let each = 0; each < 6; each += 1) {
    await node.advance(3_000);
    await bare.call(sessions.keepSession, { sessionId: session.id });
  }
  t.is(come, 0, 'its receiver lives');
  await node.advance(9_000);
  await turns(20);
  t.is(come, 0, 'its lease is not over');
  await node.advance(1_500);
  const [first] = waiting;
  t.deepEqual(await first, ['job', 1]);
  await turns(50);
  t.is(come, 1, 'one of the two');
  await space.write(['job', 2]);
  await Promise.all(waiting);
});

test('a take without a session is the caller’s alone once its answer is given out [4.23]', async (t) => {
  const house = await startHouse(t);
  const { node, bare, space } = house;
  for (const of of asks) {
    await space.write(['job', 1]);
    const taken = await bare.call(methods.take, { space: jobs, template: of, wait: ifExists });
    t.is(taken.outcome, Outcome.FOUND);
    await node.advance(60_000);
    t.is(await countOf(bare, READY, HANDED), 0, 'the node’s own session has acknowledged it');
  }
});
